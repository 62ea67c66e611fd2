#!/usr/bin/env bats
# Sweeps that drive a user's program, with a real store and real processes.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() { cd "$BATS_TEST_TMPDIR" || return; }

# Fails unless the last output holds each of the words.
sql() { sqlite3 -readonly peftlab.db "$1"; }

# Waits up to 60 s for a file that is not empty.
until_file() {
    local i
    for i in $(seq 1200); do
        [ ! -s "$1" ] || return 0
        sleep 0.05
    done
    echo "no $1"
    return 1
}

gone() {
    local i
    for i in $(seq 1200); do
        [ -d "/proc/$1" ] || return 0
        sleep 0.05
    done
    echo "process $1 lives"
    return 1
}

# A training in awk: loss falls by step, faster with a higher --lr.
program() {
    cat >train.sh <<'END'
#!/bin/sh
for word; do
    case $word in --lr=*) lr=${word#--lr=} ;; --epochs=*) epochs=${word#--epochs=} ;; esac
done
echo "words: $*"
awk -v lr="$lr" -v n="$epochs" 'BEGIN { for (i = 1; i <= n; i++)
    printf "{\"step\": %d, \"eval/loss\": %.6f, \"nested\": {\"x\": %d}}\n", i, 1 / (1 + lr * i), i }'
echo "{\"note\": \"text is left out\", \"seen\": true}"
echo "a word on stderr" >&2
END
    chmod +x train.sh
}

@test "a program alone gets --name=value, and its lines become metrics" {
    program
    cat >s.yaml <<'END'
program: train.sh
metric: {name: eval/loss, goal: minimize}
parameters:
  lr: {values: [0.5, 2]}
  epochs: {value: 3}
seeds: [7]
END
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 2
    has "[2/2]" "eval/loss 0.1429" "2 complete"
    [ "$(sql "select count(*), min(value) from summary_view where key = 'eval/loss'")" = "2|0.142857" ]
    [ "$(sql "select count(*) from series_view where key = 'nested/x'")" = 6 ]
    [ "$(sql "select value from summary_view where key = 'seen' limit 1")" = 1.0 ]
    run cat peftlab-runs/trial-2/attempt-1/stdout.log
    has "words: --lr=2 --epochs=3 --seed=7" '{"step": 3'
    [ "$(cat peftlab-runs/trial-2/attempt-1/stderr.log)" = "a word on stderr" ]
    run cat peftlab-runs/trial-2/attempt-1/params.json
    has '"lr": 2' '"seed": 7'
    run -0 "$PEFTLAB" sweep run s.yaml
    has "going on: 2 of 2 trials are finished"
}

@test "a W&B file with macros runs unmodified" {
    program
    cat >wandb.yaml <<'END'
program: train.sh
project: glue
method: grid
metric:
  name: eval/loss
  goal: minimize
parameters:
  lr:
    values: [0.5, 2]
  epochs:
    value: 2
  fp16:
    values: [true]
command:
  - ${env}
  - MARK=yes
  - sh
  - ${program}
  - --name=${envvar:LOGNAME_FOR_TEST}
  - ${args}
run_cap: 1
END
    LOGNAME_FOR_TEST=me run -0 "$PEFTLAB" sweep run wandb.yaml
    has "1 complete"
    run cat peftlab-runs/trial-1/attempt-1/stdout.log
    has "words: --name=me --lr=0.5 --epochs=2 --fp16=True"
}

@test "a W&B file with a Python program" {
    command -v python3 >/dev/null || skip "no python3 here"
    cat >train.py <<'END'
import argparse, json, math, os
p = argparse.ArgumentParser()
p.add_argument("--lr", type=float)
p.add_argument("--epochs", type=int)
a = p.parse_args()
assert json.load(open(os.environ["PEFTLAB_PARAMS_JSON"]))["lr"] == a.lr
for i in range(a.epochs):
    print(json.dumps({"step": i, "loss": math.nan if i == 0 else a.lr / i}), flush=True)
END
    cat >s.yaml <<'END'
program: train.py
method: grid
metric: {name: loss, goal: minimize}
parameters: {lr: {values: [1e-3]}, epochs: {value: 3}}
END
    run -0 "$PEFTLAB" sweep run s.yaml
    [ "$(sql "select group_concat(kind) from (select kind from series_view where key = 'loss' order by step)")" = nan,finite,finite ]
    [ "$(sql "select value from summary_view where key = 'loss'")" = 0.0005 ]
}

