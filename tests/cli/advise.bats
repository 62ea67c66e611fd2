#!/usr/bin/env bats
# advise: the ranking, what rules out, the sweep file that it writes, the trainer's own plan.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    export MODEL=$ROOT/tests/golden/models/bert CASE=$ROOT/tests/golden/cases/bert-lora-clip
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    unset PEFTLAB_STORE PEFTLAB_MODELS
}

# The Nth method of the ranking.
rank() {
    sed -nE "s/^ *$1  (.*[^ ])   *[0-9.]+ [MG]iB.*/\1/p" <<<"$output"
}

@test "Llama-2-7B on two A100 of 40 GB: QLoRA, and how" {
    run -0 "$PEFTLAB" advise --model meta-llama/Llama-2-7b-hf --gpu 2xa100-40 --rows 20000
    [ "$(rank 1)" = "QLoRA: LoRA on an NF4 base" ]
    has "rank 64 on all-linear" "gradient checkpointing" "paged or 8-bit" "loss spikes" "NF4 leaves" \
        "prices of A100 40GB" "Ruled out" "no biases to train"
}

@test "a decoder that is to generate: tokens, two latencies, and what this program takes on that card" {
    run -0 "$PEFTLAB" advise --model llama-2-7b --gpu rtx4090 --task generation --rows 585
    [ "$(rank 1)" = "QLoRA: LoRA on an NF4 base" ]
    has "at most 898560 tokens" "this program, planned: 1" "first token" "ms a token" "not by this program there"
    run -0 "$PEFTLAB" advise --model llama-2-7b --gpu rtx4090 --rows 585 --ttft-ms 500 --latency-ms 40 --json
    has '"ttft_ms": 500' '"predicted_first_token_ms"' '"own_bytes": ' '"tokens": 898560'
    run "$PEFTLAB" advise --model llama-2-7b --gpu rtx4090 --rows 585 --ttft-ms 1
    has "first token: at least"
    run -2 "$PEFTLAB" advise --model bert-base --rows 100 --ttft-ms 5
    has "--latency-ms"
}

@test "the sweep file says whether all of it fits, and it does" {
    local gpu model
    for model in llama-2-7b llama-2-13b bert-large; do
        for gpu in t4 rtx4090 2xa100-40; do
            run "$PEFTLAB" advise --model $model --gpu $gpu --rows 20000 --write s.yaml
            [ "$status" = 0 ] || continue # nothing fits
            run -0 "$PEFTLAB" plan s.yaml --gpu $gpu --json
            python3 - "$output" "$(sed -n 2p s.yaml)" <<'PY'
import json, sys
plan, said = json.loads(sys.argv[1])["total"], sys.argv[2]
gpu = plan["gpus"][0]
assert ("Predicted to fit;" in said) == (gpu["fit"] == plan["trials"]), (said, gpu)
PY
        done
    done
}

@test "a certified base, tasks later: bottleneck adapters, then LoRA unmerged" {
    run -0 "$PEFTLAB" advise --model bert-base --rows 5000 --gpu t4 --base-untouched --tasks-later
    [ "$(rank 1)" = "bottleneck adapters" ]
    [ "$(rank 2)" = "LoRA, unmerged" ]
    has "full fine-tuning changes every weight" "merging writes into its weights" "byte-identical"
}

@test "memory on this machine is what the trainer plans and then takes" {
    run -0 "$PEFTLAB" advise --model "$MODEL" --train-data "$CASE/train.jsonl" --eval-data "$CASE/eval.jsonl" \
        --batch 4 --seq-len 32 --json
    has '"basis": "planned"' '"method": "lora"'
    local advised
    advised=$(python3 - <<<"$output" "$output" <<'PY'
import json, sys
advice = json.loads(sys.argv[1])["advice"]
print(int(next(a for a in advice if a["method"] == "lora")["memory"]["judged_bytes"]))
PY
)
    cat >t.yaml <<END
model: $MODEL
method: lora
rank: 8
train_data: $CASE/train.jsonl
batch_size: 4
max_length: 32
END
    run -0 "$PEFTLAB" train t.yaml --out out --json
    has "\"planned_bytes\": $advised"
}

@test "the sweep file that it writes can be planned and run" {
    run -0 "$PEFTLAB" advise --model "$MODEL" --train-data "$CASE/train.jsonl" --eval-data "$CASE/eval.jsonl" \
        --batch 4 --seq-len 32 --write first.yaml
    has "peftlab sweep plan first.yaml"
    run -0 "$PEFTLAB" sweep plan first.yaml
    has "x 3 seeds" "peak memory of the largest trial"
    run -0 "$PEFTLAB" sweep run first.yaml seeds=0 num_train_epochs=1 learning_rate=1e-3
    run -0 "$PEFTLAB" advise --model "$MODEL" --train-data "$CASE/train.jsonl" --batch 4 --seq-len 32
    has "method" # the store is there now; one seed concludes nothing
    [[ "$output" != *"measured: best"* ]]
    run -0 "$PEFTLAB" advise --model bert-base --rows 3000 --write known.yaml
    run -0 "$PEFTLAB" sweep plan known.yaml # also of a base that is not here
    has "peak memory of the largest trial"
    run -0 "$PEFTLAB" plan known.yaml
    has "planned to the byte" "configuration alone" "how many rows there are is not known"
    run -66 "$PEFTLAB" sweep run known.yaml
    run -0 "$PEFTLAB" advise --model llama-2-7b --gpu rtx4090 --rows 3000 --write lm.yaml
    run -0 "$PEFTLAB" sweep plan lm.yaml
    has "qlora rank="
}

