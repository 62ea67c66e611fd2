#!/usr/bin/env bats
# generate: rows of text, messages and ids to texts; end tokens; sampling; what it says about bad input.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    export GOLDEN=$ROOT/tests/golden
    python3 "$ROOT/tests/cli/tiny_chat_model.py" "$BATS_FILE_TMPDIR/model"
    export MODEL=$BATS_FILE_TMPDIR/model
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

generate() { # ROWS ARGUMENT...
    printf '%s\n' "$1" | "$PEFTLAB" generate "${@:2}"
}
field() { # NAME: of each line of $output
    python3 -c 'import json, sys
for line in sys.stdin: print(json.loads(line)[sys.argv[1]])' "$1" <<<"$output"
}
hello='{"messages": [{"role": "user", "content": "hi"}]}'

@test "text, messages and ids of the same tokens give the same text" {
    local rows=$'{"text": "<|im_start|>user\\nhi<|im_end|>\\n<|im_start|>assistant\\n"}\n'$hello
    run -0 --separate-stderr generate "$rows" "$MODEL" --max-new-tokens 9 --json
    [ "${lines[0]}" = "${lines[1]}" ]
    [ "$(field prompt_tokens | sort -u)" = 21 ]
    [ "$(field completion_tokens | sort -u)" = 9 ]
    [ "$(field finish_reason | sort -u)" = length ]
    local ids
    ids=$("$PEFTLAB" tokenize "$MODEL" <<<"${rows%%$'\n'*}" | python3 -c 'import json, sys; print(json.load(sys.stdin)["ids"])')
    local first=${lines[0]}
    run -0 --separate-stderr generate "{\"input_ids\": $ids}" "$MODEL" --max-new-tokens 9 --json
    [ "$output" = "$first" ]
}

@test "without --json the texts alone, and how long it took on stderr" {
    run -0 --separate-stderr generate '{"text": "ab"}' "$MODEL" --max-new-tokens 5 --json
    local text
    text=$(field text)
    run -0 --separate-stderr generate '{"text": "ab"}' "$MODEL" --max-new-tokens 5
    [ "$output" = "$text" ]
    [[ "$stderr" == *"1 text, 2 prompt tokens, 5 new ones in "*" tokens/s"* ]]
}

@test "a text ends with generation_config.json's, config.json's and the template's end tokens" {
    run -0 --separate-stderr generate '{"input_ids": [9, 8, 7]}' "$MODEL" --max-new-tokens 20 --json --ignore-eos
    local ids third
    ids=$(field ids)
    third=$(python3 -c "print($ids[2])")
    cp -r "$MODEL" m
    printf '{"eos_token_id": [%s, 150]}' "$third" >m/generation_config.json
    run -0 --separate-stderr generate '{"input_ids": [9, 8, 7]}' m --max-new-tokens 20 --json
    [ "$(field completion_tokens)" = "$(python3 -c "print($ids.index($third) + 1)")" ]
    [ "$(field finish_reason)" = stop ]
    rm m/generation_config.json
    sed -i "s/\"eos_token_id\": 2/\"eos_token_id\": $third/" m/config.json
    run -0 --separate-stderr generate '{"input_ids": [9, 8, 7]}' m --max-new-tokens 20 --json
    [ "$(field finish_reason)" = stop ]
    cp "$MODEL/config.json" m
    # the token that the model gives third becomes special and ends the assistant's turn
    python3 - "$third" <<'EOF'
import json, sys
third = int(sys.argv[1])
t = json.load(open("m/tokenizer.json"))
name = next(k for k, v in t["model"]["vocab"].items() if v == third)
if third > 4:
    t["added_tokens"].append({"id": third, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
                              "normalized": False, "special": True})
json.dump(t, open("m/tokenizer.json", "w"))
c = json.load(open("m/tokenizer_config.json"))
c["chat_template"] = "{% for m in messages %}{{ m.content }}" + name + "\n{% endfor %}"
json.dump(c, open("m/tokenizer_config.json", "w"))
EOF
    run -0 --separate-stderr generate '{"input_ids": [9, 8, 7]}' m --max-new-tokens 20 --json
    [ "$(field finish_reason)" = stop ]
}

