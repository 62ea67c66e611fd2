#!/usr/bin/env bats
# `export --to mlflow`: to `mlflow server` where the program mlflow is, and to `peftlab ui`.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    export PEFTLAB_STORE=$BATS_FILE_TMPDIR/s.db
    local maker
    maker=$(dirname "$PEFTLAB")/tests/tracker_example
    [ -x "$maker" ] || make -s -C "$ROOT" B="$(dirname "$PEFTLAB")" "$maker"
    "$maker" "$PEFTLAB_STORE"
    "$PEFTLAB" tag 2 owner=ana
    "$PEFTLAB" note 2 "a note"
    servers=""
    if command -v mlflow >/dev/null; then
        MLFLOW_PORT=$(free_port)
        (cd "$BATS_FILE_TMPDIR" && exec mlflow server --host 127.0.0.1 --port "$MLFLOW_PORT" --workers 1 \
            --backend-store-uri "sqlite:///$BATS_FILE_TMPDIR/mlflow.db" --artifacts-destination "$BATS_FILE_TMPDIR/kept") \
            >"$BATS_FILE_TMPDIR/mlflow.log" 2>&1 3>&- &
        MLFLOW_PID=$!
        servers+=" http://127.0.0.1:$MLFLOW_PORT"
    fi
    UI_PORT=$(free_port)
    "$PEFTLAB" ui --store "$BATS_FILE_TMPDIR/ui.db" --port "$UI_PORT" >"$BATS_FILE_TMPDIR/ui.log" 2>&1 3>&- &
    UI_PID=$!
    servers+=" http://127.0.0.1:$UI_PORT"
    export servers MLFLOW_PID UI_PID
    for url in $servers; do
        wait_for "$url"
    done
}

teardown_file() {
    # the server has children of its own
    [ -z "${MLFLOW_PID-}" ] || pkill -P "$MLFLOW_PID" || true
    kill $UI_PID ${MLFLOW_PID-} 2>/dev/null || true
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    unset MLFLOW_TRACKING_URI MLFLOW_TRACKING_TOKEN MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD PEFTLAB_RUN
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}
wait_for() { # URL
    for _ in $(seq 600); do
        curl -fs "$1/health" >/dev/null && return
        sleep 0.1
    done
    echo "no answer of $1" >&2
    return 1
}
look() { python3 "$BATS_TEST_DIRNAME/mlflow_look.py" "$@"; }
push() { run -0 "$PEFTLAB" export --to mlflow "$@"; }

@test "a sweep is a run with its trials below it: states, times, parameters, curves, no number lost" {
    for url in $servers; do
        push "$url"
        has "5 trials added there, 0 brought up to date, 0 were the same" "trials that never ran (2)"
        run -0 look "$url" tests
        grep -q "^first RUNNING parent=- state=- seconds=-" <<<"$output"
        [ "$(grep -c "parent=first" <<<"$output")" = 5 ]
        [ "$(grep -c "FINISHED parent=first state=complete" <<<"$output")" = 3 ]
        grep -q "FAILED parent=first state=nan" <<<"$output"
        grep -q "SCHEDULED parent=first state=waiting" <<<"$output"
        grep -q "  train/loss 1:1.0,2:0.5,3:0.33" <<<"$output"
        grep -q "5:NaN" <<<"$output" || grep -q "5:nan" <<<"$output"
        grep -q "  zzz/own 0:12345" <<<"$output"
        grep -q "  eval/accuracy 0:0.75" <<<"$output"
        grep -q "params=.*seed:" <<<"$output"
        cp /dev/stdin before <<<"$output"
        # again nothing, and a look says the same
        push "$url"
        has "0 trials added there, 0 brought up to date, 5 were the same; 0 values, 0 files sent"
        run -0 look "$url" tests
        diff before - <<<"$output"
    done
}