@test "evidence of the store: three seeds are judged by, and the decision is the report's" {
    cat >s.yaml <<END
version: 1
name: s
method: grid
parameters:
  model: {value: $MODEL}
  train_data: {value: $CASE/train.jsonl}
  eval_data: {value: $CASE/eval.jsonl}
  num_labels: {value: 3}
  max_steps: {value: 8}
  learning_rate: {value: 3e-2}
  method: {values: [lora, head]}
seeds: [0, 1, 2]
END
    "$PEFTLAB" sweep run s.yaml
    run -0 "$PEFTLAB" advise --model "$MODEL" --rows 100 --seq-len 32 --json
    has '"measured: best mean eval/macro_f1' '"seeds": 3' '"trials": 3'
    has "on $CASE/train.jsonl"
    run -0 "$PEFTLAB" advise --model "$MODEL" --train-data "$CASE/train.jsonl" --eval-data "$CASE/eval.jsonl" --json
    has '"measured: best mean eval/macro_f1' '"your_data": true' '"trials_on_other_data": 0'
    local advice=$output # its decision is the report's first sentence
    run -0 "$PEFTLAB" report --sweep s --json
    python3 - "$advice" "$output" <<'PY'
import json, sys
decided = json.loads(sys.argv[1])["evidence"]["decided"]
decision = json.loads(sys.argv[2])["sections"]["decision"]
assert decided["about"] == "sweep s", decided
assert decided["sentence"] == decision["takeaways"][0] and "expected regret" in decided["sentence"], decided
assert decided["take"] == decision["take"] and decided["take"]["expected_regret"] >= 0
PY
    run -0 "$PEFTLAB" advise --model "$MODEL" --train-data "$CASE/train.jsonl"
    has "Measured: sweep s, as its report says: Take "
    head -n 5 "$CASE/train.jsonl" > other.jsonl # evidence of other data says nothing of these
    run -0 "$PEFTLAB" advise --model "$MODEL" --train-data other.jsonl --eval-data "$CASE/eval.jsonl"
    [[ "$output" != *"measured: "* ]]
    has "6 trials on other data left out"
    lacks "Measured: "
    run -66 "$PEFTLAB" advise --model "$MODEL" --store none.db
}

@test "nothing left: exit 1, and why" {
    run -1 "$PEFTLAB" advise --model llama-2-70b --gpu t4 --rows 1000
    has "No method is left" "memory:"
    run -1 "$PEFTLAB" advise --model llama-2-70b --gpu t4 --rows 1000 --write f.yaml
    [ ! -e f.yaml ]
}

@test "limits: memory, hours, dollars" {
    run -0 "$PEFTLAB" advise --model llama-2-7b --gpu h100 --memory 16GB --rows 2000
    [ "$(rank 1)" = "QLoRA: LoRA on an NF4 base" ]
    run -1 "$PEFTLAB" advise --model llama-2-7b --gpu l4 --rows 1e7 --hours 1
    has "time: at least"
    run -1 "$PEFTLAB" advise --model llama-2-7b --gpu l4 --rows 1e7 --budget 1
    has "money: at least"
    echo '[{"gpu": "L4", "usd_per_gpu_hour": 0.001, "read_on": "2026-11-01", "source": "mine"}]' >p.json
    run -0 "$PEFTLAB" advise --model llama-2-7b --gpu l4 --rows 10000 --budget 1 --prices p.json
}

@test "bad input says what, where and what there is" {
    run -2 "$PEFTLAB" advise
    has "--model"
    run -66 "$PEFTLAB" advise --model llama-2-7bb
    has "did you mean 'llama-2-7b'?"
    run -78 "$PEFTLAB" advise --model bert-base --gpu a100
    has "which one? There are A100 40GB, A100 80GB"
    run -2 "$PEFTLAB" advise --model bert-base --memory lots
    has "no size such as 24GB"
    run -78 "$PEFTLAB" advise --model bert-base --task causal-lm
    has "an encoder"
    run -78 "$PEFTLAB" advise --model bert-base --seq-len 4096
    has "512 positions"
    run -66 "$PEFTLAB" advise --model bert-base --train-data none.jsonl
    mkdir m
    echo '{"model_type": "mamba"}' >m/config.json
    run -78 "$PEFTLAB" advise --model m
    has "'mamba'"
    echo '{"model_type": "bert", "hidden_size": -1}' >m/config.json
    run -78 "$PEFTLAB" advise --model m
    has "'hidden_size'"
}

@test "nothing is left behind in the folder for temporary files" {
    mkdir tmp
    TMPDIR=$PWD/tmp run -0 "$PEFTLAB" advise --model "$MODEL" --rows 100 --seq-len 32 --batch 4
    [ -z "$(ls tmp)" ]
}
