#!/usr/bin/env bats
# init: from rows of one's own to a sweep that runs and a report, without a file edited in between.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR"
    unset PEFTLAB_STORE PEFTLAB_MODELS
}

# Rows of three labels that can be told apart, one without a label, one text twice.
own_rows() {
    local i
    echo 'no,what they wrote,verdict'
    for i in {1..20}; do
        echo "$i,the food was good ${i} a,happy"
        echo "$i,\"it was bad, ${i} b\",angry"
        echo "$i,it was here ${i} c,unsure"
    done
    echo '61,no label here,'
    echo '62,The food  was GOOD 1 a,angry'
}

@test "own CSV to report in three commands" {
    tiny_model
    own_rows >own.csv
    run -0 "$PEFTLAB" init own.csv --model ./model
    has "own.csv: a class for each text (the text is 'what they wrote', the label 'verdict')" \
        "3 values: angry (21), happy (20), unsure (20)" "the longest 8; max_length 32" "rows: train 3" \
        "! 1 row lacks a text or a label" "1 row has the text of an earlier one, with another label: nothing can learn both" \
        "peftlab sweep run own/sweep.yaml" "peftlab report --sweep own -o report.html"
    [ "$(cat own/train.jsonl own/dev.jsonl own/test.jsonl | wc -l)" = 61 ]
    grep -q '^{"no": 1, "text": "the food was good 1 a", "label": "happy"}$' own/*.jsonl
    # equal texts are on one side
    [ "$(grep -li 'food *was good 1 a' own/*.jsonl | wc -l)" = 1 ]
    run -0 "$PEFTLAB" sweep run own/sweep.yaml --jobs 2
    run -0 "$PEFTLAB" report --sweep own -o report.html
    has "report.html"
    run -0 "$PEFTLAB" train own/trial.yaml --out first latency_requests=0
}

@test "files that are split already are taken as they are, under their own names" {
    tiny_model
    mkdir set
    own_rows | grep -v '^61\|^62' | sed '1s/what they wrote/review/' >set/training.csv
    head -9 set/training.csv >set/val.csv
    cp set/val.csv set/test.csv
    run -0 "$PEFTLAB" init set --model ./model
    has "rows: train 60, dev 8, test 8" "test: 8 rows are among the training rows: they measure memory"
    grep -q '^train_data: "../set/training.csv"$' set/trial.yaml
    grep -q 'text_column: {value: "review"}' set/sweep.yaml
    grep -q 'label_column: {value: "verdict"}' set/sweep.yaml
    run -0 "$PEFTLAB" sweep plan set/sweep.yaml
    run -0 "$PEFTLAB" train set/trial.yaml --out run max_steps=1 latency_requests=0
}

@test "numbers, sets of labels and a file of its own for each are what their keys say" {
    tiny_model
    for i in {1..30}; do
        echo "{\"text\": \"food $i\", \"score\": [$i, 0.5, 1], \"tags\": [\"a\", \"b\", \"c\"]}"
    done >rows.jsonl
    run -0 "$PEFTLAB" init rows.jsonl --model ./model --label-column score --out n
    has "a number for each text"
    grep -q '^problem_type: "regression"$' n/trial.yaml
    grep -q '^metric: {name: eval/spearman, goal: maximize}$' n/sweep.yaml
    run -0 "$PEFTLAB" train n/trial.yaml --out a max_steps=1 latency_requests=0
    run -0 "$PEFTLAB" init rows.jsonl --model ./model --label-column tags --out s
    grep -q '^problem_type: "multi_label_classification"$' s/trial.yaml
    run -0 "$PEFTLAB" train s/trial.yaml --out b max_steps=1 latency_requests=0
}

@test "conversations want a language model" {
    tiny_model
    python3 "$ROOT/tests/cli/tiny_chat_model.py" chat
    for i in {1..20}; do
        echo "{\"messages\": [{\"role\": \"user\", \"content\": \"q $i\"}, {\"role\": \"assistant\", \"content\": \"a $i\"}]}"
    done >talks.jsonl
    run -78 "$PEFTLAB" init talks.jsonl --model ./model
    has "'./model' is an encoder, but the rows are conversations; take a language model: --model"
    [ ! -e talks ]
    run -0 "$PEFTLAB" init talks.jsonl --model ./chat
    has "talks.jsonl: conversations (its rows have 'messages')" "rows: train 12, dev 4, test 4"
    grep -q '^task: causal-lm$' talks/trial.yaml
    run -0 "$PEFTLAB" train talks/trial.yaml --out run max_steps=1 latency_requests=0
}

@test "a base that is not here is named, with the way to get it" {
    own_rows >own.csv
    run -0 "$PEFTLAB" init own.csv
    has "model: sentence-transformers/all-MiniLM-L6-v2, which is not here yet" "not known before the model is here: fetch it" \
        "peftlab pull sentence-transformers/all-MiniLM-L6-v2"
    run -0 "$PEFTLAB" init own.csv --json --out other
    [ "$(jq -r '.kind, .model_is_here, .splits.train.rows + .splits.dev.rows + .splits.test.rows' <<<"$output")" = $'classes\nfalse\n61' ]
}

@test "nothing of the user's is overwritten, and what cannot be done is said" {
    tiny_model
    own_rows >own.csv
    mkdir own
    echo mine >own/trial.yaml
    run -78 "$PEFTLAB" init own.csv --model ./model
    has "'own/trial.yaml' is there already; take another folder (--out), or --overwrite it"
    [ "$(cat own/trial.yaml)" = mine ]
    [ "$(ls own)" = trial.yaml ]
    run -0 "$PEFTLAB" init own.csv --model ./model --overwrite
    run -66 "$PEFTLAB" init nothing.csv
    has "init: 'nothing.csv' is not there"
    run -66 "$PEFTLAB" init model
    has "no .jsonl, .csv or .tsv file; name one: peftlab init FILE"
    run -78 "$PEFTLAB" init own.csv --model ./model --text-column wrote --out x
    has "no column 'wrote'; it has no, what they wrote, verdict"
    printf 'a,b\n1,2\n3,4\n' >numbers.csv
    run -78 "$PEFTLAB" init numbers.csv --model ./model
    has "no column looks like a text (it has a, b); name it"
    [ ! -e x ]
    [ ! -e numbers ]
}

@test "copies never replace the rows they are made of" {
    tiny_model
    mkdir set
    printf '{"text": "good %s", "label": "a"}\n{"text": "bad %s", "label": "b"}\n{"text": "it", "label": null}\n' 1 1 >set/train.jsonl
    cp set/train.jsonl set/dev.jsonl
    cp set/train.jsonl before
    run -78 "$PEFTLAB" init set --model ./model --overwrite
    has "copies of the rows would replace 'set/train.jsonl' itself; take another folder: --out DIR"
    cmp set/train.jsonl before
    [ ! -e set/trial.yaml ]
}
