#!/bin/bash
# Builds and passes every test; ends with the line `N passed, N failed, N skipped` and fails if any failed.
#   tests/run.sh                  all suites: unit cli browser golden fuzz lint
#   SUITES="unit lint"            only these            ONLY=regex     only jobs whose name matches (unit/lib_json)
#   B=folder SAN=1 TSAN=1 ARM=1   as for make           JOBS=2         jobs at the same time
#   JOB_SECONDS=600               limit of one job; it grows with the load of the machine (tests/limit.sh)
#
# While files are compiled a line every ten seconds says how many are left; as jobs end, a line each: number, outcome, time.
# A job is one executable or script that speaks TAP. Nothing is lost silently: what does not build, crashes, runs out of
# time, tells no plan or fewer results than planned counts as failed. Output of each job: BUILD/test-logs.
set -u
cd "$(dirname "$0")/.."

suites=${SUITES:-unit cli browser golden fuzz lint}
jobs=${JOBS:-2}
only=${ONLY:-.}
limit=${JOB_SECONDS:-600}
flags=()
B=${B:-build}
if [ -n "${SAN:-}" ]; then
    B=build/san flags=(SAN=1)
elif [ -n "${TSAN:-}" ]; then
    B=build/tsan flags=(TSAN=1)
elif [ -n "${ARM:-}" ]; then
    B=build/arm flags=(ARM=1)
else
    flags=("B=$B")
