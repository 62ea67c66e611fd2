#!/usr/bin/env bats
# import, export, tags, notes, backup, gc, and what a damaged store says.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/s.db
}

table() {
    cat >t.csv <<'CSV'
config,learning_rate,seed,state,select,score,remark
lora,0.0001,0,complete,85.5,85.6,"a ""quoted"", one"
lora,0.0001,1,complete,84.4,,
full,0.00001,0,nan,nan,nan,
full,0.00001,1,,1e308,-0,
CSV
}

@test "a table: known columns, missing cells, NaN; again adds nothing" {
    table
    run -0 "$PEFTLAB" import t.csv --experiment e --params config,learning_rate --metrics select,score
    has "4 trials added, 0 were known"
    run -0 "$PEFTLAB" import t.csv --experiment e --params config,learning_rate --metrics select,score
    has "0 trials added, 4 were known; 0 runs added"
    run -0 "$PEFTLAB" query --format tsv "SELECT t.state, t.seed, t.params ->> 'learning_rate', m.key, m.kind FROM trial_view t LEFT JOIN summary_view m ON m.trial = t.id ORDER BY t.id, m.key"
    [ "${lines[1]}" = $'complete\t0\t0.0001\tscore\tfinite' ]
    [ "${lines[3]}" = $'complete\t1\t0.0001\tselect\tfinite' ]
    [ "${lines[4]}" = $'nan\t0\t1e-05\tscore\tnan' ]
    [ "${lines[6]}" = $'complete\t1\t1e-05\tscore\t-0' ]
    [ "${#lines[@]}" = 8 ]
}

@test "rows that repeat without a seed column get seeds in order" {
    printf 'config,score\na,1\na,2\nb,3\na,4\n' >t.csv
    run -0 "$PEFTLAB" import t.csv --experiment e --metrics score
    run -0 "$PEFTLAB" query --format tsv "SELECT group_concat(seed) FROM (SELECT seed FROM trial_view ORDER BY id)"
    [ "${lines[1]}" = 0,1,0,2 ]
}

@test "a bad row says file and line, and nothing of the file is taken" {
    printf 'config,seed,score\na,0,1\n"b\nc",1,x y\n' >t.csv
    run -65 "$PEFTLAB" import t.csv --experiment e --metrics score
    has "t.csv:3: score: 'x y' is not a number"
    run -0 "$PEFTLAB" query --format tsv "SELECT count(*) FROM trial_view"
    [ "${lines[1]}" = 0 ]
    printf 'config,seed,score\na,0,1\na,0,2\n' >t.csv
    run -65 "$PEFTLAB" import t.csv --experiment e --metrics score
    has "t.csv:3:" "as in line 2"
    printf 'config,seed,state,score\na,0,runing,1\n' >t.csv
    run -65 "$PEFTLAB" import t.csv --experiment e --metrics score
    has "t.csv:2: state: 'runing'"
    run -2 "$PEFTLAB" import t.csv --experiment e --metrics scor
    has "no column 'scor'; did you mean 'score'?"
    run -2 "$PEFTLAB" import t.csv --metrics score
    has "--experiment"
    run -66 "$PEFTLAB" import none.csv --experiment e --metrics score
    run -2 "$PEFTLAB" import t.bin --experiment e
    has "--format"
}

@test "the same trial with another value is an error" {
    table
    "$PEFTLAB" import t.csv --experiment e --params config,learning_rate --metrics score
    sed -i 's/85.6/85.7/' t.csv
    run -78 "$PEFTLAB" import t.csv --experiment e --params config,learning_rate --metrics score
    has "t.csv:2:" "known with score = 85.6"
    run -0 "$PEFTLAB" import t.csv --experiment other --params config,learning_rate --metrics score
    # a metric that was not taken before is added
    sed -i 's/85.7/85.6/' t.csv
    run -0 "$PEFTLAB" import t.csv --experiment e --params config,learning_rate --metrics score,select
    has "0 trials added, 4 were known"
    run -0 "$PEFTLAB" query --format tsv "SELECT count(*) FROM summary_view JOIN trial_view ON id = trial WHERE summary_view.key = 'select' AND experiment_name = 'e'"
    [ "${lines[1]}" = 4 ]
}

@test "export and import: the same lines and the same report" {
    maker=$(dirname "$PEFTLAB")/tests/tracker_example
    [ -x "$maker" ] || make -s -C "$ROOT" B="$(dirname "$PEFTLAB")" "$maker"
    "$maker" s.db
    "$PEFTLAB" tag 1 keep "owner=ana b"
    "$PEFTLAB" note 2 'with "quotes" and
a line end'
    run -0 "$PEFTLAB" export --out one.jsonl
    run -0 "$PEFTLAB" import one.jsonl --store two.db
    "$PEFTLAB" export --store two.db --out two.jsonl
    # who ran when it was exported is stale there, its trial waits
    grep -v '"running"' one.jsonl >a && grep -v 'was running when it was exported' two.jsonl >b
    cmp a b
    for store in s.db two.db; do
        "$PEFTLAB" report --store "$store" --sweep first --json >"$store.json"
    done
    cmp s.db.json two.db.json
    run -0 "$PEFTLAB" import one.jsonl --store two.db
    has "0 trials added" "0 runs added"
}

