#!/usr/bin/env bats
# chat: turns through the template, what the cache holds is not read again, commands, Ctrl-C.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    python3 "$ROOT/tests/cli/tiny_chat_model.py" "$BATS_FILE_TMPDIR/model"
    export MODEL=$BATS_FILE_TMPDIR/model
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

talk() { # LINES ARGUMENT...
    printf '%s\n' "$1" | "$PEFTLAB" chat "$MODEL" --max-new-tokens 5 "${@:2}"
}
answer_to() { # MESSAGES: what generate says, as a JSON string
    printf '{"messages": %s}\n' "$1" | "$PEFTLAB" generate "$MODEL" --max-new-tokens 5 --json 2>/dev/null |
        python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["text"]))'
}
lines_as_json() { # of stdin
    python3 -c 'import sys, json; print(json.dumps(sys.stdin.buffer.read().decode("utf-8").rstrip("\n")))'
}

@test "two turns are what generate makes of the same messages" {
    local one two
    one=$(answer_to '[{"role": "user", "content": "hi"}]')
    two=$(answer_to "[{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": $one}, {\"role\": \"user\", \"content\": \"and?\"}]")
    talk $'hi\n\nand?' 2>err | lines_as_json >got
    [ "$(cat got)" = "$(python3 -c 'import json, sys; print(json.dumps(json.loads(sys.argv[1]) + "\n" + json.loads(sys.argv[2])))' "$one" "$two")" ]
    grep -q '2 answers, 10 tokens; first token after' err
}

@test "/reset, /system and /quit" {
    local plain system
    plain=$(answer_to '[{"role": "user", "content": "hi"}]')
    system=$(answer_to '[{"role": "system", "content": "be short"}, {"role": "user", "content": "hi"}]')
    [ "$(talk $'hi\n/reset\nhi\n/quit\nnever' 2>/dev/null | lines_as_json)" = "$(python3 -c 'import json, sys; a = json.loads(sys.argv[1]); print(json.dumps(a + "\n" + a))' "$plain")" ]
    [ "$(talk $'never mind\n/system be short\nhi' 2>/dev/null | tail -n +2 | lines_as_json)" = "$system" ]
    [ "$(talk 'hi' --system 'be short' 2>/dev/null | lines_as_json)" = "$system" ]
    [ "$(talk $'/system be short\n/system\nhi' 2>/dev/null | lines_as_json)" = "$plain" ]
    run -0 talk '/nonsense'
    has "'/nonsense' is no command" "/quit ends"
}

@test "a conversation that is too long says so, /reset helps" {
    run -0 talk $'a rather long message that fills all of the room\n/reset\nhi' --context 30
    has "there is room for 30: /reset begins anew" "1 answer, "
}

@test "a model without a template" {
    cp -r "$MODEL" m && printf '{}' >m/tokenizer_config.json
    run -66 bash -c "echo hi | '$PEFTLAB' chat m"
    has "no chat template"
}

@test "Ctrl-C ends the answer, not the conversation" {
    cp -r "$MODEL" m
    sed -i 's/"max_position_embeddings": 128/"max_position_embeddings": 200000/' m/config.json
    mkfifo in
    "$PEFTLAB" chat m --max-new-tokens 190000 --context 200000 <in >out 2>err &
    local pid=$!
    exec 7>in
    printf '1 2 3\n' >&7
    for _ in $(seq 400); do [ -s out ] && break; sleep 0.05; done
    kill -INT $pid
    printf '/reset\n/quit\n' >&7
    exec 7>&-
    wait $pid
    grep -q "1 answer, " err
    ! grep -q '190000 tokens' err
}
