#!/bin/bash
# A server under load for long, with adapters that come and go: memory flat, no error, tails flat.
#   tests/bench/soak.sh BUILD MODEL ADAPTER     MINUTES=30  RATE=auto  K=64  LIMIT=50ms  OUT=folder to keep
# ADAPTER is a folder, served by K names of which half have room in memory, asked by Zipf's law: some are evicted all the time.
# RATE is requests per second; auto: 0.7 of the highest that keeps p99 within LIMIT, which is looked for first. Once a second
# an adapter is loaded, asked for its labels and its vector, and unloaded. Ends with 1 where a request failed, memory grew from the second quarter to
# the last by more than 2 % and 2 MiB, or p99 grew from the second third to the last by more than half.
set -euo pipefail
build=$1 model=$2 adapter=$(realpath "$3")
minutes=${MINUTES:-30} rate=${RATE:-auto} k=${K:-64} limit=${LIMIT:-50ms}
out=${OUT:-$(mktemp -d)}
mkdir -p "$out"
jobs=()
trap 'kill "${jobs[@]}" 2>/dev/null || true; [ -n "${OUT-}" ] || rm -rf "$out"' EXIT

serve() { # MB: of adapters in memory
    local words=() i
    for ((i = 0; i < k; i++)); do words+=("a-$i=$adapter"); done
    "$build/peftlab" serve "$model" "${words[@]}" --port 0 --resident-mb "$1" >"$out/serve.log" 2>&1 &
    server=$!
    jobs+=("$server")
    for _ in $(seq 300); do
        url=$(sed -n 's/^serving .* on //p' "$out/serve.log")
        [ -z "$url" ] || return 0
        sleep .1
    done
    cat "$out/serve.log" >&2
    return 1
}

metric() { # NAME
    curl -s "$url/metrics" | sed -n "s/^$1 //p"
}

ask() { # PATH BODY
    local status
    status=$(curl -s -o "$out/answer" -w '%{http_code}' "$url$1" -d "$2")
    [ "$status" = 200 ] || echo "$1 $2: $status $(cat "$out/answer")" >>"$out/failures"
}

come_and_go() {
    local i
    for ((i = 0; ; i++)); do
        ask /v1/load_lora_adapter "{\"lora_name\": \"guest-$i\", \"lora_path\": \"$adapter\"}"
        ask /v1/classify "{\"model\": [\"guest-$i\", \"a-$((i % k))\"], \"input\": \"one more request\"}"
        ask /v1/embeddings "{\"model\": \"guest-$i\", \"input\": \"one more request\"}"
        ask /v1/unload_lora_adapter "{\"lora_name\": \"guest-$i\"}"
        sleep 1
    done
}

watch_memory() {
    while sleep 2; do
        echo "$(date +%s) $(metric process_resident_memory_bytes) $(metric peftlab_adapters_resident)"
    done >"$out/memory"
}

bench() { # KEY=VALUE...
    "$build/peftlab" bench "$out/bench.yaml" "$@" --no-store --out "$out/bench" >"$out/bench.log"
}

: >"$out/failures"
serve 0
for ((i = 0; i < k; i++)); do # all of them once, to see what they take
    ask /v1/classify "{\"model\": \"a-$i\", \"input\": \"first\"}"
done
room=$(($(metric peftlab_adapters_resident_bytes) / 2 / 1048576))
kill "$server"
wait "$server"
serve $((room > 0 ? room : 1))
cat >"$out/bench.yaml" <<END
target: $url
adapters: [$(for ((i = 0; i < k; i++)); do echo "a-$i,"; done)]
requests: {tokens: 24}
popularity: {zipf: 1.1}
arrivals: {open: poisson, rate: [auto]}
duration: ${SECONDS_EACH:-20}s
warmup: 3s
slo: {p99: $limit}
seeds: [0]
END
if [ "$rate" = auto ]; then
    bench
    rate=$(jq '.settings[0].rate * 0.7 | floor' "$out/bench/bench.json")
fi
echo "rate $rate/s for $minutes min, $k adapters in $room MiB"
come_and_go &
jobs+=($!)
watch_memory &
jobs+=($!)
bench "arrivals={open: poisson, rate: [$rate]}" "duration=$((minutes * 60))s"
kill "${jobs[@]:2}"
loads=$(metric peftlab_adapter_loads_total) evictions=$(metric peftlab_adapter_evictions_total) failed=$(metric peftlab_failed_rows_total)
echo "loads $loads, evictions $evictions, failed rows $failed, failures of those that come and go $(wc -l <"$out/failures")"
python3 - "$out" "$failed" <<'END'
import csv, sys
out, failed = sys.argv[1], float(sys.argv[2])
rows = [r for r in csv.DictReader(open(out + "/bench/requests.csv"))]
lost = [r for r in rows if r["ok"] != "1"]
n = len(rows)

def p99(part):
    took = sorted(float(r["done_s"]) - float(r["intended_s"]) for r in part if r["ok"] == "1")
    return 1e3 * took[min(len(took) - 1, int(.99 * len(took)))]

thirds = [p99(rows[n * i // 3:n * (i + 1) // 3]) for i in range(3)]
memory = [int(line.split()[1]) for line in open(out + "/memory") if len(line.split()) > 1]
m = len(memory)
quarters = [max(memory[m * i // 4:m * (i + 1) // 4]) / 1048576 for i in range(4)]
print("requests %d, not answered %d" % (n, len(lost)))
print("p99 by thirds: %s ms" % ", ".join("%.1f" % x for x in thirds))
print("largest memory by quarters: %s MiB" % ", ".join("%.1f" % x for x in quarters))
grew = quarters[3] - quarters[1]
wrong = [w for w, is_so in (("requests failed", lost or failed or open(out + "/failures").read()),
                            ("memory grew", grew > 2 and grew > .02 * quarters[1]),
                            ("tails grew", thirds[2] > 1.5 * thirds[1])) if is_so]
print("soak: " + (", ".join(wrong) or "flat"))
sys.exit(bool(wrong))
END
