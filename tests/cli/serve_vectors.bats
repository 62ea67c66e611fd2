#!/usr/bin/env bats
# `peftlab serve` for vectors of texts: the base's and adapters' hidden states, in OpenAI's form and in that of
# text-embeddings-inference. Pooling itself: tests/unit/runner/pooling.c.
bats_require_minimum_version 1.5.0
load common
load serving

setup_file() {
    find_program
    cd "$BATS_FILE_TMPDIR"
    tiny_adapters lora ia3 prefix prompt adapter
}

setup() {
    find_program
    cd "$BATS_FILE_TMPDIR"
    rm -rf model/1_Pooling model/sentence_bert_config.json
}

teardown() {
    stop_serving
}

@test "hidden states are those that the head reads, with every kind of adapter" {
    mkdir model/1_Pooling
    echo '{"word_embedding_dimension": 32, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}' >model/1_Pooling/config.json
    serve --adapters adapters
    python3 - "$URL" <<'END'
import json, math, struct, sys, urllib.request
url = sys.argv[1]
texts = [json.loads(l)["text"] for l in open("eval.jsonl")]

def ask(path, **body):
    return json.load(urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode())))

def tensor(path, end):
    f = open(path, "rb")
    head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    at = f.tell()
    for name, t in head.items():
        if name.endswith(end):
            f.seek(at + t["data_offsets"][0])
            values = struct.unpack("<%df" % math.prod(t["shape"]), f.read(t["data_offsets"][1] - t["data_offsets"][0]))
            n = t["shape"][-1]
            return [values[i:i + n] for i in range(0, len(values), n)]

def linear(w, b, x):
    return [sum(p * q for p, q in zip(row, x)) + c for row, c in zip(w, b[0])]

for adapter in "lora", "ia3", "prefix", "prompt":
    head = [tensor("adapters/%s/adapter/adapter_model.safetensors" % adapter, "classifier." + k) for k in ("weight", "bias")]
    pooler = [tensor("model/model.safetensors", "pooler.dense." + k) for k in ("weight", "bias")]
    states = ask("/embed", model=adapter, inputs=texts, normalize=False)
    logits = ask("/v1/classify", model=adapter, input=texts, logits=True)["data"]
    for x, want in zip(states, logits):
        got = linear(*head, [math.tanh(y) for y in linear(*pooler, x)])
        if adapter != "prompt":  # whose classifier reads the first virtual token
            assert all(abs(g - w) < 1e-4 for g, w in zip(got, want["logits"])), (adapter, got, want)
    assert states != ask("/embed", model="model", inputs=texts, normalize=False), adapter
assert len(ask("/embed", model="adapter", inputs=texts)) == len(texts)
END
}

@test "OpenAI's form; a text's vector is the same beside whatever it is computed" {
    serve --adapters adapters
    python3 - "$URL" <<'END'
import base64, json, struct, sys, threading, urllib.request
url = sys.argv[1]
texts = [json.loads(l)["text"] for l in open("eval.jsonl")]

def ask(path, **body):
    return json.load(urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode())))

def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]

got = ask("/v1/embeddings", model="model", input=texts)
assert got["object"] == "list" and got["model"] == "model" and got["usage"]["total_tokens"] == got["usage"]["prompt_tokens"] > 20, got
vectors = [d["embedding"] for d in got["data"]]
assert [d["index"] for d in got["data"]] == list(range(len(texts))) and all(d["object"] == "embedding" for d in got["data"])
assert all(abs(sum(x * x for x in v) - 1) < 1e-6 for v in vectors)
wrong = []

def client(k):
    for r in range(10):
        i = (k + r) % len(texts)
        if k % 2:
            ask("/v1/classify", model=["lora", "prefix"], input=texts[i])
        one = ask("/v1/embeddings", input=texts[i], encoding_format="base64")["data"][0]["embedding"]
        if list(struct.unpack("<%df" % len(vectors[i]), base64.b64decode(one))) != [f32(x) for x in vectors[i]]:
            wrong.append(texts[i])

threads = [threading.Thread(target=client, args=(k,)) for k in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not wrong, wrong
assert ask("/embed", inputs=texts[0]) == [vectors[0]]
assert ask("/v1/embeddings", input=ask("/tokenize", prompt=texts[1])["tokens"])["data"][0]["embedding"] == vectors[1]
END
    run curl -s "$URL/metrics"
    has $'peftlab_adapters_known 5\n' $'peftlab_failed_rows_total 0\n'
    run curl -s "$URL/v1/models"
    jq -e '.data | length == 6' <<<"$output"
}

@test "vectors come and go with their adapter; what they cannot be is said" {
    serve --adapters adapters --batch-tokens 64
    local body code words
    while IFS='|' read -r body code words; do
        post /v1/embeddings "$body"
        [ "${lines[-1]}" = "$code" ] || { echo "$body: $output"; return 1; }
        has "$words"
    done <<'END'
{"model": "nobody", "input": "good"}|404|no adapter 'nobody'
{"model": "\u0001lora", "input": "good"}|404|no adapter
{"model": ["lora", "ia3"], "input": "good"}|400|of one 'model'
{"model": "lora"}|400|'input' is missing
{"model": "lora", "input": "good", "encoding_format": "int8"}|400|'encoding_format'
{"model": "lora", "input": "good", "encoding_format": 3}|400|'encoding_format'
{"model": "lora", "input": "good", "dimensions": 7}|400|'dimensions': vectors of this base have 32
{"model": "lora", "input": "good", "dimensions": 32}|200|embedding
{"input": ""}|200|embedding
END
    post /v1/classify '{"model": "\u0001lora", "input": "good"}'
    has "no adapter" 404
    post /v1/load_lora_adapter '{"lora_name": "\u0001x", "lora_path": "adapters/lora/adapter"}'
    has "without control characters" 400
    post /v1/unload_lora_adapter '{"lora_name": "lora"}'
    post /v1/embeddings '{"model": "lora", "input": "good"}'
    [ "${lines[-1]}" = 404 ]
    post /v1/load_lora_adapter '{"lora_name": "lora", "lora_path": "adapters/ia3/adapter"}'
    post /embed '{"model": "lora", "inputs": "good"}'
    local got=$output
    post /embed '{"model": "ia3", "inputs": "good"}'
    [ "$output" = "$got" ]
    stop_serving
    mkdir model/1_Pooling
    echo '{"pooling_mode_weightedmean_tokens": true}' >model/1_Pooling/config.json
    echo '{"max_seq_length": 5}' >model/sentence_bert_config.json
    serve --adapters adapters
    post /v1/embeddings '{"input": "good"}'
    has "asks for none of" 400
    echo '{"pooling_mode_mean_tokens": true}' >model/1_Pooling/config.json
    post /embed '{"inputs": "good bad fine poor it was", "truncate": true}'
    got=$output
    post /embed '{"inputs": "good bad fine"}'
    [ "$output" = "$got" ]
}
