#!/usr/bin/env bats
# ls, show, compare and query over a store that tests/unit/tracker/example.c makes.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    local maker
    maker=$(dirname "$PEFTLAB")/tests/tracker_example
    [ -x "$maker" ] || make -s -C "$ROOT" B="$(dirname "$PEFTLAB")" "$maker"
    export PEFTLAB_STORE=$BATS_FILE_TMPDIR/s.db
    "$maker" "$PEFTLAB_STORE"
}

# Fails unless the last output holds each of the words.
# No control characters but newlines.
clean() {
    ! LC_ALL=C grep -q '[[:cntrl:]]' <<<"$output"
}

@test "ls shows what varies and the main metrics" {
    run -0 "$PEFTLAB" ls
    has "id  sweep  eval/accuracy  state     rank  seed  duration  eval/loss" number mem/peak_rss_bytes "3.0 MiB" duration
    [[ "${lines[0]}" != *zzz/own* && "${lines[0]}" != *method* ]]
    [ "${#lines[@]}" = 8 ]
    clean
}

@test "a list is as wide as its terminal: the metric and what varies first, no line cut or wrapped" {
    for width in 40 60 80 200; do
        run -0 script -qec "stty cols $width; '$PEFTLAB' ls" /dev/null
        output=$(tr -d '\r' <<<"$output" | sed 's/\x1b\[[0-9]*m//g; s/…/~/')
        has "id  sweep  eval/accuracy  state     rank"
        awk -v w=$width 'length($0) > w { exit 1 }' <<<"$output"
        grep -q "^ 5      1  *0.9  complete     8" <<<"$output"
        if [ $width = 200 ]; then lacks "not shown"; has mem/peak_rss_bytes; else has "not shown at this width: "; fi
    done
}

@test "ls filters" {
    run -0 "$PEFTLAB" ls --state complete
    [ "${#lines[@]}" = 4 ]
    run -0 "$PEFTLAB" ls --sweep first --state waiting
    [ "${#lines[@]}" = 3 ]
    run -0 "$PEFTLAB" ls --sweep 2
    [ "${#lines[@]}" = 2 ]
    run -0 "$PEFTLAB" ls --experiment tests --limit 2
    has "2 of 7 trials"
    run -0 "$PEFTLAB" ls --sweep 2 --state complete
    has "no trials"
}

@test "ls sorts best first" {
    run -0 "$PEFTLAB" ls --sort eval/accuracy --columns id
    [ "${lines[1]// /}" = 5 ] && [ "${lines[2]// /}" = 3 ] && [ "${lines[3]// /}" = 2 ]
    run -0 "$PEFTLAB" ls --sort eval/loss --columns id
    [ "${lines[1]// /}" = 5 ]
    run -0 "$PEFTLAB" ls --sort rank --columns id,rank,zzz/own
    has "zzz/own" 12345
    run -2 "$PEFTLAB" ls --sort eval/acuracy
    has "cannot sort by 'eval/acuracy'"
    run -2 "$PEFTLAB" ls --columns id,nothing
    has "'nothing'"
    run -2 "$PEFTLAB" ls --sort "id; DROP TABLE trial"
    run -0 "$PEFTLAB" ls
}

@test "ls lists sweeps and experiments" {
    run -0 "$PEFTLAB" ls --sweeps
    has first tests
    [ "${#lines[@]}" = 3 ]
    clean
    run -0 "$PEFTLAB" ls --experiments --json
    has '"schema_version": 1' '"trials": 7'
}

@test "unknown names end with 66 and a hint" {
    run -66 "$PEFTLAB" ls --sweep frist
    has "did you mean 'first'?"
    run -66 "$PEFTLAB" ls --experiment test
    has "did you mean 'tests'?"
    run -66 "$PEFTLAB" show 99
    has "no trial 99" "peftlab ls"
    run -66 "$PEFTLAB" compare 2 99
    has "no trial 99"
    run -66 "$PEFTLAB" ls --store "$BATS_TEST_TMPDIR/none.db"
    has "there is no store"
    [ ! -e "$BATS_TEST_TMPDIR/none.db" ]
    run -2 "$PEFTLAB" show twelve
    run -2 "$PEFTLAB" show
    run -2 "$PEFTLAB" compare 2
    run -2 "$PEFTLAB" ls --state sleeping
}

@test "show tells everything" {
    run -0 "$PEFTLAB" show 4
    has "trial 4" "loss is not a number" "eval/accuracy" NaN runs series train/loss artifacts \
        adapter events "in red" configuration lora environment example
    clean
    run -0 "$PEFTLAB" show 1
    has stale "no sign of life"
    run -0 "$PEFTLAB" show 4 --json
    has '"schema_version": 1' '"train/loss_last": "NaN"' '"state": "nan"' '"cores": 2'
}

@test "compare shows what differs" {
    run -0 "$PEFTLAB" compare 2 4
    has "rank" "seed" "eval/accuracy" "0.75" "0.25" "NaN"
    [[ "$output" != *method* ]]
    run -0 "$PEFTLAB" compare 2 4 --json
    has '"schema_version": 1' '"differs"'
    run -0 "$PEFTLAB" compare 2 2
    has "do not differ"
}

@test "query reads and refuses to write" {
    run -0 "$PEFTLAB" query "SELECT state, count(*) AS n FROM trial_view GROUP BY state" --format tsv
    has "state	n" "complete	3" "nan	1" "waiting	3"
    run -0 "$PEFTLAB" query "SELECT 9e999 AS big, NULL AS none, 0.1 AS x" --json
    has '"Infinity"' null 0.1 '"truncated": false'
    run -0 "$PEFTLAB" query "SELECT id FROM trial_view" --limit 2
    has "only the first 2 rows"
    run -0 "$PEFTLAB" query "SELECT name FROM sweep_view"
    clean
    for sql in "DELETE FROM trial" "PRAGMA journal_mode = DELETE" "ATTACH 'x.db' AS x" \
        "SELECT 1; SELECT 2" "" "SELEC"; do
        run -2 "$PEFTLAB" query "$sql"
        has query
    done
    run -0 "$PEFTLAB" query "SELECT count(*) FROM trial" --format tsv
    [ "${lines[1]}" = 7 ]
}

@test "a file of something else is not a store" {
    echo "just some text, long enough to be looked at as a header of a database" >"$BATS_TEST_TMPDIR/t.db"
    run -65 "$PEFTLAB" ls --store "$BATS_TEST_TMPDIR/t.db"
    has "not a peftlab store"
    run -66 "$PEFTLAB" ls --store "$BATS_TEST_TMPDIR"
    has "is a folder"
}

@test "a full output is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    run -74 bash -c "'$PEFTLAB' ls >/dev/full"
}
