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
        for to in "gguf --dtype f32" merged; do
            run "$PEFTLAB" convert "$qv" --model "$golden/models/llama" --to $to --out "$work/x.gguf"
            [ "$status" -eq 74 ] || { echo "$to: $status $output"; exit 1; }
        done
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

@test "a GGUF adapter becomes peft's folder again, byte for byte" {
    run "$PEFTLAB" convert "$golden/gguf-lora/llama3-lora-all-linear.gguf" --model "$golden/models/llama3" --to peft --out "$work/back"
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    cmp "$work/back/adapter_model.safetensors" "$golden/cases/llama3-lora-all-linear/expected/adapter/adapter_model.safetensors"
    to_lora "$golden/cases/llama-lora-qv/expected/adapter"
    run "$PEFTLAB" convert "$work/x.gguf" --model "$golden/models/llama" --to peft --out "$work/qv"
    [ "$status" -eq 0 ]
    cmp "$work/qv/adapter_model.safetensors" "$qv/adapter_model.safetensors"
    python3 - "$work/qv" "$qv" <<'PY'
import json, sys
a, b = [json.load(open(d + "/adapter_config.json")) for d in sys.argv[1:]]
assert sorted(a.pop("target_modules")) == sorted(b.pop("target_modules")) == ["q_proj", "v_proj"]
a.pop("base_model_name_or_path"), b.pop("base_model_name_or_path")
assert a == b, [k for k in a if a[k] != b.get(k)]
PY
}

