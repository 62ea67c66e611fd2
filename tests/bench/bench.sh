#!/bin/bash
# Speed and memory of training MiniLM with LoRA r 8 (query, value) on 400 review sentences: tests/bench/bench.sh BUILD
#   RIVAL_PYTHON=venv/bin/python   beside transformers + peft on the same rows, in turns (tests/bench/rival/requirements.txt)
#   ROUNDS=3                       every figure is the median of so many runs
#   KEYS="max_steps=20"            trial keys for all runs, for a short look
# Figures count only on a quiet machine: it ends with status 1 when others used more than 5 % of the cores just before or
# after, or when the machine's own peak moved by more than 5 %. Never part of the tests.
set -euo pipefail
build=$1
cd "$(dirname "$0")/../.."
rounds=${ROUNDS:-3}
read -ra keys <<<"${KEYS:-}"
python=${RIVAL_PYTHON:-}
trial=examples/reviews/trial.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

tools/fetch_model.sh
gcc -O3 -march=native -pthread tests/bench/rival/peak.c -o "$work/peak"

number() { # FILE KEY: the first number of that name
    grep -oE "\"$2\": *[0-9.e+-]+" "$1" | head -1 | grep -oE '[0-9.e+-]+$'
}
median() { # FILE of numbers
    sort -g "$1" | awk '{ x[NR] = $1 } END { print NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'
}
note() { # NAME RESULT-FILE
    local key
    for key in samples_per_s tokens_per_s peak_rss_bytes; do
        number "$2" $key >>"$work/$1.$key"
    done
}
busy() { # the share of all cores that is in use now, in per cent, over three seconds
    awk '/^cpu / { idle[NR] = $5 + $6; all[NR] = $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9 }
        END { printf "%.0f\n", 100 * (1 - (idle[2] - idle[1]) / (all[2] - all[1])) }' \
        <(head -1 /proc/stat; sleep 3; head -1 /proc/stat)
}
no_dropout="hidden_dropout_prob=0 attention_probs_dropout_prob=0"

ours() { # NAME OVERRIDE...
    local name=$1
    shift
    "$build/peftlab" train "$trial" "${keys[@]}" "$@" --out "$work/run" >/dev/null
    note "$name" "$work/run/result.json"
}
theirs() { # NAME FLAG...
    local name=$1
    shift
    (cd tests/bench/rival && "$python" train_rival.py "../../../$trial" "${keys[@]}" "$@") >"$work/rival.json" 2>"$work/rival.err" ||
        { tail -5 "$work/rival.err" >&2; return 1; }
    note "$name" "$work/rival.json"
}

busy_before=$(busy)
"$work/peak" 20 >"$work/before"
for ((i = 1; i <= rounds; i++)); do
    echo "round $i of $rounds" >&2
    ours keep
    # shellcheck disable=SC2086
    ours off $no_dropout
    if [ -n "$python" ]; then
        theirs default --style default --base-dropout keep
        theirs tuned_keep --style tuned --base-dropout keep
        theirs tuned --style tuned --base-dropout off
    fi
done
busy_after=$(busy)
"$work/peak" 20 >"$work/after"

row() { # LABEL NAME [OURS]: the last column compares with our run of equal work
    local samples tokens bytes
    samples=$(median "$work/$2.samples_per_s") tokens=$(median "$work/$2.tokens_per_s")
    bytes=$(median "$work/$2.peak_rss_bytes")
    if [ -n "${3:-}" ]; then
        awk -v l="$1" -v s="$samples" -v t="$tokens" -v b="$bytes" -v os="$(median "$work/$3.samples_per_s")" \
            -v ob="$(median "$work/$3.peak_rss_bytes")" \
            'BEGIN { printf "%-44s %10.1f %10.0f %10.1f   %.2f x faster, %.3f of the memory\n", l, s, t, b / 1048576, os / s, ob / b }'
    else
        awk -v l="$1" -v s="$samples" -v t="$tokens" -v b="$bytes" \
            'BEGIN { printf "%-44s %10.1f %10.0f %10.1f\n", l, s, t, b / 1048576 }'
    fi
}
printf '\nMiniLM, LoRA r 8 on query and value, 400 rows, batch 16, 5 epochs, fp32, median of %s\n\n' "$rounds"
printf '%-44s %10s %10s %10s   %s\n' "" samples/s tokens/s "RSS MiB" "ours beside it"
row "peftlab" keep
row "peftlab, dropout off" off
if [ -n "$python" ]; then
    row "transformers + peft, default" default keep
    row "transformers + peft, tuned, with dropout" tuned_keep keep
    row "transformers + peft, tuned, dropout off" tuned off
else
    echo "(RIVAL_PYTHON is not set: transformers + peft were not run)"
fi
echo
for when in before after; do
    echo "peak $when: $(number "$work/$when" fp32_gflops) GFLOP/s fp32, $(number "$work/$when" read_gb_s) GB/s," \
        "$(number "$work/$when" threads) threads"
done
echo "used by others: $busy_before % of the cores before, $busy_after % after"
awk -v a="$(number "$work/before" fp32_gflops)" -v b="$(number "$work/after" fp32_gflops)" \
    -v x="$busy_before" -v y="$busy_after" 'BEGIN {
    if ((a > b ? a / b : b / a) > 1.05 || x > 5 || y > 5) {
        print "The machine was not quiet: do not use these figures."
        exit 1
    }
}'
