#!/usr/bin/env bats
# The cache of packed weights: the same numbers with it and without, one copy for all workers of a sweep, gc and doctor.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    command -v python3 >/dev/null || skip "no python3 to make the weights"
    # Matrices that are just worth an entry (64 KiB), a table of words of 15 MiB.
    python3 "$ROOT/tests/bench/make_base.py" "$BATS_FILE_TMPDIR" base 128 2 4 512 24 12 3
    sed -e '/method:\|rank:\|alpha:\|target_modules:/d' "$BATS_FILE_TMPDIR/base.yaml" >"$BATS_FILE_TMPDIR/trial.yaml"
}

setup() {
    [[ -d $BATS_FILE_TMPDIR/base ]] || skip "no python3 to make the weights"
    cp "$BATS_FILE_TMPDIR/trial.yaml" "$BATS_FILE_TMPDIR/base.jsonl" "$BATS_TEST_TMPDIR/"
    ln -s "$BATS_FILE_TMPDIR/base" "$BATS_TEST_TMPDIR/base"
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_CACHE=$PWD/cache
}

number() { # RUN KEY of result.json
    grep -o "\"$2\": *[0-9]*" "$1/result.json" | head -1 | grep -o '[0-9]*$'
}

# What a trial leaves that may not differ: its adapter, and the trace but for times.
essence() { # RUN
    (cd "$1/adapter" && sha256sum ./*.safetensors)
    sed -E 's/"(step_ms|elapsed_s|[a-z_]*_(ms|s))": *[0-9.e+-]+//g' "$1/trace.jsonl"
}

entries() { find cache -name 'weights-*' 2>/dev/null | wc -l; }

same_bits() { # key=value...: without the cache, with an empty one, with a full one
    PEFTLAB_CACHE=off "$PEFTLAB" train trial.yaml --out off "$@"
    "$PEFTLAB" train trial.yaml --out cold "$@"
    local made
    made=$(entries)
    "$PEFTLAB" train trial.yaml --out warm "$@"
    [ "$(number off shared_bytes)" = 0 ]
    for run in cold warm; do
        [ "$(number $run shared_bytes)" -gt 1000000 ]
        [ "$(number $run shared_bytes)" -le "$(number $run weights_bytes)" ]
        [ "$(number $run allocated_bytes)" = "$(number $run planned_bytes)" ]
        [ "$(essence $run)" = "$(essence off)" ]
    done
    [ "$(entries)" = "$made" ]
    [ -z "$(find cache -name '*.part')" ]
}

@test "the same bits with and without: LoRA, merged in place at the end" { same_bits method=lora target_modules=all-linear; }
@test "the same bits with and without: LoRA on NF4" { same_bits method=qlora target_modules=all-linear; }
@test "the same bits with and without: bf16" { same_bits method=lora dtype=bfloat16; }
@test "the same bits with and without: PiSSA takes out of the base" { same_bits method=pissa rank=4 target_modules='[query]'; }
@test "the same bits with and without: biases train" { same_bits method=bitfit; }
@test "the same bits with and without: DoRA, prefix" {
    same_bits method=dora
    rm -r off cold warm
    same_bits method=prefix num_virtual_tokens=3
}

@test "methods share what they have in common; another processor's vectors do not" {
    "$PEFTLAB" train trial.yaml --out a method=adapter
    made=$(entries)
    for method in prefix lora bitfit; do "$PEFTLAB" train trial.yaml --out "$method" method=$method max_steps=1; done
    [ "$(entries)" = "$made" ]
    "$PEFTLAB" train trial.yaml --out q method=qlora max_steps=1
    more=$(entries)
    [ "$more" -gt "$made" ] && [ "$more" -lt $((2 * made)) ]
    PEFTLAB_CPU=generic "$PEFTLAB" train trial.yaml --out g method=adapter max_steps=1
    [ "$(entries)" = $((more + made)) ] || [ "$("$PEFTLAB" doctor | awk '$1 == "cpu" { print $3 }')" = generic ]
}

@test "a base with other content is another base" {
    cp -rL base other
    "$PEFTLAB" train trial.yaml --out a method=lora
    made=$(entries)
    "$PEFTLAB" train trial.yaml --out b method=lora model=other # a copy
    [ "$(entries)" = "$made" ]
    # one byte of a matrix, and the time of the file as it was
    printf '\x3c' | dd of=other/model.safetensors bs=1 seek=$(($(stat -c %s other/model.safetensors) - 20000)) conv=notrunc 2>/dev/null
    touch -r base/model.safetensors other/model.safetensors
    "$PEFTLAB" train trial.yaml --out c method=lora model=other
    [ "$(entries)" = $((2 * made)) ]
    PEFTLAB_CACHE=off "$PEFTLAB" train trial.yaml --out d method=lora model=other
    [ "$(essence c)" = "$(essence d)" ]
    [ "$(essence a)" != "$(essence d)" ]
}

@test "damaged entries are made again" {
    "$PEFTLAB" train trial.yaml --out a method=lora
    for f in cache/*; do printf '\xff\xfe' | dd of="$f" bs=1 seek=24 conv=notrunc 2>/dev/null; done
    "$PEFTLAB" train trial.yaml --out b method=lora
    [ "$(essence a)" = "$(essence b)" ]
    [ "$(number b shared_bytes)" = "$(number a shared_bytes)" ]
}

@test "eval uses it too; a folder that cannot be made is no error" {
    "$PEFTLAB" train trial.yaml --out a method=lora
    made=$(entries)
    for cache in "$PWD/cache" "$PWD/trial.yaml/below"; do
        rm -rf e
        PEFTLAB_CACHE=$cache "$PEFTLAB" eval trial.yaml method=lora eval_data=base.jsonl --adapter a/adapter --out e
        sha256sum e/logits.safetensors >>sums
        number e shared_bytes >>shared
    done
    [ "$(sort -u sums | wc -l)" = 1 ]
    [ "$(head -1 shared)" -gt 1000000 ] && [ "$(tail -1 shared)" = 0 ]
    [ "$(entries)" = "$made" ]
}

@test "four workers of a sweep: every weight is packed once" {
    { printf 'name: four\nmetric: {name: train/loss_last, goal: minimize}\nparameters:\n'
      sed -E '/num_train_epochs/d; s/^([a-z_]+): (.*)/  \1: {value: \2}/' trial.yaml
      printf '  max_steps: {value: 2}\n  method: {values: [lora, adapter, prefix, bitfit]}\n  latency_requests: {value: 0}\nseeds: [0, 1]\n'
    } >sweep.yaml
    run -0 "$PEFTLAB" sweep run sweep.yaml --jobs 4 --store s.db
    has "8 complete"
    [ "$(sqlite3 -readonly s.db 'select count(*) from summary_view where key = "mem/shared_bytes" and value > 1000000')" = 8 ]
    [ -z "$(find cache -name '*.part')" ]
    made=$(entries)
    PEFTLAB_CACHE=$PWD/other "$PEFTLAB" train trial.yaml --out a method=lora
    [ "$(find other -name 'weights-*' | wc -l)" = "$made" ]
}

@test "gc and doctor know it" {
    "$PEFTLAB" train trial.yaml --out a method=lora
    run -0 "$PEFTLAB" doctor
    has "folder                      $PWD/cache" "limit_bytes"
    touch cache/notes.txt "cache/weights-$(printf '%064d' 7).part"
    run -0 "$PEFTLAB" gc --cache
    has "entries of the cache" "left by a process that was killed" "--delete removes them"
    run -0 "$PEFTLAB" gc --cache --delete
    [ "$(ls cache)" = notes.txt ]
    PEFTLAB_CACHE=off run -0 "$PEFTLAB" gc --cache
    has "0 may go"
}
