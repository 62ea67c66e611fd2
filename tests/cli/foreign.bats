#!/usr/bin/env bats
# Files, names and surroundings from elsewhere that mean harm: one message, nothing run, nothing
# written where it does not belong, no endless wait. (Stores: tests/unit/tracker/foreign.c.)
bats_require_minimum_version 1.5.0
load common

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    cd "$BATS_TEST_TMPDIR"
    CASE=$ROOT/tests/golden/cases/bert-lora-qv
    cat >trial.yaml <<EOF
model: $ROOT/tests/golden/models/bert
train_data: $CASE/train.jsonl
num_labels: 3
method: head
max_steps: 1
latency_requests: 0
EOF
    ESC=$(printf '\033')
}

# One line of message and no control character.
clean() {
    [ "$(wc -l <<<"$output")" -eq 1 ] || { echo "more than a line: $output"; return 1; }
    ! LC_ALL=C grep -q "[$(printf '\001-\010\016-\037\177')]" <<<"$output"
}
table() { # CONFIG...: a store of one trial each
    { echo config,seed,score; for c; do printf '"%s",0,1\n' "${c//\"/\"\"}"; done; } >t.csv
    "$PEFTLAB" import t.csv --store s.db --experiment "${EXPERIMENT:-e}" --params config --metrics score
}

@test "escape bytes of files, names and labels never reach the output" {
    EXPERIMENT="e${ESC}]0;x" table "a${ESC}[2J" "b$(printf '\302\233')31m" $'c\342\200\256d'
    for command in "ls" "ls --json" "show 1 --json" "compare 1 2 --json" "ls --experiments" "ls --sweeps" "show 1" "compare 1 2" "sweep status" "gc" "report --metric score -o r.html" "tag 1 ${ESC}[1m" "note 1 ${ESC}c" "show 1" "query SELECT+*+FROM+trial_view" "query --json SELECT+*+FROM+trial_view" "report --metric score --json -o r.html"; do
        read -ra words <<<"$command"
        "$PEFTLAB" "${words[@]//+/ }" --store s.db >out 2>&1 || true
        ! LC_ALL=C grep -q -e "$ESC" -e "$(printf '\302\233')" -e $'\342\200\256' out || { echo "$command:"; cat -v out; return 1; }
    done
    printf 'x: [%s' "$ESC]0;t" >bad.yaml
    run ! "$PEFTLAB" train bad.yaml --out o
    clean
    run ! "$PEFTLAB" "l${ESC}[31ms"
    clean
    run ! "$PEFTLAB" train trial.yaml "ra${ESC}nk=2" --out o
    clean
}

@test "line ends and escapes in the environment stay one clean line" {
    PEFTLAB_STORE=$'no\nsuch\033[2J' run ! "$PEFTLAB" ls
    clean
    PEFTLAB_MODELS=$'no\nsuch' run ! "$PEFTLAB" train trial.yaml model=org/name --out o
    clean
    PEFTLAB_BACKEND=$'cp\nu\033c' run ! "$PEFTLAB" train trial.yaml --out o
    clean
}

@test "markup in names and labels stays text in the report" {
    EXPERIMENT='<img src=x onerror=alert(1)>' table '<script>alert(1)</script>' '</style><b>' '" onclick="x'
    "$PEFTLAB" report --store s.db --metric score -o r.html
    for bad in '<script>alert' '<img src=x' '</style><b>' '" onclick="x'; do
        ! grep -qF -- "$bad" r.html
    done
}

@test "SQL in names is a name" {
    name="x'; DROP TABLE trial; --"
    EXPERIMENT=$name table "a' OR 1=1 --" '"; DELETE FROM run; --'
    run -0 "$PEFTLAB" ls --store s.db --experiment "$name"
    has "OR 1=1" "DELETE FROM run"
    run ! "$PEFTLAB" ls --store s.db --sweep "' OR '1'='1"
    run -2 "$PEFTLAB" ls --store s.db --sort "config'; DROP TABLE trial; --"
    run -0 "$PEFTLAB" query "SELECT count(*) FROM trial_view" --store s.db
    has 2
}

@test "paths in names lead nowhere" {
    printf '#!/bin/sh\necho "{\\"y\\": 1}"\n' >p.sh && chmod +x p.sh
    mkdir in && cp p.sh in && cd in
    printf 'version: 1\nname: ../../up\nmetric: {name: ../../y, goal: maximize}\ncommand: [./p.sh]\nparameters: {x: {values: [../../z]}}\n' >s.yaml
    run "$PEFTLAB" sweep run s.yaml --experiment ../../e --store s.db
    "$PEFTLAB" report --store s.db --metric y -o r.html || true
    [ "$(ls .. | tr '\n' ' ')" = "in p.sh trial.yaml " ]
}

