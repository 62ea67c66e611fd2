#!/bin/bash
# Many adapters on one base beside what else there is: the same requests, the same client, in turns in one run.
#   tests/bench/serve.sh BUILD MODEL ADAPTER     RIVAL_PYTHON=venv/bin/python  KS="16 1000"  LIMIT=50ms  SECONDS_EACH=5  SEEDS="0 1"  RIVALS="set names onnx"
# ADAPTER is a LoRA folder of peft's form with a head. For each K: the highest rate at which p99 stays within the limit (24 tokens a request,
# Zipf 1.1), of `peftlab serve`, and, with RIVAL_PYTHON (transformers, peft; onnx, onnxscript, onnxruntime), of set_adapter per request,
# adapter_names per batch and merged copies in ONNX Runtime, up to ONNX_MOST (16) of them. All servers are up, one is asked at a time. Then
# what each takes of memory, and the median of single requests. Some 12 minutes; on a machine with nothing else to do.
set -euo pipefail
build=$1 model=$(realpath "$2") adapter=$(realpath "$3")
here=$(dirname "$0")
ks=${KS:-16 1000} limit=${LIMIT:-50ms} seconds=${SECONDS_EACH:-5} seeds=${SEEDS:-0 1} onnx_most=${ONNX_MOST:-16} rivals=${RIVALS:-set names onnx}
work=$(mktemp -d)
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; rm -rf "$work"' EXIT
export PEFTLAB_STORE=${PEFTLAB_STORE:-$work/bench.db}

ready() { # LOG PID
    for _ in $(seq 1200); do
        grep -q '^serving' "$1" && return
        kill -0 "$2" 2>/dev/null || break
        sleep .5
    done
    cat "$1" >&2
    return 1
}
names() { awk -v k="$1" 'BEGIN { printf "["; for (i = 0; i < k; i++) printf "%sa-%d", i ? ", " : "", i; print "]" }'; }
start_ours() { # K: one folder under K names
    mkdir -p "$work/fleet-$1"
    for ((i = 0; i < $1; i++)); do ln -sfn "$adapter" "$work/fleet-$1/a-$i"; done
    "$build/peftlab" serve "$model" --adapters "$work/fleet-$1" --port "$2" >"$3" 2>&1 &
}
start() { # NAME K PORT
    local log=$work/$1-$2.log
    if [ "$1" = ours ]; then
        start_ours "$2" "$3" "$log"
    else
        "$RIVAL_PYTHON" "$here/rival/serve_rival.py" "$model" "$adapter" "$2" --style "$1" --port "$3" >"$log" 2>"$log.err" &
    fi
    pids+=($!)
    pid_of[$1]=$!
    port_of[$1]=$3
    ready "$log" $!
    grep -v '^serving' "$log" | sed "s/^/$1: /" || true
}
bench() { # NAME K OUT KEY=VALUE...
    local out=$3 port=${port_of[$1]}
    "$build/peftlab" bench "$work/bench.yaml" "target=http://127.0.0.1:$port" "adapters=$(names "$2")" "${@:4}" --json --out "$out" >/dev/null
}
rate() { # NAME K SEED
    local out=$work/out
    bench "$1" "$2" "$out" "seeds=[$3]" "arrivals={open: poisson, rate: [auto]}"
    jq -r '.settings[0].rates[0] as $r | ([.points[] | select(.load == $r)][0] // {p50_ms: 0, p99_ms: 0}) | "\($r) \(.p50_ms) \(.p99_ms)"' "$out/bench.json"
}
memory() { awk '/^VmRSS/ { printf "%.0f", $2 / 1024 }' "/proc/$1/status"; }

cat >"$work/bench.yaml" <<END
requests: {tokens: 24}
popularity: {zipf: 1.1}
duration: ${seconds}s
warmup: 1s
slo: {p99: $limit}
resolution: 0.08
END
for k in $ks; do
    declare -A pid_of=() port_of=()
    sides=(ours)
    echo "== $k adapters"
    start ours "$k" 8090
    if [ -n "${RIVAL_PYTHON-}" ]; then
        for rival in $rivals; do
            if [ "$rival" = onnx ] && [ "$k" -gt "$onnx_most" ]; then
                echo "onnx: not measured: $k merged copies do not fit"
                continue
            fi
            sides+=("$rival")
            start "$rival" "$k" $((8090 + ${#sides[@]}))
        done
    fi
    for seed in $seeds; do
        for side in "${sides[@]}"; do
            read -r r p50 p99 <<<"$(rate "$side" "$k" "$seed")"
            printf '%s, seed %s: %.1f requests/s with p99 within %s; there p50 %.1f ms, p99 %.1f ms\n' "$side" "$seed" "$r" "$limit" "$p50" "$p99"
        done
    done
    for round in 1 2; do
        for side in "${sides[@]}"; do
            bench "$side" "$k" "$work/single" 'seeds=[0]' 'arrivals={closed: [1]}' duration=4s
            printf '%s: single requests by HTTP p50 %.2f ms (round %s), resident %s MiB\n' "$side" "$(jq '.points[0].p50_ms' "$work/single/bench.json")" \
                "$round" "$(memory "${pid_of[$side]}")"
        done
    done
    kill "${pids[@]}" 2>/dev/null || true
    wait "${pids[@]}" 2>/dev/null || true
    pids=()
done
echo "== in this process, without HTTP"
"$build/peftlab" bench "$work/bench.yaml" "model=$model" "adapters={dir: $adapter, clone: 16}" 'points=[base, merged, 1, 16]' 'arrivals={closed: [1]}' \
    duration=3s 'seeds=[0, 1]' --json --out "$work/single" >/dev/null
jq -r '.settings as $s | .points | group_by(.setting)[] | "\($s[.[0].setting] | "\(.kind) \(.adapters)"): single requests p50 \([.[].p50_ms] | add / length * 100 | round / 100) ms"' \
    "$work/single/bench.json"
