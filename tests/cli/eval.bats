#!/usr/bin/env bats
# `peftlab eval`: what it needs, and what it writes.
bats_require_minimum_version 1.5.0
load common

setup() {
    find_program
    GOLDEN=$ROOT/tests/golden
    cd "$BATS_TEST_TMPDIR"
}

# trial CASE KEY...: its trial file without these keys, data and model by whole paths
trial() {
    local case=$GOLDEN/cases/$1 key
    shift
    sed -E "s#^model: .*models/([a-z0-9-]+).*#model: $GOLDEN/models/\1#; s#(: )([a-z]+.jsonl|adapter_init)#\1$case/\2#" \
        "$case/trial.yaml" >trial.yaml
    for key; do
        sed -i "/^$key:/d" trial.yaml
    done
}

@test "no training data are needed to evaluate" {
    for case in llama-lora-qv bert-lora-qv; do
        trial $case
        "$PEFTLAB" eval trial.yaml --out with-$case
        trial $case train_data
        "$PEFTLAB" eval trial.yaml num_labels="$([ $case = bert-lora-qv ] && echo 3 || echo null)" --out without-$case
        cmp with-$case/logits.safetensors without-$case/logits.safetensors
        grep -q '"train_rows"' with-$case/result.json
        run ! grep '"train_rows"\|"baseline"' without-$case/result.json
    done
    run -78 "$PEFTLAB" train trial.yaml --out t
    has "'train_data' is missing"
    run -78 "$PEFTLAB" eval trial.yaml eval_data=null validation_split=0.1 --out t
    has "'train_data', which is missing"
}

@test "classes without training data are the model's own" {
    trial bert-lora-qv train_data num_labels init_adapter
    cp -r "$GOLDEN/models/bert" model && chmod -R u+w model
    printf '{"input_ids": [1, 2, 3], "label": "B"}\n' >rows.jsonl
    run -78 "$PEFTLAB" eval trial.yaml model=model eval_data=rows.jsonl --out e
    has "rows.jsonl" "labels are text" "'train_data'"
    python3 - <<'END'
import json
c = json.load(open("model/config.json"))
c["id2label"], c["label2id"] = {"0": "c", "1": "b", "2": "a"}, {"c": 0, "b": 1, "a": 2}
json.dump(c, open("model/config.json", "w"))
END
    "$PEFTLAB" eval trial.yaml model=model eval_data=rows.jsonl --out e
    [ "$(head -c 200 e/logits.safetensors | grep -ao '"shape":\[[0-9,]*\]')" = '"shape":[1,3]' ]
    printf '{"input_ids": [1, 2, 3], "label": 1}\n' >rows.jsonl
    "$PEFTLAB" eval trial.yaml model=model eval_data=rows.jsonl --out f
    cmp e/logits.safetensors f/logits.safetensors
    printf '{"input_ids": [1, 2, 3], "label": "d"}\n' >rows.jsonl
    run -78 "$PEFTLAB" eval trial.yaml model=model eval_data=rows.jsonl --out g
    has "label 'd' is none of those"
}

@test "logits are written as they come, or not at all" {
    trial llama-lora-qv train_data
    "$PEFTLAB" eval trial.yaml --out e
    "$PEFTLAB" eval trial.yaml --no-logits --out n
    [ "$(ls e | tr '\n' ' ')" = "logits.safetensors result.json rows_eval.bin " ]
    [ "$(ls n | tr '\n' ' ')" = "result.json rows_eval.bin " ]
    cmp e/rows_eval.bin n/rows_eval.bin
    python3 - "$GOLDEN/cases/llama-lora-qv/eval.jsonl" <<'END'
import json, struct, sys
tokens = sum(len(json.loads(l)["input_ids"]) for l in open(sys.argv[1]))
data = open("e/logits.safetensors", "rb").read()
n, = struct.unpack("<Q", data[:8])
logits = json.loads(data[8:8 + n])["logits"]
assert logits["shape"][0] == tokens, (logits, tokens)
assert len(data) == 8 + n + 4 * logits["shape"][0] * logits["shape"][1]
a, b = (json.load(open(d + "/result.json"))["eval"] for d in "en")
assert a == b, (a, b)
END
    # of a model that is broken nothing half-written is left
    cp -r "$GOLDEN/models/llama" model && chmod -R u+w model
    python3 - <<'END'
import json, struct
path = "model/model.safetensors"
data = bytearray(open(path, "rb").read())
n, = struct.unpack("<Q", data[:8])
at = 8 + n + json.loads(data[8:8 + n])["model.norm.weight"]["data_offsets"][0]
data[at:at + 4] = struct.pack("<f", float("nan"))
open(path, "wb").write(data)
END
    run -79 "$PEFTLAB" eval trial.yaml model=model --out b
    has "token 1 of" "logit"
    [ -z "$(ls b)" ]
}
