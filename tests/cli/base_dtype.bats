#!/usr/bin/env bats
# base_dtype: whatever is done with a base of fp32 is, byte for byte, what is done with a folder of its rounded values.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    command -v python3 >/dev/null || skip "no python3 to round the weights"
    local t=$BATS_FILE_TMPDIR
    python3 "$ROOT/tests/bench/make_base.py" "$t" base 128 2 4 512 24 12 2
    for dtype in bfloat16 float16; do python3 "$ROOT/tests/cli/round_model.py" "$t/base" "$t/base-$dtype" $dtype; done
    sed -e '/method:\|rank:\|alpha:\|target_modules:\|model:/d' "$t/base.yaml" >"$t/trial.yaml"
}

setup() {
    [[ -d $BATS_FILE_TMPDIR/base-float16 ]] || skip "no python3 to round the weights"
    cd "$BATS_TEST_TMPDIR" || return
    ln -s "$BATS_FILE_TMPDIR"/base* .
    cp "$BATS_FILE_TMPDIR/trial.yaml" .
    export PEFTLAB_CACHE=$PWD/cache
}

number() { # RUN KEY of result.json
    grep -o "\"$2\": *[0-9]*" "$1/result.json" | head -1 | grep -o '[0-9]*$'
}
entries() { find cache -name 'weights-*' 2>/dev/null | wc -l; }
# The bytes of what was trained, and of every loss.
essence() { # RUN
    (cd "$1/adapter" && sha256sum ./*.safetensors)
    grep -o '"loss": *[0-9.e+-]*' "$1/trace.jsonl"
}

alike() { # key=value...: both types, with the key and from the folder that has them
    local dtype
    for dtype in bfloat16 float16; do
        "$PEFTLAB" train trial.yaml model=base base_dtype=$dtype --out "asked-$dtype" "$@"
        "$PEFTLAB" train trial.yaml model=base-$dtype --out "file-$dtype" "$@"
        [ "$(essence "asked-$dtype" | wc -l)" -ge 3 ]
        [ "$(essence "asked-$dtype")" = "$(essence "file-$dtype")" ]
        for key in planned_bytes allocated_bytes weights_bytes; do
            [ "$(number "asked-$dtype" $key)" = "$(number "file-$dtype" $key)" ]
        done
        [ "$(number "asked-$dtype" allocated_bytes)" = "$(number "asked-$dtype" planned_bytes)" ]
    done
    [ "$(essence asked-bfloat16)" != "$(essence asked-float16)" ]
}

@test "training: LoRA, in half the bytes of linear weights" {
    alike method=lora target_modules=all-linear
    "$PEFTLAB" train trial.yaml model=base method=lora target_modules=all-linear --out plain
    [ "$(essence plain)" != "$(essence asked-bfloat16)" ]
    # two layers of 4 x 128 x 128 + 2 x 128 x 512, and the pooler's 128 x 128: 2 bytes less each, and no padding
    [ $(($(number plain weights_bytes) - $(number asked-bfloat16 weights_bytes))) = $((2 * (2 * 196608 + 16384))) ]
    grep -q '"base_dtype": "bfloat16"' asked-bfloat16/result.json
    grep -q '"base_dtype": "auto"' plain/result.json
}
@test "training: what is taken out of the base, quantised, trained whole, or multiplied in bf16" {
    local keys
    for keys in "method=pissa rank=4 target_modules=[query]" method=qlora method=bitfit method=full "method=lora dtype=bfloat16"; do
        # shellcheck disable=SC2086 # words
        alike $keys
        rm -r asked-* file-*
    done
}
@test "training: other processors' kernels, and the judge's" {
    PEFTLAB_CPU=generic alike method=lora
    rm -r asked-* file-*
    PEFTLAB_BACKEND=ref "$PEFTLAB" train trial.yaml model=base base_dtype=float16 method=lora max_steps=1 --out a
    PEFTLAB_BACKEND=ref "$PEFTLAB" train trial.yaml model=base-float16 method=lora max_steps=1 --out b
    [ "$(essence a)" = "$(essence b)" ]
}

@test "plan: the bytes that training takes" {
    run -0 "$PEFTLAB" plan trial.yaml model=base method=lora base_dtype=bfloat16 --json
    local planned
    planned=$(grep -o '"total_bytes": [0-9]*' <<<"$output" | head -1 | grep -o '[0-9]*$')
    "$PEFTLAB" train trial.yaml model=base method=lora base_dtype=bfloat16 --out run
    [ "$planned" -gt 15000000 ] && [ "$(number run allocated_bytes)" = "$planned" ]
    run -0 "$PEFTLAB" plan trial.yaml model=base method=lora --json
    [ "$(grep -o '"total_bytes": [0-9]*' <<<"$output" | head -1 | grep -o '[0-9]*$')" -gt "$planned" ]
}

@test "the cache: no entry is shared with another base_dtype" {
    local sum=0 made dtype
    for dtype in auto bfloat16 float16; do # each alone
        "$PEFTLAB" train trial.yaml model=base method=lora base_dtype=$dtype --out $dtype
        made=$(entries)
        [ "$made" -gt 4 ]
        sum=$((sum + made))
        rm -r cache
    done
    for dtype in auto bfloat16 float16; do # behind one another, and once more out of a full cache
        "$PEFTLAB" train trial.yaml model=base method=lora base_dtype=$dtype --out cold-$dtype
        "$PEFTLAB" train trial.yaml model=base method=lora base_dtype=$dtype --out warm-$dtype
        PEFTLAB_CACHE=off "$PEFTLAB" train trial.yaml model=base method=lora base_dtype=$dtype --out off-$dtype
        [ "$(essence warm-$dtype)" = "$(essence off-$dtype)" ]
        [ "$(essence cold-$dtype)" = "$(essence off-$dtype)" ]
        [ "$(number warm-$dtype shared_bytes)" -gt 1000000 ]
    done
    [ "$(entries)" = $sum ]
}

@test "eval and merge: as from the rounded folder" {
    "$PEFTLAB" train trial.yaml model=base method=lora target_modules=all-linear base_dtype=bfloat16 --out run
    local given=(method=lora target_modules=all-linear eval_data=base.jsonl)
    "$PEFTLAB" eval trial.yaml model=base base_dtype=bfloat16 "${given[@]}" --adapter run/adapter --out a
    "$PEFTLAB" eval trial.yaml model=base-bfloat16 "${given[@]}" --adapter run/adapter --out b
    "$PEFTLAB" eval trial.yaml model=base "${given[@]}" --adapter run/adapter --out c
    cmp a/logits.safetensors b/logits.safetensors
    run ! cmp a/logits.safetensors c/logits.safetensors
    local dtype
    for dtype in base f32; do
        run -0 "$PEFTLAB" merge trial.yaml model=base base_dtype=bfloat16 "${given[@]}" --adapter run/adapter --dtype $dtype --out merged-a-$dtype
        has "largest change of a logit on 48 rows"
        [ $dtype = f32 ] || has "in BF16"
        "$PEFTLAB" merge trial.yaml model=base-bfloat16 "${given[@]}" --adapter run/adapter --dtype $dtype --out merged-b-$dtype
        cmp merged-a-$dtype/model.safetensors merged-b-$dtype/model.safetensors
    done
    # what was merged in fp32 is what the adapter gave, but for the order of sums
    run -0 "$PEFTLAB" merge trial.yaml model=base base_dtype=bfloat16 "${given[@]}" --adapter run/adapter --dtype f32 --out again --json
    echo "$output" | python3 -c 'import json, sys; r = json.load(sys.stdin); assert r["dtype"] == "F32" and 0 < r["largest_change"] < 1e-4 * r["largest_logit"], r'
}

@test "generate: a language model's tokens" {
    python3 "$ROOT/tests/cli/tiny_chat_model.py" chat
    local dtype rows='{"text": "Once upon a time"}'
    for dtype in bfloat16 float16; do
        python3 "$ROOT/tests/cli/round_model.py" chat chat-$dtype $dtype
        run -0 --separate-stderr "$PEFTLAB" generate chat base_dtype=$dtype --max-new-tokens 30 --ignore-eos --json <<<"$rows"
        local asked=$output
        run -0 --separate-stderr "$PEFTLAB" generate chat-$dtype --max-new-tokens 30 --ignore-eos --json <<<"$rows"
        has '"completion_tokens":30'
        [ "$output" = "$asked" ]
    done
}

@test "a GGUF file: as from the folder that it is converted to" {
    local dtype file=$ROOT/tests/golden/gguf/tiny-llama.gguf
    printf 'task: causal-lm\nmethod: lora\ntarget_modules: all-linear\ntrain_data: rows.jsonl\nmax_steps: 3\n' >gguf.yaml
    printf '{"input_ids": [5, 9, 8, 7, 12, 20], "labels": [5, 9, 8, 7, 12, 20]}\n{"input_ids": [6, 11, 4], "labels": [6, 11, 4]}\n' >rows.jsonl
    for dtype in bfloat16 float16; do
        "$PEFTLAB" convert "$file" --to merged --dtype "$([ $dtype = float16 ] && echo f16 || echo bf16)" --out folder-$dtype
        "$PEFTLAB" train gguf.yaml model="$file" base_dtype=$dtype --out asked-$dtype
        "$PEFTLAB" train gguf.yaml model=folder-$dtype --out file-$dtype
        [ "$(essence asked-$dtype | wc -l)" -ge 4 ]
        [ "$(essence asked-$dtype)" = "$(essence file-$dtype)" ]
        [ "$(number asked-$dtype allocated_bytes)" = "$(number file-$dtype allocated_bytes)" ]
    done
    "$PEFTLAB" train gguf.yaml model="$file" --out plain
    [ "$(essence plain)" != "$(essence asked-bfloat16)" ]
    [ "$(number plain weights_bytes)" -gt "$(number asked-bfloat16 weights_bytes)" ]
}

@test "a value that float16 cannot hold is refused" {
    cp -rL base large
    # the last number of the last matrix: 100000
    printf '\x00\x50\xc3\x47' | dd of=large/model.safetensors bs=1 seek=$(($(stat -c %s large/model.safetensors) - 4 * 128 - 4)) conv=notrunc 2>/dev/null
    run -78 "$PEFTLAB" train trial.yaml model=large method=lora base_dtype=float16 --out x
    has "base_dtype: tensor 'pooler.dense.weight' holds 100000, more than F16 can"
    run -0 "$PEFTLAB" train trial.yaml model=large method=lora base_dtype=bfloat16 --out y
    run -78 "$PEFTLAB" train trial.yaml model=base method=lora base_dtype=int8 --out z
    has "base_dtype" "auto" "bfloat16" "float16"
}