@test "draws go by seed and row, not by the batch" {
    local rows='{"text": "a"}' one two
    for _ in 1 2 3 4 5; do rows+=$'\n{"text": "a"}'; done
    run -0 --separate-stderr generate "$rows" "$MODEL" --max-new-tokens 12 --json --temperature 1.3 --batch-size 1 --seed 5
    one=$output
    [ "$(sort -u <<<"$one" | wc -l)" = 6 ]
    run -0 --separate-stderr generate "$rows" "$MODEL" --max-new-tokens 12 --json --temperature 1.3 --batch-size 4 --seed 5
    [ "$output" = "$one" ]
    run -0 --separate-stderr generate "$rows" "$MODEL" --max-new-tokens 12 --json --temperature 1.3 --seed 6
    [ "$output" != "$one" ]
    run -0 --separate-stderr generate "$rows" "$MODEL" --max-new-tokens 12 --json --temperature 1.3 --top-k 1 --seed 6
    two=$output
    run -0 --separate-stderr generate "$rows" "$MODEL" --max-new-tokens 12 --json
    [ "$output" = "$two" ]
}

@test "a trial with an adapter; without one its base; a GGUF file; bfloat16" {
    run -0 --separate-stderr generate '{"input_ids": [75]}' "$GOLDEN/cases/llama-prefix/trial.yaml" --max-new-tokens 4 --json \
        --adapter "$GOLDEN/cases/llama-prefix/expected/adapter"
    [ "$(field ids)" = "[76, 159, 30, 42]" ]
    local name
    for name in llama-prefix llama-prompt llama-lora-qv llama-adapter-houlsby; do # the folder says what it is
        run -0 --separate-stderr generate '{"input_ids": [75, 9]}' "$GOLDEN/cases/$name/trial.yaml" --json \
            --max-new-tokens 6 --adapter "$GOLDEN/cases/$name/expected/adapter"
        local by_trial=$output
        run -0 --separate-stderr generate '{"input_ids": [75, 9]}' "$GOLDEN/models/llama" --json \
            --max-new-tokens 6 --adapter "$GOLDEN/cases/$name/expected/adapter"
        [ "$output" = "$by_trial" ]
    done
    run -0 --separate-stderr generate '{"input_ids": [155]}' "$GOLDEN/models/llama" --max-new-tokens 4 --json
    local base=$output
    run -0 --separate-stderr generate '{"input_ids": [155]}' "$GOLDEN/cases/llama-lora-qv/trial.yaml" init_adapter=null \
        --max-new-tokens 4 --json
    [ "$output" = "$base" ]
    run -0 --separate-stderr generate '{"input_ids": [5]}' "$GOLDEN/gguf/tiny-llama.gguf" --max-new-tokens 4 --json
    [ "$(field prompt_tokens)" = 1 ]
    run -0 --separate-stderr generate '{"input_ids": [155]}' "$GOLDEN/models/llama" dtype=bfloat16 --max-new-tokens 4 --json
    [ "$(field finish_reason)" = length ]
}

@test "the trial's chat template, and the end token that its rows teach" {
    printf '{{ messages[0].content }}' >own.jinja
    printf 'model: %s\ntask: causal-lm\nmethod: lora\nchat_template: own.jinja\n' "$MODEL" >trial.yaml
    run -0 --separate-stderr generate $'{"text": "hi"}\n'"$hello" trial.yaml --max-new-tokens 6 --json
    [ "${lines[0]}" = "${lines[1]}" ]
    run -0 --separate-stderr generate '{"input_ids": [9, 8, 7]}' "$MODEL" --max-new-tokens 20 --json --ignore-eos
    local ids
    ids=$(field ids)
    cp -r "$MODEL" m
    python3 - "$ids" <<'EOF'
import json, sys
third = json.loads(sys.argv[1])[2]
t, c = json.load(open("m/tokenizer.json")), json.load(open("m/tokenizer_config.json"))
names = {v: k for k, v in t["model"]["vocab"].items()} | {a["id"]: a["content"] for a in t["added_tokens"]}
c["eos_token"] = names[third]
json.dump(c, open("m/tokenizer_config.json", "w"))
EOF
    run -0 --separate-stderr generate '{"input_ids": [9, 8, 7]}' m --max-new-tokens 20 --json
    [ "$(field finish_reason)" = stop ]
}