@test "bombs: aliases of aliases, depth, numbers, lines" {
    { echo 'a: &a [x, x, x, x, x, x, x, x, x]'; for i in b c d e f g h i j; do
        p=$(printf "\\$(printf '%03o' $(($(printf '%d' "'$i") - 1)))"); echo "$i: &$i [*$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p, *$p]"; done; } >bomb.yaml
    run timeout 20 "$PEFTLAB" sweep plan bomb.yaml
    [ "$status" -ne 0 ] && [ "$status" -lt 124 ]
    head -c 200000 /dev/zero | tr '\0' '[' >deep.json
    run timeout 20 "$PEFTLAB" sweep plan deep.json
    [ "$status" -ne 0 ] && [ "$status" -lt 124 ]
    cp -r "$ROOT/tests/golden/models/bert" m && chmod -R u+w m
    for n in 1e18 9223372036854775807 -1 1e999 2147483648; do
        sed "s/\"hidden_size\": *[0-9]*/\"hidden_size\": $n/" "$ROOT/tests/golden/models/bert/config.json" >m/config.json
        run timeout 20 "$PEFTLAB" train trial.yaml model=m --out o
        [ "$status" -ne 0 ] && [ "$status" -lt 124 ]
    done
    head -c 20000000 /dev/zero | tr '\0' 'x' >long.jsonl
    run -65 timeout 20 "$PEFTLAB" train trial.yaml train_data=long.jsonl --out o
    has "longer than 16 MiB"
}

@test "a FIFO in the place of a file is not waited for" {
    mkfifo fifo
    cp -r "$ROOT/tests/golden/models/bert" m && chmod -R u+w m
    for words in "train trial.yaml train_data=fifo" "train fifo" "train trial.yaml init_adapter=fifo"; do
        read -ra w <<<"$words"
        run timeout 20 "$PEFTLAB" "${w[@]}" --out o
        [ "$status" -ne 0 ] && [ "$status" -lt 124 ]
    done
    rm m/config.json && mkfifo m/config.json
    run timeout 20 "$PEFTLAB" train trial.yaml model=m --out o
    [ "$status" -ne 0 ] && [ "$status" -lt 124 ]
    for words in "import fifo --experiment e --metrics s" "sweep plan fifo"; do
        read -ra w <<<"$words"
        run timeout 20 "$PEFTLAB" "${w[@]}"
        [ "$status" -ne 0 ] && [ "$status" -lt 124 ]
    done
    run -66 timeout 20 "$PEFTLAB" ls --store fifo
}

@test "formulas in a CSV export are text, and come back as they were" {
    table '=cmd|x' '@SUM(1)' "'=1" 'plain' '-0.5'
    "$PEFTLAB" export --store s.db --format csv --out x.csv
    ! grep -qE '(^|,)"?[=@]' x.csv
    grep -q "'=cmd|x" x.csv
    "$PEFTLAB" import x.csv --store s2.db --experiment e --params config --metrics score
    q="SELECT group_concat(value, ';') FROM (SELECT value FROM param_view WHERE key = 'config' ORDER BY trial)"
    [ "$("$PEFTLAB" query "$q" --store s.db --format tsv)" = "$("$PEFTLAB" query "$q" --store s2.db --format tsv)" ]
    run -0 "$PEFTLAB" import x.csv --store s2.db --experiment e --params config --metrics score
    has "0 trials added"
}

@test "an adapter of NaNs ends eval, merge and train with 79" {
    cp -r "$CASE/expected/adapter" a && chmod -R u+w a
    size=$(stat -c %s a/adapter_model.safetensors)
    printf '\377\377\377\377' | dd of=a/adapter_model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
    run -79 "$PEFTLAB" eval "$CASE/trial.yaml" --adapter a --out o
    has "holds" "nan"
    run -79 "$PEFTLAB" merge "$CASE/trial.yaml" --adapter a --out m
    [ ! -e m ]
    run -79 "$PEFTLAB" train "$CASE/trial.yaml" init_adapter="$PWD/a" --out t
    [ ! -e t/adapter ]
}

@test "a page of runs without a usable score names a command that shows them" {
    printf 'config,score\nx,nan\n' >t.csv
    "$PEFTLAB" import t.csv --store s.db --experiment e --params config --metrics score
    run "$PEFTLAB" report --store s.db --experiment e --metric score -o r.html
    has "ended without a usable value" "peftlab ls --columns score"
    run -0 "$PEFTLAB" ls --columns score --store s.db
}

@test "an error of a connection names the proxy, without its password" {
    export HF_ENDPOINT=http://127.0.0.2:9 http_proxy=http://user:secret@127.0.0.1:9 no_proxy=
    run timeout -s INT 3 "$PEFTLAB" pull org/name --out d
    has "http_proxy is '127.0.0.1:9'"
    [[ "$output" != *secret* ]]
}
