#!/usr/bin/env bats
# sweep plan, run, status, stop with the real program: golden plans through the trainer's own
# keys, and real (tiny) trainings that are resumed, killed, shared and refused.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

# A sweep file of tiny trainings: $1 name, $2 updates per trial, then further lines.
sweep_file() {
    local case=$ROOT/tests/golden/cases/bert-lora-clip file=$BATS_TEST_TMPDIR/$1.yaml
    cat >"$file" <<EOF
version: 1
name: $1
metric: {name: eval/loss, goal: minimize}
method: grid
parameters:
  model: {value: $ROOT/tests/golden/models/bert}
  train_data: {value: $case/train.jsonl}
  eval_data: {value: $case/eval.jsonl}
  num_labels: {value: 3}
  max_steps: {value: $2}
  method: {values: [head, lora]}
  rank: {values: [2, 4], when: "method == lora"}
  learning_rate: {expr: "6e-3 if method == head else 1e-3"}
seeds: [0, 1]
EOF
    shift 2
    printf '%s\n' "$@" >>"$file"
}

# Fails unless the last output holds each of the words.
sql() { sqlite3 -readonly -cmd '.timeout 30000' "$BATS_TEST_TMPDIR/peftlab.db" "$1"; }

# Waits up to 60 s until some row of $1 (a view of the store) is in state $2.
until_state() {
    local i
    for i in $(seq 1200); do
        [ -z "$(sql "select 1 from $1 where state = '$2' limit 1" 2>/dev/null)" ] || return 0
        sleep 0.05
    done
    echo "no row of $1 became $2"
    return 1
}

