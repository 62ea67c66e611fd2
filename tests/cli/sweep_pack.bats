#!/usr/bin/env bats
# Packs: several trials in one process, on one base. What each gives is what it gives by itself, bit for bit, whoever comes,
# goes, fails or is stopped beside it.
bats_require_minimum_version 1.5.0
load common
load sweeping

setup_file() {
    find_program
}

setup() { cd "$BATS_TEST_TMPDIR"; }

# SQL
sql() { sqlite3 -readonly "${2:-peftlab.db}" "$1"; }

# Of a store's folder: bytes of all adapters, whatever the attempt; and the numbers.
fingerprint() {
    (cd "$1/peftlab-runs" && find . -path '*/adapter/*' -type f | sort | xargs sha256sum | sed 's/attempt-[0-9]*/attempt/')
    sql "select trial, key, value from summary_view where (key like 'eval/%' or key like 'train/%' or key like 'params/%'
        or key like 'size/%') and key not in ('train/resumed_from', 'train/flops_per_s', 'train/share_of_peak',
        'train/flops', 'train/reused_flops', 'train/reused_tokens') order by 1, 2" "$1/peftlab.db"
    sql "select trial, key, step, value from series_view where key not like 'latency/%' order by 1, 2, 3" "$1/peftlab.db"
}

# As if none of the store's trials had ever been started.
all_wait() {
    sqlite3 peftlab.db "update trial set state = 'waiting'; delete from run_summary; delete from metric;
        update trial set last_run = NULL, summary_run = NULL; delete from event; delete from artifact; delete from run;
        update trial set attempts = 0"
    rm -rf peftlab-runs
}

# Waits until a query is no longer empty or 0.
until_sql() {
    for ((i = 0; i < 600; i++)); do
        local n
        n=$(sql "$1" 2>/dev/null) || n=
        [ -z "$n" ] || [ "$n" = 0 ] || return 0
        sleep 0.1
    done
    return 1
}

@test "mixed methods in a pack, more of them than places: the same bytes and numbers as alone" {
    sweep_file mixed 'method: {values: [lora, full, adalora, head, prefix]}' 'max_steps: {value: 30}' 'eval_steps: {value: 7}' \
        'rank: {value: 4, when: "method == lora"}' 'lora_dropout: {value: 0.1, when: "method == lora"}' \
        'init_r: {value: 6, when: "method == adalora"}' 'target_r: {value: 3, when: "method == adalora"}' \
        'tinit: {value: 5, when: "method == adalora"}' 'tfinal: {value: 10, when: "method == adalora"}' \
        'deltaT: {value: 3, when: "method == adalora"}' 'optim: {expr: "adamw_8bit if method == full else adamw"}' \
        'load_best_model_at_end: {expr: "method == full"}' 'latency_requests: {value: 3}' \
        'learning_rate: {value: 3.0e-3}' 'hidden_dropout_prob: {value: 0.1}' -- 'seeds: [0, 1]'
    mkdir alone packed slices
    run -0 "$PEFTLAB" sweep run mixed.yaml --store alone/peftlab.db --jobs 1
    run -0 "$PEFTLAB" sweep run mixed.yaml --store packed/peftlab.db --pack 4
    has "4 at a time" "10 complete"
    run -0 "$PEFTLAB" sweep run mixed.yaml --store slices/peftlab.db --pack 3 --interleave 3
    for kind in alone packed slices; do fingerprint $kind >$kind.txt; done
    [ "$(wc -l <alone.txt)" -gt 300 ]
    cmp alone.txt packed.txt
    cmp alone.txt slices.txt
    # one process; and nothing is told as the method's that is the pack's
    [ "$(sql "select count(distinct owner_pid) from run_view" packed/peftlab.db)" = 1 ]
    [ "$(sql "select count(*) from summary_view a join summary_view b using (trial) where a.key = 'pack/trials' and b.key in
        ('throughput/tokens_per_s', 'mem/peak_rss_bytes', 'time/step_ms_p50', 'energy/train_j', 'machine/peak_flops_per_s')" packed/peftlab.db)" = 0 ]
    [ "$(sql "select count(*) from summary_view where key like 'pack/%'" alone/peftlab.db)" = 0 ]
}

