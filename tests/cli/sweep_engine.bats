#!/usr/bin/env bats
# Slices, rungs, stopping rules and suggestions with the real program on real (tiny) trainings: what ends how, and that no
# slice changes a number.
bats_require_minimum_version 1.5.0
load common
load sweeping

setup_file() {
    find_program
}

setup() { cd "$BATS_TEST_TMPDIR"; }

# STORE SQL
sql() { sqlite3 -readonly "$1" "$2"; }

# Bytes of all adapters below a store's run folders, whatever the attempt; and the numbers.
fingerprint() {
    (cd "$1/peftlab-runs" && find . -path '*/adapter/*' -type f | sort | xargs sha256sum | sed 's/attempt-[0-9]*/attempt/')
    sql "$1/p.db" "select trial, key, value from summary_view where (key like 'eval/%' or key like 'train/%' or key like
        'params/%' or key like 'size/%') and key not in ('train/resumed_from', 'train/flops_per_s', 'train/share_of_peak') order by 1, 2"
    sql "$1/p.db" "select trial, key, step, value from series_view where key not like 'latency/%' order by 1, 2, 3"
}

@test "slices change no number: adapters, metrics and curves are the same, byte for byte" {
    # dropout, best parameters put back, an early end, 8-bit moments, a method with a schedule of its own
    sweep_file slices 'method: {values: [lora, full, adalora]}' 'max_steps: {value: 60}' 'eval_steps: {value: 7}' \
        'rank: {value: 4, when: "method == lora"}' 'lora_dropout: {value: 0.1, when: "method == lora"}' \
        'init_r: {value: 6, when: "method == adalora"}' 'target_r: {value: 3, when: "method == adalora"}' \
        'tinit: {value: 5, when: "method == adalora"}' 'tfinal: {value: 10, when: "method == adalora"}' \
        'deltaT: {value: 3, when: "method == adalora"}' 'optim: {expr: "adamw_8bit if method == full else adamw"}' \
        'load_best_model_at_end: {expr: "method == full"}' 'early_stopping_patience: {expr: "3 if method == full else 0"}' \
        'learning_rate: {value: 3.0e-3}' 'hidden_dropout_prob: {value: 0.1}' -- 'seeds: [0, 1]'
    mkdir whole parts
    run -0 "$PEFTLAB" sweep run slices.yaml --store whole/p.db
    run -0 "$PEFTLAB" sweep run slices.yaml --store parts/p.db --interleave 5
    has "in 5 slices" "6 complete"
    [ "$(sql parts/p.db "select count(*) from run_view where state = 'preempted' and reason like 'parked at update %'")" -ge 20 ]
    fingerprint whole >whole.txt
    fingerprint parts >parts.txt
    [ "$(wc -l <whole.txt)" -gt 500 ]
    cmp whole.txt parts.txt
    # no checkpoint outlives its trial, nothing counts as lost
    [ -z "$(find parts -name checkpoints)" ]
    [ "$(sql parts/p.db "select sum(lost) from trial")" = 0 ]
    # a trial took what its slices took
    [ "$(sql parts/p.db "select count(*) from trial_view t where duration_ms <>
        (select sum(duration_ms) from run_view r where r.trial = t.id)")" = 0 ]
}

@test "an evaluation before parking changes no number, and is told" {
    sweep_file parked 'method: {value: full}' 'max_steps: {value: 30}' 'eval_steps: {value: 7}' \
        'load_best_model_at_end: {value: true}' 'early_stopping_patience: {value: 2}' 'learning_rate: {value: 3.0e-3}' -- 'seeds: [3]'
    mkdir whole parts
    run -0 "$PEFTLAB" sweep run parked.yaml --store whole/p.db
    run -0 "$PEFTLAB" sweep run parked.yaml --store parts/p.db budget.max_wall=1h --interleave 1
    sqlite3 parts/p.db "update trial set state = 'waiting'; delete from run_summary; delete from metric;
        update trial set last_run = NULL, summary_run = NULL; delete from event; delete from artifact; delete from run;
        update trial set attempts = 0"
    rm -rf parts/peftlab-runs
    for until in 5 11 12 13; do
        run -0 "$PEFTLAB" trial 1 --store parts/p.db --until-step $until --evaluate
    done
    [ "$(sql parts/p.db "select group_concat(step, ' ') from series_view where key = 'eval/loss'")" = "5 7 11 12 13" ]
    [ "$(sql parts/p.db "select value from summary_view where key = 'train/updates'")" = 13.0 ]
    run -0 "$PEFTLAB" trial 1 --store parts/p.db
    diff <(cd whole/peftlab-runs/trial-1/attempt-1/adapter && sha256sum *) <(cd parts/peftlab-runs/trial-1/attempt-5/adapter && sha256sum *)
    # times add up over the slices
    [ "$(sql parts/p.db "select (select value from summary_view where key = 'time/total_s') >=
        (select value from summary_view where key = 'time/train_s')")" = 1 ]
    run -75 "$PEFTLAB" trial 1 --store parts/p.db --until-step 5
    run -2 "$PEFTLAB" trial 1 --store parts/p.db --until-step minus
}

