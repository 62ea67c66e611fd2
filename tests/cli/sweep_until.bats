#!/usr/bin/env bats
# `until` from the command line to the report: which seeds run, and that it is the same with any
# number of workers, in two halves, and by the store alone.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    # A score by quality and seed: a and b are close, c and d far behind.
    cat >score.sh <<'END'
scores() {
    case $1 in
    a) echo 792 806 798 803 800 799 ;;
    b) echo 803 790 798 795 800 796 ;;
    c) echo 706 695 700 701 699 700 ;;
    d) echo 594 606 601 600 599 600 ;;
    esac
}
seed=$2
set -- $(scores "$1")
shift "$seed"
echo "{\"score\": 0.$1}"
END
    sweep_file "until: {regret: 0.001, seeds_max: 6}"
}

sweep_file() {
    cat >s.yaml <<'END'
command: [sh, score.sh, "{quality}", "{seed}"]
metric: {name: score, goal: maximize}
parameters:
  quality: {values: [a, b, c, d]}
END
    printf '%s\n' "$@" >>s.yaml
}

sql() { sqlite3 -readonly "${2:-peftlab.db}" "$1"; }

# What ran and what was spared, and why; nothing of when.
outcome() {
    sql "select json_extract(params, '\$.quality'), seed, state, iif(state = 'spared', reason, ''), (select value from summary_view
        where trial = trial_view.id) from trial_view order by 1, 2" "$1"
}

counts() { sql "select json_extract(params, '\$.quality'), sum(state = 'complete') from trial_view group by 1 order by 1" "$1" | tr '\n' ' '; }

@test "until in the file: two seeds of each, more for those that compete; plan, status and report say so" {
    run -0 "$PEFTLAB" sweep plan s.yaml
    has "at least 8 trials (2 seeds of each), at most 24"
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 2
    has "look 1, after 8 trials: take quality=" "reached after"
    [[ "$(counts peftlab.db)" =~ ^a\|[3-6]\ b\|[3-6]\ c\|2\ d\|2\ $ ]] || { counts peftlab.db; false; }
    [ "$(sql "select count(*) from run_view where trial in (select id from trial_view where state = 'spared')")" = 0 ]
    run -0 "$PEFTLAB" sweep status s
    has "spared" "best so far: quality=a: score 0." "95 % at any look: "
    run -0 "$PEFTLAB" report --sweep s --json
    has "Take a at all rows: score 0.800" "as the sweep had stopped by its rule (until)" '"spared": 12' \
        "until regret 0.001: reached after 12 trials of at most 24, 3 looks; take quality=a" '"environments": 1'
}

@test "the same with one worker, with four, and killed in the middle" {
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 1 --store one.db
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 4 --store four.db
    [ "$(outcome four.db)" = "$(outcome one.db)" ]
    run -1 "$PEFTLAB" sweep run s.yaml --jobs 1 --store half.db budget.max_trials=9
    has "no further trials"
    [ "$(sql "select sum(state = 'complete') from trial_view" half.db)" = 9 ]
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 3 --store half.db
    [ "$(outcome half.db)" = "$(outcome one.db)" ]
}

@test "--until: with run, and with resume for more or for a verdict" {
    sweep_file "seeds: [0, 1, 2, 3, 4, 5]"
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 2 --until 0.1
    has "until regret 0.1: reached after 8 trials of at most 24, 1 look"
    [ "$(counts peftlab.db)" = "a|2 b|2 c|2 d|2 " ]
    run -0 "$PEFTLAB" sweep resume s --jobs 2 --until 0.001
    has "until regret 0.001: reached after"
    [[ "$(counts peftlab.db)" =~ ^a\|[3-6]\ b\|[3-6]\ c\|2\ d\|2\ $ ]] || { counts peftlab.db; false; }
    local before
    before=$(sql "select count(*) from run_view")
    run -0 "$PEFTLAB" sweep resume s # the same again: nothing to do
    [ "$(sql "select count(*) from run_view")" = "$before" ]
    run -0 "$PEFTLAB" sweep resume s --jobs 2 --until decided
    has "until decided (differences up to 0.01 do not matter)"
    [ "$(sql "select count(*) from sweep_view")" = 1 ]
    run -2 "$PEFTLAB" sweep resume s --until soon
    has "--until 'soon' is no expected regret above 0"
    run -2 "$PEFTLAB" sweep run s.yaml --until -1
    has "--until '-1'"
}

@test "a goal on the command line takes the place of the file's and leaves the rest" {
    run -0 "$PEFTLAB" sweep plan s.yaml until.chance=0.05
    has "at most 24"
    run -0 "$PEFTLAB" sweep plan s.yaml '~until' seeds=0,1,2
    has "12 trials: 4 combinations x 3 seeds"
    lacks "until"
    run -2 "$PEFTLAB" sweep plan s.yaml '~untli'
    has "'~untli': no such parameter"
    sweep_file "until: decided"
    run -0 "$PEFTLAB" sweep plan s.yaml until.regret=0.01
    has "expected regret is below 0.01" "at least 8 trials" "at most 20"
    run -0 "$PEFTLAB" sweep plan s.yaml seeds=3
    has "with so few seeds all 4 trials run"
}

@test "status of single runs: an interval over the rows that they were judged on, for any of them at any look" {
    cat >s.yaml <<'END'
command: [printf, '{{"eval/accuracy": %s, "data/eval_rows": 100}}', "{share}"]
metric: {name: eval/accuracy, goal: maximize}
parameters:
  share: {values: [0.8, 0.9]}
END
    run -0 "$PEFTLAB" sweep run s.yaml
    run -0 "$PEFTLAB" sweep status s
    has "best so far: share=0.9: eval/accuracy 0.9 (95 % at any look: 0.7" "100 rows, one run)"
    run -0 "$PEFTLAB" sweep status s --json
    python3 - "$output" <<'PY'
import json, sys
best = json.loads(sys.argv[1])["best"]
assert abs(best["low"] - 0.76241181) < 1e-6 and abs(best["high"] - 0.97372006) < 1e-6 and best["rows"] == 100, best
PY
}
