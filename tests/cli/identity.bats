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
