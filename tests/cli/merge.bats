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
