#!/usr/bin/env bats
# Which runs a report compares: none is dropped, pooled or renamed without a word.
bats_require_minimum_version 1.5.0
load common

setup() {
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_STORE=s.db
}

# table EXPERIMENT METRIC VALUES-OF-A VALUES-OF-B
table() {
    { echo "config,seed,$2"; i=0; for v in $3; do echo "A,$i,$v"; i=$((i + 1)); done
      i=0; for v in $4; do echo "B,$i,$v"; i=$((i + 1)); done; } > t.csv
    "$PEFTLAB" import t.csv --experiment "$1" --params config --metrics "$2"
}

# trial CONFIG SEED SCORE ENVIRONMENT [STATE [DATA-HASH]]: a line of an export
trial() {
    printf '{"type":"trial","experiment":"e","seed":%s,"state":"%s","params":{"config":"%s"},"config":{"config":"%s","train_data":"train.jsonl"},"runs":[{"attempt":1,"state":"%s","started_ms":1795000000000,"ended_ms":1795000010000,"summary":{"score":%s},"environment":{"cpu":"c","packages":"%s","sha256":{"train_data":"%s"}}}]}\n' \
        "$2" "${5:-complete}" "$1" "$1" "${5:-complete}" "$3" "$4" "${6:-aa}"
}

@test "two experiments with the same configurations and seeds are two columns" {
    table a score "80 81 82" "70 71 72.5"
    table b score "60 61 62" "70 71 72"
    run -0 "$PEFTLAB" report --experiment a --experiment b --metric score --json
    has '"all rows, a"' '"all rows, b"' "one of 2 cases; at all rows, a: A is best"
    run -0 "$PEFTLAB" report --experiment a --experiment b --metric score
    one=${lines[0]}
    run -0 "$PEFTLAB" report --experiment b --experiment a --metric score
    [ "$one" = "${lines[0]}" ]
}

@test "two experiments that do not repeat each other are one table" {
    table a score "80 81 82" "70 71 72.5"
    printf 'config,seed,score\nC,0,60\nC,1,61\nC,2,62\n' > t.csv
    "$PEFTLAB" import t.csv --experiment b --params config --metrics score
    run -0 "$PEFTLAB" report --experiment a --experiment b --metric score --json
    has '"all rows, a and b"' '"C"'
    lacks "This is one of"
}

@test "runs of other environments are refused, or paired in those they share" {
    for s in 0 1 2; do trial A $s 0.8$s one; trial B $s 0.7$s one; trial C $s 0.1$s two; done > e.jsonl
    "$PEFTLAB" import e.jsonl
    run -0 "$PEFTLAB" report --metric score --json
    has "1 comparison is refused: no environment in common" '"unbridged_environments"' '"other_environments": true'
    has "Cannot tell"
    for s in 3 4 5; do trial A $s 0.5$s two; done > more.jsonl
    "$PEFTLAB" import more.jsonl
    run -0 "$PEFTLAB" report --metric score --json
    has '"best": "A"' "Ranked by means without what the environments add"
}

@test "runs on other data under one name are another column" {
    for s in 0 1 2; do trial A $s 0.8$s one complete aa; trial B $s 0.7$s one complete aa; done > e.jsonl
    for s in 3 4 5; do trial A $s 0.2$s one complete bb; trial B $s 0.3$s one complete bb; done >> e.jsonl
    "$PEFTLAB" import e.jsonl
    run -0 "$PEFTLAB" report --metric score --json
    has "one of 2 cases" "train_data aa" "train_data bb"
}

@test "what is unfinished or was stopped early is in the decision" {
    { for s in 0 1 2; do trial A $s 0.8$s one; trial B $s 0.7$s one; done
      trial A 3 0.1 one pruned; trial B 3 0.1 one cancelled; } > e.jsonl
    "$PEFTLAB" import e.jsonl
    run -0 "$PEFTLAB" report --metric score
    has "1 trial is not finished." "1 trial is stopped early and not counted."
}

