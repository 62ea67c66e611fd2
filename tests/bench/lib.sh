# tests/bench/lib.sh - numbers and runs that bench.sh and compare.sh share; sourced, from the project's root.
# shellcheck shell=bash

read -ra before <<<"${BENCH_RUN:-}" # in front of every run, as 'chrt -f 10' on a machine that others use too
rival=tests/bench/rival
: "${work:?}" # a folder of the caller's
export PEFTLAB_STORE=$work/store.db

say() { printf '%s\n' "$*"; }
field() { # FILE KEY: the first number under that key of a JSON text
    grep -o "\"$2\": *-\{0,1\}[0-9.e+-]*" "$1" 2>/dev/null | head -1 | sed 's/.*: *//'
}
word() { # FILE KEY: the first text under that key
    sed -n "s/.*\"$2\": *\"\([^\"]*\)\".*/\1/p" "$1" 2>/dev/null | head -1
}
median() { # numbers on standard input
    sort -g | awk '{ v[NR] = $1 } END { if (NR) printf "%.6g", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
spread() { # numbers on standard input: largest less smallest, per cent of the median
    sort -g | awk '{ v[NR] = $1 } END { if (NR > 1) printf "%.0f", 100 * (v[NR] - v[1]) / v[int((NR + 1) / 2)]; else printf "-" }'
}
ratio() { awk -v a="${1:-0}" -v b="${2:-0}" 'BEGIN { if (a > 0 && b > 0) printf "%.2f", a / b; else printf "-" }'; }
whole() { awk -v a="${1:-0}" 'BEGIN { if (a > 0) printf "%.0f", a; else printf "-" }'; }
mib() { awk -v b="${1:-0}" 'BEGIN { if (b > 0) printf "%.0f", b / 1048576; else printf "-" }'; }

long_dtype() { case $1 in fp32) echo float32 ;; bf16) echo bfloat16 ;; *) echo "$1" ;; esac; }
bf16_products() { grep -qwE 'avx512_bf16|amx_bf16|bf16' /proc/cpuinfo; } # does this processor have them?

peak() { # FILE: this machine's peak there, in GFLOP/s
    if cc -O3 -march=native -pthread "$rival/peak.c" -o "$work/peak" 2>/dev/null; then
        "${before[@]}" "$work/peak" >"$1"
    fi
    say "$(field "$1" fp32_gflops) GFLOP/s in fp32, $(field "$1" bf16_gflops) in bf16"
}

# A training by PROGRAM; prints RATE RSS (tokens per second, bytes). Of a fixed shape (TOKENS a step) the rate is the median step's.
train() { # PROGRAM TRIAL key=value...
    local program=$1 trial=$2
    shift 2
    rm -rf "$work/run"
    "${before[@]}" "$program" train "$trial" --out "$work/run" latency_requests=0 "$@" >"$work/ours.log" 2>&1 ||
        { tail -1 "$work/ours.log" >&2; return 1; }
    if [ -n "$TOKENS" ]; then
        awk -v t="$TOKENS" -v ms="$(field "$work/run/result.json" step_ms_p50)" 'BEGIN { printf "%f ", 1000 * t / ms }'
    else
        printf '%s ' "$(field "$work/run/result.json" tokens_per_s)"
    fi
    field "$work/run/result.json" peak_rss_bytes
}

# --- what is trained; each sets `trial` and TOKENS, or says why it cannot ---

on_reviews() { # real lengths
    local model=${BENCH_MODEL:-models/all-MiniLM-L6-v2}
    TOKENS="" trial=$work/real.yaml
    [ -d "$model" ] || { say "skipped: no $model (make model)"; return 1; }
    {
        say "model: $(realpath "$model")"
        grep -v '^model:\|_data:' examples/reviews/trial.yaml
        say "train_data: $PWD/examples/reviews/train_400.jsonl"
        say "hidden_dropout_prob: 0"
        say "attention_probs_dropout_prob: 0"
    } >"$trial"
}
of_shape() { # NAME: an encoder with random weights, nothing padded
    local sizes
    case $1 in
    minilm) sizes="384 6 12 1536 16 64" TOKENS=1024 ;;
    bert-base) sizes="768 12 12 3072 8 128" TOKENS=1024 ;;
    esac
    trial=$work/$1.yaml
    command -v python3 >/dev/null || { say "skipped: no python3 to make the weights"; return 1; }
    # shellcheck disable=SC2086 # sizes are words
    python3 tests/bench/make_base.py "$work" "$1" $sizes "$STEPS"
}
of_decoder() { # SmolLM2-135M's weights (BENCH_DECODER=DIR), 4 x 256 random tokens, every one a label
    TOKENS=1024 trial=$work/decoder.yaml
    [ -d "${BENCH_DECODER:-}" ] || { say "skipped: no decoder (BENCH_DECODER=DIR)"; return 1; }
    awk -v v="$(field "$BENCH_DECODER/config.json" vocab_size)" 'BEGIN {
        srand(1)
        for (r = 0; r < 32; r++) {
            ids = int(rand() * v)
            for (i = 1; i < 256; i++) ids = ids "," int(rand() * v)
            printf "{\"input_ids\": [%s], \"labels\": [%s]}\n", ids, ids
        }
    }' >"$work/decoder.jsonl"
    printf '%s\n' "model: $(realpath "$BENCH_DECODER")" 'task: causal-lm' 'method: lora' 'rank: 8' 'alpha: 16' \
        'target_modules: [q_proj, v_proj]' "train_data: decoder.jsonl" 'batch_size: 4' "max_steps: $STEPS" 'learning_rate: 1.0e-4' >"$trial"
}