@test "our form: names in braces, absent ones left out, nothing through a shell" {
    cat >show.sh <<'END'
for word; do printf '<%s>' "$word"; done
END
    cat >s.yaml <<'END'
command: [sh, show.sh, "--lr={lr}", --rank, "{rank}", "{{lr}}", "{text}", "{trial}", "$(id)"]
parameters:
  lr: {value: 1e-5}
  kind: {values: [a, b]}
  rank: {value: 4, when: "kind == a"}
  text: {value: "x; touch injected `id` \"y\""}
END
    run -0 "$PEFTLAB" sweep run s.yaml
    run cat peftlab-runs/trial-1/attempt-1/stdout.log
    [ "$output" = '<--lr=1e-05><--rank><4><{lr}><x; touch injected `id` "y"><1><$(id)>' ]
    run cat peftlab-runs/trial-2/attempt-1/stdout.log
    [ "$output" = '<--lr=1e-05><{lr}><x; touch injected `id` "y"><2><$(id)>' ]
    [ ! -e injected ]
}

@test "the exit status decides, and the last words of stderr are the reason" {
    printf '%s\n' 'echo oops >&2' 'case $1 in kill) kill -9 $$ ;; *) exit $1 ;; esac' >end.sh
    cat >s.yaml <<'END'
command: [sh, end.sh, "{status}"]
parameters: {status: {values: [0, 3, 71, 79, kill]}}
END
    run -1 "$PEFTLAB" sweep run s.yaml
    [ "$(sql "select group_concat(state) from (select state from trial_view order by number)")" = complete,failed,oom,nan,failed ]
    [ "$(sql "select reason from run_view where exit_code = 3")" = "the program ended with status 3: oops" ]
    [[ $(sql "select reason from run_view where exit_code = 137") == *"signal 9 (Killed)"* ]]
    # nothing of it is tried again by itself
    run -1 "$PEFTLAB" sweep run s.yaml
    [ "$(sql "select count(*) from run_view")" = 5 ]
}

@test "75 is tried again and goes on" {
    printf '%s\n' '[ -e been ] && exit 0' 'touch been' 'exit 75' >end.sh
    printf '%s\n' 'command: [sh, end.sh]' 'parameters: {x: {value: 1}}' >s.yaml
    run -0 "$PEFTLAB" sweep run s.yaml
    [ "$(sql "select group_concat(state) from (select state from run_view order by id)")" = preempted,complete ]
    # only by the next run, where retry.on leaves it out
    rm been
    printf 'retry: {on: [stale]}\n' >>s.yaml
    run -1 "$PEFTLAB" sweep run s.yaml --name other
    has "1 preempted"
    run -0 "$PEFTLAB" sweep run s.yaml --name other
    has "1 complete"
}

# A program that ignores SIGTERM and leaves a daemon behind.
stubborn() {
    cat >stubborn.sh <<'END'
trap '' TERM
setsid sh -c 'trap "" TERM; echo $$ >daemon; exec sleep 300' &
sh -c 'echo $$ >child; exec sleep 300' &
echo $$ >self
wait
sleep 300
END
    printf '%s\n' 'command: [sh, stubborn.sh]' 'parameters: {x: {value: 1}}' "$@" >s.yaml
}

@test "a timeout ends the program and all that it started" {
    stubborn "budget: {trial_timeout: 3}"
    run -1 "$PEFTLAB" sweep run s.yaml
    [ "$(sql "select state from trial_view")" = timeout ]
    gone "$(cat self)"; gone "$(cat child)"; gone "$(cat daemon)"
}

@test "kill -9 of the trial's process leaves nothing running" {
    stubborn "retry: {max: 0}"
    "$PEFTLAB" sweep run s.yaml >out.txt 2>&1 3>&- &
    local controller=$!
    until_file daemon; until_file self; until_file child
    local trial pids
    trial=$(sql "select owner_pid from run_view where state = 'running'")
    pids=$(cat self child daemon)
    kill -9 "$trial"
    for pid in $pids; do gone "$pid"; done
    wait $controller || true
    [ "$(sql "select state from trial_view")" = failed ] # retry.max: 0
}

@test "a metric that never comes is said after the first trial, by name, with the nearest" {
    printf '%s\n' 'echo "{\"eval/loss\": 1, \"eval/acc\": 2}"' >p.sh
    printf '%s\n' 'command: [sh, p.sh]' 'objectives: [{name: eval_loss}, {name: eval/acc, goal: maximize}, {name: cost}]' \
        'parameters: {x: {values: [1, 2, 3]}}' >s.yaml
    run -0 "$PEFTLAB" sweep run s.yaml --jobs 1
    has "trial 1 has ended without the metric eval_loss; did you mean eval/loss? It has eval/acc, eval/loss" \
        "without the metric cost."
    [ "$(grep -c 'without the metric' <<<"$output")" = 2 ] # once
    [[ "$output" != *"metric eval/acc;"* ]]
}

