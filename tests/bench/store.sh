#!/bin/bash
# Speed of a large store: 100,000 trials, 10 million metric values, 32 writers at once.
#   make bench-store      TRIALS=100000 RUNS=10000 POINTS=1000 WRITERS=32 SECONDS_=10 BATCH=100
# Prints a table and fails where a target is missed (issue: ls and status under 0.2 s, a page under 0.05 s, 100,000 trials
# planned in under 5 s, 50,000 values/s). KEEP=FILE keeps the store and takes it again the next time.
set -u
cd "$(dirname "$0")/../.." || exit
B=${1:-build}
P=$B/peftlab
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
store=${KEEP:-$work/big.db}
missed=0

# Best of three runs in seconds, against a target.
timed() {
    local name=$1 target=$2 best=999999999 from to took
    shift 2
    for _ in 1 2 3; do
        from=$(date +%s%N)
        "$@" >"$work/out" 2>"$work/err" || { echo "$name: failed: $(cat "$work/err")"; missed=1; return; }
        to=$(date +%s%N)
        took=$(((to - from) / 1000))
        [ "$took" -lt "$best" ] && best=$took
    done 
    local verdict=ok
    awk -v t="$best" -v g="$target" 'BEGIN { exit !(t / 1e6 >= g) }' && verdict=MISSED && missed=1
    awk -v n="$name" -v t="$best" -v g="$target" -v v="$verdict" 'BEGIN { printf "%-44s %8.3f s   target %5.2f s   %s\n", n, t / 1e6, g, v }'
}

[ -e "$store" ] || "$B/bench_store" fill "$store" "${TRIALS:-100000}" "${RUNS:-10000}" "${POINTS:-1000}" || exit 1
du -h "$store" | cut -f 1
export PEFTLAB_STORE=$store
timed "ls" 0.2 "$P" ls
timed "ls --state complete --sweep big" 0.2 "$P" ls --state complete --sweep big
timed "ls --before 50000 (a page)" 0.2 "$P" ls --before 50000
timed "ls --tag none" 0.2 "$P" ls --tag none
timed "ls --sweeps" 0.2 "$P" ls --sweeps
timed "ls --sort eval/accuracy" 2 "$P" ls --sort eval/accuracy
timed "sweep status" 0.2 "$P" sweep status big
timed "show a trial with a series" 0.2 "$P" show 5
timed "show --series, 200 points of a curve" 0.2 "$P" show 5 --series train/loss --points 200
timed "query: a page of a series" 0.05 "$P" query "SELECT * FROM series_view WHERE trial = 7 AND key = 'train/loss' AND step > 100 LIMIT 100"
timed "query: mean of a metric by rank" 2 "$P" query "SELECT p.value, avg(s.value) FROM summary_view s JOIN param_view p ON p.trial = s.trial WHERE s.key = 'eval/accuracy' AND p.key = 'rank' GROUP BY 1"

# 100,000 trials from a file.
printf 'name: plan\nmethod: grid\ncommand: ["true"]\nparameters:\n' >"$work/sweep.yaml"
for k in a b c d e; do
    printf '  %s: {values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}\n' "$k" >>"$work/sweep.yaml"
done
timed "sweep plan of 100,000 trials" 5 "$P" sweep plan "$work/sweep.yaml" --json

out=$("$B/bench_store" write "$work/w.db" "${WRITERS:-32}" "${SECONDS_:-10}" "${BATCH:-100}") || missed=1
echo "$out"
rate=$(sed -n 's/.*call: \([0-9]*\) values.*/\1/p' <<<"$out")
[ "${rate:-0}" -ge 50000 ] || { echo "writers: MISSED 50,000 values/s"; missed=1; }
exit $missed