@test "export of a table is read again" {
    table
    "$PEFTLAB" import t.csv --experiment e --params config,learning_rate,remark --metrics select,score
    "$PEFTLAB" export --format csv --out out.csv
    head -1 out.csv | grep -q '^id,experiment,sweep,number,seed,state,attempts,started_ms,duration_ms,config,learning_rate,remark,score,select$'
    run -0 "$PEFTLAB" import out.csv --experiment e --metrics select,score --store s2.db
    has "4 trials added"
    run -0 "$PEFTLAB" query --store s2.db --format tsv "SELECT value FROM param_view WHERE key = 'remark'"
    [ "${lines[1]}" = 'a "quoted", one' ]
}

@test "what was deleted is in no table, and comes along as deleted in JSON lines" {
    cat >lines.jsonl <<'END'
{"type": "trial", "experiment": "e", "seed": 0, "state": "complete", "params": {"kept": 1}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1, "summary": {"a": 1}, "series": {"a": [[0, 1]]}}]}
{"type": "trial", "experiment": "e", "seed": 0, "state": "complete", "deleted_ms": 7, "params": {"gone": 2}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1, "summary": {"b": 2}, "series": {"b": [[0, 2]]}}]}
END
    "$PEFTLAB" import lines.jsonl
    run -0 "$PEFTLAB" export --format csv
    [ "${#lines[@]}" = 2 ]
    has "kept,a"
    run -0 "$PEFTLAB" export --format csv --rows points
    [ "${#lines[@]}" = 2 ]
    run -0 "$PEFTLAB" export
    has '"deleted_ms": 7'
}

@test "an experiment that was deleted is there again with what is imported into it" {
    table
    "$PEFTLAB" import t.csv --experiment e --params config,learning_rate --metrics select,score
    sqlite3 s.db "UPDATE experiment SET deleted_ms = 7; UPDATE trial SET deleted_ms = 7"
    # what is known stays as it is
    "$PEFTLAB" import t.csv --experiment e --params config,learning_rate --metrics select,score
    run ! "$PEFTLAB" ls --experiment e
    sed 's/^lora/dora/' t.csv | head -3 >more.csv
    "$PEFTLAB" import more.csv --experiment e --params config,learning_rate --metrics select,score
    run -0 "$PEFTLAB" ls --experiment e
    [ "${#lines[@]}" = 3 ] # the two that are new, not the four that were deleted
}

@test "points of one step or of no whole step are refused, never merged" {
    local file=$ROOT/tests/golden/store/peft step
    file=$(find "$file" -name '*.json' | sort | head -n 1)
    for step in 0.25 -1 1e300 '"ten"' null; do
        sed "0,/\"step\": [0-9]*/s//\"step\": $step/" "$file" >x.json
        run -65 "$PEFTLAB" import x.json --experiment peft
        has "x.json: train_info.metrics[0]: step is" "whole number"
    done
    grep -v '"step":' "$file" >x.json
    run -65 "$PEFTLAB" import x.json --experiment peft
    has "step is missing"
    line='{"type": "trial", "experiment": "e", "seed": 0, "state": "complete", "params": {}, "config": {}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1, "summary": {}, "series": {"loss": [[1, 0.5], STEP]}, "events": []}]}'
    for step in '[1, 0.7]' '[0.25, 0.7]' '[-1, 0.7]'; do
        echo "${line/STEP/$step}" >x.jsonl
        run -65 "$PEFTLAB" import x.jsonl
        has "x.jsonl:1: " "series 'loss'" "step"
    done
    echo "${line/STEP/[2, 0.7]}" >x.jsonl
    run -0 "$PEFTLAB" import x.jsonl
}

@test "peft results: parameters, metrics, items, surroundings" {
    run -0 "$PEFTLAB" import "$ROOT/tests/golden/store/peft" --experiment peft
    has "2 trials added"
    run -0 "$PEFTLAB" query --format tsv "SELECT t.params ->> 'method', t.state, m.key, m.value FROM trial_view t JOIN summary_view m ON m.trial = t.id WHERE m.key IN ('test/accuracy', 'data/test_rows', 'mem/peak_device_bytes', 'time/train_s') AND t.id = 2 ORDER BY m.key"
    [ "${lines[1]}" = $'lora\tcomplete\tdata/test_rows\t1319.0' ]
    [ "${lines[2]}" = $'lora\tcomplete\tmem/peak_device_bytes\t22292725760.0' ]
    [[ "${lines[3]}" == $'lora\tcomplete\ttest/accuracy\t0.50037'* ]]
    run -0 "$PEFTLAB" query --format tsv "SELECT environment ->> 'gpu', ended_ms - started_ms FROM run_view WHERE id = 2"
    [ "${lines[1]}" = $'NVIDIA L40S\t1153302' ]
    # 0.4 is no whole number of 1319 items, so their number stays unknown
    run -0 "$PEFTLAB" query --format tsv "SELECT count(*) FROM summary_view WHERE key = 'data/test_rows' AND trial = 1"
    [ "${lines[1]}" = 0 ]
    printf '{}' >x.json
    run -65 "$PEFTLAB" import x.json --experiment peft
    has "x.json: not a result of peft"
}

