#!/usr/bin/env bats
# What frozen layers gave, kept from trial to trial: the same bits in sweeps with workers side by side, after a kill, on a base that changed.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    command -v python3 >/dev/null || skip "no python3 to make the weights"
    python3 "$ROOT/tests/bench/make_base.py" "$BATS_FILE_TMPDIR" base 64 3 2 128 4 12 12
    {
        sed -e '/method:\|rank:\|alpha:\|target_modules:\|num_train_epochs:\|latency_requests:\|eval_steps:/d' "$BATS_FILE_TMPDIR/base.yaml"
        printf 'latency_requests: 0\ncache_features: on\neval_data: eval.jsonl\n'
    } >"$BATS_FILE_TMPDIR/trial.yaml"
    head -20 "$BATS_FILE_TMPDIR/base.jsonl" >"$BATS_FILE_TMPDIR/eval.jsonl"
}

setup() {
    [[ -d $BATS_FILE_TMPDIR/base ]] || skip "no python3 to make the weights"
    cp "$BATS_FILE_TMPDIR"/{trial.yaml,base.jsonl,eval.jsonl} "$BATS_TEST_TMPDIR/"
    ln -s "$BATS_FILE_TMPDIR/base" "$BATS_TEST_TMPDIR/base"
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_CACHE=$PWD/cache
}

number() { # RUN KEY of result.json; nothing: 0
    grep -o "\"$2\": *[0-9]*" "$1/result.json" | head -1 | grep -o '[0-9]*$' || echo 0
}
adapter() { (cd "$1/adapter" && sha256sum ./*.safetensors); }
entries() { find cache -name 'features-*' 2>/dev/null | wc -l; }
TOP='layers_to_transform=[2]'

sweep_file() { # KEEP: a sweep of two methods, three seeds
    printf 'name: kept\nmetric: {name: eval/loss, goal: minimize}\nparameters:\n'
    sed -E "s/cache_features: .*/cache_features: $1/; s/^([a-z_]+): (.*)/  \1: {value: \2}/" trial.yaml
    printf '  method: {values: [head, lora]}\n  num_train_epochs: {value: 3}\n  layers_to_transform: {values: [[2]], when: "method == lora"}\nseeds: [0, 1, 2]\n'
}
values() { # STORE: what the trials came to
    sqlite3 -readonly "$1" "select t.key, t.seed, s.key, s.value from trial t join summary_view s on s.trial = t.id where s.key like 'eval/%' or s.key like 'train/loss%' order by 1, 2, 3"
}

@test "a sweep with workers side by side: every number is that of computing everything" {
    for keep in off on; do
        sweep_file $keep >$keep.yaml
        run -0 "$PEFTLAB" sweep run $keep.yaml --jobs 3 --store $keep.db
        has "6 complete"
        values $keep.db >$keep.txt
    done
    [ -s on.txt ] && cmp on.txt off.txt
    [ "$(entries)" = 4 ] # rows to train and to evaluate on, of two cuts
    [ -z "$(find cache -name '*.part')" ]
    # and in one process
    PEFTLAB_CACHE=$PWD/other run -0 "$PEFTLAB" sweep run on.yaml --jobs 2 --pack 6 --store packed.db
    values packed.db | cmp - off.txt
    # once more: nothing below the cuts is computed
    run -0 "$PEFTLAB" sweep run on.yaml --jobs 3 --store again.db
    values again.db | cmp - off.txt
    [ "$(sqlite3 -readonly again.db "select count(*) from summary_view a join summary_view b using (trial) where a.key = 'train/reused_tokens' and b.key = 'train/tokens' and a.value = b.value")" = 6 ]
    [ "$(entries)" = 4 ]
}

@test "kill -9 in the middle: what is whole is used, the rest is computed" {
    "$PEFTLAB" train trial.yaml --out off method=lora $TOP cache_features=off num_train_epochs=2
    "$PEFTLAB" train trial.yaml --out killed method=lora $TOP num_train_epochs=100000 seed=5 >log 2>&1 &
    pid=$!
    while [ "$(entries)" = 0 ] && kill -0 $pid; do sleep 0.01; done
    kill -9 $pid
    wait $pid || true
    "$PEFTLAB" train trial.yaml --out a method=lora $TOP num_train_epochs=2
    [ "$(adapter a)" = "$(adapter off)" ]
    "$PEFTLAB" train trial.yaml --out b method=lora $TOP num_train_epochs=2
    [ "$(adapter b)" = "$(adapter off)" ]
    [ "$(number b reused_tokens)" = "$(number b tokens)" ]
    [ "$(entries)" = 2 ]
}

@test "a base with other content is another base, a copy of it is not" {
    cp -rL base other
    "$PEFTLAB" train trial.yaml --out a method=head num_train_epochs=1
    made=$(entries)
    "$PEFTLAB" train trial.yaml --out b method=head num_train_epochs=1 model=other
    [ "$(entries)" = "$made" ]
    [ "$(number b reused_tokens)" = "$(number b tokens)" ]
    # one byte of a matrix, and the time of the file as it was
    printf '\x3c' | dd of=other/model.safetensors bs=1 seek=$(($(stat -c %s other/model.safetensors) - 40000)) conv=notrunc 2>/dev/null
    touch -r base/model.safetensors other/model.safetensors
    "$PEFTLAB" train trial.yaml --out c method=head num_train_epochs=1 model=other
    "$PEFTLAB" train trial.yaml --out d method=head num_train_epochs=1 model=other cache_features=off
    [ "$(number c reused_tokens)" = 0 ]
    [ "$(adapter c)" = "$(adapter d)" ]
    [ "$(adapter a)" != "$(adapter d)" ]
}

@test "planned and taken to the byte; gc knows it; without a folder the trial keeps its own" {
    "$PEFTLAB" train trial.yaml --out a method=lora $TOP num_train_epochs=2
    [ "$(number a features_bytes)" -gt 0 ]
    [ "$(number a shared_bytes)" -ge "$(number a features_bytes)" ]
    [ "$(number a allocated_bytes)" = "$(number a planned_bytes)" ]
    for cache in off "$PWD/trial.yaml/below"; do
        rm -rf b
        PEFTLAB_CACHE=$cache "$PEFTLAB" train trial.yaml --out b method=lora $TOP num_train_epochs=2
        [ "$(adapter b)" = "$(adapter a)" ]
        [ "$(number b shared_bytes)" = 0 ]
        [ "$(number b features_bytes)" -gt 0 ] && [ "$(number b features_bytes)" -lt "$(number a features_bytes)" ]
        [ "$(number b allocated_bytes)" = "$(number b planned_bytes)" ]
    done
    run -0 "$PEFTLAB" gc --cache --delete
    [ "$(entries)" = 0 ]
}
