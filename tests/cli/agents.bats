#!/usr/bin/env bats
# AGENTS.md: what it says that --json prints is what the program prints.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    report_store
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# The words that stand for something here.
command_line() { # WORDS OF THE TABLE
    local words=$1
    words=${words/FILE/$2}
    words=${words/TRIAL TRIAL .../1 2}
    words=${words/TRIAL.yaml/$2}
    words=${words/show TRIAL/show 1}
    words=${words/SWEEP/reviews}
    words=${words/--model NAME/--model bert-base}
    words=${words/--out DIR/--out run latency_requests=0}
    echo "$words"
}

# holds COMMAND FILE: it prints every key of its row
holds() {
    local row keys key
    row=$(grep -F "| \`$1\` |" "$ROOT/AGENTS.md")
    keys=$(cut -d'|' -f3 <<<"$row" | tr -d ' ' | tr ',' '\n')
    [ -n "$keys" ]
    if [ "$1" = "query SQL" ]; then
        "$PEFTLAB" query "SELECT 1 AS one" --json >out
    else
        # shellcheck disable=SC2046 # words
        "$PEFTLAB" $(command_line "$1" "${2:-}") --json >out 2>err
    fi
    for key in $keys; do
        jq -e "has(\"$key\")" out >/dev/null || { echo "$1 --json lacks '$key': $(jq -c keys out)"; return 1; }
    done
}

@test "every command of the table, every key" {
    local case=$ROOT/tests/golden/cases/bert-lora-all-linear
    printf 'text,label\na b,x\nc d,y\ne f,x\ng h,y\ni j,x\nk l,y\n' >rows.csv
    holds "init FILE" rows.csv
    holds "train TRIAL.yaml --out DIR" "$case/trial.yaml"
    holds "sweep plan FILE" "$ROOT/examples/reviews/sweep.yaml ~model"
    printf '%s\n' "model: $ROOT/tests/golden/models/bert" "adapters: {dir: run}" "requests: {tokens: 4}" \
        "arrivals: {open: even, rate: 20}" "duration: 100ms" "warmup: 0s" >BENCH.yaml
    while IFS= read -r command; do
        case $command in init* | train* | "sweep plan"*) continue ;; esac
        holds "$command"
    done < <(sed -n 's/^| `\([a-z].*\)` | .*,.*/\1/p' "$ROOT/AGENTS.md")
    [ "$(sed -n 's/^| `\([a-z].*\)` | .*,.*/\1/p' "$ROOT/AGENTS.md" | wc -l)" = 16 ]
}