@test "a run that grows is brought up to date: only what is new is sent" {
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/grow.db
    log() { "$PEFTLAB" log --experiment grow --name one "$@"; }
    for url in $servers; do
        rm -f grow.db*
        log --param lr=1e-3 loss=1 --step 1 --param 'odd name!=x'
        for i in $(seq 2 30); do log loss=$((i % 7)) --step "$i"; done
        push "$url"
        has "1 trials added there" "; 30 values"
        run -0 look "$url" grow
        grep -q "^one RUNNING parent=- state=running" <<<"$output"
        log loss=inf --step 31 --param more=1
        log loss=nan --step 32 --end complete
        push "$url"
        has "0 trials added there, 1 brought up to date" 
        run -0 look "$url" grow
        grep -q "^one FINISHED parent=- state=complete seconds=[0-9.]* params=lr:0.001,more:1,odd name_:x,seed:0" <<<"$output"
        # each point once
        [ "$(grep "^  loss" <<<"$output" | tr , '\n' | wc -l)" = 32 ]
        push "$url"
        has "1 were the same"
    done
}

@test "killed at any moment, the same command goes on: nothing is lost, nothing is there twice" {
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/kill.db
    python3 - >lines.jsonl <<'END'
import json
for i in range(6):
    series = {f"m{k}": [[s, s / 8 + k] for s in range(400)] for k in range(4)}
    print(json.dumps({"type": "trial", "experiment": "killed", "seed": i, "state": "complete", "params": {"x": i},
        "runs": [{"attempt": 1, "state": "complete", "started_ms": 1700000000000, "ended_ms": 1700000060000, "series": series}]}))
END
    "$PEFTLAB" import lines.jsonl
    for url in $servers; do
        for pause in 0.05 0.1 0.2 0.3 0.4 0.5 0.6; do
            "$PEFTLAB" export --to mlflow "$url" >out 2>&1 &
            pid=$!
            sleep $pause
            kill -9 $pid 2>/dev/null || true
            wait $pid || true
        done
        push "$url"
        run -0 look "$url" killed
        [ "$(grep -c "FINISHED parent=- state=complete seconds=60.0" <<<"$output")" = 6 ]
        [ "$(grep -c "^  m" <<<"$output")" = 24 ]
        [ "$(grep "^  m" <<<"$output" | tr , '\n' | wc -l)" = 9600 ]
    done
}

