#!/usr/bin/env bats
# What a trial was trained by has one name everywhere: the row's, a preset's too.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    case=$ROOT/tests/golden/cases/bert-lora-qv
    settings="model: $ROOT/tests/golden/models/bert
train_data: $case/train.jsonl
eval_data: $case/eval.jsonl
num_labels: 3
max_steps: 1
rank: 2
latency_requests: 0"
}

@test "train prints the name, result.json has the facts" {
    echo "$settings" >t.yaml
    while IFS=: read -r name words; do
        read -ra words <<<"$words"
        run -0 "$PEFTLAB" train t.yaml "${words[@]}" --out "o $name"
        has "o $name: $name, " "trainable parameters" "eval: accuracy "
        grep -q "\"shown\": \"$name\"" "o $name/result.json"
    done <<'EOF'
lora:method=lora
qlora:method=lora quantization=nf4
dora:method=dora
rslora:use_rslora=true
lora on fp4:quantization=fp4
EOF
    grep -q '"quantised": true' "o qlora/result.json"
    grep -q '"quantised": false' "o lora/result.json"
}

@test "train prints what the task measures" {
    run -0 "$PEFTLAB" train "$ROOT/tests/golden/cases/bert-regression/trial.yaml" --out o
    has "eval: pearson " "spearman " "mse " "loss "
    [[ "$output" != *accuracy* ]]
}

@test "ls, show and compare print it; what others call by that name stays" {
    printf '%s\n' "version: 1" "name: t" "metric: {name: eval/accuracy, goal: maximize}" "method: grid" \
        "parameters:" >s.yaml
    sed 's/\(.*\): \(.*\)/  \1: {value: \2}/' <<<"$settings" >>s.yaml
    echo "  quantization: {values: [none, nf4, fp4]}" >>s.yaml
    run -0 "$PEFTLAB" sweep run s.yaml
    run -0 "$PEFTLAB" ls
    has method qlora
    [ "$("$PEFTLAB" ls --columns method --sort id | sed "s, *$,," | paste -sd,)" = "method,lora,qlora,lora on fp4" ]
    run -0 "$PEFTLAB" ls --json
    has '"method": "qlora"'
    run -0 "$PEFTLAB" show 2
    grep -qE '^  method +qlora$' <<<"$output"
    run -0 "$PEFTLAB" compare 1 2
    grep -qE '^ *method +lora +qlora' <<<"$output"
    printf '%s\n' "config,method,score" "a,ours,1" "b,theirs,2" >x.csv
    "$PEFTLAB" import x.csv --store x.db --experiment e --params config,method --metrics score
    [ "$("$PEFTLAB" ls --store x.db --columns method --sort config | tr -d ' ' | paste -sd,)" = method,ours,theirs ]
    run -0 "$PEFTLAB" ls --store x.db
    [ "$(grep -o method <<<"$output" | wc -l)" = 1 ]
}
