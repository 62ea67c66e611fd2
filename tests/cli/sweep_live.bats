#!/usr/bin/env bats
# What is done to a sweep while it runs: stop, resume, retire, clone, budgets, status --watch.
# The trials are shell programs that count slowly, so that there is time to take part.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    # Counts to $1 in steps of 0.1 s, or until a file named go exists.
    cat >count.sh <<'END'
trap 'exit 75' TERM
i=0
while [ $i -lt "$1" ]; do
    i=$((i + 1))
    echo "{\"step\": $i, \"loss\": $((1000 / i))}"
    [ -e go ] || sleep 0.1
done
END
}

# A sweep of $1 steps a trial, with further lines.
sweep_file() {
    cat >s.yaml <<END
command: [sh, count.sh, "{steps}", "{kind}"]
metric: {name: loss, goal: minimize}
parameters:
  steps: {value: $1}
  kind: {values: [a, b, c, d]}
END
    shift
    printf '%s\n' "$@" >>s.yaml
}

sql() { sqlite3 -readonly peftlab.db "$1"; }

# Waits up to 60 s until the query gives the answer.
until_sql() {
    local i
    for i in $(seq 1200); do
        [ "$(sql "$1" 2>/dev/null)" != "$2" ] || return 0
        sleep 0.05
    done
    echo "never '$2': $1: $(sql "$1")"
    return 1
}

start() {
    "$PEFTLAB" sweep run s.yaml --jobs 1 "$@" >run.txt 2>&1 3>&- &
    controller=$!
    until_sql "select count(*) > 0 from series_view" 1
}

@test "retire: the running trial ends with its numbers, a waiting one is not started" {
    sweep_file 1000
    start
    run -0 "$PEFTLAB" sweep retire 1
    has "trial 1 ends at its next update"
    run -0 "$PEFTLAB" sweep retire 3
    has "trial 3 keeps its numbers and is not run again"
    until_sql "select state from trial_view where id = 1" cancelled
    touch go
    wait $controller || true
    run cat run.txt
    has "cancelled" "retired by the user"
    [ "$(sql "select group_concat(state) from (select state from trial_view order by id)")" = cancelled,complete,cancelled,complete ]
    [ "$(sql "select count(*) from run_view where trial = 1")" = 1 ]
    [ "$(sql "select count(*) > 0 from series_view where trial = 1")" = 1 ]
    run -1 "$PEFTLAB" sweep run s.yaml # is not run again
    [ "$(sql "select count(*) from run_view where trial = 3")" = 0 ]
    run -78 "$PEFTLAB" sweep retire 1
    has "trial 1 is cancelled already"
    run -66 "$PEFTLAB" sweep retire 99
    run -2 "$PEFTLAB" sweep retire x
}

@test "clone: a running controller takes it up, and the parent is recorded" {
    sweep_file 1000
    start
    run -0 "$PEFTLAB" sweep clone 1 steps=2
    has "trial 5 is a clone of 1"
    run -0 "$PEFTLAB" sweep clone 2 kind=e ~steps +extra=1 seed=4
    has "trial 6 is a clone of 2"
    [ "$(sql "select parent, seed, params from trial_view where id = 6")" = '2|4|{"kind": "e", "extra": 1}' ]
    run -78 "$PEFTLAB" sweep clone 1 kind=b
    has "trial 2 of this sweep has that configuration and seed already"
    run -2 "$PEFTLAB" sweep clone 1 kinds=b
    has "did you mean 'kind'"
    run -2 "$PEFTLAB" sweep clone 1 ~nothing
    run -2 "$PEFTLAB" sweep clone 1
    run -78 "$PEFTLAB" sweep clone 1 --warm
    has "program of yours"
    run -66 "$PEFTLAB" sweep clone 77 kind=z
    touch go
    wait $controller || true
    [ "$(sql "select state from trial_view where id = 5")" = complete ]
    [ "$(sql "select max(step) from series_view where trial = 5")" = 2 ]
    [ "$(sql "select count(*) from run_view where trial = 6")" = 1 ]
}

@test "seeds: a configuration again with seeds that it has not had" {
    sweep_file 1 "seeds: [0, 3]"
    touch go
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 2
    run -0 "$PEFTLAB" sweep seeds 1 2
    has "trial 9 is trial 1 with seed 4" "trial 10 is trial 1 with seed 5"
    run -0 "$PEFTLAB" sweep seeds 9
    has "seed 6"
    [ "$(sql 'select group_concat(seed) from (select seed from trial where key = (select key from trial where id = 1) order by seed)')" = 0,3,4,5,6 ]
    # nor is a seed taken that a trial has which was deleted by MLflow's API
    sqlite3 peftlab.db 'update trial set deleted_ms = 1 where seed = 6'
    run -0 "$PEFTLAB" sweep seeds 9
    has "trial 12 is trial 9 with seed 7"
    [ "$(sql 'select count(distinct number) from trial')" = 12 ]
    run -2 "$PEFTLAB" sweep seeds
    run -2 "$PEFTLAB" sweep seeds 1 x
    run -66 "$PEFTLAB" sweep seeds 99
}

