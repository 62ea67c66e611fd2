#!/usr/bin/env bats
# Reports that compare: several sweeps on one page, and a decision with an earlier one.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_STORE=s.db
    printf '#!/bin/sh\necho "{\\"score\\": $1}"\n' > p.sh
    chmod +x p.sh
}

# table EXPERIMENT "CONFIG:SCORE SCORE ..." ...: a score per seed
table() {
    local name=$1 one s
    shift
    { echo "config,seed,score"
      for one in "$@"; do
          s=0
          for v in ${one#*:}; do echo "${one%%:*},$s,$v"; s=$((s + 1)); done
      done; } > t.csv
    "$PEFTLAB" import t.csv --experiment "$name" --params config --metrics score
}

@test "several cases: a verdict of each and one matrix over all" {
    table tickets "A:0.80 0.81 0.82" "B:0.70 0.71 0.725" "C:0.50 0.51 0.52"
    table films "A:0.60 0.61 0.62" "B:0.70 0.71 0.725" "C:0.20 0.21 0.22"
    table songs "A:0.60 0.61 0.62" "B:0.70 0.71 0.725" "C:0.20 0.21 0.22"
    run -0 "$PEFTLAB" report --experiment tickets --experiment films --experiment songs --metric score --delta 0.01 -o r.html
    "$PEFTLAB" report --experiment tickets --experiment films --experiment songs --metric score --delta 0.01 --json > r.json
    run -0 jq -r '.sections.overview.cases[] | "\(.case) \(.take) \(.confidence) \(.score.n)"' r.json
    [ "$output" = "all rows, films B moderate confidence 3
all rows, songs B moderate confidence 3
all rows, tickets A moderate confidence 3" ]
    run -0 jq -r '.sections.overview.groups[] | "\(.group) \(.best) \(.worse) \(.not_worse)"' r.json
    [ "$output" = "A 1 2 1
B 2 1 2
C 0 3 0" ]
    run -0 jq -r '.takeaways.overview[]' r.json
    has "Over all 3 cases B is the safest: best in 2, not shown to be worse than the best in 2, worse or failed in 1, not run in 0." \
        "Who leads depends on the case: B at all rows, films, B at all rows, songs, A at all rows, tickets."
    grep -q 'One matrix over all cases' r.html
    grep -q '<li value="1"><a href="#overview">All cases at once</a>' r.html
}

@test "one case has no overview, and nothing to compare with" {
    table tickets "A:0.80 0.81 0.82" "B:0.70 0.71 0.725"
    run -0 "$PEFTLAB" report --metric score -o r.html
    ! grep -q '<section id="overview"\|<section id="changes"' r.html
    grep -q '<li value="1"><a href="#context">' r.html
}

@test "sweeps of two tasks are told apart by name" {
    mkdir a b
    echo x > a/train.jsonl
    echo y > b/train.jsonl
    for n in a b; do
        printf 'version: 1\nname: %s\nmetric: {name: score, goal: maximize}\ncommand: [./p.sh, "{x}"]\nparameters:\n  x: {values: [0.5, 0.7]}\n  train_data: {value: %s/train.jsonl}\nseeds: [0, 1, 2]\n' $n $n > $n.yaml
        "$PEFTLAB" sweep run $n.yaml
    done
    run -0 "$PEFTLAB" report --sweep a --sweep b --group-by x --json
    run -0 jq -r '.sections.overview.cases[].case' <<<"$output"
    [ "${#lines[@]}" = 2 ]
    [[ "${lines[0]}" == *"all rows"*", a" && "${lines[1]}" == *"all rows"*", b" ]]
    run -66 "$PEFTLAB" report --sweep a --sweep c
    has "no sweep 'c'"
    run -2 "$PEFTLAB" report --sweep a --sweep a
    has "sweep 'a' is named twice"
    run -2 "$PEFTLAB" report --sweep a --sweep 1
    has "sweep '1' is named twice"
}

@test "against an earlier store: a choice that changed, and why" {
    table e "A:0.80 0.81 0.82" "B:0.70 0.71 0.725"
    "$PEFTLAB" backup then.db
    table e "A:0.80 0.81 0.82" "B:0.70 0.71 0.725" "C:0.90 0.91 0.92"
    run -0 "$PEFTLAB" report --metric score --delta 0.01 --against then.db -o r.html
    "$PEFTLAB" report --metric score --delta 0.01 --against then.db --json > r.json
    run -0 jq -r '.sections.changes | "\(.choice_changed) \(.new_trials) \(.new_configurations) \(.then.configuration) \(.then.score.mean) \(.now.configuration) \(.now.confidence)"' r.json
    [[ "$output" == 'true 3 ["C"] A 0.81 C moderate confidence' ]]
    run -0 jq -r '.takeaways.changes[]' r.json
    has "The choice changed since " ": A then, C now. Why: C is new (0.910 over 3 seeds); A is as it was (0.810); A is worse (best then); C is best (not run then)." "3 trials ended since, of 1 configuration that was not there."
    run -0 jq -c '.sections.changes.words[] | [.group, .then, .now, .seeds_then, .seeds_now]' r.json
    has '["C","not run","best",0,3]' '["A","best","worse",3,3]'
    grep -q "The decision then and now" r.html
}

@test "against an earlier store: more seeds of the same" {
    table e "A:0.80 0.81" "B:0.74 0.80"
    "$PEFTLAB" backup then.db
    table e "A:0.80 0.81 0.82 0.81 0.80 0.82" "B:0.74 0.80 0.75 0.74 0.73 0.75"
    run -0 "$PEFTLAB" report --metric score --delta 0.01 --against then.db --json
    run -0 jq -r '.takeaways.changes[0], .sections.changes.choice_changed, .sections.changes.new_trials' <<<"$output"
    has "stands: A went from 0.805 (2 seeds) to 0.810 (6 seeds) (cannot tell then, " "A is best (undecided then); B is worse (undecided then)" "false" "8"
}

@test "against an earlier store: nothing changed, and what is none" {
    table e "A:0.80 0.81 0.82" "B:0.70 0.71 0.725"
    "$PEFTLAB" backup then.db
    run -0 "$PEFTLAB" report --metric score --against then.db --json
    has "Nothing was added: both stores hold the same rows." '"choice_changed": false' '"new_trials": 0'
    run -2 "$PEFTLAB" report --metric score --against s.db
    has "--against names the store that the report is about"
    run -66 "$PEFTLAB" report --metric score --against none.db
    has "--against" "none.db"
    run -65 "$PEFTLAB" report --metric score --against t.csv
    has "it is not a peftlab store"
    table f "A:0.80 0.81 0.82" "B:0.70 0.71 0.725"
    run -66 "$PEFTLAB" report --experiment f --metric score --against then.db
    has "--against" "no experiment 'f'"
}

@test "the next step is one command, the same on the page, the terminal and in JSON" {
    table e "A:0.80 0.81 0.82" "B:0.70 0.71 0.725"
    run -0 "$PEFTLAB" report --metric score -o r.html
    has "Next: peftlab show 1 (what to take: its keys, numbers and files)"
    run -0 jq -r .sections.decision.next.command <("$PEFTLAB" report --metric score --json)
    [ "$output" = "peftlab show 1" ]
    grep -q 'id="next-step"><strong>Next</strong> <code>peftlab show 1</code>' r.html
    rm s.db
    table e "A:nan"
    run -0 "$PEFTLAB" report --metric score --goal maximize
    has "Next: peftlab ls --columns score (no trial has a usable value)"
}

@test "sweep status tells the next step of the report, and none while trials are open" {
    printf 'version: 1\nname: t\nmetric: {name: score, goal: maximize}\ncommand: [./p.sh, "{x}"]\nparameters:\n  x: {values: [0.5, 0.7, 0.9]}\nseeds: [0, 1]\n' > t.yaml
    "$PEFTLAB" sweep run t.yaml
    step=$("$PEFTLAB" report --json | jq -r '.sections.decision.next | "\(.command) (\(.why))"')
    [[ "$step" == "peftlab "* ]]
    run -0 "$PEFTLAB" sweep status t
    has "next: $step"
    run -0 "$PEFTLAB" sweep status t --json
    lacks "next:"
    "$PEFTLAB" sweep clone 1 x=0.8
    run -0 "$PEFTLAB" sweep status t
    lacks "next:"
    run -0 "$PEFTLAB" report --sweep t
    has "Next: peftlab sweep resume t (1 trial is not finished)"
}
