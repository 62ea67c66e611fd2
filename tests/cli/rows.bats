#!/usr/bin/env bats
# rows: what the model sees of a trial's data, for people and for programs, without its weights.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR"
    mkdir model
    # configuration and tokenizer, no weights
    cp "$ROOT/tests/golden/models/llama/config.json" "$ROOT/tests/golden/tokenizers/qwen2-like/tokenizer.json" model
    sed -i 's/"vocab_size": *[0-9]*/"vocab_size": 4000/' model/config.json
    template='{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
    printf '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": "%s"}' "${template//\\/\\}" >model/tokenizer_config.json
    printf '%s\n' '{"messages": [{"role": "user", "content": "What is RAM?"}, {"role": "assistant", "content": "Fast memory."}]}' \
        '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}' >train.jsonl
    printf 'model: model\ntask: causal-lm\nmethod: lora\ntrain_data: train.jsonl\nmax_length: 32\n' >trial.yaml
}

rows() {
    "$PEFTLAB" rows trial.yaml "$@"
}

@test "ids and what is learned of them, a line per row" {
    run -0 --separate-stderr rows --json assistant_only_loss=true
    [ "${lines[0]}" = '{"row":0,"ids":[3501,423,260,198,753,306,584,32,44,30,3502,198,3501,700,430,435,198,37,488,2698,13,3502,198],"labelled":[[17,23]],"truncated":0,"dropped":false}' ]
    [ "${#lines[@]}" = 2 ]
    [ "$stderr" = "" ]
    run -0 --separate-stderr rows --json --limit 1
    [[ "$output" == *'"labelled":[[0,23]]'* ]]
    [ "${#lines[@]}" = 1 ]
}

@test "text for people: marks around what is learned, no colour where there is no terminal" {
    run -0 --separate-stderr rows assistant_only_loss=true
    has $'<|im_start|>assistant\n{+Fast memory.<|im_end|>\n+}' "row 0: 23 tokens, 6 learned" "2 rows," "0 rows cut, 0 left out"
    lacks $'\033'
    run -0 env -u NO_COLOR script -qec "'$PEFTLAB' rows trial.yaml assistant_only_loss=true" /dev/null
    has $'\033[32mFast memory.'
    NO_COLOR=1 run -0 script -qec "'$PEFTLAB' rows trial.yaml assistant_only_loss=true" /dev/null
    has "{+Fast memory."
    lacks $'\033'
}

@test "what a text brings along does not reach the terminal" {
    printf '{"text": "a\\u001b[31mb"}\n' >train.jsonl
    run -0 --separate-stderr rows
    lacks $'\033'
}

@test "rows that are cut, and those that teach nothing" {
    run -0 --separate-stderr rows --json assistant_only_loss=true max_length=16
    [[ "${lines[0]}" == *'"labelled":[],"truncated":7,"dropped":true}' ]]
    [[ "${lines[1]}" == *'"dropped":false}' ]]
    [[ "$stderr" == *"train.jsonl': no row teaches the token that ends a turn"* ]]
    run -0 --separate-stderr rows assistant_only_loss=true max_length=16
    has "row 0: 16 tokens, 0 learned, 7 more cut off, left out: nothing to learn" "1 rows," "1 left out"
}

@test "bins: which rows share one" {
    run -0 --separate-stderr rows --packed --json max_length=64
    [ "$output" = '{"bin":[[0,0,23],[1,0,18]]}' ]
    run -0 --separate-stderr rows --packed --json
    [ "$output" = $'{"bin":[[0,0,23]]}\n{"bin":[[1,0,18]]}' ]
    run -0 --separate-stderr rows --packed max_length=64
    has "bin 0: rows 0 (23), 1 (18): 41 tokens" "2 rows in 1 bins"
}

@test "labels of classes are shown as they are named" {
    printf '{"text": "good", "label": "pos"}\n{"text": "bad", "label": "neg"}\n' >train.jsonl
    sed -i 's/causal-lm/seq-cls/' trial.yaml
    run -0 --separate-stderr rows --json
    [[ "${lines[0]}" == *'"labelled":[],"label":"pos","truncated":0,"dropped":false}' ]]
    run -0 --separate-stderr rows
    has "label 'pos'" "good"
    run -78 rows --packed
    has "not packed"
    run -78 rows chat_template=x.jinja
    has "'chat_template' is for language models"
}

@test "what is wrong is said with its line, and what is missing by its name" {
    run -78 rows --split eval
    has "the trial has no 'eval_data'"
    printf '{"messages": []}\n' >train.jsonl
    run -65 rows
    has "train.jsonl': line 1:" "no message"
    run -78 rows completion_only_loss=maybe
    has "'completion_only_loss' is true or false"
    run -78 rows chat_template_date=today
    has "'chat_template_date' must be a day"
    rm model/tokenizer_config.json
    run -66 rows
    has "no chat template" "chat_template"
}
