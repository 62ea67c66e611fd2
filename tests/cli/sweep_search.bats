#!/usr/bin/env bats
# Methods that draw, as the command line shows them.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cat >s.yaml <<'EOF'
program: train.py
method: random
metric: {name: loss}
parameters:
  method: {values: [lora, full]}
  rank: {values: [4, 8, 16], when: "method == lora"}
  learning_rate: {distribution: log_uniform_values, min: 1e-5, max: 1e-2}
budget: {max_trials: 7}
EOF
}

ask() { # EXPRESSION over the plan p in the output, its trials' parameters t
    python3 -c 'import json, math, sys
p = json.load(sys.stdin)
t = [x["params"] for x in p["trials"]]
print(eval(sys.argv[1]))' "$1" <<<"$output"
}

params() { # one line each
    ask '"\n".join(json.dumps(x, separators=(",", ":")) for x in t)'
}

@test "random lists as many trials as the budget, the same ones each time" {
    run -0 "$PEFTLAB" sweep plan s.yaml --json
    first=$output
    [ "$(params | sort -u | wc -l)" = 7 ]
    run -0 "$PEFTLAB" sweep plan s.yaml --json
    [ "$output" = "$first" ]
    run -0 "$PEFTLAB" sweep plan s.yaml budget.max_trials=9 --json
    [ "$(params | head -7)" = "$(output=$first params)" ]
    run -0 "$PEFTLAB" sweep plan s.yaml sampler.seed=1 --json
    [ "$output" != "$first" ]
}

@test "a space without an end needs a budget, a discrete one does not" {
    sed -i '/^budget/d' s.yaml
    for method in random sobol; do
        run -78 --separate-stderr "$PEFTLAB" sweep plan s.yaml sweep.method=$method
        [[ $stderr == *"line 2, column 9: method $method needs budget.max_trials"* ]]
    done
    run -0 "$PEFTLAB" sweep plan s.yaml '~learning_rate' --json
    [ "$(params | sort)" = '{"method":"full"}
{"method":"lora","rank":16}
{"method":"lora","rank":4}
{"method":"lora","rank":8}' ]
}

@test "seeds share the budget" {
    run -0 "$PEFTLAB" sweep plan s.yaml seeds=0,1,2 --json
    [ "$(ask 'p["total"]["combinations"], p["total"]["trials"]')" = "(2, 6)" ]
}

@test "sobol begins at the lower ends and halves the range" {
    run -0 "$PEFTLAB" sweep plan s.yaml sweep.method=sobol method=full '~rank' --json
    [ "$(ask '[round(1000 * math.log10(x["learning_rate"])) for x in t]')" = "[-5000, -3500, -2750, -4250, -3875, -2375, -3125]" ]
}

@test "tpe plans its startup, and bayes is tpe" {
    run -0 "$PEFTLAB" sweep plan s.yaml sweep.method=tpe budget.max_trials=40 --json
    [ "$(params | wc -l)" = 10 ]
    run -0 "$PEFTLAB" sweep plan s.yaml sweep.method=bayes budget.max_trials=40 --json
    [ "$(params | wc -l)" = 10 ]
}

@test "words make ranges and lists; what they cannot make is said" {
    run -0 "$PEFTLAB" sweep plan s.yaml 'rank=range(4,33,4)' 'learning_rate=loguniform(1e-4,1e-3)' \
        '+targets=[query,value],all-linear' budget.max_trials=60 --json
    [ "$(ask 'all(1e-4 <= x["learning_rate"] <= 1e-3 for x in t)')" = True ]
    [ "$(ask 'sorted({str(x["targets"]) for x in t})')" = "[\"['query', 'value']\", 'all-linear']" ]
    [ "$(ask 'sorted({x["rank"] for x in t if "rank" in x})')" = "[4, 8, 12, 16, 20, 24, 28, 32]" ]
    run -2 --separate-stderr "$PEFTLAB" sweep plan s.yaml 'rank=loguniform(1)'
    [[ $stderr == *"'rank=loguniform(1)': loguniform needs 2 numbers (min, max)"* ]]
    run -2 --separate-stderr "$PEFTLAB" sweep plan s.yaml 'rank=rnage(1,2)'
    [[ $stderr == *"no function 'rnage'; there are range, choice,"* ]]
}
