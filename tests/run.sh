#!/bin/bash
# Builds and passes every test; ends with the line `N passed, N failed, N skipped` and fails if any failed.
#   tests/run.sh                  all suites: unit cli golden fuzz lint
#   SUITES="unit lint"            only these            ONLY=regex     only jobs whose name matches (unit/lib_json)
#   B=folder SAN=1 TSAN=1         as for make           JOBS=2         jobs at the same time
#
# A job is one executable or script that speaks TAP. Nothing is lost silently: what does not build, crashes, runs out of
# time, tells no plan or fewer results than planned counts as failed. Output of each job: BUILD/test-logs.
set -u
cd "$(dirname "$0")/.."

suites=${SUITES:-unit cli golden fuzz lint}
jobs=${JOBS:-2}
only=${ONLY:-.}
limit=${JOB_SECONDS:-600}
flags=()
B=${B:-build}
if [ -n "${SAN:-}" ]; then
    B=build/san flags=(SAN=1)
elif [ -n "${TSAN:-}" ]; then
    B=build/tsan flags=(TSAN=1)
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
        else
            printf 'golden/cpu\t%s\ttests/golden/run.sh %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/cpu-generic\t%s\tPEFTLAB_CPU=generic tests/golden/run.sh %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/peft_loads\t%s\t%s tests/golden/peft_loads.py %s\n' "$B/peftlab" "${PEFT_PYTHON:-python3}" "$B/peftlab"
            printf 'golden/bf16\t%s\ttests/golden/bf16/check_bf16.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/bf16-generic\t%s\tPEFTLAB_CPU=generic tests/golden/bf16/check_bf16.py %s\n' "$B/peftlab" "$B/peftlab"
            printf 'golden/ref\t%s\tPEFTLAB_BACKEND=ref tests/golden/run.sh %s\n' "$B/peftlab" "$B/peftlab"
        fi
        [ -z "$emul" ] || printf 'golden/cuda-emul\t%s\tPEFTLAB_BACKEND=cuda-emul tests/golden/run.sh %s %s\n' "$emul" "$B/peftlab" \
            "bert-lora-qv bert-lora-accumulation bert-qlora-nf4 bert-adapter-pfeiffer bert-prefix bert-head"
        ;;
    esac
    case " $suites " in *" cli "*)
        for f in tests/cli/*.bats; do
            [ -e "$f" ] && printf 'cli/%s\t%s\tbats --tap %s\n' "$(basename "$f" .bats)" "$B/peftlab" "$f"
        done ;;
    esac
    case " $suites " in *" unit "*)
        for f in tests/unit/*/*.c; do
            # without tests it is a helper of other tests: it has to build, and they run it
            name=$(basename "$(dirname "$f")")_$(basename "$f" .c)
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

# ---- build ----
make_() {
    make --no-print-directory -j"$(nproc)" "${flags[@]}" "$@"
}
targets=$(cut -f2 "$logs/jobs" | grep -vx -e - | sort -u)
built=0
# shellcheck disable=SC2086
[ -z "$targets" ] || make_ -k $targets >"$logs/build.log" 2>&1 || built=1
grep -sE 'error|warning|\*\*\*' "$logs/build.log" | head -60

# ---- run ----
run_job() { # one line of the list; leaves NAME.tap, NAME.err and NAME.rc
    local name target command out start=$SECONDS
    IFS=$'\t' read -r name target command <<<"$1"
    out=$2/${name//\//_}
    if [ "$target" != - ] && [ "$3" != 0 ] && ! make --no-print-directory -q ${4:-} "$target" >/dev/null 2>&1; then
        echo "it does not build" >"$out.err"
        : >"$out.tap"
        echo 250 >"$out.rc"
    else
        timeout --kill-after=5 "$5" bash -c "$command" >"$out.tap" 2>"$out.err" </dev/null
        echo $? >"$out.rc"
    fi
    echo "  $name: $((SECONDS - start)) s" >&2
}
export -f run_job
tr '\n' '\0' <"$logs/jobs" |
    xargs -0 -P "$jobs" -I{} bash -c 'run_job "$@"' _ {} "$logs" "$built" "${flags[*]}" "$limit" 2>"$logs/times"

# ---- add up ----
passed=0 failed=0 skipped=0
failures=()
while IFS=$'\t' read -r name _; do
    out=$logs/${name//\//_}
    rc=$(cat "$out.rc" 2>/dev/null || echo 251)
    # passed, failed, skipped, planned; a plan may come more than once (a cmocka group each)
    read -r p f s plan < <(awk '
        /^1\.\.[0-9]+/ { plan += substr($1, 4); next }
        /^(not )?ok / && tolower($0) ~ /# *skip/ { s++; next } # cmocka says "not ok 2 # SKIP"
        /^ok / { p++ }
        /^not ok / { f++ }
        END { print p + 0, f + 0, s + 0, plan + 0 }' "$out.tap" 2>/dev/null)
    why=
    case $rc in
    0) [ "$f" = 0 ] || why="$f failed" ;;
    124 | 137) why="ran out of time or memory (status $rc)" ;;
    250) why="does not build" ;;
    251) why="left no result" ;;
    *) why="exit status $rc" ;;
    esac
    lost=$((plan - p - f - s))
    if [ "$lost" -gt 0 ]; then
        why="$why; $lost planned tests did not run" f=$((f + lost))
    elif [ $((p + f + s)) = 0 ]; then
        why="${why:-no test ran}" f=1
    elif [ "$rc" != 0 ] && [ "$f" = 0 ]; then
        f=1
    fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    if [ "$f" != 0 ]; then
        failures+=("$name")
        echo "---- FAILED $name: ${why#; }"
        # the lines around each failure; all of it where there is none
        if grep -q '^not ok' "$out.tap"; then
            grep -vE '^ok|^# ok|# SKIP' "$out.tap" | head -60
        else
            tail -20 "$out.tap"
        fi
        tail -25 "$out.err"
        if [ "$rc" = 250 ]; then
            target=$(awk -F'\t' -v n="$name" '$1 == n { print $2 }' "$logs/jobs")
            make_ "$target" 2>&1 | grep -vE '^  (CC|TEST|LD|FUZZ)' | head -25
        fi
    fi
done <"$logs/jobs"

if [ ${#failures[@]} -gt 0 ]; then
    echo "failed: ${failures[*]}"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
