#!/usr/bin/env bats
# `peftlab serve` of a language model: texts are those of `generate`, streamed or not; what ends them; what is refused.
bats_require_minimum_version 1.5.0
load common
load serving

setup_file() {
    find_program
    cd "$BATS_FILE_TMPDIR"
    python3 "$ROOT/tests/cli/tiny_chat_model.py" model
    printf '{"text": "%s"}\n' "the sun is up" "rain again" "a cold wind" "snow on the hill" >rows.jsonl
    printf '{"text": "%s"}\n' "the sun" "rain" "a" "hill and wind" >prompts.jsonl
    local method
    for method in lora ia3 prefix; do
        printf '%s\n' "model: model" "task: causal-lm" "method: $method" "train_data: rows.jsonl" "max_steps: 4" "learning_rate: 0.05" \
            "batch_size: 4" "latency_requests: 0" >$method.yaml
        "$PEFTLAB" train $method.yaml --out adapters/$method --no-store
        "$PEFTLAB" generate model --adapter adapters/$method/adapter --max-new-tokens 24 --json <prompts.jsonl >prompts.$method 2>/dev/null
    done
    "$PEFTLAB" generate model --max-new-tokens 24 --json <prompts.jsonl >prompts.model 2>/dev/null
    ! cmp -s prompts.lora prompts.model # they learnt something
    cat >client.py <<'END'
import json, sys, urllib.error, urllib.request
url = sys.argv[1]
prompts = [json.loads(l)["text"] for l in open("prompts.jsonl")]

def post(path, **body):
    return urllib.request.urlopen(urllib.request.Request(url + path, json.dumps(body).encode()))
def ask(path="/v1/completions", **body):
    return json.load(post(path, **body))
def events(path="/v1/completions", **body):
    """Of a stream, which has to end as it should."""
    lines = [l for l in post(path, stream=True, **body).read().decode().split("\n\n") if l]
    assert all(l.startswith("data: ") for l in lines) and lines[-1] == "data: [DONE]", lines
    return [json.loads(l[6:]) for l in lines[:-1]]
def joined(events):
    return "".join(c["text"] if "text" in c else c["delta"].get("content", "") for e in events for c in e["choices"])
def wanted(name):
    return [json.loads(l) for l in open("prompts." + name)]
def refused(path="/v1/completions", **body):
    try:
        post(path, **body)
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)["error"]
    raise AssertionError("not refused: %r" % body)
END
}

setup() {
    find_program
    cd "$BATS_FILE_TMPDIR"
}

teardown() { stop_serving; }

client() { # a program in Python from stdin, behind client.py
    cat client.py - >"$BATS_TEST_TMPDIR/program.py"
    python3 "$BATS_TEST_TMPDIR/program.py" "$URL"
}

