#!/bin/bash
# Runs a shell command with a time limit that waits for a busy machine: tests/limit.sh SECONDS COMMAND
# While more threads want to run than there are cores, time counts less: by the load over the cores, at most 8 times less. So a
# job on a busy machine gets the time that it needs, and one that hangs still ends. The command runs in a session of its own;
# whatever is left of its process group ends with it. Status: the command's, or 124 when the time is over.
# LOADAVG=FILE is read instead of /proc/loadavg.
set -u
limit=$1 cores=$(nproc) load_file=${LOADAVG:-/proc/loadavg}
over=$(mktemp)
rm -f "$over"
trap 'rm -f "$over"' EXIT

setsid bash -c "$2" &
job=$!

watch() {
    local load used=0 # in thousandths of a second
    while sleep 1; do
        read -r load _ <"$load_file" || load=0
        used=$((used + $(awk -v load="$load" -v cores="$cores" 'BEGIN {
            busy = load / cores
            printf "%d", 1000 / (busy < 1 ? 1 : busy > 8 ? 8 : busy) }')))
        [ "$used" -lt $((limit * 1000)) ] && continue
        : >"$over"
        kill -TERM -- "-$job" 2>/dev/null
        sleep 5
        kill -KILL -- "-$job" 2>/dev/null
        return
    done
}
watch >/dev/null 2>&1 </dev/null &
watcher=$!
trap 'kill -TERM -- "-$job" 2>/dev/null; kill "$watcher" 2>/dev/null; exit 130' INT TERM HUP

wait "$job"
status=$?
if [ -e "$over" ]; then
    wait "$watcher" # it kills what did not end when asked
    status=124
else
    kill "$watcher" 2>/dev/null
    kill -TERM -- "-$job" 2>/dev/null
fi
exit $status