@test "asha trains in rungs; pruned trials are no failures and keep their numbers" {
    sweep_file rungs 'method: {value: lora}' 'max_steps: {value: 120}' \
        'learning_rate: {values: [1.0e-5, 3.0e-3, 1.0e-4, 3.0e-4, 1.0e-6, 1.0e-3]}' -- 'seeds: [0, 1]' \
        'early_terminate: {type: asha, min: 10, eta: 2}'
    run -0 "$PEFTLAB" sweep plan rungs.yaml
    has "asha: rungs at step 10, 20, 40; of those"
    run -0 "$PEFTLAB" sweep run rungs.yaml
    has " pruned " "asha: not among the best 1/2 after 10 updates" "complete"
    [[ "$output" != *failed* ]]
    [ "$(sql peftlab.db "select count(*) from trial_view where state not in ('complete', 'pruned')")" = 0 ]
    [ "$(sql peftlab.db "select count(*) from trial_view where state = 'complete'")" -ge 2 ]
    # seeds of a configuration end alike
    [ "$(sql peftlab.db "select max(n) from (select count(distinct state) n from trial_view group by key)")" = 1 ]
    [ "$(sql peftlab.db "select count(*) from trial_view where state = 'pruned' and id not in
        (select trial from summary_view where key = 'time/train_s')")" = 0 ]
    run -0 "$PEFTLAB" ls
    has pruned
    run -0 "$PEFTLAB" sweep run rungs.yaml
    has "going on: 12 of 12 trials are finished"
    run -0 "$PEFTLAB" report -o report.html --metric eval/loss
    grep -q pruned report.html
}

@test "the median rule stops a poor trial while it runs" {
    sweep_file median 'method: {value: lora}' 'max_steps: {expr: "400 if learning_rate > 1e-4 else 400000"}' 'eval_steps: {value: 20}' \
        'learning_rate: {values: [1.0e-3, 2.0e-3, 1.0e-9]}' -- 'early_terminate: {type: median, startup: 2, warmup: 100}'
    run -0 timeout 300 "$PEFTLAB" sweep run median.yaml --jobs 1
    has "2 complete 1 pruned" "pruned" "median: eval/loss"
    [ "$(sql peftlab.db "select reason like 'median: eval/loss 0.% at step 100' from trial_view where state = 'pruned'")" = 1 ]
}

@test "a stopping rule without numbers on the way is refused with a hint" {
    sweep_file median 'method: {value: lora}' 'max_steps: {value: 8}' -- 'early_terminate: {type: median}'
    run -78 "$PEFTLAB" sweep run median.yaml
    has "line 11" "add eval_steps: {value: N}"
    sweep_file both 'method: {value: lora}' 'max_steps: {value: 8}' -- 'early_terminate: {type: asha}' 'interleave: 2'
    run -78 "$PEFTLAB" sweep run both.yaml
    has "leave interleave out"
}

@test "tpe: suggestions are in the store, a larger budget goes on" {
    sweep_file tpe 'method: {value: lora}' 'max_steps: {value: 20}' 'rank: {values: [2, 4]}' \
        'learning_rate: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-2}' -- 'method: tpe' \
        'sampler: {startup: 3}' 'budget: {max_trials: 5}'
    run -0 "$PEFTLAB" sweep plan tpe.yaml
    has "the first 3 configurations are drawn at random" "up to 5 configurations in all"
    run -0 "$PEFTLAB" sweep run tpe.yaml
    has "[5/5]" "5 complete"
    run -0 "$PEFTLAB" sweep run tpe.yaml budget.max_trials=7
    has "going on: 5 of 7 trials are finished" "7 complete"
    [ "$(sql peftlab.db "select count(distinct key) || ' ' || max(number) || ' ' || sum(attempts) from trial_view")" = "7 6 7" ]
}

@test "random and sobol: their trials are planned and run" {
    for method in random sobol; do
        sweep_file $method 'method: {value: head}' 'max_steps: {value: 4}' 'learning_rate: {min: 1.0e-4, max: 1.0e-2}' -- \
            "method: $method" 'budget: {max_trials: 4}' 'seeds: [0, 1]'
        run -0 "$PEFTLAB" sweep plan $method.yaml
        has "$method: 2 configurations" "4 trials: 2 combinations x 2 seeds"
        run -0 "$PEFTLAB" sweep run $method.yaml
        has "4 complete"
    done
}

@test "kill -9 with slices, and with suggestions in rungs" {
    run -0 "$ROOT/tests/crash/kill_rounds.sh" "$PEFTLAB" "$ROOT/tests/crash/tiny.yaml" 4 0.5 --interleave=3
    has "numbers same" "integrity ok"
    OVERLAP=1 run -0 "$ROOT/tests/crash/kill_rounds.sh" "$PEFTLAB" "$ROOT/tests/crash/rungs.yaml" 4 0.5
    has "numbers same" "integrity ok"
}
