#!/usr/bin/env bash
# Eight trials of LoRA on 400 reviews: one after the other on all cores, a process per core, eight processes, and one pack of
# eight. Bits, seconds, processor seconds, and the memory of all processes together (PSS: what is mapped by several counts once).
#   tests/bench/pack.sh BUILD MODEL [key=value ...]     ROUNDS=3 CACHE=on|off WAYS="solo cores eight pack"
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?BUILD} model=$(realpath "${2:?MODEL}")
shift 2
program=$(realpath "$build/peftlab") data=$PWD/examples/reviews
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PEFTLAB_CACHE=$work/cache
if [ "${CACHE:-on}" = off ]; then PEFTLAB_CACHE=off; fi

cat >"$work/eight.yaml" <<END
name: eight
metric: {name: eval/macro_f1, goal: maximize}
parameters:
  model: {value: $model}
  train_data: {value: $data/train_400.jsonl}
  eval_data: {value: $data/dev.jsonl}
  method: {value: lora}
  rank: {values: [4, 8]}
  learning_rate: {values: [6.0e-3, 3.0e-3]}
  batch_size: {value: 16}
  max_length: {value: 128}
  num_train_epochs: {value: 2}
  latency_requests: {value: 0}
seeds: [0, 1]
END

# The largest sum of PSS of the process $1 and all that it starts, in KiB, into $2.
watch() {
    local most=0 sum
    while kill -0 "$1" 2>/dev/null; do
        sum=$(for p in "$1" $(pgrep -P "$1" || true); do cat "/proc/$p/smaps_rollup" 2>/dev/null || true; done |
            awk '/^Pss:/ { s += $2 } END { print s + 0 }')
        [ "$sum" -le "$most" ] || most=$sum
        echo "$most" >"$2"
        sleep 0.1
    done
}

# WAY flags...: a sweep of its own; prints a row
measure() {
    local way=$1 dir=$work/$1
    shift
    rm -rf "$dir"
    mkdir -p "$dir"
    local begin end cpu pid
    begin=$(date +%s.%N)
    ( TIMEFORMAT='%U %S'; time "$program" sweep run "$work/eight.yaml" --store "$dir/p.db" "$@" >"$dir/out.txt" 2>&1 ) 2>"$dir/cpu" &
    pid=$!
    sleep 0.05
    watch "$(pgrep -P "$pid" | head -1 || echo "$pid")" "$dir/pss"
    wait "$pid" || { cat "$dir/out.txt" >&2; return 1; }
    end=$(date +%s.%N)
    cpu=$(tail -1 "$dir/cpu" | awk '{ print $1 + $2 }')
    awk -v way="$way" -v s="$(awk -v a="$begin" -v b="$end" 'BEGIN { print b - a }')" -v c="$cpu" -v k="$(cat "$dir/pss")" \
        'BEGIN { printf "| %-5s | %7.1f | %7.1f | %6.0f |\n", way, s, c, k / 1024 }'
    (cd "$dir/peftlab-runs" && find . -name adapter_model.safetensors | sort | xargs sha256sum) >"$dir/bits"
}

cores=$(nproc)
measure warm --jobs "$cores" "$@" >/dev/null # packed weights into the cache, files into memory
printf '| way   | seconds | cpu     | PSS    |\n|---|---|---|---|\n'
for ((round = 0; round < ${ROUNDS:-3}; round++)); do
    for way in ${WAYS:-solo cores eight pack}; do
        case $way in
        solo) measure solo --jobs 1 "$@" ;;
        cores) measure cores --jobs "$cores" "$@" ;;
        eight) measure eight --jobs 8 "$@" ;;
        pack) measure pack --pack 8 "$@" ;;
        esac
        cmp "$work/warm/bits" "$work/$way/bits"
    done
done
echo "bits of all adapters are the same"
"$program" sweep plan "$work/eight.yaml" --pack 8 "$@" | tail -1
