#!/usr/bin/env bats
# MLflow's REST API as its server answers it (recorded: tests/golden/mlflow), and the official clients of PyPI on it.
# The clients are installed once into a folder that stays (MLFLOW_CLIENTS, else ~/.cache/peftlab-tests); where that cannot be
# done their tests are skipped.
bats_require_minimum_version 1.5.0
load common
load ui

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_STORE=$PWD/s.db
    export MLFLOW_TRACKING_URI='' MLFLOW_HTTP_REQUEST_TIMEOUT=60 MLFLOW_ENABLE_ASYNC_LOGGING=
    unset MLFLOW_TRACKING_URI MLFLOW_ENABLE_ASYNC_LOGGING MLFLOW_RUN_ID MLFLOW_EXPERIMENT_NAME
    export GIT_PYTHON_REFRESH=quiet MLFLOW_DISABLE_TELEMETRY=true
}

teardown() {
    stop_ui
}

# client VERSION: its Python in $PYTHON
client() {
    local folder=${MLFLOW_CLIENTS:-${XDG_CACHE_HOME:-$HOME/.cache}/peftlab-tests}/mlflow-$1
    PYTHON=$folder/bin/python
    if [ ! -e "$folder/ready" ]; then
        python3 -c 'import venv, ensurepip' 2>/dev/null || skip "Python's venv is not installed (package python3-venv)"
        mkdir -p "${folder%/*}"
        (
            flock 9
            [ -e "$folder/ready" ] || { python3 -m venv "$folder" && timeout 240 "$PYTHON" -m pip install --quiet --retries 1 "mlflow-skinny==$1" && touch "$folder/ready"; }
        ) 9>"$folder.lock" >pip.log 2>&1 || skip "mlflow-skinny $1 cannot be installed here: $(tail -1 pip.log)"
    fi
}

# clients WORD...: tests/cli/mlflow_clients.py by that Python
clients() { "$PYTHON" "$ROOT/tests/cli/mlflow_clients.py" "$@"; }

all_calls() { # VERSION
    client "$1"
    ui
    clients calls "$URL" ours.json files
    clients compare "$ROOT/tests/golden/mlflow/calls-$1.json" ours.json
    run -0 "$PEFTLAB" ls --store s.db --experiment "exp/a b"
    has named
    run -0 "$PEFTLAB" show 1 --store s.db
    has "f.txt" "loss"
}

@test "each route of the REST API answers as mlflow server does, field by field" {
    ui
    python3 "$ROOT/tests/cli/mlflow_replay.py" check "$URL" "$ROOT/tests/golden/mlflow/answers.json"
}

@test "the client 2.22.5: every call, as against mlflow server" {
    all_calls 2.22.5
}

@test "the client 3.17.2: every call, as against mlflow server" {
    all_calls 3.17.2
}

@test "12 threads that log asynchronously: nothing lost, nothing twice" {
    client 3.17.2
    ui
    clients threads "$URL" 12 30
}

@test "the server is killed between two batches and comes back: nothing lost, nothing twice" {
    client 3.17.2
    ui
    local port=${URL##*:} stop i
    : >done
    clients steps "$URL" 40 done >steps.log 2>&1 &
    local logging=$!
    for stop in 8 20; do
        for i in {1..600}; do
            [ "$(wc -l <done)" -lt $stop ] || break
            sleep .05
        done
        stop_ui
        ui --port "$port"
    done
    wait $logging || { cat steps.log; return 1; }
    clients check "$URL" 40
    run -0 "$PEFTLAB" query "SELECT count(*) FROM series_view" --store s.db --format tsv
    has 2000
}

@test "transformers' Trainer reports two steps" {
    PYTHON=${TRAINER_PYTHON:-python3}
    "$PYTHON" -c 'import transformers, torch, accelerate, mlflow' 2>/dev/null ||
        skip "transformers, accelerate and mlflow-skinny are not installed (TRAINER_PYTHON names a Python that has them)"
    ui
    clients trainer "$URL" out
    run -0 "$PEFTLAB" ls --store s.db --experiment trainer
    has complete
    run -0 "$PEFTLAB" query "SELECT seed, state FROM trial_view" --store s.db --format tsv
    has $'7\tcomplete'
}
