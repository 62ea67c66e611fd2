#!/usr/bin/env bats
# What MLflow's clients log by `peftlab ui`, seen by everybody else, and sweeps whose program logs so. By curl; the clients
# themselves: mlflow_clients.bats.
bats_require_minimum_version 1.5.0
load common
load ui

setup_file() { find_program; }

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    export PEFTLAB_STORE=$PWD/s.db
    ui
}
teardown() {
    stop_ui
    [ -z "${PAGE-}" ] || kill "$PAGE"
}

# mlflow METHOD JSON: the answer in $output; fails where it is an error
mlflow() {
    run --separate-stderr curl -sS --fail-with-body -H 'Content-Type: application/json' "$URL/api/2.0/mlflow/$1" -d "$2"
    [ "$status" -eq 0 ] || { echo "$1 $2: $output"; return 1; }
}
field() { python3 -c 'import json,sys; v = json.load(sys.stdin)
for k in sys.argv[1].split("."): v = v[int(k)] if k.isdigit() else v[k]
print(v)' "$1" <<<"$output"; }

# new_run NAME SEED: its id in $RUN
new_run() {
    mlflow runs/create "{\"experiment_id\": \"$EXPERIMENT\", \"run_name\": \"$1\", \"user_id\": \"ana\", \"start_time\": 1700000000000}"
    RUN=$(field run.info.run_id)
    mlflow runs/log-batch "{\"run_id\": \"$RUN\", \"params\": [{\"key\": \"lr\", \"value\": \"$3\"}, {\"key\": \"seed\", \"value\": \"$2\"}]}"
}

@test "runs of a client are trials: ls, show, compare, query, report" {
    mlflow experiments/create '{"name": "from outside"}'
    EXPERIMENT=$(field experiment_id)
    for lr in 0.1 0.2; do
        for seed in 1 2 3; do
            new_run "try-$lr-$seed" $seed $lr
            for step in 1 2; do
                mlflow runs/log-metric "{\"run_id\": \"$RUN\", \"key\": \"eval/accuracy\", \"value\": 0.$step$seed, \"timestamp\": 170000000000$step, \"step\": $step}"
            done
            mlflow runs/update "{\"run_id\": \"$RUN\", \"status\": \"FINISHED\", \"end_time\": 1700000009000}"
        done
    done
    run "$PEFTLAB" ls --experiments
    has "from outside"
    run "$PEFTLAB" ls --experiment "from outside"
    has eval/accuracy complete lr 0.1 0.2 0.23
    run "$PEFTLAB" show 1
    has "from outside" eval/accuracy try-0.1-1 ana
    run "$PEFTLAB" show 1 --series eval/accuracy
    has 0.11 0.21
    run "$PEFTLAB" compare 1 4
    has lr 0.1 0.2
    run "$PEFTLAB" query "SELECT seed, params, state FROM trial_view WHERE id = 2"
    has 2 '"lr": "0.1"' complete
    "$PEFTLAB" report --experiment "from outside" -o r.html
    grep -q 'eval/accuracy' r.html
    # MLflow's own word: a FAILED run is a failed trial, a KILLED one cancelled
    new_run broken 9 1
    mlflow runs/update "{\"run_id\": \"$RUN\", \"status\": \"FAILED\"}"
    run "$PEFTLAB" ls --state failed
    has 7
}

@test "errors have MLflow's form" {
    run curl -s -w ' %{http_code}' "$URL/api/2.0/mlflow/runs/get?run_id=nobody"
    has '"error_code"' RESOURCE_DOES_NOT_EXIST 'Run with id=nobody not found' ' 404'
    run curl -s -w ' %{http_code}' "$URL/api/2.0/mlflow/registered-models/create" -H 'Content-Type: application/json' -d '{}'
    has ENDPOINT_NOT_FOUND ' 404'
    run curl -s -w ' %{http_code}' "$URL/api/2.0/mlflow/runs/create" -H 'Content-Type: application/json' -d '{'
    has BAD_REQUEST ' 400'
    run curl -s -w ' %{http_code}' "$URL/api/2.0/mlflow/runs/create" -H 'Content-Type: text/plain' -d '{}'
    has INVALID_PARAMETER_VALUE ' 400'
    run curl -s -w ' %{http_code}' -X POST "$URL/api/2.0/mlflow/runs/create"
    has INVALID_PARAMETER_VALUE 'Content-Type' ' 400'
    run curl -s -w ' %{http_code}' "$URL/health"
    [ "$output" = "OK 200" ]
}

@test "trials of ours are runs of MLflow" {
    printf '%s\n' 'program: ./p.sh' 'parameters: {rank: {values: [4, 8]}}' 'seeds: [1]' \
        'metric: {name: eval/loss, goal: minimize}' >s.yaml
    printf '%s\n' '#!/bin/sh' 'echo "{\"step\": 1, \"eval/loss\": 0.5}"' >p.sh
    chmod +x p.sh
    "$PEFTLAB" sweep run s.yaml
    run curl -s "$URL/api/2.0/mlflow/experiments/search?max_results=10"
    EXPERIMENT=$(field experiments.0.experiment_id)
    mlflow runs/search "{\"experiment_ids\": [\"$EXPERIMENT\"], \"filter\": \"params.rank = '8' and metrics.\\\"eval/loss\\\" < 1\"}"
    [ "$(field runs.0.info.status)" = FINISHED ]
    RUN=$(field runs.0.info.run_id)
    run curl -s "$URL/api/2.0/mlflow/metrics/get-history?run_id=$RUN&metric_key=eval%2Floss"
    [ "$(field metrics.0.value)" = 0.5 ]
}

@test "a program of a sweep logs by the API into its own trial" {
    printf '%s\n' 'program: ./p.sh' 'parameters: {rank: {values: [4, 8]}}' 'seeds: [1]' \
        'metric: {name: eval/loss, goal: minimize}' >s.yaml
    cat >p.sh <<'END'
#!/bin/sh
log() { curl -sS --fail -o /dev/null -H 'Content-Type: application/json' "$MLFLOW_TRACKING_URI/api/2.0/mlflow/$1" -d "$2"; }
rank=${1#--rank=}
log runs/log-batch "{\"run_id\": \"$MLFLOW_RUN_ID\", \"params\": [{\"key\": \"optimizer\", \"value\": \"adamw\"}], \"metrics\": [
    {\"key\": \"eval/loss\", \"value\": 0.$rank, \"timestamp\": 1700000000000, \"step\": 3}]}" &&
    log runs/update "{\"run_id\": \"$MLFLOW_RUN_ID\", \"status\": \"FINISHED\", \"end_time\": 1700000001000}"
END
    chmod +x p.sh
    MLFLOW_TRACKING_URI=$URL "$PEFTLAB" sweep run s.yaml
    run "$PEFTLAB" query "SELECT params ->> 'rank' || ' ' || value || ' ' || t.state AS said FROM trial_view t JOIN summary_view m ON m.trial = t.id WHERE m.key = 'eval/loss' ORDER BY 1"
    has "4 0.4 complete" "8 0.8 complete"
    run "$PEFTLAB" query "SELECT count(*) AS n FROM run_param_view WHERE key = 'optimizer' AND value = 'adamw'"
    has 2
    run "$PEFTLAB" show 1
    has "parameters that its program logged" optimizer adamw
    run "$PEFTLAB" query "SELECT count(*) AS n FROM trial_view"
    has 2
    # another server is not told of runs that it does not know
    printf '%s\n' '#!/bin/sh' '[ -z "$MLFLOW_RUN_ID" ]' >p.sh
    MLFLOW_TRACKING_URI=http://127.0.0.1:9 "$PEFTLAB" sweep run s.yaml --name elsewhere
    "$PEFTLAB" sweep run s.yaml --name nowhere
    # nor is one that answers anything with a page
    python3 -u -c 'import http.server as h
class Page(h.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")
s = h.HTTPServer(("127.0.0.1", 0), Page)
print(s.server_port)
s.serve_forever()' >page.port 2>page.log 3>&- &
    PAGE=$!
    for _ in $(seq 200); do
        [ ! -s page.port ] || break
        sleep .05
    done
    MLFLOW_TRACKING_URI=http://127.0.0.1:$(cat page.port) "$PEFTLAB" sweep run s.yaml --name page
    grep -q 'runs/get?run_id=' page.log
}

@test "export and import lose nothing of a client's runs" {
    EXPERIMENT=0
    new_run one 1 0.1
    mlflow runs/log-batch "{\"run_id\": \"$RUN\", \"metrics\": [{\"key\": \"a\", \"value\": 1, \"timestamp\": 5, \"step\": 1},
        {\"key\": \"a\", \"value\": 2, \"timestamp\": 6, \"step\": 1}, {\"key\": \"a\", \"value\": \"NaN\", \"timestamp\": 7, \"step\": 2}]}"
    mlflow runs/update "{\"run_id\": \"$RUN\", \"status\": \"FINISHED\", \"end_time\": 1700000001000}"
    "$PEFTLAB" export >all.jsonl
    PEFTLAB_STORE=copy.db "$PEFTLAB" import all.jsonl
    PEFTLAB_STORE=copy.db "$PEFTLAB" export >again.jsonl
    diff all.jsonl again.jsonl
    grep -q '"more"' all.jsonl
}

@test "a run that fell silent is given up though nobody writes, and a word brings it back" {
    EXPERIMENT=0
    new_run quiet 1 0.1
    stop_ui
    python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute("UPDATE run SET lease_until_ms = 1"); c.commit()' "$PEFTLAB_STORE"
    ui
    for _ in $(seq 200); do
        run "$PEFTLAB" query "SELECT state FROM trial_view"
        [[ $output != *stale* ]] || break
        sleep .05
    done
    has stale
    mlflow runs/set-tag "{\"run_id\": \"$RUN\", \"key\": \"still\", \"value\": \"there\"}"
    run "$PEFTLAB" query "SELECT state FROM trial_view"
    has running
}