fi
case $B in /*) PEFTLAB=$B/peftlab ;; *) PEFTLAB=$PWD/$B/peftlab ;; esac
export PEFTLAB CMOCKA_MESSAGE_OUTPUT=TAP NO_COLOR=1
export ASAN_OPTIONS=${ASAN_OPTIONS:-abort_on_error=0:allocator_may_return_null=1}
export PEFTLAB_BACKEND_DIR=$PWD/$B
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
unset PEFTLAB_STORE PEFTLAB_MODELS PEFTLAB_BACKEND PEFTLAB_CPU PEFTLAB_THREADS MAKEFLAGS MAKELEVEL MFLAGS
logs=$B/test-logs
export PEFTLAB_CACHE=$PWD/$logs/cache # goes with the logs
case $B in /*) PEFTLAB_CACHE=$logs/cache ;; esac
echo "tests: suites $suites${ONLY:+, only jobs that match '$ONLY'}; logs in $logs"
rm -rf "$logs"
mkdir -p "$logs"

# Backends that can be built here: the CUDA sources for the host (g++), for GPUs (nvcc).
objects=$(make --no-print-directory -s "${flags[@]}" backend-objects)
emul= cuda=
for object in $objects; do
    case $object in *_emul.so) emul=$object ;; *) cuda=$object ;; esac
done

# ---- what there is to do: "name<TAB>make target or -<TAB>command" ----
list_jobs() {
    local f name
    case " $suites " in *" golden "*)
        if [ -n "${SAN:-}${TSAN:-}" ]; then
            printf 'golden/cpu\t%s\ttests/golden/run.sh %s %s\n' "$B/peftlab" "$B/peftlab" \
                "bert-lora-all-linear bert-qlora-nf4 bert-adapter-pfeiffer bert-prefix bert-full bert-head"
        elif [ -n "${ARM:-}" ]; then # what differs there: the variants, and what the compiler makes of the rest
            for f in neon generic; do
                printf 'golden/%s\t%s\tPEFTLAB_CPU=%s tests/golden/run.sh %s\n' "$f" "$B/peftlab" "$f" "$B/peftlab"
                printf 'golden/generation-%s\t%s\tPEFTLAB_CPU=%s tests/golden/generation/run.py %s\n' "$f" "$B/peftlab" "$f" "$B/peftlab"
            done
            printf 'golden/neonbf16\t%s\tPEFTLAB_CPU=neonbf16 tests/golden/run.sh %s %s\n' "$B/peftlab" "$B/peftlab" \
                "bert-lora-all-linear bert-qlora-nf4 bert-full llama-lora-qv gpt2-lora-all-linear qwen2-window-lora-all-linear"
            for f in neon neonbf16; do
                printf 'golden/bf16-%s\t%s\tPEFTLAB_CPU=%s tests/golden/bf16/check_bf16.py %s\n' "$f" "$B/peftlab" "$f" "$B/peftlab"
            done
            printf 'golden/gguf_lora\t%s\ttests/golden/check_gguf_lora.py %s\n' "$B/peftlab" "$B/peftlab"
        else
            printf 'golden/cpu\t%s\ttests/golden/run.sh %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/cpu-generic\t%s\tPEFTLAB_CPU=generic tests/golden/run.sh %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/peft_loads\t%s\t%s tests/golden/peft_loads.py %s\n' "$B/peftlab" "${PEFT_PYTHON:-python3}" "$B/peftlab"
            printf 'golden/gguf_lora\t%s\ttests/golden/check_gguf_lora.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/bf16\t%s\ttests/golden/bf16/check_bf16.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/bf16-generic\t%s\tPEFTLAB_CPU=generic tests/golden/bf16/check_bf16.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/generation\t%s\ttests/golden/generation/run.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/generation-generic\t%s\tPEFTLAB_CPU=generic tests/golden/generation/run.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/generation-ref\t%s\tPEFTLAB_BACKEND=ref tests/golden/generation/run.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/ref\t%s\tPEFTLAB_BACKEND=ref tests/golden/run.sh %s\n' "$B/peftlab" "$B/peftlab"
        fi
        [ -z "$emul" ] || printf 'golden/generation-cuda-emul\t%s\tPEFTLAB_BACKEND=cuda-emul tests/golden/generation/run.py %s\n' \
            "$emul" "$B/peftlab"
        [ -z "$emul" ] || printf 'golden/cuda-emul\t%s\tPEFTLAB_BACKEND=cuda-emul tests/golden/run.sh %s %s\n' "$emul" "$B/peftlab" \
            "bert-lora-qv bert-lora-accumulation bert-qlora-nf4 bert-adapter-pfeiffer bert-prefix bert-head llama-lora-qv llama-prefix llama-qlora-nf4-dq-all qwen2-window-lora-all-linear qwen3-prefix gemma2-lora-all-linear gemma3-lora-default-targets llama-cls-lora llama-dynamic-forward phi3-partial-lora-qkv-down gpt2-lora-all-linear"
        ;;
    esac
    case " $suites " in *" browser "*) # the report and the live page in chromium; skipped, with the reason, where there is none
        printf 'browser/report\t%s\ttests/browser/run.py %s\n' "$B/peftlab" "$B"
        printf 'browser/ui\t%s\ttests/browser/ui.py %s\n' "$B/peftlab" "$B" ;;
    esac
    case " $suites " in *" cli "*)
        for f in tests/cli/*.bats; do
            [ -e "$f" ] && printf 'cli/%s\t%s\tbats --tap %s\n' "$(basename "$f" .bats)" "$B/peftlab" "$f"
        done ;;
    esac
    case " $suites " in *" unit "*)
        for f in tests/unit/*/*.c tests/unit/*/*/*.c; do
            # without tests it is a helper of other tests: it has to build, and they run it
            name=${f#tests/unit/} && name=${name%%/*}_$(basename "$f" .c)
            # these look at other processes' start times, and qemu shows a process others of itself; the last starts itself
            # again by /proc/self/exe, which nothing here runs
            case ${ARM:-}$name in 1lib_proc_tree | 1tracker_claims | 1sweep_engine) continue ;; esac
            grep -q cmocka_run_group_tests "$f" || { printf 'build/%s\t%s\techo 1..1; echo ok 1\n' "$name" "$B/tests/$name"; continue; }
            printf 'unit/%s\t%s\t%s\n' "$name" "$B/tests/$name" "$B/tests/$name"
        done
        # kernels_ops runs every backend that is built; once more with blocks and threads in another order
        if [ -n "$emul" ]; then
            printf 'unit/cuda_emul\t%s\t%s\n' "$B/tests/cuda_emul" "$B/tests/cuda_emul"
            printf 'unit/kernels_ops-shuffled\t%s\tPEFTLAB_EMUL_SEED=1 PEFTLAB_EMUL_PROTECT=1 %s\n' "$emul" "$B/tests/kernels_ops"
        fi
        [ -z "$cuda" ] || printf 'unit/cuda_object\t%s\ttests/cuda/object.sh %s %s\n' "$cuda" "$cuda" "$B/peftlab"
        ;;
    esac
    case " $suites " in *" fuzz "*)
        for f in tests/fuzz/fuzz_*.c; do
            name=$(basename "$f" .c)
            printf 'fuzz/%s\t%s\t%s\n' "$name" "$B/fuzz/$name" "$B/fuzz/$name tests/fuzz/corpus/${name#fuzz_}"
        done ;;
    esac
    case " $suites " in *" lint "*)
        printf 'lint/source\t-\ttools/lint.sh\nlint/rules\t-\ttests/lint/rules.sh\n' ;;
    esac
}
list_jobs | awk -F'\t' -v only="$only" '$1 ~ only' >"$logs/jobs"

# What is built for Arm runs under qemu: unit tests directly, the program (also from within tests) by a script.
if [ -n "${ARM:-}" ]; then
    export QEMU_LD_PREFIX=$PWD/$B/root PEFTLAB=$PWD/$B/qemu/peftlab
    mkdir -p "$B/qemu"
    printf '#!/bin/sh\nexec qemu-aarch64-static %s "$@"\n' "'$PWD/$B/peftlab'" >"$PEFTLAB"
    chmod +x "$PEFTLAB"
    awk -F'\t' -v OFS='\t' -v b="$B" '{ gsub(b "/tests/", "qemu-aarch64-static &", $3); gsub(b "/peftlab", b "/qemu/peftlab", $3); print }' \
        "$logs/jobs" >"$logs/jobs.arm" && mv "$logs/jobs.arm" "$logs/jobs"
fi

