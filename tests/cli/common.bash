# What the command line's tests share; `load common` at the head of a file.

export PEFTLAB_CACHE=${PEFTLAB_CACHE:-off} # tests/run.sh gives them one of their own; never the user's

# ROOT and PEFTLAB, for setup_file.
find_program() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export ROOT PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
}

# Every word is in $output.
has() {
    for word; do
        [[ "$output" == *"$word"* ]] || { echo "lacks '$word': $output"; return 1; }
    done
}

# lacks TEXT...: none of them is in the output
lacks() {
    for word in "$@"; do
        [[ "$output" != *"$word"* ]] || { echo "has '$word': $output"; return 1; }
    done
}

# A store of trials of known truth (tests/unit/report/example.c) as PEFTLAB_STORE, for setup_file.
report_store() {
    local maker
    maker=$(dirname "$PEFTLAB")/tests/report_example
    [ -x "$maker" ] || make -s -C "$ROOT" B="$(dirname "$PEFTLAB")" "$maker"
    export PEFTLAB_STORE=$BATS_FILE_TMPDIR/s.db
    "$maker" "$PEFTLAB_STORE" 3
}

# A tiny encoder with a tokenizer of a few words, as ./model.
tiny_model() {
    cp -r "$ROOT/tests/golden/models/bert" model
    local words vocabulary='"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4' n=5
    for words in good bad fine poor it was the food here {a..z}; do
        vocabulary+=", \"$words\": $((n++))"
    done
    cat >model/tokenizer.json <<END
{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
 "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
 "pre_tokenizer": {"type": "BertPreTokenizer"},
 "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, "decoder": null,
 "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": {$vocabulary}}}
END
}
