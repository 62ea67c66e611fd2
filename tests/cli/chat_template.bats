#!/usr/bin/env bats
# chat-template: messages to text, where templates come from, and what it says about bad input.
bats_require_minimum_version 1.5.0
load common

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    cd "$BATS_TEST_TMPDIR"
    mkdir -p model
}

chat() { # ROWS ARGUMENT...
    printf '%s\n' "$1" | "$PEFTLAB" chat-template "${@:2}"
}
config() { # CHAT_TEMPLATE as JSON
    printf '{"bos_token": "<s>", "eos_token": {"content": "</s>"}, "model_max_length": 1000000000000000019884624838656, "chat_template": %s}\n' "$1" >model/tokenizer_config.json
}
hello='{"messages": [{"role": "user", "content": "hé"}], "add_generation_prompt": true}'

@test "the template and the special tokens of tokenizer_config.json" {
    config '"{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}"'
    run -0 chat "$hello" model
    [ "$output" = '{"text":"<s>user: hé</s>"}' ]
}

@test "chat_template.jinja comes first, --template before all" {
    config '"config"'
    printf 'file\n' >model/chat_template.jinja
    printf 'mine {{ bos_token }}\n' >mine.jinja
    run -0 chat "$hello" model
    [ "$output" = '{"text":"file"}' ]
    run -0 chat "$hello" model --template mine.jinja
    [ "$output" = '{"text":"mine <s>"}' ]
}

@test "of named templates the one for tools serves rows with tools" {
    config '[{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "{{ tools | length }} tools"}]'
    run -0 chat "$hello"$'\n{"messages": [], "tools": [{}, {}]}\n{"messages": [], "tools": null}' model
    [ "$output" = $'{"text":"plain"}\n{"text":"2 tools"}\n{"text":"plain"}' ]
    config '[{"name": "tool_use", "template": "a"}]'
    run -65 chat "$hello" model
    has "none is named 'default'"
}

@test "generation marks give spans in characters" {
    config '"é{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}.{% endfor %}"'
    run -0 chat '{"messages": [{"content": "中文"}, {"content": ""}]}' model
    [ "$output" = '{"text":"é中文..","spans":[[1,3],[4,4]]}' ]
}

@test "further keys are variables, the clock can be told" {
    config '"{{ x }} {{ strftime_now(\"%A %d %b %Y\") }}"'
    run -0 chat '{"messages": [], "x": [1, true]}' model --now 2026-03-05
    [ "$output" = '{"text":"[1, True] Thursday 05 Mar 2026"}' ]
    run -2 chat "$hello" model --now 2026-02-30
    has "no such day"
    run -2 chat "$hello" model --now today
    has "--now 'today' is not a day"
}

@test "a row that fails is a line and does not end the run" {
    config '"{{ raise_exception(\"no \" + messages[0].role) if messages[0].bad else messages[0].content }}"'
    run -0 chat $'{"messages": [{"role": "cats", "bad": true}]}\n{"messages": [{"content": 1}]\n\n[]\n'"$hello" model
    [ "${lines[0]}" = '{"error":"no cats"}' ]
    has '{"error":"input: line 2, column '
    [ "${lines[2]}" = '{"error":"the row is not an object"}' ]
    [ "${lines[3]}" = '{"text":"hé"}' ]
    [ ${#lines[@]} = 4 ]
}

@test "a template that cannot be read is named with line and column" {
    printf 'a\n{%% include "x" %%}\n' >mine.jinja
    run -65 chat "$hello" model --template mine.jinja
    has "mine.jinja': template: line 2, column 4: tag 'include' is not supported"
    config '"{{ x | nothing }}"'
    run -65 chat "$hello" model
    has "tokenizer_config.json: chat_template: template: line 1, column 8: filter 'nothing'"
}

@test "a model that is not there, has no template, or is not named" {
    run -66 chat "$hello" absent
    run -66 chat "$hello" model
    has "no chat template" "--template"
    run -66 chat "$hello" model --template absent.jinja
    has "absent.jinja"
    run -2 chat "$hello"
    has "which model?"
    printf '[' >model/tokenizer_config.json
    run -65 chat "$hello" model
    has "tokenizer_config.json': line 1"
}