@test "artifacts go through the server's proxy" {
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/files.db
    mkdir -p run/adapter/deep
    echo weights >run/adapter/deep/w.bin
    echo '{}' >run/adapter/config.json
    echo line >run/trace.jsonl
    cat >lines.jsonl <<END
{"type": "trial", "experiment": "files", "seed": 0, "state": "complete", "params": {"x": 1}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1700000000000, "ended_ms": 1700000001000, "run_dir": "$PWD/run", "summary": {"a": 1}, "artifacts": [{"name": "adapter", "path": "adapter"}, {"name": "trace", "path": "$PWD/run/trace.jsonl"}, {"name": "gone", "path": "$PWD/run/gone"}]}]}
END
    "$PEFTLAB" import lines.jsonl
    for url in $servers; do
        # what an import says of this machine's files is another's word
        sqlite3 files.db "UPDATE run SET owner_pid = 0"
        push "$url" --artifacts
        has "0 files sent" "artifacts of imported runs (3)"
        sqlite3 files.db "UPDATE run SET owner_pid = 1"
        "$PEFTLAB" tag 1 "sent=$url"
        push "$url" --artifacts
        has "3 files sent" "files that are not there, or no files (1)"
        root=$(curl -fs "$url/api/2.0/mlflow/runs/search" -H 'Content-Type: application/json' \
            -d "{\"experiment_ids\": [\"$(curl -fs "$url/api/2.0/mlflow/experiments/get-by-name?experiment_name=files" | python3 -c 'import json, sys; print(json.load(sys.stdin)["experiment"]["experiment_id"])')\"]}" |
            python3 -c 'import json, sys; print(json.load(sys.stdin)["runs"][0]["info"]["artifact_uri"])')
        [ "$(curl -fs "$url/api/2.0/mlflow-artifacts/artifacts/${root#mlflow-artifacts:/}/adapter/deep/w.bin")" = weights ]
        [ "$(curl -fs "$url/api/2.0/mlflow-artifacts/artifacts/${root#mlflow-artifacts:/}/trace.jsonl")" = line ]
    done
}

@test "data that a run read, tags of experiments and values of one step go along" {
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/inputs.db
    cat >lines.jsonl <<'END'
{"type": "experiment", "name": "inputs", "tags": {"team": "nlp", "api_key": "sk-1234567890abcdefghij"}}
{"type": "trial", "experiment": "inputs", "seed": 0, "state": "complete", "params": {"x": 1}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1700000000000, "ended_ms": 1700000001000, "series": {"a": [[0, 2, 1700000000500]]}, "more": {"a": [[0, 1, 1700000000400]]}, "summary": {"a": 2}, "datasets": [{"name": "sst2", "digest": "abc", "source_type": "local", "source": "{}", "tags": [{"key": "mlflow.data.context", "value": "train"}]}]}]}
END
    "$PEFTLAB" import lines.jsonl
    for url in $servers; do
        push "$url"
        has "1 trials added there" "2 values"
        run -0 look "$url" inputs
        grep -q "^  a 0:[12].0,0:[12].0" <<<"$output"
        id=$(curl -fs "$url/api/2.0/mlflow/experiments/get-by-name?experiment_name=inputs" | tee experiment | python3 -c 'import json, sys; print(json.load(sys.stdin)["experiment"]["experiment_id"])')
        grep -q nlp experiment
        run ! grep -q sk-1234567890 experiment
        curl -fs "$url/api/2.0/mlflow/runs/search" -H 'Content-Type: application/json' -d "{\"experiment_ids\": [\"$id\"]}" |
            python3 -c 'import json, sys
[i] = json.load(sys.stdin)["runs"][0]["inputs"]["dataset_inputs"]
assert i["dataset"]["name"] == "sst2" and i["tags"][0]["value"] == "train", i'
    done
}

@test "names that MLflow refuses: no two become one, and what begins with two dots goes too" {
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/names.db
    cat >lines.jsonl <<'END'
{"type": "trial", "experiment": "names", "seed": 0, "state": "complete", "params": {"a!b": 1, "a_b": 2, "..c": 3, "...": 4}, "runs": [{"attempt": 1, "state": "complete", "started_ms": 1700000000000, "ended_ms": 1700000001000, "series": {"x!y": [[0, 1], [1, 2]], "x_y": [[0, 3], [1, 4]], "..z": [[0, 5]]}}]}
END
    "$PEFTLAB" import lines.jsonl
    for url in $servers; do
        push "$url"
        has "1 trials added there" "5 values"
        run -0 look "$url" names
        grep -q "params=__.:4,__c:3,a_b:2,a_b_[0-9a-f]*:1,seed:0" <<<"$output"
        grep -q "^  x_y 0:3.0,1:4.0" <<<"$output"
        grep -q "^  x_y_[0-9a-f]* 0:1.0,1:2.0" <<<"$output"
        grep -q "^  __z 0:5.0" <<<"$output"
    done
}

@test "a store has one export at a time: two would make each run twice" {
    url=${servers##* }
    python3 - >port 3>&- <<'END' &
import socket, time
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
asks, _ = server.accept()
open("asked", "w").close()
time.sleep(600) # and no answer
END
    server=$!
    until [ -s port ]; do sleep 0.05; done
    "$PEFTLAB" export --to mlflow "http://127.0.0.1:$(cat port)" >first 2>&1 3>&- &
    first=$!
    until [ -e asked ]; do sleep 0.05; done
    run -75 "$PEFTLAB" export --to mlflow "$url"
    has "another export of this store"
    kill -9 $first $server
    wait $first $server || true
    push "$url"
}

@test "a run whose making nobody heard of is looked for before it is made again" {
    export PEFTLAB_STORE=$BATS_TEST_TMPDIR/one.db
    "$PEFTLAB" log --experiment e --name n x=1
    # a server that keeps connections, and breaks off where it has made a run
    python3 - >port 2>log 3>&- <<'END' &
import http.server, json

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    made = False

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        route = self.path.split("?")[0].removeprefix("/api/2.0/mlflow/")
        with open("asked", "a") as f:
            print(route, file=f)
        if route == "runs/create":
            Server.made = self.close_connection = True
            return
        lacks = route in ("experiments/get-by-name", "runs/get")
        run = {"info": {"run_id": "r", "artifact_uri": ""}, "data": {}}
        said = {"experiments/create": {"experiment_id": "1"}, "runs/search": {"runs": [run] if Server.made else []}}.get(route, {})
        if lacks:
            said = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"}
        text = json.dumps(said).encode()
        self.send_response(404 if lacks else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
print(server.server_address[1], flush=True)
server.serve_forever()
END
    server=$!
    until [ -s port ]; do sleep 0.05; done
    push "http://127.0.0.1:$(cat port)"
    kill $server
    [ "$(grep -A 1 runs/create asked)" = $'runs/create\nruns/search' ]
}

@test "a server on the store itself is refused; runs of MLflow's clients keep their names elsewhere" {
    export PEFTLAB_STORE=$BATS_FILE_TMPDIR/ui.db
    local ui=${servers##* }
    post() { curl -fs "$ui/api/2.0/mlflow/$1" -H 'Content-Type: application/json' -d "$2"; }
    id=$(post experiments/create '{"name": "theirs"}' | grep -o '[0-9]*')
    post runs/create "{\"experiment_id\": \"$id\", \"run_name\": \"bold-owl\", \"start_time\": 1700000000000}"
    had=$("$PEFTLAB" query "SELECT count(*) FROM trial_view" --format tsv)
    run -78 "$PEFTLAB" export --to mlflow "$ui"
    has "a server on this very store"
    [ "$("$PEFTLAB" query "SELECT count(*) FROM trial_view" --format tsv)" = "$had" ]
    port=$(free_port)
    "$PEFTLAB" ui --store other.db --port "$port" >log 2>&1 3>&- &
    pid=$!
    wait_for "http://127.0.0.1:$port"
    push "http://127.0.0.1:$port" --experiment theirs
    run -0 look "http://127.0.0.1:$port" theirs
    kill $pid
    grep -q "^bold-owl RUNNING" <<<"$output"
}

@test "MLflow's own client reads it back" {
    command -v mlflow >/dev/null || skip "needs the program mlflow"
    read -r url _ <<<"$servers"
    push "$url"
    MLFLOW_TRACKING_URI=$url "$(dirname "$(command -v mlflow)")/python" - <<'END'
import math
import mlflow
runs = mlflow.search_runs(experiment_names=["tests"], filter_string="tags.`trial.state` = 'nan'")
assert len(runs) == 1 and runs.status[0] == "FAILED" and math.isnan(runs["metrics.train/loss_last"][0])
best = mlflow.search_runs(experiment_names=["tests"], order_by=["metrics.`eval/accuracy` DESC"])
client = mlflow.MlflowClient()
history = client.get_metric_history(best.run_id[0], "train/loss")
assert [m.step for m in history] == [1, 2, 3, 4, 5] and all(m.timestamp > 1e12 for m in history)
noted = [r for r in client.search_runs([best.experiment_id[0]]) if r.data.tags.get("owner") == "ana"]
assert len(noted) == 1 and noted[0].data.tags["mlflow.note.content"] == "a note"
END
}

@test "what cannot be: no server, no MLflow, half a command, a token in the clear" {
    run -2 "$PEFTLAB" export --to mlflow
    has "--to mlflow needs a URL"
    run -78 env MLFLOW_TRACKING_URI=sqlite:///x.db "$PEFTLAB" export --to mlflow
    run -2 "$PEFTLAB" export http://127.0.0.1:1
    has "a URL needs --to mlflow"
    run -78 "$PEFTLAB" export --to mlflow ftp://127.0.0.1/
    run -78 "$PEFTLAB" export --to mlflow http://ana:hunter2@127.0.0.1:1/
    has MLFLOW_TRACKING_USERNAME
    lacks hunter2
    run -2 "$PEFTLAB" export --to mlflow http://127.0.0.1:1 --out file
    run -2 "$PEFTLAB" export --to mlflow http://127.0.0.1:1 --format csv
    run -2 "$PEFTLAB" export --artifacts --out file
    has "does not hold them"
    run -2 "$PEFTLAB" export --rows points
    [ ! -e file ]
    run -78 env MLFLOW_TRACKING_TOKEN=secret "$PEFTLAB" export --to mlflow http://192.0.2.1/
    has "not sent over plain http"
    lacks secret
    mkdir web
    (cd web && exec python3 -m http.server 0 --bind 127.0.0.1) >port 2>&1 3>&- &
    pid=$!
    until grep -q "port" port; do sleep 0.1; done
    run -69 "$PEFTLAB" export --to mlflow "http://127.0.0.1:$(grep -o 'port [0-9]*' port | cut -d ' ' -f 2)"
    kill $pid
    has "does not answer as an MLflow server"
}
