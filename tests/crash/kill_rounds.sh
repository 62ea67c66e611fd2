#!/bin/bash
# Kills a sweep with -9 at random moments and starts it again, then compares with a run that nobody disturbed.
#   tests/crash/kill_rounds.sh PEFTLAB SWEEP.yaml KILLS MAX_SECONDS_BETWEEN [key=value ...]
# Kills hit the controller or one of its trials, by turns at random. In the end every trial must be complete, have exactly one
# complete run, and the same evaluation numbers as undisturbed; the store must pass integrity_check. Prints one line.
# OVERLAP=1 is for sweeps whose trials depend on when results come (asha, tpe): trials may end as pruned too, and numbers are
# compared step by step as far as both came with a trial.
set -u
peftlab=$1 sweep=$2 kills=$3 between=$4
shift 4
set -- "retry.max=$((kills < 100 ? kills : 100))" "$@" # a trial may be hit again and again; that is not its fault
work=$(mktemp -d)
trap 'pkill -9 -f "trial .*$work" 2>/dev/null; rm -rf "$work"' EXIT
RANDOM=${SEED:-20261124}

numbers() { # STORE: key, seed and evaluation of every trial, sorted
    "$peftlab" query --store "$1" --json --limit 100000 \
        "SELECT t.key, t.seed, s.key, s.value FROM trial_view t JOIN summary_view s ON s.trial = t.id
         WHERE s.key LIKE 'eval/%' OR s.key LIKE 'test/%' OR s.key = 'train/loss_last' ORDER BY 1, 2, 3"
}

one() { # STORE SQL: a single number
    "$peftlab" query --store "$1" --json "$2" | tr -d ' \n' | sed 's/.*"rows":\[\[\([0-9]*\)\]\].*/\1/'
}

run() { "$peftlab" sweep run "$sweep" --store "$1" "${@:2}"; }

run "$work/calm.db" "$@" >"$work/calm.log" 2>&1 || { cat "$work/calm.log"; echo "kill_rounds: the undisturbed run failed"; exit 1; }

done_kills=0 controller=0 trials=0 starts=0
while [ "$done_kills" -lt "$kills" ]; do
    # not `run`: the shell in between would be what is killed
    "$peftlab" sweep run "$sweep" --store "$work/kill.db" "$@" >>"$work/kill.log" 2>&1 &
    pid=$!
    starts=$((starts + 1))
    while [ "$done_kills" -lt "$kills" ]; do
        sleep "$(awk -v r=$RANDOM -v m="$between" 'BEGIN { printf "%.3f", 0.02 + m * r / 32768 }')"
        kill -0 $pid 2>/dev/null || break
        child=$(pgrep -P $pid | shuf -n 1 --random-source=<(yes $RANDOM))
        if [ $((RANDOM % 2)) = 0 ] && [ -n "$child" ]; then
            kill -9 "$child" 2>/dev/null && done_kills=$((done_kills + 1)) trials=$((trials + 1))
        else
            kill -9 $pid 2>/dev/null && done_kills=$((done_kills + 1)) controller=$((controller + 1))
            wait $pid 2>/dev/null
            break
        fi
    done
    if ! kill -0 $pid 2>/dev/null; then
        wait $pid 2>/dev/null
        [ $? -le 1 ] && [ "$done_kills" -lt "$kills" ] && break # finished before all kills were spent
    fi
done
for again in 1 2 3; do
    run "$work/kill.db" "$@" >>"$work/kill.log" 2>&1 && break
    sleep 1
done

numbers "$work/calm.db" >"$work/calm.json"
numbers "$work/kill.db" >"$work/kill.json"
all=$(one "$work/calm.db" "SELECT count(*) FROM trial_view")
complete=$(one "$work/kill.db" "SELECT count(*) FROM trial_view WHERE state = 'complete'")
if [ "${OVERLAP:-}" ]; then
    complete=$(one "$work/kill.db" "SELECT count(*) FROM trial_view WHERE state IN ('complete', 'pruned')")
fi
twice=$(one "$work/kill.db" "SELECT count(*) FROM (SELECT trial FROM run_view WHERE state = 'complete' GROUP BY trial HAVING count(*) <> 1)")
runs=$(one "$work/kill.db" "SELECT count(*) FROM run_view")
sound=$(sqlite3 -cmd '.timeout 30000' "$work/kill.db" 'PRAGMA integrity_check' | head -n 1)
same=different
if [ "${OVERLAP:-}" ]; then
    same=$(sqlite3 "$work/calm.db" "ATTACH '$work/kill.db' AS k; SELECT CASE WHEN count(*) > 0 AND sum(a.value IS NOT b.value) = 0
        THEN 'same' ELSE 'different' END FROM trial_view t JOIN series_view a ON a.trial = t.id
        JOIN k.trial u ON u.key = t.key AND u.seed = t.seed JOIN k.metric b ON b.run = u.last_run AND b.step = a.step
        JOIN k.metric_key n ON n.id = b.key AND n.name = a.key WHERE a.key = 'train/loss' OR a.key LIKE 'eval/%'")
else
    cmp -s "$work/calm.json" "$work/kill.json" && same=same
fi
echo "kill_rounds: $done_kills kills ($controller controller, $trials trial), $all trials, $complete complete, $runs runs, $twice with other than one complete run, numbers $same, integrity $sound"
[ "$done_kills" -gt 0 ] && [ "$complete" = "$all" ] && [ "$twice" = 0 ] && [ $same = same ] && [ "$sound" = ok ] || {
    tail -n 30 "$work/kill.log"
    diff "$work/calm.json" "$work/kill.json" | head -n 10
    exit 1
}
