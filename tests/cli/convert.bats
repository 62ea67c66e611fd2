#!/usr/bin/env bats
# The convert command: what adapters and models become in files of other programs, and what is refused.
# Values of adapters: tests/golden/check_gguf_lora.py.
load common

setup() {
    find_program
    golden=$ROOT/tests/golden
    qv=$golden/cases/llama-lora-qv/expected/adapter
    work=$(mktemp -d)
}

teardown() {
    chmod -R u+w "$work"
    rm -rf "$work"
}

# A copy of the qv adapter whose configuration gets what KEY=JSON say.
adapter_with() {
    cp -r "$qv" "$work/adapter"
    python3 - "$work/adapter/adapter_config.json" "$@" <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))
for word in sys.argv[2:]:
    key, _, value = word.partition("=")
    c[key] = json.loads(value)
json.dump(c, open(sys.argv[1], "w"))
PY
}

to_lora() { # FOLDER [flag ...]
    run "$PEFTLAB" convert "$@" --model "$golden/models/llama" --to gguf-lora --out "$work/x.gguf"
}

# Python on the file's keys (k) and tensors as lists of floats (t).
python_on() { # FILE CODE
    python3 - "$ROOT/tests/golden" "$1" "$2" <<'PY'
import struct, sys
sys.path.insert(0, sys.argv[1])
from check_gguf_lora import read
k, raw = read(sys.argv[2])
t = {n: struct.unpack("<%df" % (len(b) // 4), b) for n, (d, b) in raw.items()}
exec(sys.argv[3])
PY
}

@test "a scale that one alpha cannot say goes into B" {
    to_lora "$qv"
    [ "$status" -eq 0 ]
    mv "$work/x.gguf" "$work/plain.gguf"
    adapter_with 'alpha_pattern={"layers.0.self_attn.q_proj": 2}'
    to_lora "$work/adapter"
    [ "$status" -eq 0 ]
    python_on "$work/plain.gguf" '
plain, alpha = t, k["adapter.lora.alpha"]
k, raw = read("'"$work/x.gguf"'")
t = {n: struct.unpack("<%df" % (len(b) // 4), b) for n, (d, b) in raw.items()}
for n in t:
    share = k["adapter.lora.alpha"] / alpha * (8 / 2 if "blk.0.attn_q" in n and n.endswith("_b") else 1)
    if n.endswith("_a"):
        assert t[n] == plain[n], n
    else:
        assert all(abs(x * share - y) <= 1e-6 * abs(y) for x, y in zip(t[n], plain[n])), n'
}

@test "rank-stabilised scale is alpha times the root of the rank" {
    adapter_with use_rslora=true
    to_lora "$work/adapter"
    [ "$status" -eq 0 ]
    python_on "$work/x.gguf" 'assert k["adapter.lora.alpha"] == 16, k'
}

@test "a run folder's adapter is converted, in the numbers that are asked for" {
    mkdir "$work/run"
    cp -r "$qv" "$work/run/adapter"
    "$PEFTLAB" convert "$work/run" --model "$golden/models/llama" --to gguf-lora --dtype bf16 --out "$work/x.gguf" --json |
        python3 -c 'import json, sys; r = json.load(sys.stdin); assert r["tensors"] == 8 and r["bytes"] > 1000, r'
    to_lora "$work/run" --dtype q4_0
    [ "$status" -eq 2 ]
    has "--dtype q4_0" "f32|f16|bf16|q8_0"
}

@test "what has no place in a GGUF adapter is refused by name" {
    while IFS='|' read -r case model words; do
        run "$PEFTLAB" convert "$golden/cases/$case/expected/adapter" --model "$golden/models/$model" --to gguf-lora --out "$work/x.gguf"
        [ "$status" -eq 78 ] || { echo "$case: $status $output"; return 1; }
        has "$words"
        [ ! -e "$work/x.gguf" ]
    done <<'TABLE'
llama-prefix|llama|method 'prefix' has no place in llama.cpp's adapters
llama-prompt|llama|method 'prompt' has no place
llama-adapter-houlsby|llama|method 'adapter' has no place
bert-lora-qv|bert|models of type 'bert' have no name in GGUF here (llama
TABLE
    adapter_with use_dora=true
    to_lora "$work/adapter"
    [ "$status" -eq 78 ]
    rm -r "$work/adapter"
    adapter_with 'lora_bias=true'
    to_lora "$work/adapter"
    [ "$status" -eq 78 ]
    has lora_bias
}

@test "a file that is there stays, and one that cannot be written leaves nothing" {
    echo mine >"$work/x.gguf"
    to_lora "$qv"
    [ "$status" -eq 78 ]
    has "is there already"
    [ "$(cat "$work/x.gguf")" = mine ]
    to_lora "$qv" --overwrite
    [ "$status" -eq 0 ]
    rm "$work/x.gguf"
    (
        trap '' XFSZ
        ulimit -f 4
        run "$PEFTLAB" convert "$qv" --model "$golden/models/llama" --to gguf-lora --out "$work/x.gguf"
        [ "$status" -eq 74 ] || { echo "$status $output"; exit 1; }
        has "cannot write '$work/x.gguf'"
    )
    [ -z "$(ls "$work")" ]
    run "$PEFTLAB" convert "$qv" --model "$golden/models/llama" --to gguf-lora --out "$work/no/such/x.gguf"
    [ "$status" -eq 74 ]
    has "cannot write" "No such file or directory"
}

@test "convert says what it did not get" {
    run "$PEFTLAB" convert
    [ "$status" -eq 2 ]
    run "$PEFTLAB" convert "$golden/models/llama" --to gguf-lora --out "$work/x.gguf"
    [ "$status" -eq 78 ]
    has "is a model, not an adapter's folder"
    run "$PEFTLAB" convert "$golden/models/llama" --model "$golden/models/llama" --to gguf-lora --out "$work/x.gguf"
    [ "$status" -eq 2 ]
    has "is no adapter, so that --model has no meaning"
    cp -r "$qv" "$work/adapter"
    run "$PEFTLAB" convert "$work/adapter" --to gguf-lora --out "$work/x.gguf"
    [ "$status" -ne 0 ]
    has "the base that adapter folder '$work/adapter' names (--model names another)"
}
