#!/usr/bin/env bats
# plan: bytes by category of a trial or sweep file, time, cost, what fits.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    export MODEL=$ROOT/tests/golden/models/bert CASE=$ROOT/tests/golden/cases/bert-lora-clip
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cat >trial.yaml <<EOF
model: $MODEL
method: lora
train_data: $CASE/train.jsonl
num_labels: 3
batch_size: 4
EOF
    cat >sweep.yaml <<EOF
version: 1
name: s
parameters:
  model: {value: $MODEL}
  train_data: {value: $CASE/train.jsonl}
  num_labels: {value: 3}
  method: {values: [head, lora, full]}
  rank: {values: [2, 4], when: "method == lora"}
seeds: [0, 1]
EOF
}

numbers() { # KEY of the JSON in the last output, all its whole numbers
    grep -o "\"$1\": [0-9]*" <<<"$output" | grep -o '[0-9]*$'
}

@test "a trial: the bytes are those that training takes" {
    run -0 "$PEFTLAB" plan trial.yaml --json
    has '"basis": "planned"' '"kind": "trial"'
    local planned sum=0 bytes
    planned=$(numbers total_bytes)
    for category in weights trainable gradients optimizer activations workspace; do
        bytes=$(numbers $category)
        sum=$((sum + bytes))
    done
    [ "$planned" = "$sum" ]
    run -0 "$PEFTLAB" train trial.yaml --out out --json
    [ "$(numbers planned_bytes | head -1)" = "$planned" ]
    [ "$(numbers allocated_bytes | head -1)" = "$planned" ]
}

@test "overrides change the plan" {
    run -0 "$PEFTLAB" plan trial.yaml rank=4
    has "trained" "planned to the byte" "weights" "optimizer" "RTX 4090"
    local small=$output
    run -0 "$PEFTLAB" plan trial.yaml rank=16
    [ "$output" != "$small" ]
}

@test "a sweep: its trials, the largest, time on GPUs" {
    run -0 "$PEFTLAB" plan sweep.yaml --gpu 2xa100-40
    has "lora rank=4 seed=1" "the largest takes" "2 x A100 40GB" "8 of 8" "this machine has"
    run -0 "$PEFTLAB" plan sweep.yaml method=head '~rank' seeds=0
    has "on a GPU with transformers and peft, predicted"
    run -0 "$PEFTLAB" plan sweep.yaml --json
    has '"kind": "sweep"' '"trials": 8' '"fit": 8'
}

@test "it agrees with sweep plan" {
    run -0 "$PEFTLAB" plan sweep.yaml --json
    local bytes
    bytes=$(numbers total_bytes)
    run -0 "$PEFTLAB" sweep plan sweep.yaml --json
    [ "$(numbers peak_bytes | head -8)" = "$bytes" ]
}

