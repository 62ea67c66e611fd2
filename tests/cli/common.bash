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
