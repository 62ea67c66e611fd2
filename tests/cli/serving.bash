# What tests of `peftlab serve` share; `load serving` behind `load common`.

# tiny_adapters METHOD...: ./model, rows, a trained adapter in adapters/METHOD for each, and what it evaluates to in eval-METHOD
tiny_adapters() {
    tiny_model
    python3 - <<'END'
import json, random
words = "good bad fine poor it was the food here".split()
random.seed(3)
for name, n in ("train", 16), ("eval", 7):
    with open(name + ".jsonl", "w") as f:
        for i in range(n):
            print(json.dumps({"text": " ".join(random.choices(words, k=random.randint(2, 9))), "label": ["neg", "new", "pos"][i % 3]}), file=f)
END
    local method
    for method; do
        printf '%s\n' "model: model" "method: $method" "train_data: train.jsonl" "eval_data: eval.jsonl" "max_steps: 3" \
            "learning_rate: 0.05" "batch_size: 4" "latency_requests: 0" >$method.yaml
        [ $method = prefix ] && echo "num_virtual_tokens: 3" >>$method.yaml
        "$PEFTLAB" train $method.yaml --out adapters/$method --no-store
        "$PEFTLAB" eval $method.yaml --adapter adapters/$method/adapter --out eval-$method
    done
}

# serve_of WORD...: starts `peftlab serve WORD...`; its address is in $URL, its process in $SERVER, what it says in $BATS_TEST_TMPDIR/log
serve_of() {
    : >"$BATS_TEST_TMPDIR/log"
    "$PEFTLAB" serve "$@" --port 0 >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
    SERVER=$!
    for _ in {1..3000}; do # while it lives: a sanitizer is slow to open a model
        URL=$(sed -n 's/^serving .* on //p' "$BATS_TEST_TMPDIR/log")
        [ -z "$URL" ] || return 0
        kill -0 $SERVER 2>/dev/null || break
        sleep .1
    done
    cat "$BATS_TEST_TMPDIR/log"
    return 1
}

# serve WORD...: the same of ./model, or $MODEL
serve() { serve_of "${MODEL:-model}" "$@"; }

stop_serving() {
    [ -z "${SERVER-}" ] || { kill -9 "$SERVER" && wait "$SERVER"; } 2>/dev/null || true
    SERVER=
}

# post PATH JSON [WORD...]: the answer in $output, behind it the status
post() {
    local path=$1 body=$2
    shift 2
    run curl -s -w '\n%{http_code}' "$@" "$URL$path" --data-binary "$body"
}
