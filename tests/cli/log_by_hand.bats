#!/usr/bin/env bats
# `peftlab log` outside of a trial: runs that a shell writes, a call at a time.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR" || return
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/s.db
    unset PEFTLAB_RUN
}

log() { "$PEFTLAB" log --experiment reviews --name try "$@"; }
says() { "$PEFTLAB" query --format tsv "$1" | tail -n +2; }

@test "a run from its first word to its end, as ls, show and report have it" {
    log --param lr=1e-4 --param method=lora --param seed=3 --tag owner=ana loss=0.5 --step 1
    log loss=nan eval/accuracy=0.25 --step 2
    [ "$(says "SELECT state FROM trial_view")" = running ]
    log loss=-1e-3 --step 3 --param lr=1e-4 --param rank=8
    log size=7
    log --end complete
    [ "$(says "SELECT experiment_name, state, seed, params, origin FROM trial_view")" = $'reviews\tcomplete\t3\t{"lr": 0.0001, "method": "lora", "rank": 8}\tshell' ]
    [ "$(says "SELECT key, step, value, at_ms > 0 FROM series_view ORDER BY key, step")" = $'eval/accuracy\t2\t0.25\t1\nloss\t1\t0.5\t1\nloss\t2\t\t1\nloss\t3\t-0.001\t1' ]
    [ "$(says "SELECT key, value FROM summary_view ORDER BY key")" = $'eval/accuracy\t0.25\nloss\t-0.001\nsize\t7.0' ]
    run -0 "$PEFTLAB" show 1
    has complete "owner  ana" "name   try" "-0.001"
    run -0 "$PEFTLAB" ls
    has lora complete
    log() { "$PEFTLAB" log --experiment reviews --name "$@"; }
    log two --param lr=1e-3 --param method=lora --param seed=3 eval/accuracy=0.75 --end complete
    run -0 "$PEFTLAB" report --experiment reviews --metric eval/accuracy -o r.html
    grep -q "0.750" r.html
}

@test "what is known stays: another value of a parameter, and an ended run, are refused with nothing written" {
    log --param lr=1 loss=1 --step 1
    run -78 log --param lr=2 loss=2 --step 2
    has "parameter 'lr'" "written once"
    run -2 log loss=2 note=good --step 2
    run -2 log --param lr loss=2 --step 2
    has "'lr' is not KEY=VALUE"
    run -2 log --param a=1 --param a=2
    has "'a' is there twice"
    run -2 "$PEFTLAB" log --name try loss=1
    has "needs --experiment and --name"
    run -2 "$PEFTLAB" log --experiment reviews --end complete
    has "needs --experiment and --name"
    run -2 log --end done
    [ "$(says "SELECT group_concat(step) FROM series_view")" = 1 ]
    # a seed too, 0 as well, once somebody has said it
    log --param seed=0
    run -78 log --param seed=5
    has "parameter 'seed'" "written once"
    log --param seed=0
    [ "$(says "SELECT seed, config FROM trial_view")" = $'0\t{"lr":1,"seed":0}' ]
    log --end failed
    [ "$(says "SELECT t.state, exit_code FROM trial_view t JOIN run_view r ON r.id = t.run")" = $'failed\t1' ]
    [ "$(says "SELECT value FROM summary_view WHERE key = 'loss'")" = 1.0 ]
    run -78 log loss=3 --step 3
    has "has ended as failed" "another --name"
    run -78 log --end complete
    [ "$(says "SELECT group_concat(step) FROM series_view")" = 1 ]
}

@test "many at once, also the first word, lose nothing" {
    for p in 1 2 3 4 5 6 7 8 9 10 11 12; do
        (for i in 1 2 3 4 5; do log p$p=$i --step $i --param lr=1 || echo lost >>lost; done) &
    done
    wait
    [ ! -e lost ]
    [ "$(says "SELECT count(*), sum(value) FROM series_view")" = $'60\t180.0' ]
    [ "$(says "SELECT count(*) FROM run_view")" = 1 ]
}

@test "an hour without a word it is given up, and the next word brings it back" {
    PEFTLAB_NOW_MS=1700000000000 log loss=1 --step 1
    [ "$(says "SELECT lease_until_ms - heartbeat_ms, owner_pid FROM run_view")" = $'3600000\t0' ]
    local how="SELECT t.state, r.state, r.reason, r.ended_ms, lease_until_ms FROM trial_view t JOIN run_view r ON r.trial = t.id WHERE t.id = 1"
    # another's word gives it up
    PEFTLAB_NOW_MS=1700003500000 "$PEFTLAB" log --experiment reviews --name other loss=1
    [ "$(says "$how")" = $'running\trunning\t\t\t1700003600000' ]
    PEFTLAB_NOW_MS=1700003700000 "$PEFTLAB" log --experiment reviews --name other loss=1
    [ "$(says "$how")" = $'stale\tstale\tits client has said nothing any more\t1700000000000\t1700003600000' ]
    PEFTLAB_NOW_MS=1700009000000 log loss=0.5 --step 2
    [ "$(says "$how")" = $'running\trunning\t\t\t1700012600000' ]
    log --end complete
    [ "$(says "SELECT group_concat(value) FROM series_view WHERE trial = 1")" = 1.0,0.5 ]
}

@test "secrets among parameters and tags are not kept" {
    log --param api_key=sk-1234567890abcdef --tag hf_token=hf_abcdefghijklmnopqrstuvwxyz123456 loss=1
    run ! grep -a -q -e sk-1234567890abcdef -e hf_abcdefghijkl s.db s.db-wal
    [ "$(says "SELECT params ->> 'api_key' FROM trial_view")" = "[redacted]" ]
}
