#!/usr/bin/env bats
# tokenize: rows of text to ids and back, and what it says about bad input.
bats_require_minimum_version 1.5.0

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export ROOT
    export PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    export MODEL=$ROOT/tests/golden/tokenizers/minilm
}

tokenize() {
    local input=$1
    shift
    printf '%s\n' "$input" | "$PEFTLAB" tokenize "$@"
}

@test "a row of text gives ids, types, tokens and places" {
    run -0 tokenize '{"text": "Hello, wörld!"}' "$MODEL"
    [ "$output" = '{"ids":[101,7592,1010,2088,999,102],"type_ids":[0,0,0,0,0,0],"tokens":["[CLS]","hello",",","world","!","[SEP]"],"offsets":[[0,0],[0,5],[5,6],[7,12],[12,13],[0,0]]}' ]
}

@test "tokenizer.json itself may be named, special tokens left out, empty lines skipped" {
    run -0 tokenize $'\n{"text": "hello"}\n' "$MODEL/tokenizer.json" --no-special
    [ "$output" = '{"ids":[7592],"type_ids":[0],"tokens":["hello"],"offsets":[[0,5]]}' ]
}

@test "a pair is cut on its longer side" {
    run -0 tokenize '{"text": "hello hello hello", "text_pair": "world"}' "$MODEL" --max-length 6
    [[ "$output" == '{"ids":[101,7592,7592,102,2088,102],"type_ids":[0,0,0,0,1,1],'* ]]
}

@test "ids are decoded with and without special tokens" {
    run -0 tokenize '{"ids": [101, 7592, 1010, 2088, 999, 102]}' "$MODEL" --decode
    [ "$output" = '{"text":"hello, world!"}' ]
    run -0 tokenize '{"ids": [101, 7592, 102]}' "$MODEL" --decode --keep-special
    [ "$output" = '{"text":"[CLS] hello [SEP]"}' ]
}

@test "a hub id is looked up in the models cache" {
    export PEFTLAB_MODELS=$ROOT/tests/golden/tokenizers
    run -0 tokenize '{"text": ""}' sentence-transformers/minilm
    [[ "$output" == '{"ids":[101,102],'* ]]
}

@test "bad rows are refused with their line" {
    run -65 tokenize $'{"text": "a"}\n{"text": "b"' "$MODEL"
    [[ "$output" == *"input: line 2, column "* ]]
    run -65 tokenize '{"txt": "a"}' "$MODEL"
    [[ "$output" == *"input: line 1: no key 'text'"* ]]
    run -65 tokenize '{"text": "\ud800"}' "$MODEL"
    [[ "$output" == *"input: line 1"* ]]
    run -65 tokenize '{"ids": [99999999]}' "$MODEL" --decode
    [[ "$output" == *"id 99999999 is not in the vocabulary"* ]]
    run -65 tokenize '{"ids": "x"}' "$MODEL" --decode
    [[ "$output" == *"'ids' must be a list"* ]]
    run -78 tokenize '{"text": "a"}' "$MODEL" --max-length 1
    [[ "$output" == *"no room for the 2 special tokens"* ]]
}

@test "a model that is not there, or none named" {
    run -66 tokenize '{"text": "a"}' "$BATS_TEST_TMPDIR/absent"
    [[ "$output" == *"absent': no such folder"* ]]
    run -66 tokenize '{"text": "a"}' "$BATS_TEST_TMPDIR"
    [[ "$output" == *"no tokenizer.json"* ]]
    run -2 tokenize '{"text": "a"}'
    [[ "$output" == *"which model?"* ]]
    run -2 tokenize '{"text": "a"}' "$MODEL" --max-lenght 3
    [[ "$output" == *"max"* ]]
}

@test "named special tokens are whole tokens wherever they stand, as transformers has them" {
    # ids by transformers 5.23; add_bos_token is not its word beside a tokenizer.json
    mkdir "$BATS_TEST_TMPDIR/q"
    cp "$ROOT/tests/golden/tokenizers/qwen2-like/tokenizer.json" "$BATS_TEST_TMPDIR/q"
    config() { echo "$1" >"$BATS_TEST_TMPDIR/q/tokenizer_config.json"; }
    config '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "ing", "pad_token": "[PAD]", "unk_token": "[UNK2]", "extra_special_tokens": ["[X]"], "add_bos_token": true}'
    run -0 tokenize '{"text": "a[PAD]ring [UNK2] [X]"}' "$BATS_TEST_TMPDIR/q"
    [[ "$output" == '{"ids":[64,3506,81,279,220,3505,220,3507],'* ]]
    config '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": {"content": "ing", "lstrip": true}, "additional_special_tokens": ["[Y]"]}'
    run -0 tokenize '{"text": "a[PAD]r ing [Y]"}' "$BATS_TEST_TMPDIR/q"
    [[ "$output" == '{"ids":[64,58,47,32,35,60,81,279,220,3505],'* ]]
}
