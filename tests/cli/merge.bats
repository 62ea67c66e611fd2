#!/usr/bin/env bats
# The merge command, and adapters whose start lies in the base.

setup() {
    program=${PEFTLAB:-$BATS_TEST_DIRNAME/../../build/peftlab}
    cases=$BATS_TEST_DIRNAME/../golden/cases
    work=$(mktemp -d)
}

teardown() {
    rm -rf "$work"
}

# Largest difference of two logits files (their headers are equal).
distance() {
    python3 - "$1" "$2" <<'EOF'
import json, struct, sys

def logits(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    begin, end = json.loads(data[8:8 + n])["logits"]["data_offsets"]
    return struct.unpack("<%df" % ((end - begin) // 4), data[8 + n + begin:8 + n + end])

print("%.9f" % max(abs(x - y) for x, y in zip(logits(sys.argv[1]), logits(sys.argv[2]))))
EOF
}

close() {
    d=$(distance "$1" "$2")
    awk -v d="$d" 'BEGIN { exit !(d < 1e-4) }' || { echo "logits differ by $d"; return 1; }
}

@test "merge writes a model folder with the adapter's logits" {
    c=$cases/bert-dora
    run "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/merged"
    [ "$status" -eq 0 ]
    [[ $output == *"8 layers merged"* ]]
    [[ $output == *"largest change of a logit on 6 rows of eval_data"* ]]
    [ -f "$work/merged/config.json" ] && [ -f "$work/merged/model.safetensors" ]
    grep -v "^rank\|^alpha\|^target\|^init_adapter\|^method\|^model:" "$c/trial.yaml" >"$work/trial.yaml"
    cp "$c"/*.jsonl "$work"
    printf 'method: head\nmodel: merged\n' >>"$work/trial.yaml"
    "$program" eval "$work/trial.yaml" --out "$work/plain"
    close "$work/plain/logits.safetensors" "$c/expected/logits_after.safetensors"
}

@test "merge reports as JSON, and says when there is nothing to compare" {
    c=$cases/bert-lora-qv
    run "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/merged" --json
    [ "$status" -eq 0 ]
    echo "$output" | python3 -c 'import json, sys; r = json.load(sys.stdin); assert r["layers"] == 4 and r["rows"] == 6 and 0 <= r["largest_change"] < 1e-5 < r["largest_logit"]'
    grep -v eval_data "$c/trial.yaml" | sed "s#\.\./\.\./models#$cases/../models#" >"$work/trial.yaml"
    cp "$c/train.jsonl" "$work"
    sed -i '/init_adapter/d' "$work/trial.yaml"
    run "$program" merge "$work/trial.yaml" --adapter "$c/expected/adapter" --out "$work/again"
    [ "$status" -eq 0 ]
    [[ $output == *"no eval_data"* ]]
}

@test "merge refuses what it cannot do" {
    c=$cases/bert-prefix
    run "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/merged"
    [ "$status" -ne 0 ]
    [[ $output == *"method 'prefix' cannot be merged: virtual keys and values"* ]]
    [ ! -e "$work/merged" ]
    run "$program" merge "$c/trial.yaml" --out "$work/merged"
    [ "$status" -eq 2 ]
    [[ $output == *"--adapter"* ]]
}

@test "a PiSSA adapter is evaluated in both forms" {
    c=$cases/bert-pissa
    for form in adapter adapter_converted; do
        "$program" eval "$c/trial.yaml" --adapter "$c/expected/$form" --out "$work/$form"
        close "$work/$form/logits.safetensors" "$c/expected/logits_after.safetensors"
    done
}

@test "a PiSSA adapter without a start point in the trial begins at the base's logits" {
    c=$cases/bert-pissa
    sed "s#\.\./\.\./models#$cases/../models#; /init_adapter/d" "$c/trial.yaml" >"$work/trial.yaml"
    cp "$c"/*.jsonl "$work"
    "$program" eval "$work/trial.yaml" --out "$work/start"
    "$program" eval "$work/trial.yaml" init_lora_weights=true --out "$work/base"
    close "$work/start/logits.safetensors" "$work/base/logits.safetensors"
    "$program" train "$work/trial.yaml" --out "$work/run" >/dev/null
    "$program" eval "$work/trial.yaml" --adapter "$work/run/adapter" --out "$work/after"
    "$program" eval "$work/trial.yaml" init_lora_weights=true rank=8 alpha=16 \
        --adapter "$work/run/adapter" --out "$work/plain"
    close "$work/after/logits.safetensors" "$work/plain/logits.safetensors"
    [ "$(distance "$work/after/logits.safetensors" "$work/start/logits.safetensors")" != 0.000000000 ]
}

@test "a table of embeddings that is the head too does not train as a saved module" {
    c=$cases/llama-tied-lora-all-linear
    run "$program" train "$c/trial.yaml" modules_to_save=embed_tokens --out "$work/run"
    [ "$status" -eq 78 ]
    [[ $output == *"modules_to_save: 'model.embed_tokens.weight' is the weight of 'lm_head' too (tie_word_embeddings)"* ]]
}

# sha256 of all files of a folder, with their names
state_of() { (cd "$1" && find . -type f -exec sha256sum {} + | sort -k2); }

@test "a merge that is killed leaves the old folder as it was, and the next one the new folder" {
    c=$cases/bert-lora-qv
    "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/merged"
    state_of "$work/merged" >"$work/old"
    size=$(stat -c %s "$work/merged/model.safetensors")
    for kib in 1 $((size / 2048)) $((size / 1024 - 1)); do
        # the kernel ends it where the file grows over the limit
        run bash -c "ulimit -c 0 -f $kib; exec \"\$0\" \"\$@\"" "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" \
            --out "$work/merged" --overwrite --dtype f32
        [ "$status" -ne 0 ]
        diff "$work/old" <(state_of "$work/merged")
    done
    "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/merged" --overwrite --dtype bf16
    ! diff -q "$work/old" <(state_of "$work/merged")
    [ "$(ls "$work")" = "merged
old" ]
}

@test "merge --overwrite takes nobody's own files away" {
    c=$cases/bert-lora-qv
    mkdir "$work/merged"
    echo mine >"$work/merged/notes.md"
    run "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/merged" --overwrite
    [ "$status" -eq 78 ]
    [[ $output == *"would be replaced as a whole, and holds 'notes.md'"* ]]
    [ "$(cat "$work/merged/notes.md")" = mine ]
}

@test "weights are written in other numbers, and in shards with an index" {
    c=$cases/llama-lora-qv
    for dtype in f32 f16 bf16; do
        "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/$dtype" --dtype $dtype --shard-size 1e-4
        "$program" merge "$c/trial.yaml" --adapter "$c/expected/adapter" --out "$work/one-$dtype" --dtype $dtype
    done
    python3 - "$work" <<'PY'
import json, os, struct, sys

def tensors(folder):
    index = os.path.join(folder, "model.safetensors.index.json")
    files = {"model.safetensors"}
    if os.path.exists(index):
        index = json.load(open(index))
        files = set(index["weight_map"].values())
    out = {}
    for name in sorted(files):
        data = open(os.path.join(folder, name), "rb").read()
        n = struct.unpack("<Q", data[:8])[0]
        head = json.loads(data[8:8 + n])
        head.pop("__metadata__")
        for k, v in head.items():
            a, b = v["data_offsets"]
            out[k] = (v["dtype"], v["shape"], data[8 + n + a:8 + n + b])
            assert index.__class__ is str or index["weight_map"][k] == name
    if index.__class__ is dict:
        assert index["metadata"]["total_size"] == sum(len(v[2]) for v in out.values())
        assert len(files) > 2 and all("-of-%05d." % len(files) in f for f in files), files
    return out

for dtype, word in ("f32", "float32"), ("f16", "float16"), ("bf16", "bfloat16"):
    a, b = tensors(sys.argv[1] + "/" + dtype), tensors(sys.argv[1] + "/one-" + dtype)
    assert a == b and {v[0] for v in a.values()} == {dtype.upper()}
    c = json.load(open(sys.argv[1] + "/" + dtype + "/config.json"))
    assert c.get("dtype", c.get("torch_dtype")) == word, c
f32, bf16 = tensors(sys.argv[1] + "/f32"), tensors(sys.argv[1] + "/bf16")
for k, (_, _, data) in f32.items():  # to the nearest, ties to even
    for i in range(0, len(data), 4 * 97):
        u = struct.unpack_from("<I", data, i)[0]
        want = (u + 0x7fff + (u >> 16 & 1)) >> 16
        assert struct.unpack_from("<H", bf16[k][2], i // 2)[0] == want, k
PY
    [ "$(ls "$work/one-f32")" = "$(ls "$work/one-bf16")" ]
}