# ---- build ----
make_() {
    make --no-print-directory -j"$(nproc)" "${flags[@]}" "$@"
}
steps='^  [A-Z]+ +[^ ]' # what make says of each file: "  CC    lib/buf.c"
progress() { # TOTAL: make's output as a line at every tenth second (in bash: mawk would wait for a full buffer)
    local line done=0 last=0
    while IFS= read -r line; do
        [[ $line =~ $steps ]] && done=$((done + 1))
        if [ $SECONDS -ge $((last + 10)) ]; then
            last=$SECONDS
            echo "building: $done of $1 files, $(($1 - done)) left"
        fi
    done
}
build() { # TARGET...; output in build.log
    local total
    total=$(make_ -n -k "$@" 2>/dev/null | grep -cE 'echo "  [A-Z]+ ')
    [ "$total" = 0 ] || echo "building: $total files to compile and link"
    SECONDS=0
    make_ -k "$@" 2>&1 | tee "$logs/build.log" | progress "$total"
    local rc=${PIPESTATUS[0]}
    [ "$total" = 0 ] || echo "built in $SECONDS s"
    return "$rc"
}
targets=$(cut -f2 "$logs/jobs" | grep -vx -e - | sort -u)
built=0
# shellcheck disable=SC2086
[ -z "$targets" ] || build $targets || built=1
grep -sE 'error|warning|\*\*\*' "$logs/build.log" | head -60

# ---- run ----
outcome() { # OUT RC: "passed failed skipped why" of what a job left in OUT.tap
    local p f s plan lost why=
    # passed, failed, skipped, planned; a plan may come more than once (a cmocka group each)
    read -r p f s plan < <(awk '
        /^1\.\.[0-9]+/ { plan += substr($1, 4); next }
        /^(not )?ok / && tolower($0) ~ /# *skip/ { s++; next } # cmocka says "not ok 2 # SKIP"
        /^ok / { p++ }
        /^not ok / { f++ }
        END { print p + 0, f + 0, s + 0, plan + 0 }' "$1.tap")
    case $2 in
    0) [ "$f" = 0 ] || why="$f failed" ;;
    124 | 137) why="ran out of time or memory (status $2)" ;;
    250) why="does not build" ;;
    *) why="exit status $2" ;;
    esac
    lost=$((plan - p - f - s))
    if [ "$lost" -gt 0 ]; then
        why="${why:+$why; }$lost planned tests did not run" f=$((f + lost))
    elif [ $((p + f + s)) = 0 ]; then
        why="${why:-no test ran}" f=1
    elif [ "$2" != 0 ] && [ "$f" = 0 ]; then
        f=1
    fi
    echo "$p $f $s $why"
}
run_job() { # LINE LOGS BUILT FLAGS LIMIT: leaves NAME.tap, NAME.err, NAME.rc and NAME.outcome
    local name target command out rc p f s why start=$SECONDS
    IFS=$'\t' read -r name target command <<<"$1"
    out=$2/${name//\//_}
    if [ "$target" != - ] && [ "$3" != 0 ] && ! make --no-print-directory -q ${4:-} "$target" >/dev/null 2>&1; then
        echo "it does not build" >"$out.err"
        : >"$out.tap"
        rc=250
    else
        tests/limit.sh "$5" "$command" >"$out.tap" 2>"$out.err" </dev/null
        rc=$?
    fi
    outcome "$out" $rc >"$out.outcome"
    echo $rc >"$out.rc"
    read -r p f s why <"$out.outcome"
    [ "$s" = 0 ] || s=", $s skipped"
    [ "$f" = 0 ] && why="$p passed${s#0}"
    printf '%s %5d s  %s: %s\n' "$([ "$f" = 0 ] && echo 'ok    ' || echo FAILED)" $((SECONDS - start)) "$name" "$why"
}
export -f run_job outcome
total=$(wc -l <"$logs/jobs")
echo "running: $total jobs, $jobs at a time"
SECONDS=0
tr '\n' '\0' <"$logs/jobs" |
    xargs -0 -P "$jobs" -I{} bash -c 'run_job "$@"' _ {} "$logs" "$built" "${flags[*]}" "$limit" 2>&1 |
    while IFS= read -r line; do
        ended=$((${ended:-0} + 1))
        printf '%*d/%d  %s\n' ${#total} "$ended" "$total" "$line"
    done | tee "$logs/times"
echo "ran in $SECONDS s"

# ---- add up ----
passed=0 failed=0 skipped=0
failures=()
while IFS=$'\t' read -r name target _; do
    out=$logs/${name//\//_}
    rc=$(cat "$out.rc" 2>/dev/null)
    p=0 f=1 s=0 why="left no result"
    [ -z "$rc" ] || read -r p f s why <"$out.outcome"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" != 0 ]; then
        failures+=("$name")
        echo "---- FAILED $name: $why"
        # the lines around each failure; all of it where there is none
        if grep -qs '^not ok' "$out.tap"; then
            grep -vE '^ok|^# ok|# SKIP' "$out.tap" | head -60
        else
            tail -20 "$out.tap"
        fi
        tail -25 "$out.err"
        if [ "$rc" = 250 ]; then
            make_ "$target" 2>&1 | grep -vE "$steps" | head -25
        fi
    fi
done <"$logs/jobs"

if [ ${#failures[@]} -gt 0 ]; then
    echo "failed: ${failures[*]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
