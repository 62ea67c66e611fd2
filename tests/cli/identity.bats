#!/usr/bin/env bats
# What makes a trial the same, and whose files are whose: folders, stores, data, commands.
bats_require_minimum_version 1.5.0
load common

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    cd "$BATS_TEST_TMPDIR"
    cp "$ROOT/tests/golden/cases/bert-lora-qv/train.jsonl" train.jsonl
    chmod u+w train.jsonl
    cat >trial.yaml <<EOF
model: $ROOT/tests/golden/models/bert
train_data: train.jsonl
num_labels: 3
method: lora
rank: 2
max_steps: 1
latency_requests: 0
EOF
}

rank_of() { grep -o '"r": *[0-9]*' "$1/adapter_config.json" | grep -o '[0-9]*$'; }

@test "train --out keeps the finished training of another trial" {
    "$PEFTLAB" train trial.yaml --out o
    "$PEFTLAB" train trial.yaml --out o # the same again
    sum=$(cat o/adapter/* | sha256sum)
    run -78 "$PEFTLAB" train trial.yaml rank=4 --out o
    has "its configuration differs" "--overwrite"
    run -78 "$PEFTLAB" train trial.yaml seed=7 --out o
    has "its seed differs"
    cp train.jsonl kept.jsonl
    sed -i 1d train.jsonl
    run -78 "$PEFTLAB" train trial.yaml --out o
    has "its train_data differs"
    mv kept.jsonl train.jsonl
    cp -r "$ROOT/tests/golden/models/bert" model && chmod -R u+w model
    sed "s#^model: .*#model: model#" trial.yaml >own.yaml
    "$PEFTLAB" train own.yaml --out p
    printf ' ' >>model/config.json
    run -78 "$PEFTLAB" train own.yaml --out p
    has "its model differs"
    [ "$(cat o/adapter/* | sha256sum)" = "$sum" ]
    "$PEFTLAB" train trial.yaml rank=4 --overwrite --out o
    [ "$(rank_of o/adapter)" = 4 ]
    [ "$(ls o | tr '\n' ' ')" = "adapter result.json trace.jsonl " ]
}

@test "a folder with a foreign adapter, and results of a training, are kept" {
    mkdir -p f && cp -r "$ROOT/tests/golden/cases/bert-lora-qv/expected/adapter" f/adapter
    run -78 "$PEFTLAB" train trial.yaml --out f
    has "an adapter folder that no training here has left"
    "$PEFTLAB" train trial.yaml --out o
    run -78 "$PEFTLAB" eval trial.yaml eval_data=train.jsonl --adapter o/adapter --out o
    has "the results of a training"
    "$PEFTLAB" eval trial.yaml eval_data=train.jsonl --adapter o/adapter --out e
    [ -e e/logits.safetensors ]
}

@test "merge makes its folder whole or not at all, and replaces none unasked" {
    "$PEFTLAB" train trial.yaml --out o
    "$PEFTLAB" merge trial.yaml --adapter o/adapter --out m
    [ -e m/config.json ] && [ -e m/model.safetensors ] && [ ! -e m.new ]
    run -78 "$PEFTLAB" merge trial.yaml --adapter o/adapter --out m
    has "'m' is not empty" "--overwrite"
    "$PEFTLAB" merge trial.yaml --adapter o/adapter --overwrite --out m
    mkdir empty
    "$PEFTLAB" merge trial.yaml --adapter o/adapter --out empty/
    cmp m/model.safetensors empty/model.safetensors
}

sweep() { # FILE RANK: a sweep of one trial
    cat >"$1" <<EOF
version: 1
name: s
metric: {name: train/loss_last, goal: minimize}
parameters:
  model: {value: $ROOT/tests/golden/models/bert}
  num_labels: {value: 3}
  train_data: {value: train.jsonl}
  rank: {value: $2}
  max_steps: {value: 1}
  latency_requests: {value: 0}
EOF
}
run_dir() { "$PEFTLAB" query "SELECT run_dir FROM run_view ORDER BY id DESC LIMIT 1" --format tsv --store "$1" | tail -1; }

@test "two stores in one folder have run folders of their own" {
    sweep two.yaml 2
    sweep four.yaml 4
    "$PEFTLAB" sweep run two.yaml --store one.db
    "$PEFTLAB" sweep run four.yaml --store two.db
    [ "$(rank_of "$(run_dir one.db)/adapter")" = 2 ]
    [ "$(rank_of "$(run_dir two.db)/adapter")" = 4 ]
    [ "$(run_dir one.db)" = "$PWD/peftlab-runs/trial-1/attempt-1" ]
    [[ "$(run_dir two.db)" == "$PWD"/peftlab-runs-????????/trial-1/attempt-1 ]]
    run -78 "$PEFTLAB" sweep run two.yaml --name again --store two.db --run-dir peftlab-runs
    has "holds the run folders of another store" "--run-dir"
    # A copy of the file is another store; a store that was moved goes on.
    cp one.db copy.db
    "$PEFTLAB" sweep run four.yaml --name b --store copy.db
    [[ "$(run_dir copy.db)" == "$PWD"/peftlab-runs-* ]]
    mv one.db moved.db
    "$PEFTLAB" sweep run four.yaml --name c --store moved.db
    [ "$(run_dir moved.db)" = "$PWD/peftlab-runs/trial-2/attempt-1" ]
}

@test "run folders without a mark go on with the store that has runs there" {
    sweep s.yaml 2
    "$PEFTLAB" sweep run s.yaml --store old.db
    rm peftlab-runs/.store
    "$PEFTLAB" sweep run s.yaml --store new.db # comes first, has none there
    [[ "$(run_dir new.db)" == "$PWD"/peftlab-runs-* ]]
    "$PEFTLAB" sweep run s.yaml --name more --store old.db
    [ "$(run_dir old.db)" = "$PWD/peftlab-runs/trial-2/attempt-1" ]
    [ -e peftlab-runs/.store ]
}

@test "gc removes what this store made, and follows no link" {
    printf '#!/bin/sh\necho "{\\"y\\": 1}"\ntouch "$PEFTLAB_RUN_DIR/kept"\n[ ! -e fail ]\n' >p.sh
    chmod +x p.sh
    printf 'version: 1\nname: g\nmetric: {name: y, goal: maximize}\ncommand: [./p.sh]\nparameters: {x: {values: [1]}}\n' >s.yaml
    touch fail
    run "$PEFTLAB" sweep run s.yaml --store a.db
    rm fail
    "$PEFTLAB" sweep run s.yaml --retry-failed --store a.db
    "$PEFTLAB" export --store a.db --out a.jsonl
    "$PEFTLAB" import a.jsonl --store b.db
    cp a.db c.db
    for other in b.db c.db; do
        "$PEFTLAB" gc --delete --store $other
        [ -e peftlab-runs/trial-1/attempt-1/kept ]
    done
    mv peftlab-runs/trial-1 elsewhere
    ln -s "$PWD/elsewhere" peftlab-runs/trial-1
    "$PEFTLAB" gc --delete --store a.db
    [ -e elsewhere/attempt-1/kept ]
    rm peftlab-runs/trial-1
    mv elsewhere peftlab-runs/trial-1
    "$PEFTLAB" gc --delete --store a.db
    [ ! -e peftlab-runs/trial-1/attempt-1 ]
    [ -e peftlab-runs/trial-1/attempt-2/kept ]
}

@test "a sweep does not go on with other data, another model or another command" {
    sweep s.yaml 2
    sed -i 's#{value: 2}#{values: [2, 4]}#' s.yaml
    "$PEFTLAB" sweep run s.yaml
    cp train.jsonl kept.jsonl
    touch train.jsonl
    "$PEFTLAB" sweep run s.yaml # the content decides
    sed -i 's/"label": 0/"label": 2/' train.jsonl
    run -78 "$PEFTLAB" sweep run s.yaml
    has "train_data 'train.jsonl' has changed since its trial 1 ran" "--name"
    sed 's#\[2, 4\]#[2, 4, 8]#' s.yaml >more.yaml
    run -78 "$PEFTLAB" sweep run more.yaml
    has "has changed"
    "$PEFTLAB" sweep run s.yaml --name fresh
    mv kept.jsonl train.jsonl
    "$PEFTLAB" sweep run s.yaml
    [ "$("$PEFTLAB" query "SELECT count(*) FROM run_view" --format tsv | tail -1)" = 4 ]
    mv train.jsonl away.jsonl # what is complete needs no file
    "$PEFTLAB" sweep run s.yaml
}
