#!/bin/bash
# Speed of training, beside transformers + peft where they are installed (tests/bench/rival; README there).
#   make bench                       the usual tables, in Markdown; ours and the rival's in turns
#   make bench RECORD=1              and into docs/benchmarks.md, under this kind of machine
#   REPEATS=3 STEPS=8 MINUTES=15     runs per figure (fewer, once the time is over), timed steps of a fixed shape
#   DTYPES='fp32 bf16'               the rival's bf16 is left out where the processor has no products for it
#   ONLY='ops real minilm bert-base decoder sweep sweep-default scaling'    some (all but the last two are usual)
#   BENCH_MODEL=DIR BENCH_DECODER=DIR   MiniLM, SmolLM2-135M          RIVAL_PYTHON=venv/bin/python   where the rival's packages are
#   FP32_GEMM='mkl' or 'onednn'      the rival's library of fp32 products (default: the faster one of what was measured, see gemm)
#   BENCH_RUN='chrt -f 10'           put in front of every run, for a machine that others use too
# Wants a quiet machine: the peak is measured before and after, and the spread over repeats stands beside each figure. Dropout
# is off on both sides. Ratios are rates: more than 1 is faster than the rival; a share of memory is ours / the rival's.
set -u
cd "$(dirname "$0")/../.." || exit

