#!/usr/bin/env bats
# Checkpoints: signals, kill -9, damage, other trials' checkpoints, attempts of a sweep's trial.
bats_require_minimum_version 1.5.0
load common

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    cd "$BATS_TEST_TMPDIR"
    local case=$ROOT/tests/golden/cases/bert-lora-clip
    cat >trial.yaml <<EOF
model: $ROOT/tests/golden/models/bert
train_data: $case/train.jsonl
eval_data: $case/eval.jsonl
num_labels: 3
method: lora
batch_size: 4
max_steps: 100000
hidden_dropout_prob: 0.1
EOF
}

# Starts a long training into $1, waits for line $2 of its trace, sends signal $3; status in $status, stderr in err.
interrupt() {
    "$PEFTLAB" train trial.yaml save_steps=5 --out "$1" 2>err &
    local pid=$! i
    for i in $(seq 2400); do
        [ "$(cat "$1/trace.jsonl" 2>/dev/null | wc -l)" -ge "$2" ] && break
        sleep 0.05
    done
    kill "-$3" $pid
    status=0
    wait $pid || status=$?
    output=$(cat err)
}

without_times() { sed 's/, "step_ms".*//' "$1"; }

@test "signals leave a checkpoint and exit status 75" {
    for signal in TERM USR1 INT; do
        interrupt run-$signal 20 $signal
        [ "$status" -eq 75 ]
        has "stopped after update" "by a signal" "goes on from there"
        [ "$(ls run-$signal/checkpoints | wc -l)" -le 2 ]
        last=$(ls run-$signal/checkpoints | tail -1)
        [ "$((10#$last))" -eq "$(wc -l <run-$signal/trace.jsonl)" ]
        [ "$(sha256sum <run-$signal/checkpoints/$last/state.bin | cut -d' ' -f1)" = \
            "$(sed -n 's/.*"sha256": "\(.*\)".*/\1/p' run-$signal/checkpoints/$last/manifest.json)" ]
    done
}

@test "a run does not go on with another model, start or data than it began with" {
    local case=$ROOT/tests/golden/cases/bert-lora-clip
    cp -r "$ROOT/tests/golden/models/bert" model
    cp -r "$ROOT/tests/golden/cases/bert-lora-qv/adapter_init" start
    cp "$case"/*.jsonl .
    chmod -R u+w model start ./*.jsonl
    grep -vE '^(model|train_data|eval_data):' trial.yaml >rest.yaml
    { printf '%s\n' "model: model" "train_data: train.jsonl" "eval_data: eval.jsonl" "init_adapter: start"
        cat "$ROOT/tests/golden/cases/bert-lora-qv/trial.yaml" | grep -E '^(rank|alpha|target_modules):'
        cat rest.yaml; } >trial.yaml
    interrupt run 10 TERM
    [ "$status" -eq 75 ]
    cp -r . ../kept
    while read -r key file; do
        printf ' ' >>"$file"
        [[ $file != *.jsonl ]] || sed -i 2d "$file"
        run -78 "$PEFTLAB" train trial.yaml save_steps=5 --out run
        has "checkpoint of another trial (its $key differs)"
        cp "../kept/$file" "$file"
    done <<'EOF'
model model/config.json
init_adapter start/adapter_config.json
train_data train.jsonl
eval_data eval.jsonl
EOF
    interrupt run $(($(wc -l <run/trace.jsonl) + 5)) TERM
    [ "$status" -eq 75 ] # with what it began with it goes on
    [ "$(head -n 5 run/trace.jsonl)" = "$(head -n 5 ../kept/run/trace.jsonl)" ]
}

@test "a run goes on where it was, passes over damage, and ends without checkpoints" {
    interrupt run 20 TERM
    [ "$status" -eq 75 ]
    sed -i 's/max_steps: .*/max_steps: 100000/' trial.yaml
    # Damage the newest: some bytes of its state (a single one may be what was there).
    newest=$(ls -d run/checkpoints/* | tail -1)
    older=$(ls -d run/checkpoints/* | head -1)
    printf 'not what was here' | dd of="$newest/state.bin" bs=1 seek=1000 conv=notrunc status=none
    interrupt run $(($(wc -l <run/trace.jsonl) + 20)) TERM
    [ "$status" -eq 75 ]
    has "$newest" "is passed over" "hash"
    [ ! -d "$older" ]
    # Another trial may not go on from there; nor another seed.
    run -78 "$PEFTLAB" train trial.yaml rank=2 --out run
    has "checkpoint of another trial (its key differs)"
    run -78 "$PEFTLAB" train trial.yaml seed=1 --out run
    has "its seed differs"
    # How often to save and how many to keep are no part of the trial.
    interrupt run $(($(wc -l <run/trace.jsonl) + 10)) TERM
    "$PEFTLAB" train trial.yaml max_steps=60 save_steps=7 --out short
    [ ! -e short/checkpoints ]
    diff <(without_times short/trace.jsonl | cut -d, -f1,2,3 | head -1) <(without_times run/trace.jsonl | cut -d, -f1,2,3 | head -1)
    [ "$(cut -d, -f1 run/trace.jsonl | uniq | wc -l)" -eq "$(wc -l <run/trace.jsonl)" ]
}

@test "killed at any moment, a training ends with the same bits" {
    run -0 "$ROOT/tests/crash/resume_rounds.sh" "$PEFTLAB" 5 "$RANDOM"
    has "5 rounds, 0 differed"
}

@test "a new attempt of a sweep's trial goes on from the last one's checkpoint" {
    cat >sweep.yaml <<EOF
version: 1
name: long
metric: {name: eval/loss, goal: minimize}
method: grid
parameters:
$(sed -n 's/^\([a-z_]*\): \(.*\)$/  \1: {value: \2}/p' trial.yaml | sed 's/100000/400/')
  save_steps: {value: 5}
EOF
    "$PEFTLAB" sweep run sweep.yaml --jobs 1 &
    pid=$!
    for i in $(seq 2400); do
        [ "$(cat peftlab-runs/trial-1/attempt-1/trace.jsonl 2>/dev/null | wc -l)" -ge 30 ] && break
        sleep 0.02
    done
    kill -TERM $(pgrep -P "$pid") || true
    wait $pid || true
    "$PEFTLAB" sweep run sweep.yaml --jobs 1
    state=$(sqlite3 -readonly -cmd '.timeout 30000' peftlab.db "select state from trial_view where id = 1")
    [ "$state" = complete ]
    run -0 sqlite3 -readonly -cmd '.timeout 30000' peftlab.db "select text from event_view where kind = 'resumed'"
    has "goes on after update"
    # The last run's series is whole, and its trace too.
    [ "$(wc -l <peftlab-runs/trial-1/attempt-2/trace.jsonl)" -eq 400 ]
    run -0 sqlite3 -readonly -cmd '.timeout 30000' peftlab.db "select count(*) from series_view where trial = 1 and key = 'train/loss'"
    [ "$output" = 400 ]
    run -0 find peftlab-runs -name checkpoints
    [ -z "$output" ]
}
