#!/bin/bash
# Speed of training, beside transformers + peft where they are installed (tests/bench/rival; README there).
#   make bench                       all tables; medians of REPEATS runs, ours and the rival's in turns
#   REPEATS=3 STEPS=12               runs per figure, timed steps of a fixed shape
#   BENCH_RUN='chrt -f 10'           put in front of every run, for a machine that others use too
#   ONLY='ops real minilm bert-base sweep scaling' some      RIVAL_PYTHON=venv/bin/python   where the rival's packages are
# Wants a quiet machine: the peak (rival/peak.c) is measured before and after, and both are printed. Dropout of the base is
# off on both sides. Ratios are rates: more than 1 is faster than the rival.
set -u
cd "$(dirname "$0")/../.." || exit

B=${1:-build}
REPEATS=${REPEATS:-3}
STEPS=${STEPS:-12}
read -ra before <<<"${BENCH_RUN:-}"
ONLY=${ONLY:-ops real minilm bert-base sweep}
rival=tests/bench/rival
python=${RIVAL_PYTHON:-$rival/venv/bin/python}
work=$B/bench
real=$B/bench-real.yaml
model=${BENCH_MODEL:-models/all-MiniLM-L6-v2}
mkdir -p "$work"

say() { printf '%s\n' "$*"; }
wanted() { case " $ONLY " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

has_rival=
if [ -x "$(command -v "$python")" ] && "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
    has_rival=1
else
    say "rival: not installed (set RIVAL_PYTHON, see $rival/requirements.txt); ours alone"
fi

# --- numbers ---

field() { # FILE KEY: the first number under that key of a JSON text
    grep -o "\"$2\": *-\{0,1\}[0-9.e+-]*" "$1" 2>/dev/null | head -1 | sed 's/.*: *//'
}
median() { # numbers on standard input
    sort -g | awk '{ v[NR] = $1 } END { if (NR) printf "%.6g", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { if (a > 0 && b > 0) printf "%.2fx", a / b; else printf "-" }'; }
mib() { awk -v b="$1" 'BEGIN { if (b > 0) printf "%.0f", b / 1048576; else printf "-" }'; }
peak() { # FILE
    if cc -O3 -march=native -pthread "$rival/peak.c" -o "$work/peak" 2>/dev/null; then
        "${before[@]}" "$work/peak" >"$1" && say "peak: $(field "$1" fp32_gflops) GFLOP/s in fp32, $(field "$1" bf16_gflops) in bf16"
    else
        say "peak: $rival/peak.c does not build here"
    fi
}

# --- one run each; they print RATE RSS (tokens per second, bytes) ---

ours() { # TRIAL key=value...
    local trial=$1
    shift
    rm -rf "$work/run"
    "${before[@]}" "$B/peftlab" train "$trial" --out "$work/run" hidden_dropout_prob=0 attention_probs_dropout_prob=0 "$@" \
        >"$work/ours.log" 2>&1 || { tail -1 "$work/ours.log" >&2; return 1; }
    case $trial in # of a fixed shape, the median step
        "$work"/*) awk -v t="$TOKENS" -v ms="$(field "$work/run/result.json" step_ms_p50)" 'BEGIN { printf "%f ", 1000 * t / ms }' ;;
        *) printf '%s ' "$(field "$work/run/result.json" tokens_per_s)" ;;
    esac
    field "$work/run/result.json" peak_rss_bytes
}
rival_real() { # STYLE key=value...
    local style=$1
    shift
    "${before[@]}" "$python" $rival/train_rival.py "$real" --style "$style" --base-dropout off "$@" \
        >"$work/rival.json" 2>"$work/rival.log" || { tail -1 "$work/rival.log" >&2; return 1; }
    printf '%s %s\n' "$(field "$work/rival.json" tokens_per_s)" "$(field "$work/rival.json" peak_rss_bytes)"
}
rival_shape() { # STYLE SHAPE DTYPE
    "${before[@]}" "$python" $rival/step_bench.py --style "$1" --shapes "$2-qv" --dtypes "$3" --steps "$STEPS" --warmup 3 \
        >"$work/rival.json" 2>"$work/rival.log" || { tail -1 "$work/rival.log" >&2; return 1; }
    awk -v t="$TOKENS" -v ms="$(field "$work/rival.json" step_ms_median)" 'BEGIN { printf "%f ", 1000 * t / ms }'
    field "$work/rival.json" peak_rss_bytes
}

# --- tables ---

column() { cut -d' ' -f"$1" "$work/$2" | median; }

# REPEATS runs in turns, then a line. side NAME; commands in the arrays o, t (tuned) and d (default; may be empty).
line() { # WHAT DTYPE
    local f
    for f in o t d; do : >"$work/$f"; done
    for _ in $(seq "$REPEATS"); do
        "${o[@]}" >>"$work/o"
        [ -z "$has_rival" ] && continue
        "${t[@]}" >>"$work/t"
        [ ${#d[@]} -gt 0 ] && "${d[@]}" >>"$work/d"
    done
    local a b c
    a=$(column 1 o) b=$(column 1 t) c=$(column 1 d)
    printf '%-18s %-8s %10.0f %10s %7s %10s %7s %9s %9s %7s\n' "$1" "$2" "${a:-0}" "${b:--}" "$(ratio "$a" "$b")" "${c:--}" \
        "$(ratio "$a" "$c")" "$(mib "$(column 2 o)")" "$(mib "$(column 2 t)")" "$(ratio "$(column 2 o)" "$(column 2 t)")"
}
heading() {
    say
    say "$1"
    printf '%-18s %-8s %10s %10s %7s %10s %7s %9s %9s %7s\n' "" "" "ours tok/s" tuned ratio default ratio "ours MiB" tuned share
}

real() {
    heading "LoRA r8 query,value on reviews/train_400, real lengths, batch 16, 2 epochs"
    if [ ! -d "$model" ]; then
        say "skipped: no $model (make model)"
        return
    fi
    {
        say "model: $(realpath "$model")"
        grep -v '^model:\|_data:' examples/reviews/trial.yaml
        say "train_data: $PWD/examples/reviews/train_400.jsonl"
    } >"$real"
    for dtype in float32 bfloat16; do
        o=(ours "$real" "dtype=$dtype" num_train_epochs=2) t=(rival_real tuned "dtype=$dtype" num_train_epochs=2) d=()
        [ $dtype = float32 ] && d=(rival_real default "dtype=$dtype" num_train_epochs=2)
        line all-MiniLM-L6-v2 $dtype
    done
}
shape() { # NAME HIDDEN LAYERS HEADS FFN BATCH LENGTH
    heading "LoRA r8 query,value on random weights, $6 x $7 tokens, nothing padded (step_bench.py), median step"
    if ! command -v python3 >/dev/null; then
        say "skipped: no python3 to make the weights"
        return
    fi
    TOKENS=$(($6 * $7))
    python3 tests/bench/make_base.py "$work" "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$STEPS" || return
    for dtype in fp32 bf16; do
        local long=float32
        [ $dtype = bf16 ] && long=bfloat16
        o=(ours "$work/$1.yaml" "dtype=$long") t=(rival_shape tuned "$1" "$dtype") d=()
        line "$1" $dtype
    done
    if "${before[@]}" "$B/peftlab" train "$work/$1.yaml" --out "$work/run" --overwrite --profile max_steps=4 >"$work/profile" 2>&1; then
        grep -A7 '^op ' "$work/profile"
        grep '^(all)' "$work/profile"
    fi
}

# Twelve trials as people run them: one `sweep run` beside one process of the rival per trial, wall time of everything.
sweep() {
    say
    say "a sweep of 12 LoRA trials (rank x alpha x 3 seeds) on reviews/train_400, 2 epochs, evaluation on dev: seconds of all"
    if [ ! -d "$model" ]; then
        say "skipped: no $model (make model)"
        return
    fi
    local keys from=$PWD/examples/reviews base ours_s rival_s style begin
    keys=$(printf '%s\n' task=seq-cls method=lora 'target_modules=[query, value]' max_length=128 batch_size=16 num_train_epochs=2 \
        learning_rate=6.0e-3 "model=$(realpath "$model")" "train_data=$from/train_400.jsonl" "eval_data=$from/dev.jsonl")
    base=$(sed 's/=/: /' <<<"$keys")
    printf '%s\ngrid: {rank: [4, 8], alpha: [8, 16], seeds: [0, 1, 2]}\n' "$base" >"$work/sweep-rival.yaml"
    {
        printf 'name: bench\nseeds: [0, 1, 2]\nparameters:\n  rank: {values: [4, 8]}\n  alpha: {values: [8, 16]}\n'
        sed 's/\([^=]*\)=\(.*\)/  \1: {value: \2}/' <<<"$keys"
        printf '  %s: {value: 0}\n' hidden_dropout_prob attention_probs_dropout_prob latency_requests # as the rival
    } >"$work/sweep.yaml"
    rm -rf "$work/sweep.db" "$work/sweep.db-"* "$work/sweep-runs"
    begin=$(date +%s.%N)
    "${before[@]}" "$B/peftlab" sweep run "$work/sweep.yaml" --store "$work/sweep.db" --run-dir "$work/sweep-runs" >"$work/sweep.log" 2>&1 ||
        { tail -1 "$work/sweep.log" >&2; return 1; }
    ours_s=$(echo "$(date +%s.%N) $begin" | awk '{ print $1 - $2 }')
    printf '%-18s %10.1f\n' ours "$ours_s"
    [ -n "$has_rival" ] || return 0
    for style in tuned default; do
        "${before[@]}" "$python" $rival/sweep_rival.py "$work/sweep-rival.yaml" --style process --train-style $style \
            >"$work/rival.json" 2>"$work/rival.log" || { tail -1 "$work/rival.log" >&2; return 1; }
        rival_s=$(field "$work/rival.json" wall_s)
        printf '%-18s %10.1f %s\n' "$style" "$rival_s" "$(ratio "$rival_s" "$ours_s")"
    done
}

say "$(uname -m), $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), load $(cut -d' ' -f1 /proc/loadavg)"
peak "$work/peak_before.json"
if wanted ops; then
    say
    "${before[@]}" "$B/bench_ops"
fi
wanted real && real
wanted minilm && shape minilm 384 6 12 1536 16 64
wanted sweep && sweep
wanted scaling && tests/bench/scaling.sh "$B" # not among the usual ones: BENCH_DECODER=DIR
wanted bert-base && shape bert-base 768 12 12 3072 8 128
say
peak "$work/peak_after.json"
