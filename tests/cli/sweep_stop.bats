#!/usr/bin/env bats
# Who stopped a trial decides its state, whatever it says on leaving; what it had measured stays
# readable. By table: every way to stop, programs of every kind of leaving, and the trainer.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() { cd "$BATS_TEST_TMPDIR" || return; }

sql() { sqlite3 -readonly peftlab.db "$1"; }

until_sql() {
    local i
    for i in $(seq 400); do
        [ "$(sql "$1" 2>/dev/null)" != "$2" ] || return 0
        sleep 0.05
    done
    echo "never '$2': $1: $(sql "$1")"
    return 1
}

# A program that counts and leaves with $1 when it is asked to; "ignore" does not heed.
programs() {
    cat >count.sh <<'END'
case $1 in
ignore) trap '' TERM ;;
plain) ;;
*) trap "echo '{\"step\": 900, \"loss\": 900}'; exit $1" TERM ;;
esac
i=0
while [ $i -lt 600 ]; do
    i=$((i + 1))
    echo "{\"step\": $i, \"loss\": $i}"
    sleep 0.1
done
END
    cat >s.yaml <<'END'
command: [sh, count.sh, "{leave}"]
metric: {name: loss, goal: minimize}
END
    # what does not heed is killed after 5 s: two of the ways are enough for it
    TRIALS=6
    [ "$way" != timeout ] && [ "$way" != force ] || TRIALS=7
    local leave='"0", "1", "71", "75", "79", plain, ignore'
    [ $TRIALS = 7 ] || leave=${leave%, ignore}
    printf 'parameters: {leave: {values: [%s]}}\n' "$leave" >>s.yaml
    printf '%s\n' "$@" >>s.yaml
}

trainer() {
    cp -r "$ROOT/tests/golden/models/bert" m && chmod -R u+w m
    for i in $(seq 200); do echo "{\"input_ids\": [1, $((i % 90 + 5)), 9, 17, 30], \"label\": $((i % 3))}"; done >rows.jsonl
    cat >s.yaml <<'END'
metric: {name: eval/loss, goal: minimize}
parameters:
  model: {value: m}
  num_labels: {value: 3}
  train_data: {value: rows.jsonl}
  eval_data: {value: rows.jsonl}
  method: {values: [lora, head]}
  max_steps: {value: 1000000}
  eval_steps: {value: 20}
  latency_requests: {value: 0}
END
    TRIALS=2
    printf '%s\n' "$@" >>s.yaml
}

start() {
    "$PEFTLAB" sweep run s.yaml --jobs $TRIALS >run.txt 2>&1 3>&- &
    controller=$!
    until_sql "select count(*) = $TRIALS from (select trial from series_view where key in (select json_extract(file_json, '\$.metric.name') from sweep) group by trial)" 1
}

# All are in state $1, by one run each, with their curves, last values and times.
all_are() {
    sql "select trial_view.id, state, (select count(*) from run_view where trial = trial_view.id), duration_ms, reason, params from trial_view"
    [ "$(sql "select count(*) from trial_view where state = '$1' and duration_ms > 100")" = $TRIALS ]
    [ "$(sql "select count(*) from run_view where state = '$1'")" = $TRIALS ]
    [ "$(sql "select count(*) from run_view")" = $TRIALS ]
    [ "$(sql "select count(*) from (select trial from series_view group by trial)")" = $TRIALS ]
    # the summary is the last point
    [ "$(sql "select count(*) from summary_view as s where key = (select json_extract(file_json, '\$.metric.name') from sweep) and value = (select value from series_view as c where c.trial = s.trial and c.key = s.key order by step desc limit 1)")" = $TRIALS ]
    run -0 "$PEFTLAB" ls
    has "$1"
    run -0 "$PEFTLAB" show 1
    has "$1" loss
}

by_timeout() { until_sql "select count(*) from trial_view where state = 'timeout'" $TRIALS; }
by_interrupt() { kill -INT $controller; }
by_force() { kill -INT $controller; sleep 0.5; kill -INT $controller 2>/dev/null || true; }
by_stop() { "$PEFTLAB" sweep stop 1 --now; }
by_retire() { local i; for i in $(seq $TRIALS); do "$PEFTLAB" sweep retire "$i"; done; }

# way to stop, state that it means
ways() {
    local way=$1 state=$2 more=() # programs reads way
    [ "$way" != timeout ] || more=("budget: {trial_timeout: 2}")
    "$3" "${more[@]}"
    start
    "by_$way"
    wait $controller || true
    all_are "$state"
}

@test "programs: a time limit" { ways timeout timeout programs; }
@test "programs: Ctrl-C" { ways interrupt preempted programs; }
@test "programs: Ctrl-C twice" { ways force preempted programs; }
@test "programs: sweep stop --now" { ways stop preempted programs; }
@test "programs: retire" { ways retire cancelled programs; }

@test "programs: a stopping rule" {
    programs "early_terminate: {type: median, startup: 1, warmup: 3}"
    cat >best.sh <<'END'
for i in 1 2 3 4 5; do echo "{\"step\": $i, \"loss\": 0}"; done
END
    sed -i 's/^command.*/command: [sh, "{file}", "{leave}"]/; s/{leave:.*/{leave: {values: [best, "0", "1", "71", "75", "79", plain]}, file: {expr: "'"'best.sh' if leave == 'best' else 'count.sh'"'"}}/' s.yaml
    "$PEFTLAB" sweep run s.yaml --jobs 7 >run.txt 2>&1 || { cat run.txt; return 1; }
    [ "$(sql "select count(*) from trial_view where state = 'pruned'")" = 6 ]
    [ "$(sql "select count(*) from summary_view where key = 'loss'")" = 7 ]
    [ "$(sql "select count(*) from run_view")" = 7 ]
}

@test "programs: lost lease" {
    programs
    start
    kill -STOP $controller
    # somebody else takes the trials away, as a reaper on another host would
    sqlite3 peftlab.db "update run set state = 'stale', ended_ms = heartbeat_ms, reason = 'lost'; update trial set state = 'cancelled', summary_run = last_run"
    sleep 3 # ours notice and leave
    kill -CONT $controller
    wait $controller || true
    [ "$(sql "select count(*) from trial_view where state = 'cancelled'")" = 6 ]
    [ "$(sql "select count(*) from run_view where state = 'stale'")" = 6 ]
}

@test "trainer: a time limit" { ways timeout timeout trainer; }
@test "trainer: Ctrl-C" { ways interrupt preempted trainer; }
@test "trainer: Ctrl-C twice" { ways force preempted trainer; }
@test "trainer: sweep stop --now" { ways stop preempted trainer; }
@test "trainer: retire" { ways retire cancelled trainer; }

@test "a program that ends with 75 again and again has failed, with what it measured" {
    printf '%s\n' "echo '{\"step\": 1, \"loss\": 2}'" 'exit 75' >p.sh
    printf '%s\n' 'command: [sh, p.sh]' 'parameters: {x: {value: 1}}' 'retry: {max: 0}' >s.yaml
    run -1 "$PEFTLAB" sweep run s.yaml
    [ "$(sql "select state from trial_view")" = failed ]
    [[ "$(sql "select reason from trial_view")" == *"processes ended without a result"* ]]
    [ "$(sql "select value from summary_view where key = 'loss'")" = 2.0 ]
    [ "$(sql "select count(*) from series_view")" = 1 ]
}
