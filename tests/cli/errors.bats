#!/usr/bin/env bats
# Bad input gets one line on stderr - what, where, hint - nothing on stdout, and the exit
# code of docs/exit-codes.md.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    export CASE=$ROOT/tests/golden/cases/bert-lora-qv
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# refused STATUS TEXT... -- ARGUMENTS: ends with STATUS and says each TEXT in one line
refused() {
    local status_wanted=$1 texts=()
    shift
    while [ "$1" != -- ]; do
        texts+=("$1")
        shift
    done
    shift
    run "-$status_wanted" --separate-stderr "$PEFTLAB" "$@"
    [ -z "$output" ] || { echo "stdout: $output"; return 1; }
    [[ "$stderr" == "peftlab: "* ]] || { echo "stderr: $stderr"; return 1; }
    [ "${#stderr_lines[@]}" = 1 ] || { echo "more than a line: $stderr"; return 1; }
    for text in "${texts[@]}"; do
        [[ "$stderr" == *"$text"* ]] || { echo "lacks '$text': $stderr"; return 1; }
    done
}
train() { # STATUS TEXT... -- key=value...: the same for a training of the golden case
    local words=()
    while [ "$1" != -- ]; do
        words+=("$1")
        shift
    done
    shift
    refused "${words[@]}" -- train "$CASE/trial.yaml" "$@" --out out
    [ ! -e out/result.json ]
}

@test "an unknown command names the nearest" {
    refused 2 "unknown command 'trian'" "'train'" -- trian
    refused 2 "unknown command 'zzzzzz'" "peftlab help" -- zzzzzz
}

@test "an unknown flag names the nearest" {
    refused 2 "'--ouut'" "'--out'" -- train "$CASE/trial.yaml" --ouut x
    refused 2 "'--adaptor'" "'--adapter'" -- eval "$CASE/trial.yaml" --adaptor x --out y
}

@test "an unknown sub-command names the nearest" {
    refused 2 "plan, run, status, stop" "'plan'" -- sweep pln
}

@test "missing arguments are said" {
    refused 2 "--out" -- train "$CASE/trial.yaml"
    refused 2 "no trial file" -- train --out out
    refused 2 "model" -- tokenize
    refused 2 "sweep file" -- sweep plan
}

@test "an unknown key names the nearest, in the file and among the overrides" {
    train 78 "'rnak'" "'rank'" -- rnak=4
    train 78 "'learning_rat'" "'learning_rate'" -- learning_rat=4
    printf 'model: m\nrnak: 4\n' >trial.yaml
    refused 78 trial.yaml "'rnak'" "'rank'" -- train trial.yaml --out out
}

@test "what is proposed is read by the method, or nothing is" {
    train 78 "'num_virtual' (did you mean 'num_virtual_tokens'?)" -- method=prefix num_virtual=4
    train 78 "unknown key 'num_virtual'" -- num_virtual=4
    [[ "$stderr" != *"did you mean"* ]]
    train 78 "'dropout_p'" -- dropout_p=0.5
    train 78 "(did you mean 'batch_size'?)" -- batch=4
    train 78 "'trainable'" -- trainable=all
    [[ "$stderr" != *"did you mean"* ]]
}

@test "an unknown model says how to get one, fractional labels what learns them" {
    train 66 "'peftlab pull a/b' gets it" -- model=a/b
    train 66 "'peftlab pull google-bert/bert-base-uncased --out models/bert-base-uncased' gets it" -- model=bert-base-uncased
    train 66 "'peftlab pull ORGANISATION/NAME'" -- model=/nonexistent
    printf '{"text": "a b", "label": 0.5}\n{"text": "c d", "label": 1.5}\n' >numbers.jsonl
    train 65 "line 1" "problem_type: regression" -- train_data="$PWD/numbers.jsonl"
}

@test "a word without = is no override" {
    train 2 "'rank'" key=value -- rank
}

@test "a key that the method does not read" {
    train 78 "'lora'" "'num_virtual_tokens'" -- num_virtual_tokens=4
    train 78 "method 'ia3' does not read 'rank'; of its own it reads " target_modules -- method=ia3
    refused 78 "'head'" "'rank'" -- train "$ROOT/tests/golden/cases/bert-head/trial.yaml" rank=4 --out out
}

@test "an unknown method or choice names the nearest" {
    train 78 "'lroa'" "'lora'" -- method=lroa
    train 78 "lr_scheduler_type" "cosine" -- lr_scheduler_type=cosnie
}

@test "values out of range and of the wrong type say what is right" {
    train 78 "rank" 1..4096 "got 0" -- rank=0
    train 78 "rank" integer "'four'" -- rank=four
    train 78 "lora_dropout" -- lora_dropout=1.5
    train 78 "batch_size" -- batch_size=-1
    train 78 "shuffle" -- shuffle=maybe
}