@test "a loss that is not a number ends its trial alone" {
    sweep_file apart 'method: {value: lora}' 'max_steps: {value: 200}' 'learning_rate: {values: [1.0e-3, 1.0e3, 2.0e-3]}' \
        'max_grad_norm: {value: 0}' 'optim: {value: sgd}' 'lr_scheduler_type: {value: constant}' -- 'seeds: [0]'
    mkdir alone
    run -1 "$PEFTLAB" sweep run apart.yaml --store alone/peftlab.db --jobs 1
    run -1 "$PEFTLAB" sweep run apart.yaml --pack 3
    has "2 complete 1 nan"
    fingerprint alone >alone.txt
    fingerprint . >packed.txt
    cmp alone.txt packed.txt
    grep -q "^peftlab: trial 2: update .* not finite first" peftlab-runs/trial-2/output.log
}

@test "kill -9 of a pack: its trials go on in another one, to the same bytes" {
    sweep_file killed 'method: {value: lora}' 'rank: {values: [2, 4, 8]}' 'max_steps: {value: 1500}' 'save_steps: {value: 50}' \
        -- 'seeds: [0]'
    mkdir alone
    run -0 "$PEFTLAB" sweep run killed.yaml --store alone/peftlab.db
    "$PEFTLAB" sweep run killed.yaml --pack 3 >out.txt 3>&- &
    pid=$!
    until_sql "select count(*) >= 3 from run_view where state = 'running'"
    until [ "$(find peftlab-runs -path '*/checkpoints/*' -name '*.json' | wc -l)" -ge 1 ]; do sleep 0.02; done
    kill -9 "$(sql "select owner_pid from run_view where state = 'running' limit 1")"
    wait $pid
    [ "$(sql "select count(*) from run_view where state = 'stale'")" -ge 1 ]
    fingerprint alone >alone.txt
    fingerprint . >packed.txt
    cmp alone.txt packed.txt
}

@test "Ctrl-C, sweep stop and a time limit reach each trial of a pack" {
    sweep_file long 'method: {value: lora}' 'rank: {values: [2, 4, 8]}' 'max_steps: {value: 2000}' -- 'seeds: [0]'
    "$PEFTLAB" sweep run long.yaml --pack 3 >out.txt 3>&- &
    pid=$!
    until_sql "select count(*) = 3 from run_view where state = 'running'"
    kill -INT $pid
    wait "$pid" && status=0 || status=$?
    [ "$status" = 130 ]
    [ "$(sql "select count(*) from run_view where state = 'preempted'")" = 3 ]
    run -0 "$PEFTLAB" sweep run long.yaml --pack 3
    has "3 complete"
    # one that may not take so long; its neighbours do not notice
    sweep_file limit 'method: {value: lora}' 'max_steps: {expr: "20000000 if rank == 8 else 100"}' 'rank: {values: [2, 4, 8]}' \
        -- 'seeds: [0]' 'budget: {trial_timeout: 20s}'
    run -1 "$PEFTLAB" sweep run limit.yaml --pack 3
    has "2 complete 1 timeout"
}

@test "what is retired ends, however far its neighbours are" {
    sweep_file retired 'method: {value: lora}' 'max_steps: {expr: "20000000 if rank == 8 else 300"}' 'rank: {values: [2, 4, 8]}' -- 'seeds: [0]'
    "$PEFTLAB" sweep run retired.yaml --pack 3 >out.txt 3>&- &
    pid=$!
    until_sql "select count(*) = 2 from trial_view where state = 'complete'"
    run -0 "$PEFTLAB" sweep retire 3
    wait "$pid" || true
    grep -q "2 complete 1 cancelled" out.txt
}

