#!/usr/bin/env bats
# What somebody sees who waits for a training: a bar on a terminal, a line per evaluation everywhere.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR"
    cp -r "$ROOT/tests/golden/cases/bert-lora-all-linear" case
    sed -i "s#^model:.*#model: $ROOT/tests/golden/models/bert#" case/trial.yaml
}

@test "piped: the evaluations alone, on standard error" {
    run -0 --separate-stderr "$PEFTLAB" train case/trial.yaml --out run eval_steps=3 latency_requests=0
    [[ "${stderr_lines[0]}" =~ ^update\ 3:\ eval\ accuracy\ [01]\.[0-9]{4},\ macro_f1\ .*,\ loss\ [0-9.]+$ ]]
    [[ "${stderr_lines[1]}" == "update 6: eval "* ]]
    [[ "${stderr_lines[2]}" == "update 8: eval "* ]]
    [ "${#stderr_lines[@]}" = 3 ]
    # the same numbers as in the result
    loss=$(jq '.eval.loss' run/result.json)
    [ "$(printf 'loss %.4f' "$loss")" = "$(grep -o 'loss [0-9.]*$' <<<"${stderr_lines[2]}")" ]
}

@test "on a terminal: one line with bar, loss, tokens a second, memory and time left, as wide as it" {
    run -0 script -qec "stty cols 80; '$PEFTLAB' train case/trial.yaml --out run eval_steps=3 latency_requests=0" /dev/null
    has "train [##########" "] 8/8, loss " ", evaluating and saving" "] 1/8, " " left, loss " " tokens/s, " " MiB" "update 3: eval accuracy"
    tr '\r' '\n' <<<"$output" | grep -o 'train \[.*' | awk 'length($0) > 79 { exit 1 }'
}

@test "a dumb terminal gets lines and no bar, NO_COLOR no colours, a locale without UTF-8 only ASCII" {
    shown() { script -qec "stty cols 60; $* '$PEFTLAB' train case/trial.yaml --out run --overwrite eval_steps=3 latency_requests=0; $* '$PEFTLAB' ls" /dev/null; }
    run -0 shown env TERM=dumb
    has "update 3: eval accuracy" "not shown at this width: "
    lacks $'\x1b' "train ["
    run -0 shown env TERM=xterm NO_COLOR=1
    has "train [" $'\x1b[K'
    lacks $'\x1b[1m'
    run -0 shown env -u NO_COLOR TERM=xterm LC_ALL=C
    has $'\x1b[1m' "~"
    ! LC_ALL=C grep -q $'[\x80-\xff]' <<<"$output"
    run -0 shown env TERM=xterm LC_ALL=C.UTF-8
    has "…"
}