@test "the program is the environment, its arguments are not; another command is said" {
    printf '%s\n' 'echo "{\"score\": $1}"' >p.sh
    printf '%s\n' 'command: [sh, p.sh, "{x}"]' 'metric: {name: score}' 'parameters: {x: {values: [1, 2, 3]}}' >s.yaml
    run -0 "$PEFTLAB" sweep run s.yaml
    [ "$(sql "select count(distinct environment) from run_view")" = 1 ]
    [ "$(sql "select environment -> 'command' from run_view limit 1")" = '["sh","p.sh","{x}"]' ]
    [ "$(sql "select text from event_view where trial = 2 and kind = 'command'")" = '["sh", "p.sh", "2"]' ]
    run -0 "$PEFTLAB" sweep run s.yaml
    [[ "$output" != *"another command"* ]]
    [[ "$output" != *"has changed"* ]]
    sed -i 's/values: .1, 2, 3./values: [1, 2, 3, 4]/' s.yaml
    cp p.sh kept.sh && echo '# another' >>p.sh
    run -0 "$PEFTLAB" sweep run s.yaml
    has "3 finished trials ran a script that has changed since (p.sh)" "--name NAME" "4 complete"
    cp kept.sh p.sh # of the last one again
    run -0 "$PEFTLAB" sweep run s.yaml
    has "1 finished trial ran a script that has changed since (p.sh) and is not run again"
    cp p.sh q.sh && sed -i 's/p.sh/q.sh/' s.yaml
    run -0 "$PEFTLAB" sweep run s.yaml
    has "4 finished trials ran another command" 'p.sh' "--name NAME"
    run -0 "$PEFTLAB" sweep run s.yaml --name other
    [[ "$output" != *"another command"* ]]
    [ "$(sql "select count(*) from run_view")" = 8 ]
}

@test "one price: the budget's and the report's, of GPUs and of cores" {
    printf '%s\n' 'sleep 0.5; echo "{\"score\": $1}"' >p.sh
    for kind in gpu core; do
        printf '%s\n' 'command: [sh, p.sh, "{x}"]' 'metric: {name: score, goal: maximize}' 'parameters: {x: {values: [1, 2]}}' \
            "budget: {max_usd: 100, usd_per_${kind}_hour: 3.0}" >$kind.yaml
        [ $kind = core ] || echo 'executor: {type: local, gpus: 2}' >>$kind.yaml
        run -0 "$PEFTLAB" sweep run $kind.yaml --name $kind
        "$PEFTLAB" report --sweep $kind --metric score --goal maximize --json >$kind.json
    done
    usd() { sqlite3 :memory: "select json_extract(readfile('$1.json'), '\$.sections.cost.decision_usd')"; }
    hours="sum(duration_ms) / 3.6e6 from trial_view where sweep_name ="
    [ "$(sql "select abs($(usd gpu) / (select 6.0 * $hours 'gpu') - 1) < 0.01")" = 1 ]
    [ "$(sql "select abs($(usd core) / (select 3.0 * $hours 'core') - 1) < 0.01")" = 1 ]
}

@test "odd fields and odd steps of a program are said where the trial ends" {
    printf '%s\n' 'echo "{\"step\": 0.25, \"loss\": 2, \"t\": \"\\udce9\", \"n\": 1e999}"' >p.sh
    printf '%s\n' 'command: [sh, p.sh]' 'metric: {name: loss}' 'parameters: {x: {value: 1}}' >s.yaml
    run -0 "$PEFTLAB" sweep run s.yaml
    has "loss 2" "(2 warnings: peftlab show 1)"
    run -0 "$PEFTLAB" show 1
    has "step 0.25 is no whole number" "'n' is beyond the range"
}

@test "bad commands are refused with their place" {
    refuse() {
        printf '%s\n' "$1" 'parameters: {lr: {value: 1}}' >bad.yaml
        run -78 "$PEFTLAB" sweep plan bad.yaml
        shift
        has "bad.yaml" "line 1" "$@"
    }
    refuse 'command: python3 train.py' "list of words"
    refuse 'command: []' "list of words"
    refuse 'command: [sh, "${argz}"]' "did you mean '\${args}'"
    refuse 'command: [sh, "{lt}"]' "did you mean '{lr}'"
    refuse 'command: [sh, "${program}"]' "without a 'program'"
    refuse 'command: [sh, [a]]' "each item of a command is a text"
    printf '%s\n' 'command: [no-such-program-here]' 'parameters: {lr: {value: 1}}' >s.yaml
    run -1 "$PEFTLAB" sweep run s.yaml
    has "cannot start 'no-such-program-here'"
    printf '%s\n' 'command: [sh, "${envvar:NOT_SET_HERE}"]' 'parameters: {lr: {value: 2}}' >s.yaml
    run -1 "$PEFTLAB" sweep run s.yaml
    has "no variable 'NOT_SET_HERE'"
}