@test "stop and resume by the store alone" {
    sweep_file 30
    start
    run -0 "$PEFTLAB" sweep stop s
    has "sweep 1 starts no further trials; trial" "will run to the end" "'peftlab sweep stop 1 --now' has them save and end"
    run -0 "$PEFTLAB" sweep stop s --now
    has "sweep 1 starts no further trials; trial" "will save and end at the next update" "'peftlab sweep resume 1' goes on"
    wait $controller || true
    run cat run.txt
    has "no further trials: asked to by 'sweep stop'"
    [ "$(sql "select state from trial_view where id = 1")" = preempted ]
    mv s.yaml elsewhere.yaml
    touch go
    run -0 "$PEFTLAB" sweep resume 1 --jobs 2
    has "sweep 1 's'" "4 complete"
    [ "$(sql "select count(*) from sweep_view")" = 1 ]
    run -66 "$PEFTLAB" sweep resume nothing
    run -2 "$PEFTLAB" sweep resume
}

@test "status --watch follows to the end, with budget, curve and the best so far" {
    sweep_file 14 "budget: {max_usd: 5}"
    start
    run -0 timeout 300 "$PEFTLAB" sweep status s --watch --interval 0.2
    has "of 4" "running" "loss" "budget: " "of 5 USD" "best so far: " "1 run: no interval yet"
    [ "$(grep -c '^\[' <<<"$output")" -gt 2 ]
    [[ "$output" == *"▁"* ]]
    wait $controller
    run -0 "$PEFTLAB" sweep status s --watch --json
    [ "$(wc -l <<<"$output")" = 1 ]
    has '"states": {"complete": 4}' '"best": {"label": ' '"limit": "max_usd"'
    run -0 "$PEFTLAB" sweep status --watch --json # the newest
    has '"name": "s"' '"controller": false'
    run -66 "$PEFTLAB" sweep status --watch --store none.db
    "$PEFTLAB" tag 1 x
    sqlite3 peftlab.db "update trial set state = 'waiting', last_run = null, summary_run = null where id = 4"
    run -0 "$PEFTLAB" sweep status s
    has "no 'sweep run' is at it; 'peftlab sweep resume s' goes on"
    run -0 "$PEFTLAB" sweep resume s
    run -0 "$PEFTLAB" sweep status s
    lacks "no 'sweep run'"
}

@test "who runs it is known as long as he lives; the time left moves within a trial" {
    sweep_file 1000
    start
    [ "$("$PEFTLAB" sweep status s --json | jq .controller)" = true ]
    sqlite3 peftlab.db "update trial set predicted_s = 1000"
    left=$("$PEFTLAB" sweep status s --json | jq .seconds_left)
    sleep 1
    "$PEFTLAB" sweep status s --json | jq -e ".seconds_left < $left" # of the running ones
    run -0 "$PEFTLAB" sweep status s
    has " left"
    lacks "no 'sweep run'"
    kill -9 $controller
    wait $controller || true
    [ "$("$PEFTLAB" sweep status s --json | jq .controller)" = false ]
    run -0 "$PEFTLAB" sweep status s
    has "no 'sweep run' is at it"
}

@test "status of a trial that is longer at it than predicted does not know what is left" {
    sweep_file 1000
    start
    sqlite3 peftlab.db "update trial set predicted_s = 1000"
    run -0 "$PEFTLAB" sweep status 1 --json
    has '"seconds_left": 99'
    sqlite3 peftlab.db "update trial set predicted_s = 0.001"
    run -0 "$PEFTLAB" sweep status 1 --json
    has '"seconds_left": null'
    kill $controller; wait $controller || true
}

