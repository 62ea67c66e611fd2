#!/usr/bin/env bats
# kill -9 of controllers and trials at random moments (tests/crash/kill_rounds.sh), a few rounds of it.

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export ROOT PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
}

@test "six kills: every trial exactly once, the same numbers" {
    run "$ROOT/tests/crash/kill_rounds.sh" "$PEFTLAB" "$ROOT/tests/crash/tiny.yaml" 6 0.5
    echo "$output"
    [ "$status" -eq 0 ]
}
