#!/usr/bin/env bats
# Sentences follow from numbers: claims, ranks, the value of further seeds and the command that runs them.
bats_require_minimum_version 1.5.0
load common

setup() {
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_STORE=s.db
}

# claims ROWS-OF-LORA: qlora at one setting against lora; prints the claim's word
claims() {
    { echo "task,method,rank,alpha,learning_rate,target_modules,seed,score"
      for s in 0 1 2; do echo "causal-lm,qlora,8,16,0.001,qv,$s,0.70$s"; done
      printf '%b' "$1"; } > t.csv
    rm -f s.db
    "$PEFTLAB" import t.csv --experiment e --params task,method,rank,alpha,learning_rate,target_modules --metrics score
    run -0 "$PEFTLAB" report --metric score --json
    output=$(grep -A12 '"id": "qlora-equals-lora"' <<<"$output" | head -n 13)
}

@test "claims are held between runs that differ in nothing else" {
    same='causal-lm,lora,8,16,0.001,qv,0,0.701\ncausal-lm,lora,8,16,0.001,qv,1,0.702\ncausal-lm,lora,8,16,0.001,qv,2,0.703\n'
    other='causal-lm,lora,4,32,0.006,all,0,0.800\ncausal-lm,lora,4,32,0.006,all,1,0.811\ncausal-lm,lora,4,32,0.006,all,2,0.800\n'
    claims "$same$other"
    has '"word": "agrees"' '"other_settings_differ": false'
    claims "$other"
    has '"word": "out of scope"' '"other_settings_differ": true'
    claims "${same//0.001/0.002}$other"
    has '"word": "agrees"'
}

@test "ranks say no more than the comparisons" {
    printf 'config,seed,score\na,0,0.80\na,1,0.90\na,2,0.70\nb,0,0.79\nb,1,0.80\nb,2,0.60\nc,0,0.1\nc,1,0.11\nc,2,0.1\n' > t.csv
    "$PEFTLAB" import t.csv --experiment e --params config --metrics score
    run -0 "$PEFTLAB" report --metric score --json
    has "the comparisons leave it rank 1 to 2" "2 of 3 may be first" '"unrecorded_environments"'
    lacks "100 % of draws"
}

@test "the value of further seeds follows the formula of the page" {
    # differences .02 .05 -.01: d = .02, standard error .01732; 17 more beside 3: s = .01597; s phi(d/s) - d Phi(-d/s)
    printf 'config,seed,score\na,0,0.80\na,1,0.84\na,2,0.79\nb,0,0.78\nb,1,0.79\nb,2,0.80\n' > t.csv
    "$PEFTLAB" import t.csv --experiment e --params config --metrics score
    run -0 "$PEFTLAB" report --metric score --json
    has "17 seeds more of a and of b" '"value": 0.00080'
}

@test "the next experiment is a command that adds just its trials" {
    printf '#!/bin/sh\necho "{\\"score\\": 0.$((60 + ($2 + 1) * $1 * 17 %% 13))}"\n' > p.sh
    chmod +x p.sh
    printf 'version: 1\nname: t\nmetric: {name: score, goal: maximize}\ncommand: [./p.sh, "{x}", "{seed}"]\nparameters:\n  x: {values: [1, 2, 3]}\n  y: {value: 7}\nseeds: [0, 1, 2]\n' > s.yaml
    "$PEFTLAB" sweep run s.yaml
    "$PEFTLAB" report --json > r.json
    command=$(grep -m1 -A1 '"commands"' r.json | tail -n1 | sed 's/^ *"//; s/",\?$//')
    [[ "$command" == "peftlab sweep run FILE x="*" seeds=3,4"* ]] || { echo "$command"; return 1; }
    [[ "$command" != *" y="* ]]
    command=${command/#peftlab/\"$PEFTLAB\"}
    seeds=$(grep -o 'seeds=.*' <<<"$command" | tr -cd , | wc -c)
    eval "${command/FILE/s.yaml}"
    run -0 "$PEFTLAB" query "select count(*) as n from trial_view" --format tsv
    [ "${lines[1]}" = $((9 + seeds + 1)) ]
}

@test "what more rank and targets buy is a gain, also where lower is better" {
    { echo "method,rank,alpha,target_modules,seed,loss"
      for s in 0 1 2; do
          echo "lora,4,16,qv,$s,1.65$s"; echo "lora,16,16,qv,$s,1.64$s"; echo "lora,16,16,all-linear,$s,1.58$s"
      done; } > t.csv
    "$PEFTLAB" import t.csv --experiment e --params method,rank,alpha,target_modules --metrics loss
    run -0 "$PEFTLAB" report --metric loss --goal minimize --json
    has "the gain in loss is +0.07" "the gain in loss is +0.06"
}