B=${1:-build}
REPEATS=${REPEATS:-3}
STEPS=${STEPS:-8}
MINUTES=${MINUTES:-15}
DTYPES=${DTYPES:-fp32 bf16}
ONLY=${ONLY:-ops real minilm bert-base decoder sweep}
work=$B/bench
mkdir -p "$work"
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh
python=${RIVAL_PYTHON:-$rival/venv/bin/python}
wanted() { case " $ONLY " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

has_rival=
if [ -x "$(command -v "$python")" ] && "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
    has_rival=1
else
    say "rival: not installed (set RIVAL_PYTHON, see $rival/requirements.txt); ours alone" >&2
fi

gemm() { # real | shape: on AMD's processors MKL is slow at large products, and oneDNN where shapes change
    local library=mkl
    [ "$1" = shape ] && ! grep -q GenuineIntel /proc/cpuinfo && library=onednn
    say "${FP32_GEMM:-$library}"
}

# --- the rival's runs; RATE RSS as train (lib.sh) ---

rival_real() { # STYLE DTYPE
    "${before[@]}" "$python" $rival/train_rival.py "$trial" --style "$1" --base-dropout off --fp32-gemm "$(gemm real)" "dtype=$(long_dtype "$2")" \
        num_train_epochs=2 >"$work/rival.json" 2>"$work/rival.log" || { tail -1 "$work/rival.log" >&2; return 1; }
    printf '%s %s\n' "$(field "$work/rival.json" tokens_per_s)" "$(field "$work/rival.json" peak_rss_bytes)"
}
rival_shape() { # SHAPE DTYPE [flag...]
    local shape=$1 dtype=$2
    shift 2
    "${before[@]}" "$python" $rival/step_bench.py --style tuned --shapes "$shape" --dtypes "$dtype" --steps "$STEPS" --warmup 2 \
        --fp32-gemm "$(gemm shape)" "$@" \
        >"$work/rival.json" 2>"$work/rival.log" || { tail -1 "$work/rival.log" >&2; return 1; }
    awk -v t="$TOKENS" -v ms="$(field "$work/rival.json" step_ms_median)" 'BEGIN { printf "%f ", 1000 * t / ms }'
    field "$work/rival.json" peak_rss_bytes
}

# --- tables ---

heading() {
    say
    say "$1"
    say
    say "| | dtype | runs | ours, tokens/s | spread, % | rival | spread, % | ours / rival | ours, MiB | rival | share |"
    say "|---|---|---|---|---|---|---|---|---|---|---|"
}
column() { cut -d' ' -f"$1" "$work/$2"; }

# REPEATS runs in turns (one at least), then a row. The commands are in the arrays o and r (the rival's; may be empty).
row() { # WHAT DTYPE
    local n=0
    : >"$work/o"
    : >"$work/r"
    while [ $n -eq 0 ] || { [ $n -lt "$REPEATS" ] && [ $SECONDS -lt $((60 * MINUTES)) ]; }; do
        "${o[@]}" >>"$work/o"
        [ -n "$has_rival" ] && [ ${#r[@]} -gt 0 ] && "${r[@]}" >>"$work/r"
        n=$((n + 1))
    done
    local a b
    a=$(column 1 o | median) b=$(column 1 r | median)
    printf '| %s | %s | %d | %s | %s | %s | %s | %s | %s | %s | %s |\n' "$1" "$2" $n "$(whole "$a")" "$(column 1 o | spread)" \
        "$(whole "$b")" "$(column 1 r | spread)" "$(ratio "$a" "$b")" "$(mib "$(column 2 o | median)")" "$(mib "$(column 2 r | median)")" \
        "$(ratio "$(column 2 o | median)" "$(column 2 r | median)")"
}
fair() { [ "$1" = fp32 ] || bf16_products; } # is the rival's figure in this dtype worth its time?

real() {
    heading "LoRA r8 query,value on reviews/train_400, real lengths, batch 16, 2 epochs."
    on_reviews || return
    local dtype
    for dtype in $DTYPES; do
        o=(train "$B/peftlab" "$trial" "dtype=$(long_dtype "$dtype")" num_train_epochs=2) r=()
        fair "$dtype" && r=(rival_real tuned "$dtype")
        row "MiniLM, tuned" "$dtype"
    done
    case " $DTYPES " in *" fp32 "*)
        o=(train "$B/peftlab" "$trial" num_train_epochs=2) r=(rival_real default fp32)
        row "MiniLM, default" fp32
        ;;
    esac
}
shape() { # NAME
    heading "$1: LoRA r8 query,value on random weights, 1024 tokens a step, nothing padded; the median step."
    of_shape "$1" || return
    local dtype
    for dtype in $DTYPES; do
        o=(train "$B/peftlab" "$trial" "dtype=$(long_dtype "$dtype")") r=()
        fair "$dtype" && r=(rival_shape "$1-qv" "$dtype")
        row "$1, tuned" "$dtype"
    done
    case "$1 $DTYPES " in "bert-base "*"fp32 "*) # weights in 16 bits, products in fp32, beside the rival in fp32
        o=(train "$B/peftlab" "$trial" base_dtype=bfloat16) r=(rival_shape "$1-qv" fp32)
        row "$1, base_dtype bfloat16" fp32
        ;;
    esac
    if "${before[@]}" "$B/peftlab" train "$trial" --out "$work/run" --overwrite --profile max_steps=4 >"$work/profile" 2>&1; then
        printf '\n```\n'
        grep -A7 '^op ' "$work/profile"
        grep '^(all)' "$work/profile"
        printf '```\n'
    fi
}
decoder() {
    heading "SmolLM2-135M: LoRA r8, 4 x 256 tokens, every one a label; the median step."
    of_decoder || return
    local dtype targets
    for dtype in $DTYPES; do
        for targets in qv all; do
            local keys=("dtype=$(long_dtype "$dtype")")
            [ $targets = all ] && keys+=(target_modules=all-linear)
            o=(train "$B/peftlab" "$trial" "${keys[@]}") r=()
            fair "$dtype" && r=(rival_shape "smollm2-135m-$targets" "$dtype")
            row "$targets" "$dtype"
        done
        o=(train "$B/peftlab" "$trial" "${keys[@]}" method=qlora) r=()
        fair "$dtype" && r=(rival_shape smollm2-135m-all "$dtype" --qlora)
        row "all, QLoRA" "$dtype"
    done
}

# Twelve trials as people run them: one `sweep run` beside one process of the rival per trial, wall time of everything.
sweep_files() {
    local keys from=$PWD/examples/reviews model=${BENCH_MODEL:-models/all-MiniLM-L6-v2}
    keys=$(printf '%s\n' task=seq-cls method=lora 'target_modules=[query, value]' max_length=128 batch_size=16 num_train_epochs=2 \
        learning_rate=6.0e-3 "model=$(realpath "$model")" "train_data=$from/train_400.jsonl" "eval_data=$from/dev.jsonl")
    printf '%s\ngrid: {rank: [4, 8], alpha: [8, 16], seeds: [0, 1, 2]}\n' "${keys//=/: }" >"$work/sweep-rival.yaml"
    {
        printf 'name: bench\nseeds: [0, 1, 2]\nparameters:\n  rank: {values: [4, 8]}\n  alpha: {values: [8, 16]}\n'
        sed 's/\([^=]*\)=\(.*\)/  \1: {value: \2}/' <<<"$keys"
        printf '  %s: {value: 0}\n' hidden_dropout_prob attention_probs_dropout_prob latency_requests # as the rival
    } >"$work/sweep.yaml"
}
sweep() { # STYLE
    say
    say "A sweep of 12 LoRA trials (rank x alpha x 3 seeds) on reviews/train_400, 2 epochs, evaluation on dev: seconds of all."
    say
    on_reviews || return
    sweep_files
    rm -rf "$work/sweep.db" "$work/sweep.db-"* "$work/sweep-runs"
    local begin ours_s rival_s=
    begin=$(date +%s.%N)
    "${before[@]}" "$B/peftlab" sweep run "$work/sweep.yaml" --store "$work/sweep.db" --run-dir "$work/sweep-runs" >"$work/sweep.log" 2>&1 ||
        { tail -1 "$work/sweep.log" >&2; return 1; }
    ours_s=$(echo "$(date +%s.%N) $begin" | awk '{ print $1 - $2 }')
    if [ -n "$has_rival" ]; then
        "${before[@]}" "$python" $rival/sweep_rival.py "$work/sweep-rival.yaml" --style process --train-style "$1" --fp32-gemm "$(gemm real)" \
            >"$work/rival.json" 2>"$work/rival.log" || { tail -1 "$work/rival.log" >&2; return 1; }
        rival_s=$(field "$work/rival.json" wall_s)
    fi
    say "| ours | $1 | ours / rival |"
    say "|---|---|---|"
    printf '| %.1f | %s | %s |\n' "$ours_s" "${rival_s:--}" "$(ratio "$rival_s" "$ours_s")"
}

tables() {
    say "$(date +%Y-%m-%d), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), load $(cut -d' ' -f1 /proc/loadavg) at the start, peak $(peak "$work/peak_before.json"). The rival's fp32 products: $(gemm real) on real lengths, $(gemm shape) on fixed shapes."
    if wanted ops; then
        printf '\n```\n'
        "${before[@]}" "$B/bench_ops"
        printf '```\n'
    fi
    wanted real && real
    wanted minilm && shape minilm
    wanted bert-base && shape bert-base
    wanted decoder && decoder
    wanted sweep && sweep tuned
    wanted sweep-default && sweep default
    wanted scaling && tests/bench/scaling.sh "$B"
    say
    say "Peak afterwards: $(peak "$work/peak_after.json"). $((SECONDS / 60)) min $((SECONDS % 60)) s."
}

tables | tee "$work/tables.md"
if [ -n "${RECORD:-}" ]; then
    "$B/peftlab" doctor --json >"$work/doctor.json" 2>/dev/null
    kind="$(word "$work/doctor.json" cpu)$(awk -F': *' '/^cpu family/ { f = $2 } /^model\t/ { m = $2 } END { if (f) printf " (family %d, model %d)", f, m }' /proc/cpuinfo)"
    tests/bench/record.sh "$kind, $(word "$work/doctor.json" simd), $(nproc) cores" "$work/tables.md" docs/benchmarks.md
fi
