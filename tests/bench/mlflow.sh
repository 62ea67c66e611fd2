#!/bin/bash
# Logging through MLflow's API by one client, and searching: `peftlab ui` beside `mlflow server` (SQLite) and Trackio, in turns.
#   tests/bench/mlflow.sh BUILD     MLFLOW=venv/bin (mlflow, trackio)  ROUNDS=5  SECONDS_EACH=3  RUNS=10000  SEARCHES=5
# Prints a table: the mean of the rounds, its 95 % interval (Student's t), and how many times mlflow server's. Both servers
# stand all the while; a row is a client that sends as fast as it is answered. Writes what was measured to $OUT/values.tsv.
set -u
cd "$(dirname "$0")/../.." || exit
B=${1:-build}
P=$PWD/$B/peftlab
bin=$(realpath "${MLFLOW:?the bin folder of a venv with mlflow and trackio}") || exit
python=$bin/python
load=$PWD/tests/bench/mlflow_load.py
work=$(mktemp -d)
out=${OUT:-$work}
pids=()
trap 'kill -- "${pids[@]/#/-}" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"' EXIT
export MLFLOW_DISABLE_TELEMETRY=true GIT_PYTHON_REFRESH=quiet TRACKIO_DIR=$work/trackio

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() { for _ in {1..600}; do curl -sf "$1/health" >/dev/null && return; sleep .1; done; echo "$1 does not answer" >&2; exit 1; }

# Processor seconds of a server with its children, which are a process group.
processor() { cat /proc/[0-9]*/stat 2>/dev/null | awk -v g="$1" '{ sub(/.*\) /, ""); if ($3 == g) t += $12 + $13 } END { printf "%.2f", t / 100 }'; }
# Until what a server starts beside itself (workers, a runner of jobs) has started: it is not what a client waits for.
settle() {
    local before
    for _ in {1..30}; do
        before=$(processor "$1")
        sleep 2
        awk -v a="$before" -v b="$(processor "$1")" 'BEGIN { exit (b - a > .1) }' && return
    done
}
# A row of a client's values per second, and one of the server's values per second of its processors.
take() { # WHO GROUP URL WAY
    local before values
    before=$(processor "$2")
    # shellcheck disable=SC2086 # two words
    values=$("$python" "$load" $4 "$3" "${SECONDS_EACH:-3}") || return
    note "$4" "$1" "${values% *}"
    note "$4, per processor second of the server" "$1" "$(awk -v n="${values#* }" -v a="$before" -v b="$(processor "$2")" 'BEGIN { print n / (b - a + .005) }')"
}
port=$(free_port)
theirs=http://127.0.0.1:$port
set -m # each server is a group
(cd "$work" && exec "$bin/mlflow" server --backend-store-uri "sqlite:///$work/mlflow.db" --artifacts-destination "$work/files" --host 127.0.0.1 --port "$port" >"$work/mlflow.log" 2>&1) &
pids+=($!)
port=$(free_port)
ours=http://127.0.0.1:$port
"$P" ui --store "$work/ours.db" --port "$port" >"$work/ours.log" 2>&1 &
pids+=($!)
wait_for "$theirs"
wait_for "$ours"
settle "${pids[0]}"

note() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$out/values.tsv"; } # ROW WHO VALUE
: >"$out/values.tsv"
for ((round = 0; round < ${ROUNDS:-5}; round++)); do
    for way in 'raw batch' 'raw single' 'client batch' 'client single' 'client async'; do
        take mlflow "${pids[0]}" "$theirs" "$way"
        take ours "${pids[1]}" "$ours" "$way"
    done
    note "client async" trackio "$("$python" "$load" trackio "${SECONDS_EACH:-3}" 2>/dev/null | tail -1)"
done
if [ "${RUNS:-10000}" -gt 0 ]; then
    "$python" "$load" fill "$ours" "${RUNS:-10000}" &
    filling=$!
    "$python" "$load" fill "$theirs" "${RUNS:-10000}"
    wait $filling
    for ((round = 0; round < ${SEARCHES:-5}; round++)); do
        for who in mlflow ours; do
            url=$theirs
            [ $who = ours ] && url=$ours
            "$python" "$load" search "$url" 1 | while IFS=$'\t' read -r name ms _; do note "$name" $who "$ms"; done
        done
    done
fi
"$python" - "$out/values.tsv" <<'END'
import statistics, sys
T = [0, 12.71, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]
rows = {}
for line in open(sys.argv[1]):
    row, who, value = line.rstrip("\n").split("\t")
    try:
        rows.setdefault(row, {}).setdefault(who, []).append(float(value))
    except ValueError:
        print(f"{row}, {who}: no value", file=sys.stderr)


def shown(values):
    if not values:
        return "-"
    mean, n = statistics.mean(values), len(values)
    digits = 0 if mean > 100 else 2
    if n < 2:
        return f"{mean:,.{digits}f}"
    return f"{mean:,.{digits}f} ± {T[min(n - 1, 10)] * statistics.stdev(values) / n**.5:,.{digits}f}"


print("| values/s (above) or ms of a search (below) | ours | mlflow server | ours is faster by | Trackio |\n|---|---|---|---|---|")
for row, by in rows.items():
    ours, theirs = by.get("ours", []), by.get("mlflow", [])
    times = "-"
    if ours and theirs:
        a, b = statistics.mean(ours), statistics.mean(theirs)
        times = f"{a / b if row.startswith(('raw', 'client')) else b / a:.1f}"
    print(f"| {row} | {shown(ours)} | {shown(theirs)} | {times} | {shown(by.get('trackio', []))} |")
END