@test "budgets stop a sweep and say why" {
    touch go
    sweep_file 2 "budget: {max_trials: 3}"
    run -0 "$PEFTLAB" sweep run s.yaml
    has "3 complete"
    run -78 "$PEFTLAB" sweep clone 1 kind=b
    run -0 "$PEFTLAB" sweep clone 1 kind=q
    run -1 "$PEFTLAB" sweep run s.yaml
    has "no further trials: budget.max_trials is used up: 3 of 3"
    run -75 "$PEFTLAB" trial 4
    has "budget.max_trials is used up: 3 of 3"
    run -0 "$PEFTLAB" sweep status s
    has "budget: 3 of 3 trials" "no further trials: budget.max_trials is used up: 3 of 3"
    run -0 "$PEFTLAB" sweep run s.yaml budget.max_trials=9
    has "5 complete"
    sed -i 's/count.sh/fails.sh/' s.yaml
    echo 'exit 1' >fails.sh
    run -1 "$PEFTLAB" sweep run s.yaml --name fails --jobs 1 budget.max_trials=9 budget.max_failures=2
    has "no further trials: budget.max_failures is used up: 2 of 2" "2 failed" "2 waiting"
    rm go
    # trial_timeout is what a trial of unknown length reserves
    run -1 "$PEFTLAB" sweep run s.yaml --name hours --jobs 1 budget.max_trials=4 budget.max_hours=0.001 budget.trial_timeout=1h
    has "does not fit budget.max_hours"
    [ "$(sql "select count(*) from trial_view where sweep_name = 'hours' and attempts > 0")" = 0 ]
    run -1 "$PEFTLAB" sweep run s.yaml --name wall --jobs 1 steps=5 budget.max_wall=0.01
    has "no further trials: budget.max_wall (seconds) is used up"
}

@test "clone --warm starts from the adapter of its parent" {
    local case=$ROOT/tests/golden/cases/bert-lora-clip
    cat >t.yaml <<END
name: t
metric: {name: eval/loss, goal: minimize}
parameters:
  model: {value: $ROOT/tests/golden/models/bert}
  train_data: {value: $case/train.jsonl}
  eval_data: {value: $case/eval.jsonl}
  num_labels: {value: 3}
  max_steps: {value: 6}
  method: {value: lora}
  rank: {value: 2}
  learning_rate: {value: 5e-3}
END
    run -0 "$PEFTLAB" sweep run t.yaml
    run -78 "$PEFTLAB" sweep clone 1 --warm rank=4
    has "'rank' differs from trial 1, whose adapter would not fit"
    run -2 "$PEFTLAB" sweep clone 1 rnak=4
    run -0 "$PEFTLAB" sweep clone 1 --warm learning_rate=1e-9
    [ "$(sql "select parent, warm from trial_view where id = 2")" = "1|1" ]
    run -0 "$PEFTLAB" sweep resume t
    has "2 complete"
    # at so small a rate it stays where its parent ended
    run sql "select abs(a.value - b.value) < 1e-5 from summary_view a, summary_view b
        where a.key = 'eval/loss' and b.key = a.key and a.trial = 1 and b.trial = 2"
    [ "$output" = 1 ]
    run -66 "$PEFTLAB" sweep clone 2 --warm --store none.db
    run -0 "$PEFTLAB" sweep clone 1 learning_rate=2e-3
    run -66 "$PEFTLAB" sweep clone 3 --warm learning_rate=1e-3
    has "trial 3 (waiting) has no adapter yet"
}

@test "two controllers of a program keep to one budget, and the death of one loses nothing" {
    cat >s.yaml <<'END'
command: [sh, count.sh, "{steps}"]
parameters: {steps: {value: 3}, n: {values: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]}}
budget: {max_trials: 12, max_failures: 5}
END
    "$PEFTLAB" sweep run s.yaml --jobs 3 >a.txt 2>&1 3>&- &
    local a=$!
    "$PEFTLAB" sweep run s.yaml --jobs 3 >b.txt 2>&1 3>&- &
    local b=$!
    until_sql "select count(*) > 2 from run_view" 1
    kill -9 $a
    wait $a || true
    wait $b || { cat b.txt; return 1; }
    [ "$(sql "select count(*) from trial_view where state = 'complete'")" = 12 ]
    [ "$(sql "select count(*) from (select trial from run_view where state = 'complete' group by trial having count(*) > 1)")" = 0 ]
    [ "$(sql "select max(n) from (select count(*) as n from series_view group by trial)")" = 3 ]
}

@test "a program that is worse than the others is pruned while it runs" {
    cat >lines.sh <<'END'
trap 'exit 75' TERM
i=0
while [ $i -lt $1 ]; do
    i=$((i + 1))
    echo "{\"step\": $i, \"loss\": $2}"
    sleep $3
done
END
    cat >s.yaml <<'END'
command: [sh, lines.sh, "{steps}", "{loss}", "{pause}"]
metric: {name: loss, goal: minimize}
parameters:
  loss: {values: [1, 2, 3]}
  steps: {expr: "2000 if loss == 3 else 5"}
  pause: {expr: "0.1 if loss == 3 else 0"}
early_terminate: {type: median, startup: 2}
END
    run -0 timeout 300 "$PEFTLAB" sweep run s.yaml --jobs 1
    [ "$(sql "select group_concat(state) from (select state from trial_view order by id)")" = complete,complete,pruned ]
    [ "$(sql "select count(*) between 1 and 1999 from series_view where trial = 3")" = 1 ]
}