@test "adapters of families whose layers have other names there go and come back" {
    while read -r case model name; do
        rm -rf "$work"/*
        run "$PEFTLAB" convert "$golden/cases/$case/expected/adapter" --model "$golden/models/$model" --to gguf-lora --out "$work/x.gguf"
        [ "$status" -eq 0 ] || { echo "$output"; return 1; }
        grep -aq "$name.weight.lora_a" "$work/x.gguf"
        run "$PEFTLAB" convert "$work/x.gguf" --model "$golden/models/$model" --to peft --out "$work/back"
        [ "$status" -eq 0 ] || { echo "$output"; return 1; }
        cmp "$work/back/adapter_model.safetensors" "$golden/cases/$case/expected/adapter/adapter_model.safetensors"
    done <<'TABLE'
gpt2-lora-all-linear gpt2 blk.0.attn_qkv
phi3-partial-lora-qkv-down phi3-partial blk.0.attn_qkv
smollm3-list-lora-qkv smollm3-list blk.0.attn_q
TABLE
}

@test "a GGUF adapter that does not fit is refused" {
    to_lora "$qv"
    mkdir "$work/none"
    while IFS="|" read -r file model code words; do
        run "$PEFTLAB" convert "$file" ${model:+--model "$golden/models/$model"} --to peft --out "$work/back"
        [ "$status" -eq "$code" ] && has "$words" || return 1
        [ ! -e "$work/back" ] && [ ! -e "$work/back.new" ]
    done <<TABLE
$work/x.gguf||2|does not name its base: say --model DIR
$work/x.gguf|llama3|78|which does not fit the model
$work/x.gguf|bert|78|for architecture 'llama', the model is of type 'bert'
$golden/models/llama||78|is a model, not an adapter
TABLE
}

@test "a run folder's adapter becomes peft's folder, and bottlenecks do not" {
    mkdir "$work/run"
    cp -r "$qv" "$work/run/adapter"
    run "$PEFTLAB" convert "$work/run" --model "$golden/models/llama" --to peft --out "$work/peft"
    [ "$status" -eq 0 ]
    cmp "$work/peft/adapter_model.safetensors" "$qv/adapter_model.safetensors"
    grep -q "\"base_model_name_or_path\": \"$golden/models/llama\"" "$work/peft/adapter_config.json"
    run "$PEFTLAB" convert "$golden/cases/llama-adapter-houlsby/expected/adapter" --model "$golden/models/llama" --to peft --out "$work/no"
    [ "$status" -eq 78 ]
    has "method 'adapter' is none of peft's"
}

# Of two trials on one set of rows: equal logits, as bytes or nearly.
logits_of() { # NAME MODEL [flag ...]
    printf '{"input_ids": [%s], "labels": [%s]}\n' 5,9,3,7,100,12 5,9,3,7,100,12 4,8,15,16,23,42,8,99,1,60,61 4,8,15,16,23,42,8,99,1,60,61 >"$work/rows.jsonl"
    printf 'model: %s\ntask: causal-lm\neval_data: rows.jsonl\n' "$2" >"$work/$1.yaml"
    [ $# -gt 2 ] && tail -n +2 "$golden/cases/llama-lora-qv/trial.yaml" | grep -E '^(method|rank|alpha|target)' >>"$work/$1.yaml" ||
        echo 'method: full' >>"$work/$1.yaml"
    "$PEFTLAB" eval "$work/$1.yaml" "${@:3}" --out "$work/$1" >/dev/null
}

@test "a model as GGUF computes what its folder does, to the bit in f32" {
    run "$PEFTLAB" convert "$golden/models/llama" --to gguf --dtype f32 --out "$work/m.gguf"
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    logits_of folder "$golden/models/llama"
    logits_of file "$work/m.gguf"
    cmp "$work/folder/logits.safetensors" "$work/file/logits.safetensors"
    python_on "$work/m.gguf" 'assert k["general.file_type"] == 0 and k["general.type"] == "model" and k["llama.attention.head_count_kv"] == 2, k'
    # and back: a folder of a GGUF file
    run "$PEFTLAB" convert "$work/m.gguf" --to merged --out "$work/again"
    [ "$status" -eq 0 ] || { echo "$output"; return 1; }
    logits_of again "$work/again"
    cmp "$work/folder/logits.safetensors" "$work/again/logits.safetensors"
}

@test "an adapter is merged on the way, into folders and GGUF bases" {
    "$PEFTLAB" convert "$golden/models/llama" --to gguf --dtype f32 --out "$work/base.gguf"
    logits_of adapted "$golden/models/llama" --adapter "$qv"
    for base in "$golden/models/llama" "$work/base.gguf"; do
        run "$PEFTLAB" convert "$qv" --model "$base" --to gguf --dtype f32 --out "$work/m.gguf" --overwrite
        [ "$status" -eq 0 ] || { echo "$output"; return 1; }
        logits_of merged "$work/m.gguf"
        run "$PEFTLAB" convert "$qv" --model "$base" --to merged --out "$work/whole" --overwrite
        [ "$status" -eq 0 ]
        logits_of folder "$work/whole"
        cmp "$work/merged/logits.safetensors" "$work/folder/logits.safetensors"
        python3 - "$work/merged/logits.safetensors" "$work/adapted/logits.safetensors" <<'PY'
import struct, sys
a, b = [open(p, "rb").read() for p in sys.argv[1:]]
n = 8 + int.from_bytes(a[:8], "little")
a, b = [struct.unpack("<%df" % (len(x[n:]) // 4), x[n:]) for x in (a, b)]
assert max(abs(x - y) for x, y in zip(a, b)) < 1e-4 < max(map(abs, a))
PY
    done
    [ -z "$(find "$work" -name '*merged-*')" ]
}

@test "the tokenizer of a GGUF file survives the way through a folder" {
    for name in tiny-llama tiny-qwen2; do
        "$PEFTLAB" convert "$golden/gguf/$name.gguf" --to merged --out "$work/$name"
        "$PEFTLAB" convert "$work/$name" --to gguf --dtype f32 --out "$work/$name.gguf"
        python3 -c '
import json, sys
for line in open(sys.argv[1]):
    print(json.dumps({"text": json.loads(line)["text"]}))' "$golden/gguf/$name.jsonl" >"$work/rows.jsonl"
        "$PEFTLAB" tokenize "$golden/gguf/$name.gguf" <"$work/rows.jsonl" >"$work/first"
        "$PEFTLAB" tokenize "$work/$name.gguf" <"$work/rows.jsonl" >"$work/last"
        cmp "$work/first" "$work/last"
        # a GGUF file written again keeps its keys but for how it is stored
        "$PEFTLAB" convert "$golden/gguf/$name.gguf" --to gguf --dtype bf16 --out "$work/$name-bf16.gguf"
        "$PEFTLAB" tokenize "$work/$name-bf16.gguf" <"$work/rows.jsonl" >"$work/last"
        cmp "$work/first" "$work/last"
    done
}

@test "what llama.cpp would compute otherwise is refused by name" {
    while IFS='|' read -r change words; do
        rm -rf "$work/model"
        cp -r "$golden/models/llama" "$work/model"
        python3 - "$work/model/config.json" "$change" <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))
c.update(json.loads(sys.argv[2]))
json.dump(c, open(sys.argv[1], "w"))
PY
        run "$PEFTLAB" convert "$work/model" --to gguf --out "$work/x.gguf"
        [ "$status" -eq 78 ] && has "$words" || { echo "$change: $status $output"; return 1; }
        [ ! -e "$work/x.gguf" ]
    done <<'TABLE'
{"hidden_act": "gelu"}|activation 'gelu': llama.cpp's llama has silu
{"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "beta_fast": 16}}|rope: beta_fast other than 32 has no key in GGUF
{"rope_parameters": {"rope_type": "yarn", "factor": 2.0, "attention_factor": 1.5}}|rope: attention_factor of yarn
TABLE
    while IFS='|' read -r model words; do
        run "$PEFTLAB" convert "$golden/models/$model" --to gguf --out "$work/x.gguf"
        [ "$status" -eq 78 ] && has "$words" || { echo "$model: $status $output"; return 1; }
    done <<'TABLE'
bert|task 'causal-lm' is not supported for model_type 'bert'
mistral|sliding_window: llama.cpp's llama has none and would attend to all tokens
gemma2|query_pre_attn_scalar: llama.cpp's gemma2 has 12 for a model of this size
smollm3-list|no_rope_layers: llama.cpp's smollm3 leaves every fourth layer without RoPE
llama-longrope|rope_type 'longrope' has no place in GGUF files of llama
TABLE
}

@test "every family's folder computes the same as the GGUF file made of it" {
    while IFS='|' read -r model change; do
        rm -rf "$work/model"
        cp -r "$golden/models/$model" "$work/model"
        python3 - "$work/model/config.json" "$change" <<'PY'
import json, sys
c = json.load(open(sys.argv[1]))
c.update(json.loads(sys.argv[2]))
json.dump(c, open(sys.argv[1], "w"))
PY
        "$PEFTLAB" convert "$work/model" --to gguf --dtype f32 --out "$work/m.gguf" --overwrite
        logits_of folder "$work/model"
        logits_of file "$work/m.gguf"
        python3 - "$work/folder/logits.safetensors" "$work/file/logits.safetensors" <<'PY'
import struct, sys
a, b = [open(p, "rb").read() for p in sys.argv[1:]]
n = 8 + int.from_bytes(a[:8], "little")
a, b = [struct.unpack("<%df" % (len(x[n:]) // 4), x[n:]) for x in (a, b)]
assert len(a) == len(b) and max(abs(x - y) for x, y in zip(a, b)) < 1e-5 * max(map(abs, a)), max(abs(x - y) for x, y in zip(a, b))
PY
        # written again from the GGUF file: the same tensors and divisors
        "$PEFTLAB" convert "$work/m.gguf" --to gguf --dtype f32 --out "$work/again.gguf" --overwrite
        logits_of again "$work/again.gguf"
        cmp "$work/file/logits.safetensors" "$work/again/logits.safetensors"
    done <<'TABLE'
llama-tied|{}
llama3|{}
mistral|{"sliding_window": null}
qwen3|{}
phi3-partial|{}
smollm3-list|{"no_rope_layers": null}
gemma2|{"query_pre_attn_scalar": 12}
gemma3|{"query_pre_attn_scalar": 12}
gpt2|{}
TABLE
}
