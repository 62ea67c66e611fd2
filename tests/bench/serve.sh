#!/bin/bash
# Many adapters on one base beside transformers + peft behind a small server: the same requests, the same client.
#   tests/bench/serve.sh BUILD MODEL ADAPTER     RIVAL_PYTHON=venv/bin/python  K=16  LIMIT=50ms  SECONDS_EACH=20  SEEDS="[0, 1]"
# ADAPTER is a LoRA folder of peft's form. Prints the highest rate at which p99 stays within the limit, for each: ours by HTTP,
# ours in process, and, with RIVAL_PYTHON, set_adapter per request and adapter_names per batch. 24 tokens a request, Zipf 1.1.
set -euo pipefail
build=$1 model=$2 adapter=$3
here=$(dirname "$0")
k=${K:-16} limit=${LIMIT:-50ms} seconds=${SECONDS_EACH:-20}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
names=$(python3 -c "print('[' + ', '.join('a-%d' % i for i in range($k)) + ']')")
cat >"$work/bench.yaml" <<EOF
requests: {tokens: 24}
popularity: {zipf: 1.1}
arrivals: {open: poisson, rate: [auto]}
duration: ${seconds}s
warmup: 3s
slo: {p99: $limit}
seeds: ${SEEDS:-[0, 1]}
adapters: $names
EOF
report() { # NAME KEY=VALUE...
    local name=$1
    shift
    "$build/peftlab" bench "$work/bench.yaml" "$@" --json --out "$work/out" >/dev/null
    jq -r --arg name "$name" 'def tenth: . * 10 | round / 10; .highest_rate_per_s as $r | ([.points[] | select(.x == $r)][0] // {p50_ms: 0, p99_ms: 0}) as $p
        | "\($name): \($r | tenth) requests/s; there p50 \($p.p50_ms | tenth) ms, p99 \($p.p99_ms | tenth) ms"' "$work/out/bench.json"
}
ready() { # LOG
    for _ in $(seq 600); do
        grep -q '^serving' "$1" && return
        sleep .5
    done
    cat "$1" >&2
    exit 1
}
report "ours, in process, one adapter" "model=$(realpath "$model")" "adapters={dir: $(realpath "$adapter")}"
report "ours, in process, $k adapters" "model=$(realpath "$model")" "adapters={dir: $(realpath "$adapter"), clone: $k}"
words=()
for ((i = 0; i < k; i++)); do words+=("a-$i=$adapter"); done
"$build/peftlab" serve "$model" "${words[@]:0:200}" --port 8099 >"$work/ours.log" 2>&1 &
ready "$work/ours.log"
for ((i = 200; i < k; i++)); do
    curl -s -o /dev/null http://127.0.0.1:8099/v1/load_lora_adapter -d "{\"lora_name\": \"a-$i\", \"lora_path\": \"$(realpath "$adapter")\"}"
done
report "ours, HTTP, $k adapters" target=http://127.0.0.1:8099
kill %1
for style in set names; do
    [ -n "${RIVAL_PYTHON-}" ] || break
    "$RIVAL_PYTHON" "$here/rival/serve_rival.py" "$model" "$adapter" "$k" --style $style --port 8098 >"$work/$style.log" 2>&1 &
    ready "$work/$style.log"
    report "transformers + peft, $style, $k adapters" target=http://127.0.0.1:8098
    kill %%
    wait %% 2>/dev/null || true
done