@test "tags and notes are shown and found" {
    table
    "$PEFTLAB" import t.csv --experiment e --params config --metrics score
    run -0 "$PEFTLAB" tag 1 2 keep "owner=ana"
    run -0 "$PEFTLAB" tag 2 --remove keep
    run -0 "$PEFTLAB" ls --tag keep --columns id,tags
    [ "${#lines[@]}" = 2 ] && has "keep owner=ana"
    run -0 "$PEFTLAB" ls --tag owner=ana --json
    has '"total": 2'
    run -0 "$PEFTLAB" note 1 "the one to beat"
    run -0 "$PEFTLAB" show 1
    has "the one to beat" owner
    run -66 "$PEFTLAB" tag 99 keep
    run -2 "$PEFTLAB" tag keep
}

@test "backup is a store of its own and never overwrites" {
    table
    "$PEFTLAB" import t.csv --experiment e --params config --metrics score
    run -0 "$PEFTLAB" backup b.db
    run -0 "$PEFTLAB" ls --store b.db
    run -78 "$PEFTLAB" backup b.db
    has "is there already"
    [ -z "$(ls ./*.part-* 2>/dev/null)" ]
}

# Attempts that this store made are in identity.bats.
@test "gc names copies that count for nothing, removes only when told, and nothing imported" {
    maker=$(dirname "$PEFTLAB")/tests/tracker_example
    [ -x "$maker" ] || make -s -C "$ROOT" B="$(dirname "$PEFTLAB")" "$maker"
    cat >l.jsonl <<JSON
{"type": "trial", "id": 1, "experiment": "e", "seed": 0, "state": "complete", "params": {}, "runs": [{"attempt": 1, "state": "stale", "started_ms": 1, "run_dir": "$PWD/runs/trial-1/attempt-1"}, {"attempt": 2, "state": "complete", "started_ms": 2, "run_dir": "$PWD/runs/trial-1/attempt-2"}]}
{"type": "trial", "id": 2, "experiment": "e", "seed": 1, "state": "complete", "params": {}, "runs": [{"attempt": 1, "state": "stale", "started_ms": 1, "run_dir": "$PWD/mine"}, {"attempt": 2, "state": "complete", "started_ms": 2}]}
JSON
    mkdir -p runs/trial-1/attempt-1 runs/trial-1/attempt-2 mine s.db.artifacts/ab
    touch "s.db.artifacts/ab/$(printf 'ab%062d' 0)" s.db.artifacts/ab/other
    "$PEFTLAB" import l.jsonl
    run -0 "$PEFTLAB" gc
    has "no run names this copy" "1 may go"
    [[ "$output" != *attempt-1* ]]
    [ "$(ls s.db.artifacts/ab | wc -l)" = 2 ]
    run -0 "$PEFTLAB" gc --delete
    [ -d runs/trial-1/attempt-1 ] && [ -d runs/trial-1/attempt-2 ] && [ -d mine ]
    [ "$(ls s.db.artifacts/ab)" = other ]
    run -0 "$PEFTLAB" gc
    has "0 may go"
}

@test "a damaged, cut or foreign store is said by every command" {
    table
    "$PEFTLAB" import t.csv --experiment e --params config --metrics score
    cp s.db good.db
    printf 'garbage garbage garbage' | dd of=s.db bs=1 conv=notrunc 2>/dev/null
    for command in "ls" "show 1" "compare 1 2" "query SELECT+1" "report" "export" "gc" "backup x.db" "tag 1 a" "note 1 b" "import t.csv --experiment e --metrics score" "sweep status"; do
        read -ra words <<<"$command"
        run "$PEFTLAB" "${words[@]//+/ }"
        echo "$command: $status $output"
        [ "$status" = 65 ]
        [[ "$output" == *"s.db"* && "$output" != *"bug"* ]]
    done
    head -c 9000 good.db >s.db
    run "$PEFTLAB" export --out x.jsonl
    [ "$status" = 65 ]
    has damaged
    run -65 "$PEFTLAB" doctor --store s.db
    has damaged
    run -0 "$PEFTLAB" doctor --store good.db
    has "integrity" ok
}

@test "eight kills over everybody who writes" {
    build=$(dirname "$PEFTLAB")
    make -s -C "$ROOT" B="$build" "$build/store_rounds"
    run -0 "$ROOT/tests/crash/store_rounds.sh" "$build" 8
}