@test "a target that matches nothing names the nearest" {
    sed '/init_adapter/d; s#\.\./\.\.#'"$ROOT/tests/golden"'#' "$CASE/trial.yaml" >trial.yaml
    cp "$CASE"/*.jsonl .
    refused 78 "'querry'" "query" -- train trial.yaml 'target_modules=[querry, value]' --out out
}

@test "missing files are told apart from bad ones" {
    refused 66 "'nope.yaml'" -- train nope.yaml --out out
    train 66 "/nonexistent" -- model=/nonexistent
    train 66 "nope.jsonl" -- train_data=nope.jsonl
    refused 66 "'nope'" -- eval "$CASE/trial.yaml" --adapter nope --out out
    refused 66 "nope.db" -- ls --store nope.db
    refused 66 "nope.db" -- show 17 --store nope.db
    refused 66 "nope.yaml" -- sweep run nope.yaml --store x.db
    [ ! -e x.db ]
}

@test "YAML faults come with line and column" {
    printf 'model: [a\n' >bad.yaml
    refused 65 bad.yaml "line 2" -- train bad.yaml --out out
    printf 'model: a\nmodel: b\n' >twice.yaml
    refused 65 twice.yaml "line 2, column 1" "'model'" -- train twice.yaml --out out
    : >empty.yaml
    refused 78 empty.yaml mapping -- train empty.yaml --out out
    printf '{"model": }' >bad.json
    refused 65 bad.json "line 1" -- train bad.json --out out
}

@test "data faults come with file and line" {
    printf '{"input_ids": [1, 2], "label": 0}\n{"input_ids": [1, "x"], "label": 1}\n' >rows.jsonl
    train 65 rows.jsonl "line 2" "'input_ids'[1]" -- train_data=rows.jsonl
    printf '{"input_ids": [1, 2], "label": 0}\n{"input_ids": [1, 2], "lable": 1}\n' >rows.jsonl
    train 65 rows.jsonl "line 2" "'label'" "'lable'" -- train_data=rows.jsonl
    printf '{"input_ids": [1, 2], "label": 0}\n{"input_ids": [1, 99999], "label": 1}\n' >rows.jsonl
    train 65 "line 2" 99999 -- train_data=rows.jsonl || train 65 "line 2" "'input_ids'[1]" -- train_data=rows.jsonl
    printf '{"input_ids": [1, 2], "label": 0}\nnot json\n' >rows.jsonl
    train 65 "line 2" -- train_data=rows.jsonl
    : >rows.jsonl
    train 65 "no rows" -- train_data=rows.jsonl
}

@test "a damaged weights file is bad input, not a crash" {
    cp -r "$ROOT/tests/golden/models/bert" model
    chmod -R u+w model
    truncate -s 5000 model/model.safetensors
    train 65 model.safetensors -- model="$PWD/model"
    printf 'x' >model/model.safetensors
    train 65 model.safetensors -- model="$PWD/model"
    rm model/config.json
    train 66 config.json -- model="$PWD/model"
}

@test "a backend that is not there is unavailable" {
    PEFTLAB_BACKEND=cdua train 69 "'cdua'" "cpu" "ref" --
    PEFTLAB_CPU=sse9 train 69 "'sse9'" "generic" --
}

@test "a place that cannot be written is an i/o error" {
    : >file
    refused 74 "file" -- train "$CASE/trial.yaml" --out file/out
}

@test "a full disk is an i/o error" {
    [ -e /dev/full ] || skip "no /dev/full"
    run -74 bash -c '"$PEFTLAB" help >/dev/full'
    [[ "$output" == *"cannot write"* ]]
}

@test "a training that diverges ends with 79" {
    train 79 "not finite" "learning_rate" -- learning_rate=1000 max_grad_norm=0 optim=sgd max_steps=200 lr_scheduler_type=constant
}

@test "sweep files: unknown names with line, column and the nearest" {
    printf 'version: 1\nname: a\nmethod: gird\nparameters: {rank: {value: 1}}\n' >s.yaml
    refused 78 s.yaml "line 3" "'grid'" -- sweep plan s.yaml
    printf 'version: 1\nname: a\nmethod: grid\nparameters: {rnak: {value: 1}}\n' >s.yaml
    refused 78 s.yaml "line 4" "'rnak'" "'rank'" -- sweep plan s.yaml
    printf 'version: 1\nname: a\nmethod: grid\nparamters: {rank: {value: 1}}\n' >s.yaml
    refused 78 s.yaml "line 4" "'parameters'" -- sweep plan s.yaml
}

@test "every exit status of lib/err.h is in docs/exit-codes.md" {
    for status in $(grep -oE '^ +X\([A-Z]+, *"[^"]*", *[0-9]+|^ +[0-9]+\)' "$ROOT/lib/err.h" | grep -oE '[0-9]+\)?$' | tr -d ')'); do
        grep -qE "^\| $status \|" "$ROOT/docs/exit-codes.md" || { echo "status $status is not documented"; return 1; }
    done
}