@test "intervals stay on the scale, wide numbers are powers of ten" {
    table a accuracy "0.99 0.90 1.0" "0.1 0.02 0.2"
    run -0 "$PEFTLAB" report --metric accuracy
    has "to 1.000"
    rm s.db
    table a perplexity "12.1 12.3 12.2" "1e300 2e300 3e304"
    run -0 "$PEFTLAB" report --metric perplexity -o p.html
    ! sed 's/<template id="report-data".*//' p.html | grep -q '[0-9]\{40\}'
    rm s.db
    table a eval/mse "1e-9 1.1e-9 1.2e-9" "2e-9 2.1e-9 2.2e-9"
    run -0 "$PEFTLAB" report --metric eval/mse
    has "1.1e-09"
}

@test "the page of 400 configurations with long names stays below a megabyte" {
    { echo "config,seed,score"
      for i in $(seq 400); do for s in 0 1 2; do
          echo "a-configuration-whose-name-is-rather-long-so-that-every-line-of-it-costs-two-hundred-bytes-and-more-on-the-page-$i,$s,0.$((i * 7919 % 1000))$s"
      done; done; } > t.csv
    "$PEFTLAB" import t.csv --experiment e --params config --metrics score
    "$PEFTLAB" report --metric score -o r.html
    [ "$(stat -c %s r.html)" -lt 1000000 ]
    "$PEFTLAB" report verify r.html --store s.db
}

@test "seeds without effect, equal scores and collapsed models decide nothing" {
    table a score "0.7 0.7 0.7" "0.8 0.8 0.8"
    run -0 "$PEFTLAB" report --metric score --json
    has "No certainty" "one observation each" '"decision": "none"' '"seeds_change_nothing"' "screening only"
    rm s.db
    table a score "0.7 0.7 0.7" "0.7 0.7 0.7"
    run -0 "$PEFTLAB" report --metric score --json
    has "all trials have the same score" '"decision": "none"'
    rm s.db
    { echo "config,seed,eval/macro_f1,eval/classes_predicted,baseline/eval/macro_f1"
      for s in 0 1 2; do echo "A,$s,0.1$s,1,0.25"; echo "B,$s,0.2$s,1,0.25"; done; } > t.csv
    "$PEFTLAB" import t.csv --experiment a --params config --metrics eval/macro_f1,eval/classes_predicted,baseline/eval/macro_f1
    run -0 "$PEFTLAB" report --json
    has "answer one class for all rows" '"collapsed"' '"not_learned"' '"decision": "none"'
    rm s.db
    sed -i 's/,1,0.25/,3,0.15/' t.csv
    "$PEFTLAB" import t.csv --experiment a --params config --metrics eval/macro_f1,eval/classes_predicted,baseline/eval/macro_f1
    run -0 "$PEFTLAB" report --json
    has "The trivial answer" "1 of 2 groups are shown to be better" "1 of 2 groups are not shown"
    lacks "answer one class"
}

@test "what was timed while other work ran is marked and splits no environment" {
    for s in 0 1 2; do trial A $s 0.8$s one; trial B $s 0.7$s one; done |
        sed 's/"cpu":"c"/"cpu":"c","load":{"run":0.1,"latency":1.5}/; s/"score"/"latency\/p50_ms":5,"score"/' > e.jsonl
    sed -i '1s/1\.5/0.0/' e.jsonl
    "$PEFTLAB" import e.jsonl
    run -0 "$PEFTLAB" report --metric score --json
    has '"busy_machine"' "5 of 6 trials were timed while other work kept up to 1.5 cores busy" "timed while other work ran" '"environments": 1'
    sed -i 's/"latency":1.5/"latency":0.01/; s/"experiment":"e"/"experiment":"f"/' e.jsonl
    "$PEFTLAB" import e.jsonl
    run -0 "$PEFTLAB" report --experiment f --metric score --json
    lacks "other work"
}