@test "a row that cannot be is told, the others go on" {
    local rows=$'{"text": "a"}\n{"text": ""}\n{"words": 1}\n{"input_ids": [9999]}\n{"input_ids": []}\nnot json\n{"text": 3}\n{"text": "b"}'
    run -0 --separate-stderr generate "$rows" "$MODEL" --max-new-tokens 2 --json
    [ "${#lines[@]}" = 8 ]
    [[ "${lines[0]}" == '{"ids":'* && "${lines[7]}" == '{"ids":'* ]]
    [ "${lines[1]}" = '{"error":"input: line 2: there is no token to begin with"}' ]
    [[ "${lines[2]}" == *"line 3: a row has one of 'text', 'messages' and 'input_ids'"* ]]
    [[ "${lines[3]}" == *"line 4: 'input_ids': item 1 is no token of the model (0 to 159)"* ]]
    [[ "${lines[4]}" == *"line 5: there is no token"* ]]
    [[ "${lines[5]}" == *"line 6"* ]]
    [[ "${lines[6]}" == *"line 7: 'text' is no text"* ]]
    local long
    long=$(python3 -c 'print("a" * 128)')
    run -0 --separate-stderr generate "{\"text\": \"$long\"}"$'\n'"{\"text\": \"${long:5}\"}" "$MODEL" --json
    [[ "${lines[0]}" == *"128 tokens, but the model has positions for 128 and a new one needs one of them"* ]]
    [ "$(output=${lines[1]} field completion_tokens)" = 5 ]
}

@test "what cannot be generated from" {
    run -2 generate '{"text": "a"}'
    run -66 generate '{"text": "a"}' nowhere
    run -78 generate '{"text": "a"}' "$GOLDEN/models/bert"
    has "causal-lm"
    run -78 generate '{"text": "a"}' "$GOLDEN/cases/bert-lora-qv/trial.yaml"
    has "task 'seq-cls' does not write text"
    run -2 generate '{"text": "a"}' "$MODEL" --temperature -1
    cp -r "$MODEL" m && rm m/tokenizer.json
    run -0 generate '{"text": "a"}' m --json
    has "no tokenizer.json; rows need input_ids"
    printf '{"temperature": 0.6, "top_p": 0.9}' >m/generation_config.json
    run -0 generate '{"input_ids": [7]}' m --max-new-tokens 1
    has "generation_config.json suggests temperature 0.6, top_p 0.9; not used"
}

@test "predict_with_generate: eval and train measure what is written" {
    local answer
    run -0 --separate-stderr generate '{"text": "ab"}' "$MODEL" --max-new-tokens 6 --json
    answer=$(field ids)
    # one row whose completion is what the model says, one that is another text, one without a prompt
    python3 - "$answer" >rows.jsonl <<'EOF'
import json, subprocess, os, sys
new = json.loads(sys.argv[1])
prompt = json.loads(subprocess.run([os.environ["PEFTLAB"], "tokenize", os.environ["MODEL"]], input='{"text": "ab"}\n', text=True, capture_output=True).stdout)["ids"]
print(json.dumps({"input_ids": prompt + new, "labels": [-100] * len(prompt) + new}))
print(json.dumps({"input_ids": prompt + [9, 9, 9], "labels": [-100] * len(prompt) + [9, 9, 9]}))
print(json.dumps({"input_ids": prompt + new, "labels": prompt + new}))
EOF
    printf 'model: %s\ntask: causal-lm\nmethod: lora\nrank: 2\ntrain_data: rows.jsonl\neval_data: rows.jsonl\npredict_with_generate: true\nmax_new_tokens: 6\nmax_steps: 1\nlearning_rate: 0\nlatency_requests: 3\n' "$MODEL" >t.yaml
    "$PEFTLAB" eval t.yaml --out e
    python3 - <<'EOF'
import json
r = json.load(open("e/result.json"))
e = r["eval"]
assert e["generated_rows"] == 2 and e["exact_match"] == 0.5 and 0.5 <= e["rouge_l"] <= 1, e
assert e["length_ratio"] == 12 / 9 and e["stopped_share"] == 0 and e["generated_tokens_per_s"] > 0, e
assert r["latency"]["ttft_p50_ms"] > 0 and r["latency"]["tpot_p50_ms"] > 0, r["latency"]
assert r["mem"]["state_bytes"] > 0 and r["mem"]["planned_bytes"] == r["mem"]["allocated_bytes"], r["mem"]
EOF
    "$PEFTLAB" train t.yaml --out r
    python3 -c 'import json; r = json.load(open("r/result.json")); assert r["eval"]["exact_match"] == 0.5, r["eval"]; assert not any("exact" in k for k in r["baseline"]), r["baseline"]'
    run -78 "$PEFTLAB" eval "$GOLDEN/cases/bert-lora-qv/trial.yaml" predict_with_generate=true --out b
    has "'predict_with_generate' has no meaning for task seq-cls"
    run -78 "$PEFTLAB" eval t.yaml predict_with_generate=false --out b
    has "'max_new_tokens' is read with predict_with_generate: true only"
}
