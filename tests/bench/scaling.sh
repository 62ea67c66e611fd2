#!/bin/bash
# How memory and time of a training step grow with tokens: the tables of docs/memory.md, in Markdown.
#   ONLY=scaling make bench BENCH_DECODER=DIR      DIR: a decoder's folder (SmolLM2-135M in the page)
#   LENGTHS='128 ...' ROWS='1 ...'                 tokens of one row; rows of 320 tokens, one chunk of SmolLM2's head each
#   TOKENS=2048 MOST_GIB=8                         timed steps take that many, at least one; plans above that are not run
# A cell of memory is what `plan` says (activations and workspace, MiB), and a run must have allocated exactly that, or it is
# marked "!". Time is CPU time of a step (all threads), so that a busy machine moves it little: that of a run less that of a run
# of one step of 16 tokens, which loads and packs the same weights; wall time is the median step.
set -u
cd "$(dirname "$0")/../.." || exit
B=${1:-build}
model=${BENCH_DECODER:?a decoder folder}
TOKENS=${TOKENS:-2048}
MOST_GIB=${MOST_GIB:-8}
work=$B/bench/scaling
export PEFTLAB_STORE=$work/store.db
mkdir -p "$work"

field() { grep -o "\"$2\": *[0-9.e+-]*" "$1" | head -1 | sed 's/.*: *//'; }
mib() { awk -v b="$1" 'BEGIN { printf "%.0f", b / 1048576 }'; }
vocabulary=$(field "$model/config.json" vocab_size)

trial() { # ROWS LENGTH CHECKPOINTING: writes $work/t.yaml and its rows, all tokens labelled
    awk -v rows="$1" -v n="$2" -v v="$vocabulary" 'BEGIN {
        srand(1)
        for (r = 0; r < rows; r++) {
            ids = ""
            for (i = 0; i < n; i++) ids = ids (i ? "," : "") int(rand() * v)
            printf "{\"input_ids\": [%s], \"labels\": [%s]}\n", ids, ids
        }
    }' >"$work/rows.jsonl"
    steps=$((TOKENS / ($1 * $2)))
    [ $steps -gt 0 ] || steps=1
    cat >"$work/t.yaml" <<END
model: $(realpath "$model")
task: causal-lm
method: lora
rank: 8
target_modules: [q_proj, v_proj]
train_data: rows.jsonl
batch_size: $1
max_steps: $steps
gradient_checkpointing: $3
latency_requests: 0
END
}
cpu() { # the trial's CPU seconds, user and system
    TIMEFORMAT='%U %S'
    { time "$B/peftlab" train "$work/t.yaml" --out "$work/run" --overwrite >"$work/log" 2>&1; } 2>&1 | awk '{ print $1 + $2 }'
}
cell() { # ROWS LENGTH CHECKPOINTING: MiB | CPU s | CPU ms per token | wall s
    trial "$@"
    "$B/peftlab" plan "$work/t.yaml" --json >"$work/plan.json"
    local bytes total seconds mark="" tokens=$(($1 * $2))
    bytes=$(($(field "$work/plan.json" activations) + $(field "$work/plan.json" workspace)))
    total=$(field "$work/plan.json" total_bytes)
    if [ "$total" -gt $((MOST_GIB << 30)) ]; then
        printf '%s | | | ' "$(mib $bytes)"
        return
    fi
    seconds=$(cpu)
    [ "$(field "$work/run/result.json" allocated_bytes)" = "$total" ] || mark='!'
    awk -v m="$(mib $bytes)$mark" -v s="$seconds" -v b="$base" -v n=$steps -v t=$tokens -v w="$(field "$work/run/result.json" step_ms_p50)" \
        'BEGIN { s = (s - b) / n; printf "%s | %.1f | %.2f | %.1f", m, s, 1000 * s / t, w / 1000 }'
}
heading() { # WHAT
    echo
    echo "| $1 | MiB | CPU s | CPU ms/token | wall s | MiB, checkpointing | CPU s | CPU ms/token | wall s |"
    echo "|---|---|---|---|---|---|---|---|---|"
}

TOKENS=1 trial 1 16 false
cpu >"$work/warm" # reads the model into the page cache
base=$({ cpu; cpu; cpu; } | sort -g | sed -n 2p)
heading "tokens in one row"
for n in ${LENGTHS-128 256 512 1024 2048 4096 8192}; do
    echo "| $n | $(cell 1 "$n" false) | $(cell 1 "$n" true) |"
done
heading "rows of 320 tokens"
for n in ${ROWS-1 2 4 8 16 32 64}; do
    echo "| $n | $(cell "$n" 320 false) | $(cell "$n" 320 true) |"
done