@test "rungs in packs: trials park, go on and are pruned" {
    sweep_file rungs 'method: {value: lora}' 'max_steps: {value: 120}' \
        'learning_rate: {values: [1.0e-5, 3.0e-3, 1.0e-4, 3.0e-4, 1.0e-6, 1.0e-3]}' -- 'seeds: [0, 1]' \
        'early_terminate: {type: asha, min: 10, eta: 2}'
    run -0 "$PEFTLAB" sweep run rungs.yaml --pack 4
    has " pruned " "asha: not among the best 1/2 after 10 updates" "complete"
    lacks failed
    [ "$(sql "select count(*) from trial_view where state not in ('complete', 'pruned')")" = 0 ]
    [ "$(sql "select max(n) from (select count(distinct state) n from trial_view group by key)")" = 1 ]
}

@test "killed again and again, packs lose nothing" {
    run -0 "$ROOT/tests/crash/kill_rounds.sh" "$PEFTLAB" "$ROOT/tests/crash/tiny.yaml" 3 0.5 --pack=3
    has "numbers same" "integrity ok"
}

@test "by hand: several numbers, and lines of standard input" {
    sweep_file hand 'method: {value: lora}' 'rank: {values: [2, 4, 6, 8, 10]}' 'max_steps: {value: 20}' -- 'seeds: [0]'
    run "$PEFTLAB" sweep run hand.yaml budget.max_trials=5 --jobs 1
    all_wait
    run -0 "$PEFTLAB" trial 1 2
    [ "$(sql "select group_concat(id) from trial_view where state = 'complete'")" = 1,2 ]
    run -0 --separate-stderr "$PEFTLAB" trial 3 --listen <<<$'start 4\nnonsense\nstart 99\nstart 5 10'
    [ "$(sort <<<"$output")" = "$(printf 'ended %s\n' '3 0' '4 0' '5 0' '99 66')" ]
    [[ "$stderr" == *"'nonsense' is no 'start ID [UPDATES [evaluate]]' and no 'stop ID'"* ]]
    [ "$(sql "select state from trial_view where id = 5")" = preempted ]
    # what is no such line starts nothing; the last one needs no end
    run -0 --separate-stderr "$PEFTLAB" trial --listen <<<$'start 5 -1\nstart 5 evaluate\nstart 5 3 evalute\nstart 5x\nstart 0'
    [ -z "$output" ]
    [ "$(grep -c "is no 'start ID \[UPDATES \[evaluate\]\]' and no 'stop ID'" <<<"$stderr")" = 5 ]
    run -0 "$PEFTLAB" trial --listen < <(printf 'start 5 12 evaluate')
    [ "$output" = "ended 5 0" ]
    [ "$(sql "select state from trial_view where id = 5")" = preempted ]
    run -75 "$PEFTLAB" trial 5 1
    has "trial 1"
    [ "$(sql "select state from trial_view where id = 5")" = complete ]
}

@test "what is no pack is refused before anything is written" {
    sweep_file refused 'method: {value: lora}' 'rank: {values: [2, 4]}' 'max_steps: {value: 20}' -- 'seeds: [0]'
    for n in -1 -3 0 65 4294967295 4294967298 two ''; do
        for verb in run plan; do
            run -2 "$PEFTLAB" sweep $verb refused.yaml --pack="$n"
            has "--pack '$n' is no number of 1 to 64 and not 'auto'"
        done
    done
    [ ! -e peftlab.db ]
    for verb in run plan; do
        PEFTLAB_BACKEND=ref run -78 "$PEFTLAB" sweep $verb refused.yaml --pack auto
        has "only the trainer on the CPU does; run it without --pack"
    done
    [ ! -e peftlab-runs/trial-1 ]
    # nor by hand
    run -0 "$PEFTLAB" sweep run refused.yaml
    all_wait
    PEFTLAB_BACKEND=ref run -78 "$PEFTLAB" trial 1 2
    has "backend 'ref' computes for one trial in a process, only 'cpu' does for several; start it alone"
    [ "$(sql "select count(*) from trial_view where state = 'failed'")" = 2 ]
}