@test "a base that the trainer has not is predicted by formula" {
    mkdir both-ways
    cat >both-ways/config.json <<EOF
{"model_type": "gemma2", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
 "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 32000, "use_bidirectional_attention": true}
EOF
    cat >lm.yaml <<EOF
model: both-ways
task: causal-lm
method: qlora
rank: 64
target_modules: all-linear
train_data: rows.jsonl
max_length: 512
gradient_checkpointing: true
EOF
    seq 1000 >rows.jsonl
    run -0 "$PEFTLAB" plan lm.yaml
    has "predicted; transformers and peft" "logits" "with fused kernels"
    run -0 "$PEFTLAB" plan lm.yaml --gpu rtx4090 --json
    has '"basis": "predicted"' '"fit": "fits"' '"trainable_parameters": 167772160' '"tokens": 1536000'
    sed -i 's/qlora/full/; /target_modules/d; /rank/d' lm.yaml
    run -0 "$PEFTLAB" plan lm.yaml --gpu rtx4090 --json
    has '"fit": "no"'
    echo "batch_size: -3" >>lm.yaml
    run -78 "$PEFTLAB" plan lm.yaml
    has "batch_size"
    sed -i 's/full/lorra/' lm.yaml
    run -78 "$PEFTLAB" plan lm.yaml
    has "'lorra'" "did you mean 'lora'?"
}

@test "a sweep that drives a program is planned by formula where its base is known" {
    cat >lm.yaml <<EOF
version: 1
name: lm
program: train.py
metric: {name: eval/loss}
parameters:
  model: {value: llama-2-70b}
  method: {values: [lora, qlora]}
  rank: {value: 32}
  target_modules: {value: all-linear}
  max_length: {value: 512}
  batch_size: {value: 1}
  gradient_checkpointing: {value: true}
EOF
    run -0 "$PEFTLAB" plan lm.yaml --gpu 2xa100-40
    has "0 of 2, 1 sharded" "qlora"
    run -0 "$PEFTLAB" plan lm.yaml --gpu h200
    has "1 of 2"
}

@test "one base on one card: what fits, how far, what other choices take" {
    run -0 "$PEFTLAB" plan --model llama-2-7b --gpu rtx4090
    has "llama-2-7b on 1 x RTX 4090, 24.0 GiB" "it fits" "by this command's choice" "overhead (estimate)" "planned" \
        "longest row at batch_size 1" "largest batch_size of rows of 2048 tokens" "no checkpointing" "twice the rank: 32" \
        "not quantised" "adamw_8bit" "full fine-tuning"
    run -0 "$PEFTLAB" plan --model llama-2-7b --gpu rtx4090 rank=64 max_length=512 batch_size=1 --json
    has '"kind": "base"' '"basis": "planned"' '"trainable_parameters": 159907840' '"fits": true' '"chosen_here"' '"difference_bytes"'
    [ "$(numbers largest_batch | head -1)" -gt 8 ]
    run -0 "$PEFTLAB" plan --model llama-2-7b --gpu t4 method=full
    has "it does not fit" "no row of 64 tokens fits"
    run -0 "$PEFTLAB" plan --model "$MODEL" num_labels=3
    has "on this machine" "longest row at batch_size 16" "base in bf16"
    run -0 "$PEFTLAB" plan --model bert-base method=lora --gpu rtx4090 # whose backend keeps weights in fp32
    lacks "base in bf16"
    run -0 "$PEFTLAB" plan --model llama-2-7b method=lora # which has 16 bits
    lacks "base in bf16"
    run -0 "$PEFTLAB" plan --model qwen3-8b --gpu rtx4090
    has "transformers, peft" "longest row"
    run -0 "$PEFTLAB" plan --model tinyllama --gpu mi300x
    has "no backend for a MI300X"
}

@test "published peaks: every row of docs/memory.md is still planned" {
    run -0 "$ROOT/tools/peaks.sh" "$PEFTLAB"
    [ "$(grep -c '^| Llama\|^| the same' <<<"$output")" = "$(grep -c '^| Llama\|^| the same' "$ROOT/docs/memory.md")" ]
    ! grep -E '\| 0\.0 |\| -|\| \|' <<<"$output"
    run -0 "$ROOT/tools/peaks.sh" "$PEFTLAB" --commands
    has "plan --model llama-2-7b --gpu l40s method=qlora rank=64"
}

@test "a trial file on one card: the same of its largest trial" {
    run -0 "$PEFTLAB" plan sweep.yaml --gpu rtx4090
    has "the largest: " "on 1 x RTX 4090" "longest row at batch_size 8: " "one thing changed each time"
    run -0 "$PEFTLAB" plan trial.yaml --gpu rtx4090 dtype=bfloat16
    has "it is declined" "float32 only"
}

@test "bad input" {
    run -2 "$PEFTLAB" plan --model llama-2-7b rank
    has "key=value"
    run -78 "$PEFTLAB" plan --model llama-2-7b rnak=4
    has "did you mean 'rank'?"
    run -66 "$PEFTLAB" plan --model llama-3-7b
    has "did you mean 'llama-"
    run -78 "$PEFTLAB" plan --model llama-2-7b method=lora rank=0
    has "rank"
    run -2 "$PEFTLAB" plan
    run -66 "$PEFTLAB" plan none.yaml
    run -78 "$PEFTLAB" plan trial.yaml --gpu abacus
    has "none of T4"
    printf 'model: nowhere\nmethod: head\ntrain_data: x\n' >t.yaml
    run -66 "$PEFTLAB" plan t.yaml
    has "nowhere"
    run -78 "$PEFTLAB" plan trial.yaml rnak=3
    has "did you mean 'rank'?"
    sed -i 's/  rank:/  rnak:/' sweep.yaml
    run -78 "$PEFTLAB" plan sweep.yaml
    has "did you mean 'rank'?"
}