@test "each text is what generate writes with that adapter, streamed or not, whoever else asks" {
    serve_of model --adapters adapters --sequences 3
    client <<'END'
import threading
names = ["lora", "ia3", "prefix", "model"]
texts = {n: wanted(n) for n in names}
wrong = []
def run(k):
    for r in range(8):
        i, name = (k + r) % len(prompts), names[(k // 2 + r) % 4]
        want = texts[name][i]
        body = dict(model=name, prompt=prompts[i], max_tokens=24, temperature=0)
        if (k + r) % 2:
            got = joined(events(**body))
        else:
            a = ask(**body)
            got = a["choices"][0]["text"]
            if (a["choices"][0]["finish_reason"], a["usage"]["completion_tokens"]) != (want["finish_reason"], want["completion_tokens"]):
                wrong.append((name, i, a, want))
        if got != want["text"]:
            wrong.append((name, i, got, want["text"]))
threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert not wrong, wrong[:3]
END
    run curl -s "$URL/metrics"
    has $'peftlab_texts_total 64\n' $'peftlab_failed_texts_total 0\n' $'peftlab_time_to_first_token_seconds_count 64\n' \
        $'peftlab_requests_running 0\n' $'peftlab_adapters_resident 3\n'
}

@test "a stream has an event for each token, then usage where it is wanted" {
    serve_of model --adapters adapters
    client <<'END'
body = dict(model="lora", prompt=prompts[0], max_tokens=24, temperature=0)
whole = ask(**body)
assert whole["object"] == "text_completion" and whole["model"] == "lora" and whole["id"].startswith("cmpl-"), whole
e = events(**body)
n = whole["usage"]["completion_tokens"]
assert len(e) == n and joined(e) == whole["choices"][0]["text"], e
assert [c["choices"][0]["finish_reason"] for c in e] == [None] * (n - 1) + [whole["choices"][0]["finish_reason"]]
assert "usage" not in e[0]
e = events(stream_options={"include_usage": True}, **body)
assert len(e) == n + 1 and e[0]["usage"] is None and e[-1]["choices"] == [], e
assert e[-1]["usage"]["completion_tokens"] == n and e[-1]["usage"]["prompt_tokens"] == len(prompts[0])
assert e[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == len(prompts[0]) - 1  # a slot had them
e = events(stream_options={"continuous_usage_stats": True}, **body)
assert [c["usage"]["completion_tokens"] for c in e[:3]] == [1, 2, 3]
texts = [""] * 8
for c in events(**{**body, "prompt": prompts, "n": 2}):
    texts[c["choices"][0]["index"]] += c["choices"][0]["text"]
want = [t["text"] for t in wanted("lora") for _ in range(2)]
assert texts == want, (texts, want)
r = post("/v1/completions", stream=True, **body)
assert r.headers["Content-Type"] == "text/event-stream" and "queue;dur=" in r.headers["Server-Timing"]
END
}

@test "draws are those of generate with the same seed; choices are further texts of it" {
    "$PEFTLAB" generate model --max-new-tokens 12 --temperature 0.9 --top-k 40 --top-p 0.8 --repetition-penalty 1.2 --seed 7 --json \
        <<<$'{"text": "the sun"}\n{"text": "the sun"}\n{"text": "the sun"}' >drawn 2>/dev/null
    serve_of ./model/ # whose name is "model"
    client <<'END'
want = [json.loads(l)["text"] for l in open("drawn")]
body = dict(prompt="the sun", max_tokens=12, temperature=.9, top_k=40, top_p=.8, repetition_penalty=1.2)
a = ask(n=3, seed=7, **body)
assert [c["text"] for c in a["choices"]] == want and len(set(want)) == 3, (a, want)
assert a["usage"]["prompt_tokens"] == 7 and a["usage"]["completion_tokens"] == 36
assert ask(seed=7, model="model", **body)["choices"][0]["text"] == want[0]
assert ask(seed=8, **body)["choices"][0]["text"] != want[0]
assert len({ask(**body)["choices"][0]["text"] for _ in range(4)}) > 1  # without a seed each time anew
END
}

@test "stop strings across tokens, end tokens, and what goes on in spite of them" {
    serve_of model --adapters adapters
    client <<'END'
body = dict(model="ia3", prompt=prompts[1], max_tokens=24, temperature=0)
text, ids = wanted("ia3")[1]["text"], wanted("ia3")[1]["ids"]
for stop in (text[5:8], [text[3:5], text[6:9]], [text[:1]], text[-1:], ["never in it"], [text[4:7], "x" * 30]):
    a = ask(stop=stop, **body)["choices"][0]
    cuts = [text.find(s) for s in ([stop] if isinstance(stop, str) else stop) if s in text]
    assert a["text"] == (text[:min(cuts)] if cuts else text), (stop, a, text)
    assert a["finish_reason"] == ("stop" if cuts else "length"), a
    e = events(stop=stop, **body)
    assert joined(e) == a["text"] and e[-1]["choices"][0]["finish_reason"] == a["finish_reason"], (stop, e)
assert ask(stop=text[:1], min_tokens=12, **body)["usage"]["completion_tokens"] > 12
a = ask(stop_token_ids=[ids[4]], **body)
assert a["usage"]["completion_tokens"] == ids.index(ids[4]) + 1 and a["choices"][0]["finish_reason"] == "stop", a
END
    cp -r model ending
    printf '{"eos_token_id": %s}' "$(sed -n 1p prompts.model | jq '.ids[3]')" >ending/generation_config.json
    kill -9 $SERVER
    serve_of ending
    client <<'END'
body = dict(prompt=prompts[0], max_tokens=24, temperature=0)
want = wanted("model")[0]
n = want["ids"].index(want["ids"][3]) + 1
a = ask(**body)
assert a["usage"]["completion_tokens"] == n and a["choices"][0]["finish_reason"] == "stop", a
e = events(**body)
assert joined(e) == a["choices"][0]["text"] and len(e) == n and e[-1]["choices"][0]["finish_reason"] == "stop", e
a = ask(ignore_eos=True, **body)
assert a["choices"][0]["text"] == want["text"] and a["choices"][0]["finish_reason"] == "length", a
assert ask(min_tokens=10, **body)["usage"]["completion_tokens"] > 10
END
}

@test "a chat by the model's template" {
    printf '%s\n' '{"messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}]}' \
        '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "so"}], "continue_final_message": true}' >talk.jsonl
    "$PEFTLAB" generate model --adapter adapters/lora/adapter --max-new-tokens 10 --json <talk.jsonl >talk.lora 2>/dev/null
    serve_of model --adapters adapters
    client <<'END'
chat = "/v1/chat/completions"
rows, want = ([json.loads(l) for l in open(f)] for f in ("talk.jsonl", "talk.lora"))
for row, w in zip(rows, want):
    body = dict(model="lora", temperature=0, max_completion_tokens=10, **row)
    a = ask(chat, **body)
    assert a["object"] == "chat.completion" and a["choices"][0]["message"] == {"role": "assistant", "content": w["text"]}, a
    assert a["usage"]["prompt_tokens"] == w["prompt_tokens"]
    e = events(chat, **body)
    assert e[0]["object"] == "chat.completion.chunk" and e[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}, e[0]
    assert joined(e) == w["text"] and len(e) == 1 + w["completion_tokens"], e
parts = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
a = ask("/tokenize", messages=[{"role": "user", "content": parts}])
b = ask("/tokenize", messages=[{"role": "user", "content": "h\ni"}])
assert a == b and a["max_model_len"] == 128 and a["count"] == len(a["tokens"]), (a, b)
assert ask("/detokenize", tokens=b["tokens"])["prompt"] == "<|im_start|>user\nh\ni<|im_end|>\n<|im_start|>assistant\n"
# without a number of tokens as many as there is room for
a = ask(chat, messages=rows[0]["messages"], model="lora", temperature=0, ignore_eos=True)
assert a["usage"]["total_tokens"] == 128, a["usage"]
hi = rows[0]["messages"]
for why, param, body in (
        ("takes no tools", "tools", dict(messages=hi, tools=[{"type": "function", "function": {"name": "f"}}])),
        ("tool_choice", "tool_choice", dict(messages=hi, tool_choice="required")),
        ("part 1 is no text", "messages", dict(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])),
        ("has no role", "messages", dict(messages=[{"content": "hi"}])),
        ("one message at least", "messages", dict(messages=[])),
        ("messages is missing", "messages", dict(user="me")),
        ("unknown field 'prompt'", "prompt", dict(messages=hi, prompt="hi")),
        ("may not say messages", "chat_template_kwargs", dict(messages=hi, chat_template_kwargs={"messages": []})),
        ("needs logprobs", "top_logprobs", dict(messages=hi, top_logprobs=2)),
        ("response_format is not done here", "response_format", dict(messages=hi, response_format={"type": "json_object"}))):
    code, e = refused(chat, model="lora", **body)
    assert code == 400 and why in e["message"] and e["param"] == param, (body, e)
END
}

@test "probabilities of tokens and of their alternatives" {
    serve_of model
    client <<'END'
import math
body = dict(prompt=prompts[0], max_tokens=6, temperature=0)
a = ask(logprobs=3, **body)["choices"][0]["logprobs"]
assert len(a["tokens"]) == 6 and a["text_offset"] == sorted(a["text_offset"]) and a["text_offset"][-1] == 5, a
for token, p, top in zip(a["tokens"], a["token_logprobs"], a["top_logprobs"]):
    assert p < 0 and top[token] == p and p == max(top.values()) and 1 <= len(top) <= 3, (token, p, top)
e = events(logprobs=3, **body)
assert [c["choices"][0]["logprobs"]["token_logprobs"][0] for c in e] == a["token_logprobs"]
b = ask("/v1/chat/completions", messages=[{"role": "user", "content": "hi"}], max_tokens=2, temperature=0, logprobs=True, top_logprobs=20)
for t in b["choices"][0]["logprobs"]["content"]:
    assert len(t["top_logprobs"]) == 20 and t["top_logprobs"][0]["logprob"] == t["logprob"]
    assert .1 < sum(math.exp(x["logprob"]) for x in t["top_logprobs"]) < 1.0001
    assert t["bytes"] is None or bytes(t["bytes"]).decode() == t["token"]
e = ask(echo=True, **body)["choices"][0]
assert e["text"] == prompts[0] + ask(**body)["choices"][0]["text"] and e["logprobs"] is None
ids = ask("/tokenize", prompt=prompts[0])["tokens"]
assert ask(echo=True, **{**body, "prompt": [ids, ids]})["choices"][1]["text"] == e["text"]
assert joined(events(echo=True, **body)) == e["text"]
END
}

@test "what cannot be is refused by name" {
    serve_of model lora=adapters/lora ia3=adapters/ia3 --context 100
    client <<'END'
for why, param, code, body in (
        ("there is no model 'nobody'", "model", 404, dict(prompt="a", model="nobody")),
        ("there is no model 'xé", "model", 404, dict(prompt="a", model="x" + "é" * 60)),  # quoted in part
        ("there is no model '?[31m'", "model", 404, dict(prompt="a", model="\x1b[31m")),
        ("prompt is missing", "prompt", 400, dict()),
        ("a text or a list of token ids", "prompt", 400, dict(prompt=3)),
        ("a text or a list of token ids", "prompt", 400, dict(prompt=[None])),
        ("no token of the model", "prompt", 400, dict(prompt=[4, 160])),
        ("no token of the model", "prompt", 400, dict(prompt=[[4, -1]])),
        ("no token to begin with", "prompt", 400, dict(prompt="")),
        ("1 to 128 texts", "prompt", 400, dict(prompt=[])),
        ("1 to 128 texts", "prompt", 400, dict(prompt=["a"] * 65, n=2)),
        ("a prompt of 100 tokens: there is room for 100", "prompt", 400, dict(prompt="a" * 100)),
        ("a prompt of 12801 bytes: there is room for 100", "prompt", 400, dict(prompt="a" * 12801)),
        ("a prompt of 50 tokens and 51 new ones: there is room for 100", "max_tokens", 400, dict(prompt="a" * 50, max_tokens=51)),
        ("did you mean 'max_tokens'?", "max_token", 400, dict(prompt="a", max_token=1)),
        ("unknown field 'zzz'", "zzz", 400, dict(prompt="a", zzz=1)),
        ("temperature must be", "temperature", 400, dict(prompt="a", temperature=-1)),
        ("n must be 1..128", "n", 400, dict(prompt="a", n=0)),
        ("max_tokens", "max_tokens", 400, dict(prompt="a", max_tokens="many")),
        ("min_tokens is more", "min_tokens", 400, dict(prompt="a", max_tokens=3, min_tokens=4)),
        ("stop holds an empty string", "stop", 400, dict(prompt="a", stop=["x", ""])),
        ("stop takes up to 16", "stop", 400, dict(prompt="a", stop=["x"] * 17)),
        ("stream_options is no object", "stream_options", 400, dict(prompt="a", stream_options=1)),
        ("those of a prompt are not computed", "echo", 400, dict(prompt="a", echo=True, logprobs=1)),
        ("best_of is not done here: leave it out, or give 1", "best_of", 400, dict(prompt="a", best_of=2)),
        ("logit_bias is not done here", "logit_bias", 400, dict(prompt="a", logit_bias={"3": 1})),
        ("presence_penalty is not done here", "presence_penalty", 400, dict(prompt="a", presence_penalty=.5))):
    got, e = refused(**{"model": "lora", **body})
    assert got == code and why in e["message"] and e["param"] == param and e["code"] == code, (body, got, e)
code, e = refused(prompt="a")
assert code == 400 and e["param"] == "model" and "model is missing" in e["message"], e
# what OpenAI's clients send with values that change nothing
a = ask(model="lora", prompt="a" * 99, user="me", metadata={"a": "b"}, store=False, best_of=1, logit_bias={}, presence_penalty=0.0,
        frequency_penalty=0, suffix=None, stop=None, seed=None, logprobs=None, service_tier="auto", response_format={"type": "text"})
assert a["usage"]["completion_tokens"] == 1, a  # one is what there is room for
END
    run curl -s "$URL/v1/models"
    jq -e '[.data[] | .id] == ["lora", "ia3", "model"] and .data[0].max_model_len == 100' <<<"$output"
    run curl -s "$URL/v1/models/ia3"
    jq -e '.id == "ia3" and .parent == "model"' <<<"$output"
    run curl -s "$URL/v1/models/model"
    jq -e '.id == "model" and .parent == null' <<<"$output"
    run curl -s -w '%{http_code}' "$URL/v1/models/nobody%20here"
    has "there is no model 'nobody here'" 404
    run curl -s -w '%{http_code}' "$URL/v1/models/"
    has "there is no /v1/models/ here" 404
    run -2 "$PEFTLAB" serve model --wait-ms 5
    has "--wait-ms is for classifiers, 'model' is a language model"
    run curl -s "$URL/v1/classify" -d '{"model": "lora", "input": "a"}'
    has "'model' is a language model here: /v1/completions"
    run curl -s "$URL/v1/base"
    jq -e '.task == "causal-lm"' <<<"$output"
}

@test "who leaves is not written for any more" {
    cp -r model long
    sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 200000/' long/config.json
    serve_of long --context 200000 --sequences 2
    client <<'END'
import socket, time, urllib.parse
def counts():
    text = urllib.request.urlopen(url + "/metrics").read().decode()
    return [float(l.split()[1]) for name in ("running", "waiting") for l in text.splitlines() if l.startswith("peftlab_requests_" + name)]
def until(want):
    for _ in range(600):
        if counts() == want:
            return
        time.sleep(.05)
    raise AssertionError(counts())
body = dict(prompt="a", max_tokens=190000, ignore_eos=True, temperature=0)
streams = [post("/v1/completions", stream=True, **body) for _ in range(2)]
assert [s.readline()[:6] for s in streams] == [b"data: "] * 2
until([2, 0])
streams[0].close()
until([1, 0])
streams[1].close()
until([0, 0])
where = urllib.parse.urlparse(url)
s = socket.create_connection((where.hostname, where.port))  # and of one that is not streamed
text = json.dumps(body).encode()
s.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
until([1, 0])
s.close()
until([0, 0])
for stream in (False, True):  # who only closes the sending side gets no part of a text as if it were the whole
    text = json.dumps({**body, "stream": stream}).encode()
    s = socket.create_connection((where.hostname, where.port))
    s.sendall(b"POST /v1/completions HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
    s.shutdown(socket.SHUT_WR)
    answer = s.makefile("rb").read().decode()
    assert "sending side" in answer and '"error"' in answer and '"finish_reason": "length"' not in answer, answer[-500:]
    s.close()
END
}

@test "adapters come and go while texts are written" {
    cp -r model lasting
    sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 200000/' lasting/config.json
    serve_of lasting --context 200000 --sequences 3 lora=adapters/lora
    cp -r adapters/lora/adapter torn
    head -c 500 torn/adapter_model.safetensors >part && mv part torn/adapter_model.safetensors
    client <<'END'
def words(path, name, **more):
    return post(path, lora_name=name, **more).read()
endless = post("/v1/completions", model="lora", prompt="a", max_tokens=190000, ignore_eos=True, temperature=0, stream=True)
endless.readline()
assert words("/v1/load_lora_adapter", "new", lora_path="adapters/ia3/adapter") == b"added\n"
r = post("/v1/completions", model="new", prompt=prompts[0], max_tokens=24, temperature=0)
assert r.headers["X-Adapter-Cold"] == "1" and json.load(r)["choices"][0]["text"] == wanted("ia3")[0]["text"]
assert "X-Adapter-Cold" not in post("/v1/completions", model="new", prompt="a", stream=True).headers
assert words("/v1/unload_lora_adapter", "lora") == b"removed\n"
code, e = refused(model="lora", prompt="a")
assert code == 404, e
for _ in range(200):  # what was being written goes on
    line = endless.readline()
    assert line == b"\n" or json.loads(line[6:])["choices"][0]["finish_reason"] is None, line
endless.close()
# one that cannot be opened: a status, also where a stream was asked for
assert words("/v1/load_lora_adapter", "torn", lora_path="torn") == b"added\n"
for stream in (False, True):
    code, e = refused(model="torn", prompt="a", stream=stream)
    assert code == 400 and "torn" in e["message"], e
assert ask(model="new", prompt=prompts[1], max_tokens=24, temperature=0)["choices"][0]["text"] == wanted("ia3")[1]["text"]
END
}

@test "asked to stop twice it ends at once" {
    cp -r model endless
    sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 200000/' endless/config.json
    serve_of endless --context 200000
    curl -sN -o stream "$URL/v1/completions" -d '{"prompt": "a", "max_tokens": 190000, "ignore_eos": true, "stream": true}' &
    local curl=$!
    for _ in {1..200}; do [ ! -s stream ] || break; sleep .05; done
    kill -TERM $SERVER
    for _ in {1..200}; do ! grep -q stopping "$BATS_TEST_TMPDIR/log" || break; sleep .05; done
    kill -0 $SERVER
    kill -TERM $SERVER
    local code=0
    wait $SERVER || code=$?
    [ $code = 143 ]
    wait $curl || true
}

@test "more than may wait is refused; asked to stop it writes what it has" {
    serve_of model --sequences 1 --queue 1
    client <<'END'
code, e = refused(prompt=["a", "b", "c", "d", "e", "f"], max_tokens=100, ignore_eos=True)
assert code == 429 and e["type"] == "rate_limit_error", e
assert ask(prompt="a", max_tokens=2, ignore_eos=True)["usage"]["completion_tokens"] == 2
END
    run curl -s "$URL/metrics" # texts that nobody wanted any more before their first token have no time to it
    has $'\npeftlab_time_to_first_token_seconds_sum '
    lacks 'peftlab_time_to_first_token_seconds_sum -'
    for i in {1..6}; do
        curl -s -o answer$i "$URL/v1/completions" -d '{"prompt": "a", "max_tokens": 60, "ignore_eos": true}' &
    done
    sleep .05
    kill -TERM $SERVER
    wait $SERVER
    wait
    for i in {1..6}; do # whole, or not at all
        [ ! -s answer$i ] || jq -e '.usage.completion_tokens == 60 or .error.code == 429 or .error.code == 503' answer$i
    done
}

@test "a base that could write classifies where its adapters do" {
    cp -r "$ROOT/tests/golden/models/llama" classes
    cp model/tokenizer.json classes
    printf '{"text": "%s", "label": %d}\n' "the sun is up" 0 "rain again" 1 "a cold wind" 0 "snow" 1 >labels.jsonl
    printf '%s\n' "model: classes" "method: lora" "train_data: labels.jsonl" "max_steps: 1" "batch_size: 4" "latency_requests: 0" >cls.yaml
    "$PEFTLAB" train cls.yaml --out cls --no-store
    serve_of classes sun=cls
    run curl -s "$URL/v1/classify" -d '{"model": "sun", "input": "the sun"}'
    jq -e '.data[0].num_classes == 2' <<<"$output"
    run curl -s "$URL/v1/completions" -d '{"model": "sun", "prompt": "the sun"}'
    has "'classes' is a classifier here: /v1/classify"
    kill -9 $SERVER
    serve_of classes sun=cls --task causal-lm
    run curl -s "$URL/v1/completions" -d '{"model": "classes", "prompt": "the sun", "max_tokens": 2}'
    jq -e '.usage.completion_tokens == 2' <<<"$output"
    run -2 "$PEFTLAB" serve classes sun=cls --template model/tokenizer_config.json
    has "--template is for language models, 'classes' is a classifier"
    run curl -s -w '%{http_code}' "$URL/v1/completions" -d '{"model": "sun", "prompt": "the sun"}'
    has 400
    kill -9 $SERVER
    run -78 "$PEFTLAB" serve "$ROOT/tests/golden/models/bert" --task causal-lm
    has "is no language model"
    cp -r "$ROOT/tests/golden/models/llama" bare
    run -66 "$PEFTLAB" serve bare
    has "no tokenizer.json"
}

@test "OpenAI's own client" {
    local python=${OPENAI_PYTHON:-python3}
    "$python" -c 'import openai' 2>/dev/null || skip "OpenAI's client is not installed (pip install openai; OPENAI_PYTHON names its Python)"
    printf '{"messages": [{"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}]}\n' >hi.jsonl
    "$PEFTLAB" generate model --adapter adapters/lora/adapter --max-new-tokens 10 --json <hi.jsonl >hi.lora 2>/dev/null
    echo secret >key
    serve_of model --adapters adapters --api-key-file key
    cat client.py - >"$BATS_TEST_TMPDIR/program.py" <<'END'
import asyncio, openai
c = openai.OpenAI(base_url=url + "/v1", api_key="secret", max_retries=0)
assert [m.id for m in c.models.list()] == ["ia3", "lora", "prefix", "model"] and c.models.retrieve("ia3").id == "ia3"
want = wanted("lora")
for i, prompt in enumerate(prompts):
    body = dict(model="lora", prompt=prompt, max_tokens=24, temperature=0)
    assert c.completions.create(**body).choices[0].text == want[i]["text"]
    got = list(c.completions.create(stream=True, stream_options={"include_usage": True}, **body))
    assert "".join(e.choices[0].text for e in got[:-1]) == want[i]["text"] and got[-1].usage.completion_tokens == want[i]["completion_tokens"]
body = dict(model="lora", messages=json.loads(open("hi.jsonl").read())["messages"], max_completion_tokens=10, temperature=0)
text = json.loads(open("hi.lora").read())["text"]
a = c.chat.completions.create(logprobs=True, top_logprobs=2, user="me", store=False, metadata={"a": "b"}, **body)
assert a.choices[0].message.content == text and len(a.choices[0].logprobs.content[0].top_logprobs) == 2
with c.chat.completions.stream(**body) as stream:
    assert "".join(e.delta for e in stream if e.type == "content.delta") == text
for kind, wrong in ((openai.NotFoundError, dict(model="nobody")), (openai.BadRequestError, dict(n=0)),
                    (openai.BadRequestError, dict(response_format={"type": "json_object"}))):
    try:
        c.chat.completions.create(**{**body, **wrong})
    except kind as e:
        assert e.param in wrong, e
    else:
        raise AssertionError(wrong)
try:
    openai.OpenAI(base_url=url + "/v1", api_key="other", max_retries=0).models.list()
except openai.AuthenticationError:
    pass
else:
    raise AssertionError("another key was taken")
async def many():
    a = openai.AsyncOpenAI(base_url=url + "/v1", api_key="secret", max_retries=0)
    return await asyncio.gather(*[a.completions.create(model="lora", prompt=prompts[i % 4], max_tokens=24, temperature=0) for i in range(16)])
assert [a.choices[0].text for a in asyncio.run(many())] == [want[i % 4]["text"] for i in range(16)]
END
    "$python" "$BATS_TEST_TMPDIR/program.py" "$URL"
}

# Nothing here depends on how fast the machine is: one text holds the only place until its client leaves.
@test "who is in a hurry goes first, and is told when it is too late" {
    local wait='{"model": "lora", "prompt": "a", "max_tokens": 190000, "ignore_eos": true, "stream": true}'
    cp -r model long
    sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 200000/' long/config.json
    serve_of long lora=adapters/lora ia3=adapters/ia3 --sequences 1 --context 200000 --limits ia3=1
    for body in '"deadline_ms": 0' '"deadline_ms": "5"' '"deadline_ms": 1e9'; do
        run curl -s -w '%{http_code}' "$URL/v1/completions" -d "{\"model\": \"lora\", \"prompt\": \"a\", $body}"
        has "'deadline_ms' is a number of milliseconds" 400
    done
    run curl -s -w '%{http_code}' "$URL/v1/completions" -H 'X-Deadline-Ms: soon' -d '{"model": "lora", "prompt": "a"}'
    has "X-Deadline-Ms is a number of milliseconds" 400
    # a free place takes whatever comes
    run curl -s "$URL/v1/completions" -H 'X-Deadline-Ms: 0.000001' -d '{"model": "lora", "prompt": "a", "max_tokens": 2, "ignore_eos": true}'
    jq -e '.usage.completion_tokens == 2' <<<"$output"
    curl -sN "$URL/v1/completions" -d "$wait" >stream &
    local reader=$!
    until [ -s stream ]; do sleep .05; done
    # the adapter's limit, and one that is said: refused at once, or once it has passed
    run curl -s -w '%{http_code}' "$URL/v1/completions" -d '{"model": "ia3", "prompt": "a"}'
    [[ $output == *'its limit'*504 ]] || [[ $output == *'its limit'*429 ]]
    run curl -s -w '%{http_code}' "$URL/v1/completions" -d '{"model": "lora", "prompt": "a", "deadline_ms": 20}'
    [[ $output == *'its limit'*504 ]] || [[ $output == *'its limit'*429 ]]
    # two that wait: the later one is in a hurry, though not too much
    curl -s "$URL/v1/completions" -d '{"model": "lora", "prompt": "a", "max_tokens": 3, "ignore_eos": true, "deadline_ms": 3000000}' -D slow -o slow.json &
    local slow=$!
    until curl -s "$URL/metrics" | grep -q '^peftlab_requests_waiting 1$'; do sleep .05; done
    curl -s "$URL/v1/completions" -d '{"model": "ia3", "prompt": "a", "max_tokens": 3, "ignore_eos": true, "deadline_ms": 600000}' -D hurry -o hurry.json &
    local hurry=$!
    until curl -s "$URL/metrics" | grep -q '^peftlab_requests_waiting 2$'; do sleep .05; done
    kill "$reader"
    wait "$slow" "$hurry"
    jq -e '.usage.completion_tokens == 3' slow.json hurry.json
    queued() { sed -nE 's/^server-timing: queue;dur=([0-9.]+).*/\1/pI' "$1"; }
    # it came later and began before the other one did
    awk -v a="$(queued hurry)" -v b="$(queued slow)" 'BEGIN { exit !(a < b) }'
    curl -s "$URL/metrics" | grep -E '^peftlab_(late|refused)_total [1-9]'
}
