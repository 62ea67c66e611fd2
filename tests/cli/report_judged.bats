#!/usr/bin/env bats
# What a report judges by: the sweep's metric and goal, what flags overrule, words that follow the direction.
bats_require_minimum_version 1.5.0
load common

setup() {
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_STORE=s.db
}

# sweep NAME "METRIC-LINE": a program that prints wer (rising with x), acc (falling) and quux
sweep() {
    printf '#!/bin/sh\necho "{\\"wer\\": $1$2, \\"acc\\": 0.$((9 - $1))$2, \\"quux\\": $1$2}"\n' > p.sh
    chmod +x p.sh
    printf 'version: 1\nname: %s\n%s\ncommand: [./p.sh, "{x}", "{seed}"]\nparameters:\n  x: {values: [1, 3]}\nseeds: [0, 1, 2]\n' \
        "$1" "$2" > "$1.yaml"
    "$PEFTLAB" sweep run "$1.yaml"
}

# table METRIC VALUES-OF-A VALUES-OF-B: an imported experiment e
table() {
    { echo "config,seed,$1"; i=0; for v in $2; do echo "a,$i,$v"; i=$((i + 1)); done
      i=0; for v in $3; do echo "b,$i,$v"; i=$((i + 1)); done; } > t.csv
    "$PEFTLAB" import t.csv --experiment e --params config --metrics "$1"
}

# judged METRIC GOAL BEST: what the JSON of the report says, after `run report --json`
judged() {
    has "\"metric\": \"$1\"" "\"goal\": \"$2\"" "\"best\": \"$3\""
}

@test "a sweep is judged by its own metric and goal" {
    sweep w 'metric: {name: wer, goal: minimize}'
    run -0 "$PEFTLAB" report --json
    judged wer minimize 1
    run -0 "$PEFTLAB" report -o r.html
    grep -q 'judged by wer (lower is better)' r.html
    sweep q 'metric: {name: quux, goal: minimize}'
    run -0 "$PEFTLAB" report --sweep q --json
    judged quux minimize 1
    run -0 "$PEFTLAB" report --sweep q --metric quux --json
    judged quux minimize 1
    sweep d 'metric: {name: quux}'
    run -0 "$PEFTLAB" report --sweep d --json
    judged quux minimize 1
    sweep o 'objectives: [{name: acc, goal: maximize}, {name: quux, goal: maximize}]'
    run -0 "$PEFTLAB" report --sweep o --json
    judged acc maximize 1
    run -0 "$PEFTLAB" report --sweep o --metric quux --json
    judged quux maximize 3
}

@test "what a flag overrules is on the page" {
    sweep w 'metric: {name: wer, goal: minimize}'
    run -0 "$PEFTLAB" report --metric acc --json
    judged acc maximize 1
    has "the sweep's own is wer (minimize), overruled by --metric"
    run -0 "$PEFTLAB" report --goal maximize -o r.html
    grep -q "the sweep&#39;s own is wer (minimize), overruled by --goal" r.html ||
        grep -q "the sweep's own is wer (minimize), overruled by --goal" r.html
    run -0 "$PEFTLAB" report --goal minimize --json
    lacks "overruled"
    run -0 "$PEFTLAB" report --metric wer --json
    lacks "overruled"
}

@test "sweeps that are judged by different metrics are not judged by one of them" {
    sweep w 'metric: {name: wer, goal: minimize}'
    sweep a 'metric: {name: acc, goal: maximize}'
    run -78 "$PEFTLAB" report --sweep w --sweep a
    has "'w' is judged by wer" "acc" "--metric"
    run -0 "$PEFTLAB" report --sweep w --sweep a --metric acc --json
    judged acc maximize 1
}

@test "without a sweep the direction comes from the name, or is asked for" {
    table eval/mse "0.1 0.11 0.12" "0.3 0.31 0.32"
    run -0 "$PEFTLAB" report --metric eval/mse --json
    judged eval/mse minimize a
    rm s.db
    table quux "0.1 0.11 0.12" "0.3 0.31 0.32"
    run -78 "$PEFTLAB" report --metric quux
    has "'quux' is better high or low" "--goal maximize or --goal minimize"
    run -0 "$PEFTLAB" report --metric quux --goal minimize --json
    judged quux minimize a
}

