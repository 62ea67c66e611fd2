#!/usr/bin/env bats
# `peftlab serve` with real clients: what it answers is what `eval` computes; who may ask; what it refuses.
bats_require_minimum_version 1.5.0
load common
load serving

setup_file() {
    find_program
    cd "$BATS_FILE_TMPDIR"
    tiny_adapters lora ia3 prefix adapter
}

setup() {
    find_program
    cd "$BATS_FILE_TMPDIR"
}

teardown() {
    stop_serving
}

@test "each row gets, bit by bit, what eval computes, whoever else asks" {
    serve --adapters adapters
    python3 - "$URL" <<'END'
import json, struct, sys, threading, urllib.request
url, names = sys.argv[1], ["lora", "ia3", "prefix", "adapter"]
texts = [json.loads(l)["text"] for l in open("eval.jsonl")]

def ask(model, text):
    body = json.dumps({"model": model, "input": text, "logits": True}).encode()
    return json.load(urllib.request.urlopen(urllib.request.Request(url + "/v1/classify", body)))["data"]

def want(name):
    f = open("eval-%s/logits.safetensors" % name, "rb")
    head = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    t = [v for k, v in head.items() if k != "__metadata__"][0]
    n = t["shape"][0] * t["shape"][1]
    v = struct.unpack("<%df" % n, f.read(4 * n))
    return [list(v[i * 3:i * 3 + 3]) for i in range(len(texts))]

wanted = {n: want(n) for n in names}
wrong = []
def client(k):
    for r in range(20):
        i, name = (k * 3 + r) % len(texts), names[(k + r) % 4]
        got = ask(name, texts[i])[0]
        if got["logits"] != wanted[name][i]:
            wrong.append((name, i, got["logits"], wanted[name][i]))
threads = [threading.Thread(target=client, args=(k,)) for k in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not wrong, wrong[:3]
got = ask(names, texts)  # one text through several, and several texts
assert len(got) == 4 * len(texts)
for g in got:
    assert g["logits"] == wanted[g["model"]][g["index"]], g
    assert g["label"] == ["neg", "new", "pos"][max(range(3), key=lambda c: g["logits"][c])], g
END
    run curl -s "$URL/metrics"
    has $'peftlab_rows_total 188\n' $'peftlab_adapters_resident 4\n' $'peftlab_failed_rows_total 0\n'
}

@test "the shapes of vLLM's and text-embeddings-inference's answers" {
    serve --adapters adapters
    post /v1/classify '{"model": "lora", "input": "the food was good"}'
    jq -e '.object == "list" and .model == "lora" and (.data[0] | .num_classes == 3 and (.probs | add - 1 | fabs) < 1e-6)
        and .usage == {prompt_tokens: 6, total_tokens: 6, completion_tokens: 0, prompt_tokens_details: null}' <<<"${output%$'\n'*}"
    post /predict '{"model": "lora", "inputs": ["good food", ["good", "food"]]}'
    jq -e 'length == 2 and (.[0] | length == 3 and .[0].score >= .[1].score and (.[0].label | test("neg|new|pos")))' <<<"${output%$'\n'*}"
    post /predict '{"model": "lora", "inputs": "good food", "raw_scores": true}'
    jq -e 'length == 3 and (map(.score) | add - 1 | fabs) > 1e-6' <<<"${output%$'\n'*}"
    post /tokenize '{"prompt": "good food"}'
    jq -e '.count == 4 and .tokens[0] == 2 and .max_model_len == 48' <<<"${output%$'\n'*}"
    run curl -s "$URL/v1/models"
    jq -e '[.data[] | .id] == ["adapter", "ia3", "lora", "prefix", "model"] and .data[0].parent == "model" and .data[4].parent == null' <<<"$output"
    run curl -s "$URL/v1/base"
    jq -e '.sha256 | length == 64' <<<"$output"
}

@test "adapters come and go" {
    serve --adapters adapters
    post /v1/load_lora_adapter '{"lora_name": "twin", "lora_path": "adapters/lora/adapter"}'
    [ "$output" = $'added\n\n200' ]
    post /v1/classify '{"model": "twin", "input": "good"}' -D head
    [ "${lines[-1]}" = 200 ]
    grep -qi 'x-adapter-cold: 1' head
    post /v1/classify '{"model": "twin", "input": "good"}' -D head
    run ! grep -qi 'x-adapter-cold' head
    post /v1/load_lora_adapter '{"lora_name": "twin", "lora_path": "adapters/ia3/adapter"}'
    has "already" 400
    post /v1/unload_lora_adapter '{"lora_name": "twin"}'
    [ "$output" = $'removed\n\n200' ]
    post /v1/classify '{"model": "twin", "input": "good"}'
    has "there is no adapter 'twin'" 404
    post /v1/load_lora_adapter '{"lora_name": "b", "lora_path": "nowhere"}'
    has "no folder 'nowhere'" 404
    cp -r adapters/lora/adapter broken
    head -c 500 broken/adapter_model.safetensors >x && mv x broken/adapter_model.safetensors
    post /v1/load_lora_adapter '{"lora_name": "broken", "lora_path": "broken"}'
    post /v1/classify '{"model": ["lora", "broken"], "input": "good"}'
    has "broken" 400
    post /v1/classify '{"model": "lora", "input": "good"}'
    [ "${lines[-1]}" = 200 ]
}

@test "what cannot be answered is refused by name" {
    serve --adapters adapters
    local body code words
    while IFS='|' read -r body code words; do
        post /v1/classify "$body"
        [ "${lines[-1]}" = "$code" ] || { echo "$body: $output"; return 1; }
        has "$words"
    done <<'END'
{"model": "lora"|400|body
{"model": "lora"}|400|'input' is missing
[]|400|no JSON object
{"input": "good"}|400|'model' is missing
{"model": "lora", "input": []}|400|1 to 1024
{"model": "lora", "input": 3}|400|an input is text
{"model": "lora", "input": [[1, 999]]}|400|no id below
{"model": "lora", "input": [[]]}|400|an input
{"model": 3, "input": "good"}|400|'model' is missing
{"model": [3], "input": "good"}|404|no adapter
{"model": "model", "input": "good"}|404|no adapter
END
    post /v1/classify "{\"model\": \"lora\", \"input\": \"$(yes good | head -60 | tr '\n' ' ')\"}"
    has "takes 48" 400
    post /v1/classify "{\"model\": \"lora\", \"truncate\": true, \"input\": \"$(yes good | head -60 | tr '\n' ' ')\"}"
    [ "${lines[-1]}" = 200 ]
    head -c 5000000 /dev/zero | tr '\0' ' ' >large
    post /v1/classify @large
    has "4194304 bytes" 413
    run curl -s "$URL/nowhere"
    has "there is no /nowhere"
    run curl -s "$URL/v1/classify"
    has "no method GET"
    run curl -s -H 'Host: elsewhere.example' "$URL/v1/models"
    has "Host"
    run curl -s -H 'Origin: https://elsewhere.example' "$URL/v1/models"
    has "another origin"
}

@test "an adapter of other settings than the base's is refused, unless they are said" {
    "$PEFTLAB" train lora.yaml dtype=bfloat16 --out half --no-store
    "$PEFTLAB" train lora.yaml quantization=nf4 --out quarter --no-store
    "$PEFTLAB" eval lora.yaml dtype=bfloat16 --adapter half/adapter --out eval-half
    "$PEFTLAB" eval lora.yaml quantization=nf4 --adapter quarter/adapter --out eval-quarter
    serve half=half quarter=quarter lora=adapters/lora
    post /v1/classify '{"model": "half", "input": "good"}'
    has 'trained with dtype \"bfloat16\"' 400
    post /v1/classify '{"model": "quarter", "input": "good"}'
    has 'trained with quantization \"nf4\"' 400
    post /v1/classify '{"model": "lora", "input": "good"}'
    [ "${lines[-1]}" = 200 ]
    local kind flag
    for kind in "half --dtype bfloat16" "quarter --quantization nf4"; do
        read -r kind flag <<<"$kind"
        kill -9 $SERVER
        # shellcheck disable=SC2086 # words
        serve $kind=$kind $flag
        python3 - "$URL" $kind <<'END'
import json, struct, sys, urllib.request
url, name = sys.argv[1:]
texts = [json.loads(l)["text"] for l in open("eval.jsonl")]
body = json.dumps({"model": name, "input": texts, "logits": True}).encode()
got = json.load(urllib.request.urlopen(urllib.request.Request(url + "/v1/classify", body)))["data"]
f = open("eval-%s/logits.safetensors" % name, "rb")
f.read(struct.unpack("<Q", f.read(8))[0])
want = struct.unpack("<%df" % (3 * len(texts)), f.read())
assert [x for g in got for x in g["logits"]] == list(want), (got, want)
END
    done
}

@test "with a key nothing but health and metrics is told without it" {
    echo secret >key
    serve --adapters adapters --api-key-file key
    run curl -s -w '\n%{http_code}' "$URL/v1/models"
    has "a key is needed" 401
    run curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer secre' "$URL/v1/models"
    [ "$output" = 401 ]
    run curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer secret' -H 'Host: elsewhere.example' "$URL/v1/models"
    [ "$output" = 200 ]
    run curl -s "$URL/health"
    [ "$output" = '{}' ]
}

@test "on any loopback address it answers where it says that it is" {
    local address
    for address in 127.0.0.2 ::1; do
        [ $address != ::1 ] || grep -q '^0\{31\}1 ' /proc/net/if_inet6 2>/dev/null || continue
        serve --adapters adapters --address $address
        [[ "$URL" == *"$address"* ]]
        post /v1/classify '{"model": "lora", "input": "good"}' -g
        [ "${lines[-1]}" = 200 ]
        stop_serving
    done
}

@test "more than may wait is refused at once, with when to ask again" {
    serve --adapters adapters --queue 4 --batch-rows 1
    post /v1/classify '{"model": "lora", "input": ["good", "bad", "fine", "poor", "it"]}' -D head
    has "0 rows wait" "with the 5 of this request they would be more than 4" 429
    grep -qi 'retry-after: 1' head
    post /v1/classify '{"model": "lora", "input": ["good", "bad", "fine", "poor"]}'
    [ "${lines[-1]}" = 200 ]
    run curl -s "$URL/metrics"
    has $'peftlab_refused_total 1\n'
}

@test "a request whose time is up is not computed" {
    serve --adapters adapters --limits ia3=0.000001,lora=1e6
    local body
    for body in '"deadline_ms": 0' '"deadline_ms": -5' '"deadline_ms": "5"' '"deadline_ms": 1e9' '"deadline_ms": null'; do
        post /v1/classify "{\"model\": \"lora\", \"input\": \"good\", $body}"
        has "'deadline_ms' is a number of milliseconds" 400
    done
    for body in ': abc' ': 0' ': nan' ': 1e99' ': 5 ms' ';'; do # the last one is empty
        post /v1/classify '{"model": "lora", "input": "good"}' -H "X-Deadline-Ms$body"
        has "X-Deadline-Ms is a number of milliseconds" 400
    done
    post /v1/classify '{"model": "lora", "input": "good", "deadline_ms": 0.000001}'
    has "passed while it waited" 504
    post /v1/classify '{"model": ["lora", "ia3"], "input": "good"}' # the shortest of its adapters
    has "passed while it waited" 504
    post /v1/classify '{"model": "lora", "input": "good", "deadline_ms": 60000}'
    [ "${lines[-1]}" = 200 ]
    post /v1/classify '{"model": "lora", "input": "good"}' -H 'X-Deadline-Ms: 0.000001' # nothing is ahead of it: it is tried
    has "passed while it waited" 504
    post /v1/classify '{"model": "ia3", "input": "good"}'
    has "passed while it waited" 504
    post /v1/classify '{"model": "ia3", "input": "good"}' -H 'X-Deadline-Ms: 60000'
    [ "${lines[-1]}" = 200 ]
    post /v1/load_lora_adapter '{"lora_name": "twin", "lora_path": "adapters/lora/adapter", "limit_ms": "5"}'
    has "'limit_ms' is a number" 400
    post /v1/load_lora_adapter '{"lora_name": "twin", "lora_path": "adapters/lora/adapter", "limit_ms": 0.000001}'
    [ "${lines[-1]}" = 200 ]
    post /v1/classify '{"model": "twin", "input": "good"}'
    has "passed while it waited" 504
    run curl -s "$URL/metrics"
    has $'peftlab_late_total 5\n' $'peftlab_refused_total 0\n' $'peftlab_queued_rows 0\n'
}

@test "asked to stop it answers what it has; after a kill it starts again" {
    serve --adapters adapters
    curl -s -o first "$URL/v1/classify" -d '{"model": ["lora", "ia3", "prefix", "adapter"], "input": "good"}'
    for i in {1..20}; do
        curl -s -o answer$i "$URL/v1/classify" -d '{"model": ["lora", "ia3", "prefix", "adapter"], "input": "good"}' &
    done
    sleep .05
    kill -TERM $SERVER
    wait $SERVER
    wait
    for i in {1..20}; do # answered whole, or not at all
        [ ! -s answer$i ] || jq -e '.data | length == 4' answer$i || jq -e '.error.code == 503' answer$i
    done
    serve --adapters adapters
    kill -9 $SERVER
    serve --adapters adapters
    post /v1/classify '{"model": ["lora", "ia3", "prefix", "adapter"], "input": "good"}'
    [ "$(jq -c .data <<<"${output%$'\n'*}")" = "$(jq -c .data first)" ]
}

@test "what it cannot serve it says before it listens" {
    run -2 "$PEFTLAB" serve
    has "which base?"
    run -66 "$PEFTLAB" serve model --adapters nowhere
    has "no folder 'nowhere'"
    mkdir -p empty
    run -66 "$PEFTLAB" serve model --adapters empty
    has "none in 'empty'"
    run -2 "$PEFTLAB" serve model lora
    has "NAME=FOLDER"
    run -66 "$PEFTLAB" serve model a=nowhere
    has "none in 'nowhere'"
    run -78 "$PEFTLAB" serve model a=adapters/lora a=adapters/ia3
    has "there is an adapter 'a' already"
    run -2 "$PEFTLAB" serve model a=adapters/lora --pin b
    has "no adapter 'b'"
    run -2 "$PEFTLAB" serve model a=adapters/lora --limits b=5
    has "no adapter of 'b=5'"
    run -2 "$PEFTLAB" serve model a=adapters/lora --limits a
    has "NAME=MILLISECONDS"
    run -78 "$PEFTLAB" serve model a=adapters/lora --address 0.0.0.0
    has "give a key"
    run -78 "$PEFTLAB" serve model a=adapters/lora --address here
    has "no address"
    serve a=adapters/lora
    run -69 "$PEFTLAB" serve model a=adapters/lora --port "${URL##*:}"
    has "is it in use?"
}
