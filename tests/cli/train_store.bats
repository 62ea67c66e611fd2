#!/usr/bin/env bats
# A training by hand in the store: its trial, its attempts, and what keeps it from being recorded.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    unset PEFTLAB_STORE
    cd "$BATS_TEST_TMPDIR"
    cp -r "$ROOT/tests/golden/cases/bert-lora-all-linear" case
    chmod -R u+w case
    sed -i "s#^model:.*#model: $ROOT/tests/golden/models/bert#; /^init_adapter:/d" case/trial.yaml
}

# One value of a query.
value() { "$PEFTLAB" query "$1" --format tsv | sed 1d; }

train() { "$PEFTLAB" train case/trial.yaml latency_requests=0 "$@"; }

@test "a training is a trial of the store, with its numbers, its folder and a report" {
    run -0 --separate-stderr train --out run
    has "trial 1 in peftlab.db: peftlab show 1, peftlab ls"
    accuracy=$(jq .eval.accuracy run/result.json)
    [ "$(value "SELECT value FROM summary_view WHERE trial = 1 AND key = 'eval/accuracy'")" = "$accuracy" ]
    [ "$(value "SELECT count(*) FROM series_view WHERE key = 'train/loss'")" = 8 ]
    [ "$(value "SELECT state || ' ' || experiment_name FROM trial_view")" = "complete case" ]
    [ "$(value "SELECT run_dir FROM run_view")" = "$PWD/run" ]
    [ "$(value "SELECT path FROM artifact_view WHERE name = 'adapter'")" = "$PWD/run/adapter" ]
    [ "$(value "SELECT environment ->> '\$.sha256.train_data' FROM run_view")" = "$(jq -r .environment.sha256.train_data run/result.json)" ]
    run -0 "$PEFTLAB" ls
    has eval/accuracy lora "$(printf %.4g "$accuracy")"
    run -0 "$PEFTLAB" report -o report.html
    has "Take lora"
    # the same configuration without `rank: 4` in its file is shown by the default that it has
    run -0 train --out other rank=8
    run -0 "$PEFTLAB" ls --json
    [ "$(jq -c '[.trials[].params.rank]' <<<"$output")" = "[4,8]" ]
    sed -i '/^rank:/d' case/trial.yaml
    run -0 train --out third seed=1
    run -0 "$PEFTLAB" ls --columns id,rank,seed
    [[ "${lines[3]}" =~ ^\ 3\ +8\ +1$ ]]
}

@test "again it is the next attempt, not another trial; gc leaves the user's folders" {
    train --out run
    train --out run
    train --out elsewhere
    [ "$(value "SELECT count(*) || ' ' || max(attempts) || ' ' || max(state) FROM trial_view")" = "1 3 complete" ]
    [ "$(value "SELECT count(*) FROM summary_view WHERE key = 'eval/loss'")" = 1 ]
    run -0 "$PEFTLAB" gc --delete
    has "0 removed"
    [ -e run/adapter ] && [ -e elsewhere/adapter ]
}

@test "--no-store leaves nothing; PEFTLAB_STORE and --store name the store, --experiment the experiment" {
    run -0 --separate-stderr train --out run --no-store
    lacks "trial 1"
    [ -z "$(find . -name '*.db*')" ]
    PEFTLAB_STORE=$PWD/env.db run -0 train --out a
    has "in $PWD/env.db"
    run -0 train --out b --store given.db --experiment mine
    [ ! -e peftlab.db ]
    PEFTLAB_STORE=given.db run -0 "$PEFTLAB" ls --experiments
    has mine
}

@test "wrong input is a message and no trial; what became of an earlier attempt stays" {
    run -66 train --out run train_data=none.jsonl
    [ -z "$(find . -name '*.db*')" ]
    train --out run
    run -78 train --out run learning_rate=0.02
    run -66 train --out run2 train_data=none.jsonl
    [ "$(value "SELECT count(*) || ' ' || max(state) FROM trial_view")" = "1 complete" ]
}

@test "divergence is recorded with its reason and with what there was" {
    run -79 train --out run learning_rate=1e3 weight_decay=1
    [ "$(value "SELECT state FROM trial_view")" = nan ]
    [ "$(value "SELECT exit_code FROM run_view")" = 79 ]
    [[ "$(value "SELECT reason FROM trial_view")" == *update* ]]
    [ "$(value "SELECT count(*) > 0 FROM series_view WHERE key = 'train/loss'")" = 1 ]
}

@test "stopped it is preempted, and the same command goes on in the same trial; so after kill -9" {
    for signal in TERM KILL; do
        "$PEFTLAB" train case/trial.yaml latency_requests=0 max_steps=1000000 save_steps=5 --out run-$signal --experiment $signal 2>err &
        pid=$!
        for i in $(seq 600); do
            [ "$(cat run-$signal/trace.jsonl 2>/dev/null | wc -l)" -ge 20 ] && break
            sleep 0.05
        done
        kill -$signal $pid
        wait $pid || status=$?
        "$PEFTLAB" train case/trial.yaml latency_requests=0 max_steps=1000000 save_steps=5 --out run-$signal --experiment $signal 2>err &
        pid=$!
        for i in $(seq 600); do
            [ "$(value "SELECT count(*) FROM event_view WHERE kind = 'resumed' AND run = (SELECT run FROM trial_view WHERE experiment_name = '$signal')")" = 1 ] && break
            sleep 0.05
        done
        kill -TERM $pid
        wait $pid || status=$?
        [ "$status" = 75 ]
        [ "$(value "SELECT count(*) || ' ' || max(attempts) || ' ' || max(state) FROM trial_view WHERE experiment_name = '$signal'")" = "1 2 preempted" ]
    done
    [ "$(value "SELECT group_concat(state, ' ') FROM (SELECT state FROM run_view ORDER BY id)")" = "preempted preempted stale preempted" ]
}

@test "a store that cannot be written is said once; the training goes on" {
    echo "no store" >bad.db
    run -0 --separate-stderr train --out run --store bad.db
    [ "$(grep -c "not recorded" <<<"$stderr")" = 1 ]
    [[ "$stderr" == *"'$PWD/bad.db'"*"training goes on"* ]]
    [ -e run/result.json ]
    lacks "trial 1"
}

@test "the same configuration of another folder is another trial" {
    mkdir a b
    cp -r case a/case
    cp -r case b/case
    sed -i 1d b/case/train.jsonl
    for d in a b; do
        "$PEFTLAB" train $d/case/trial.yaml latency_requests=0 --out run-$d
    done
    [ "$(value "SELECT group_concat(experiment_name, ' ') FROM trial_view")" = "case $PWD/b/case" ]
    [ "$(value "SELECT count(DISTINCT environment ->> '\$.sha256.train_data') FROM run_view")" = 2 ]
}