@test "words follow the direction" {
    table score "0.10 0.21 0.12" "0.20 0.11 0.32"
    run -0 "$PEFTLAB" report --metric score --goal minimize
    has "Take a at all rows: score 0.14" "Cannot tell it from b"
    run -0 "$PEFTLAB" report --metric score
    has "Take b at all rows: score 0.21"
}

@test "what is selected by keeps its own direction" {
    # of each method two learning rates: the lower eval/loss is chosen, its accuracy is what counts
    { echo "method,learning_rate,seed,eval/loss,test/accuracy"
      for s in 0 1 2; do
          echo "lora,0.1,$s,0.2$s,0.6$s"; echo "lora,0.2,$s,0.5$s,0.8$s"
          echo "head,0.1,$s,0.3$s,0.5$s"; echo "head,0.2,$s,0.6$s,0.9$s"
      done; } > t.csv
    "$PEFTLAB" import t.csv --experiment e --params method,learning_rate --metrics eval/loss,test/accuracy
    run -0 "$PEFTLAB" report --metric test/accuracy --select-metric eval/loss --json
    judged test/accuracy maximize lora
}

@test "ls shows what a sweep is judged by and sorts it best first" {
    sweep w 'metric: {name: wer, goal: minimize}'
    run -0 "$PEFTLAB" ls
    [[ "${lines[0]}" == *wer* ]]
    run -0 "$PEFTLAB" compare 1 4
    has "metrics (judged by wer, minimize)"
    run -0 "$PEFTLAB" ls --sort wer --columns wer
    [ "${lines[1]// /}" = 10 ]
    run -2 "$PEFTLAB" ls --sort quux
    has "'quux' is better high or low" "quux:asc"
    run -0 "$PEFTLAB" ls --sort quux:desc --columns quux
    [ "${lines[1]// /}" = 32 ]
    sweep q 'metric: {name: quux, goal: maximize}'
    run -0 "$PEFTLAB" ls --sweep q --sort quux --columns quux
    [ "${lines[1]// /}" = 32 ]
    rm s.db
    table quux "0.1 0.11 0.12" "0.3 0.31 0.32"
    run -0 "$PEFTLAB" ls
    [[ "${lines[0]}" == *quux* ]]
}

# problem LABELS LINES: trains two updates on eight rows with these labels
problem() {
    local i=0 l
    for l in $1; do
        i=$((i + 1))
        echo "{\"input_ids\": [$i, 9, $((i + 20))], \"label\": $l}"
    done > rows.jsonl
    printf 'model: %s\nmethod: lora\ntrain_data: rows.jsonl\neval_data: rows.jsonl\nmax_steps: 2\nlatency_requests: 0\n%s\n' \
        "$ROOT/tests/golden/models/bert" "$2" > trial.yaml
    run -0 "$PEFTLAB" train trial.yaml --out o --overwrite
}

# baseline METRIC VALUE: what the trivial answer reaches
baseline() {
    grep -q "\"eval/$1\": $2" o/result.json || { grep '"eval/' o/result.json; return 1; }
}

@test "each problem prints its own metrics, and each score has its trivial answer" {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    problem "0 0 0 0 0 1 1 2" "num_labels: 3"
    has "accuracy" "macro_f1" "loss"
    lacks "mse"
    baseline accuracy 0.625
    baseline macro_f1 0.2564
    grep -q '"classes_predicted"' o/result.json
    problem "[0,0,0] [1,0,0] [0,1,0] [1,1,0] [0,0,4] [1,0,4] [0,1,4] [1,1,4]" "problem_type: regression"
    has "mse" "pearson" "spearman"
    lacks "accuracy" "f1"
    baseline mse 1.5 # (1/4 + 1/4 + 4) / 3
}
