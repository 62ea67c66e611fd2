#!/usr/bin/env bats
# The report of a language model's sweep: tokens, perplexity, what the trivial answer is, what a request is.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    local case=$ROOT/tests/golden/cases/llama-lora-qv
    cd "$BATS_FILE_TMPDIR"
    cat >s.yaml <<EOF
version: 1
name: words
metric: {name: eval/loss, goal: minimize}
parameters:
  model: {value: $ROOT/tests/golden/models/llama}
  task: {value: causal-lm}
  train_data: {value: $case/train.jsonl}
  eval_data: {value: $case/eval.jsonl}
  test_data: {value: $case/eval.jsonl}
  general_data: {value: $case/train.jsonl}
  method: {values: [lora, qlora]}
  rank: {value: 4}
  learning_rate: {value: 1e-2}
  max_steps: {value: 4}
  latency_requests: {value: 5}
seeds: [0, 1]
EOF
    "$PEFTLAB" sweep run s.yaml --store s.db --run-dir runs --jobs 1 >/dev/null
    "$PEFTLAB" report --store s.db --sweep words -o r.html >/dev/null
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

@test "its box has perplexity, the share of next tokens and tokens per second" {
    for text in Perplexity "Next token right" "Training speed" "tokens/s" "Reading a row, p50" Forgetting "nats a token"; do
        grep -q "$text" r.html || { echo "no $text"; false; }
    done
}

@test "the trivial answer is that of tokens, and a million tokens have a price" {
    grep -q "each token as often as the training labels have it" r.html
    grep -q "USD per million tokens trained" r.html
    grep -q "A request is one row read in one pass" r.html
}

@test "the matrix has tokens per second beside samples" {
    run -0 "$PEFTLAB" report --store s.db --sweep words --json
    has '"throughput/tokens_per_s"' '"throughput/samples_per_s"'
}

@test "a token's accuracy is no share of rows: no items are counted" {
    run -0 "$PEFTLAB" report --store s.db --sweep words --metric test/accuracy --json
    lacks '"item_level": true'
}

@test "advise judges its store by loss" {
    run -0 "$PEFTLAB" advise --model "$ROOT/tests/golden/models/llama" --rows 24 --seq-len 32 --store s.db --json
    has '"metric": "test/loss"'
}

@test "forgetting is the loss on general text after training less that before, which is the base's" {
    local case=$ROOT/tests/golden/cases/llama-lora-qv model=$ROOT/tests/golden/models/llama
    trial() { "$PEFTLAB" train "$case/trial.yaml" "model=$model" "general_data=$case/eval.jsonl" "$@" --json; }
    number() { grep -A8 '"general"' <<<"$output" | grep "\"$1\"" | grep -o '[-0-9.e]*,\{0,1\}$' | tr -d ,; }
    run -0 trial --out run
    local before after forgotten
    before=$(number loss_before) after=$(number loss) forgotten=$(number forgetting)
    [ "$(awk "BEGIN { print ($after - ($before) - ($forgotten)) ^ 2 < 1e-20 }")" = 1 ]
    run -0 "$PEFTLAB" eval "$case/trial.yaml" "model=$model" --out start
    grep -q "\"loss\": $before" start/result.json
    run -78 "$PEFTLAB" train "$ROOT/tests/golden/cases/bert-lora-clip/trial.yaml" "model=$ROOT/tests/golden/models/bert" general_data=x.jsonl --out none
    has "general_data" "language model"
}