@test "golden plans with the trainer's keys" {
    cd "$ROOT/tests/golden/sweep"
    for file in grid/*; do
        "$PEFTLAB" sweep plan "$file" --json >"$BATS_TEST_TMPDIR/plan.json"
    done
    run -0 "$PEFTLAB" sweep plan grid/example.yaml --json
    has '"coincided": 8' '"excluded": 3' '"trials": 126' '"peak_bytes": null' '"predicted_s": null'
    run -0 "$PEFTLAB" sweep plan grid/example.yaml
    has "126 trials: 42 combinations x 3 seeds (8 coincided, 3 excluded)"
}

@test "refused files end with 65 or 78, name the line and run nothing" {
    cd "$ROOT/tests/golden/sweep"
    for file in refused/*; do
        run --separate-stderr "$PEFTLAB" sweep plan "$file"
        [ "$status" = 78 ] || [ "$status" = 65 ] || { echo "$file: $status"; return 1; }
        [[ "$stderr" == *"line "* ]] || { echo "$file: $stderr"; return 1; }
        [ -z "$output" ]
    done
    run -78 "$PEFTLAB" sweep plan refused/unknown-parameter.yaml
    has "line 10, column 3" "lora_alhpa" "did you mean 'alpha'"
}

@test "usage errors" {
    run -2 "$PEFTLAB" sweep
    run -2 "$PEFTLAB" sweep pln
    has "did you mean 'plan'"
    run -2 "$PEFTLAB" sweep plan
    run -66 "$PEFTLAB" sweep plan /nonexistent.yaml
    run -66 "$PEFTLAB" sweep status 3 --store "$BATS_TEST_TMPDIR/none.db"
    run -0 "$PEFTLAB" sweep --help
    has "sweep run FILE"
    run -0 "$PEFTLAB" sweep run --help
    has "--retry-failed"
}

@test "plan writes nothing and predicts" {
    sweep_file tiny 8
    cd "$BATS_TEST_TMPDIR"
    run -0 "$PEFTLAB" sweep plan tiny.yaml
    has "6 trials: 3 combinations x 2 seeds" "peak memory of the largest trial" "time on this machine"
    run -0 "$PEFTLAB" sweep plan tiny.yaml rank=4 seeds=7 --json
    has '"rank": 4' '"seed": 7'
    [[ "$output" != *'"peak_bytes": null'* ]]
    [ "$(ls)" = tiny.yaml ]
}

@test "run, then run again: nothing is trained twice" {
    sweep_file tiny 8
    cd "$BATS_TEST_TMPDIR"
    run -0 "$PEFTLAB" sweep run tiny.yaml
    has "[6/6]" "lora rank=4" "complete" "eval/loss" "6 trials, 6 complete"
    run -0 "$PEFTLAB" sweep run tiny.yaml
    has "going on: 6 of 6 trials are finished"
    [[ "$output" != *"[1/"* ]]
    [ "$(sql 'select count(*) from run_view')" = 6 ]
    # a further value adds its trials only
    run -0 "$PEFTLAB" sweep run tiny.yaml rank=2,4,8
    has "going on: 6 of 8 trials are finished" "rank=8" "8 complete"
    [ "$(sql 'select count(*) from run_view')" = 8 ]
    run -0 "$PEFTLAB" sweep status
    has tiny
    run -0 "$PEFTLAB" sweep status tiny --json
    has '"complete": 8' '"stopped": false'
}

@test "the first signal lets trials end, the same command goes on" {
    sweep_file long 1500
    cd "$BATS_TEST_TMPDIR"
    "$PEFTLAB" sweep run long.yaml >out.txt 3>&- &
    pid=$!
    until_state trial_view running
    kill -INT $pid
    wait "$pid" && status=0 || status=$?
    [ "$status" = 130 ]
    grep -q "the same command goes on" out.txt
    grep -qE "^stopping: waiting for what runs to save and end \(once more: kill it\): trial [0-9, ]+$" out.txt
    [ "$(sql "select count(*) from trial_view where state = 'running'")" = 0 ]
    run -0 "$PEFTLAB" sweep run long.yaml
    has "6 complete"
    [ "$(sql "select count(*) from run_view where state = 'complete'")" = 6 ]
}

@test "kill -9 of the controller loses nothing" {
    sweep_file long 1500
    cd "$BATS_TEST_TMPDIR"
    "$PEFTLAB" sweep run long.yaml >out.txt 3>&- &
    pid=$!
    until_state run_view complete
    kill -9 $pid
    wait $pid || true
    run -0 "$PEFTLAB" sweep run long.yaml
    has "6 complete"
    [ "$(sql "select count(*) from run_view where state = 'complete'")" = 6 ]
}

@test "kill -9 of a trial: it is tried once more" {
    sweep_file long 2500
    cd "$BATS_TEST_TMPDIR"
    "$PEFTLAB" sweep run long.yaml --jobs 1 >out.txt 3>&- &
    pid=$!
    until_state run_view running
    child=$(sql "select owner_pid from run_view where state = 'running'")
    kill -9 "$child"
    wait $pid
    [ "$(sql "select count(*) from run_view where state = 'complete'")" = 6 ]
    [ "$(sql "select count(*) from run_view where state = 'stale'")" = 1 ]
}

@test "two controllers run each trial once" {
    sweep_file tiny 300
    cd "$BATS_TEST_TMPDIR"
    "$PEFTLAB" sweep run tiny.yaml >one.txt 3>&- &
    first=$!
    "$PEFTLAB" sweep run tiny.yaml >two.txt 3>&- &
    second=$!
    wait $first
    wait $second
    [ "$(sql 'select count(*) from run_view')" = 6 ]
    grep -q "6 complete" one.txt
    grep -q "6 complete" two.txt
}

@test "a trial that fails is told, kept, and tried again only when asked" {
    sweep_file bad 8 "include: [{method: lora, rank: 4, init_adapter: missing}]"
    cd "$BATS_TEST_TMPDIR"
    run "$PEFTLAB" sweep run bad.yaml
    if [ "$status" = 1 ]; then
        has "failed" "missing" "4 complete 2 failed"
        run -1 "$PEFTLAB" sweep run bad.yaml
        has "going on: 6 of 6"
        run -1 "$PEFTLAB" sweep run bad.yaml --retry-failed
        [ "$(sql "select count(*) from run_view where state = 'failed'")" = 4 ]
    else # the planner looks into the folder already
        [ "$status" -ge 65 ]
        has "missing"
    fi
}

@test "budget: max_trials, max_failures, trial_timeout" {
    sweep_file long 300000 "budget: {max_trials: 1, trial_timeout: 0.5s}"
    cd "$BATS_TEST_TMPDIR"
    run -1 "$PEFTLAB" sweep run long.yaml
    has "1 trials, 1 timeout" "trial_timeout"
    [ "$(sql "select count(*) from trial_view")" = 1 ]
}

@test "stop: nothing further starts, a run lifts it" {
    sweep_file long 2500
    cd "$BATS_TEST_TMPDIR"
    "$PEFTLAB" sweep run long.yaml --jobs 1 >out.txt 3>&- &
    pid=$!
    until_state trial_view running
    run -0 "$PEFTLAB" sweep stop long
    wait "$pid" && status=0 || status=$?
    [ "$status" = 1 ]
    grep -q "sweep stop" out.txt
    done=$(sql "select count(*) from trial_view where state = 'complete'")
    [ "$done" -lt 6 ]
    run -0 "$PEFTLAB" sweep run long.yaml max_steps=3
    has "6 complete"
}

@test "what cannot run here says so" {
    sweep_file tiny 8 "executor: {type: slurm}"
    cd "$BATS_TEST_TMPDIR"
    run -78 "$PEFTLAB" sweep run tiny.yaml
    has "slurm is not available yet"
    run -78 "$PEFTLAB" sweep run "$ROOT/tests/golden/sweep/grid/plain-product.yaml"
    has "no 'model'"
    [ ! -e peftlab.db ] || [ -z "$(sql 'select 1 from sweep_view')" ]
}

@test "a sweep that asks for a GPU does not start where there is none, and is planned all the same" {
    cd "$BATS_TEST_TMPDIR"
    cat >gpu.yaml <<EOF
version: 1
name: gpu
parameters:
  model: {value: llama-2-7b}
  task: {value: causal-lm}
  train_data: {value: rows.jsonl}
  method: {value: qlora}
  rank: {values: [32, 64]}
  target_modules: {value: all-linear}
  max_length: {value: 256}
  max_train_samples: {value: 100}
executor: {backend: cuda, gpus: 1}
EOF
    export CUDA_VISIBLE_DEVICES=
    run -69 "$PEFTLAB" sweep run gpu.yaml --store gpu.db
    [[ "$output" == *"executor.backend is 'cuda', but backend 'cuda' is not usable here"*"executor.backend=cpu"* ]]
    [ ! -e gpu.db ]
    run -0 "$PEFTLAB" sweep plan gpu.yaml --json
    [ "$(grep -c '"peak_bytes": [0-9]' <<<"$output")" -ge 2 ]
    local on_gpu on_cpu
    on_gpu=$(grep -o '"peak_bytes": [0-9]*' <<<"$output" | head -1)
    run -0 "$PEFTLAB" sweep plan gpu.yaml executor.backend=cpu --json
    on_cpu=$(grep -o '"peak_bytes": [0-9]*' <<<"$output" | head -1)
    [ "$on_gpu" != "$on_cpu" ]
    run -69 "$PEFTLAB" sweep plan gpu.yaml executor.backend=cdua
    [[ "$output" == *"no backend 'cdua'"* ]]
}
