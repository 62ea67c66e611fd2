#!/usr/bin/env bats
# What README and examples/ show is what the program takes.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# The Nth fenced block of README.md that begins with LINE.
block() {
    awk -v first="$1" '/^```/ { inside = !inside; at = NR; next }
        inside && NR == at + 1 { wanted = $0 == first }
        inside && wanted' "$ROOT/README.md"
}

@test "the reviews example is 48 trials: methods by rows, LoRA varied on 400 rows" {
    run -0 "$PEFTLAB" sweep plan "$ROOT/examples/reviews/sweep.yaml" '~model' --json
    count() { grep -cE "\"$1\": *\"?$2\"?[,}]?" <<<"$output"; }
    [ "$(count method lora)" = 18 ]
    for method in head qlora adapter prefix full; do
        [ "$(count method $method)" = 6 ]
    done
    [ "$(count max_train_samples 100)" = 18 ]
    [ "$(count max_train_samples 400)" = 30 ]
    [ "$(count seed 0)" = 16 ]
}

@test "the sweep file of README expands" {
    block "version: 1" >sweep.yaml
    [ "$(wc -l <sweep.yaml)" = 12 ]
    run -0 "$PEFTLAB" sweep plan sweep.yaml '~model' --json
    [ "$(grep -cE '"method"' <<<"$output")" = 24 ]
}

@test "the trial file of README is valid up to its model" {
    block "model: models/all-MiniLM-L6-v2" >trial.yaml
    grep -q target_modules trial.yaml
    run -66 "$PEFTLAB" train trial.yaml --out out
    [[ "$output" == *"all-MiniLM-L6-v2"* ]]
}

@test "README names every command, every method and every exit code" {
    for command in $(sed -n 's/^COMMAND(\([a-z_]*\)).*/\1/p' "$ROOT/cli/commands.def" | tr _ -); do
        grep -qE "^\| .*\`$command\b" "$ROOT/README.md" || { echo "README lacks $command"; return 1; }
    done
    for method in $(sed -n 's/^METHOD(\([a-z_]*\)).*/\1/p' "$ROOT/runner/nn/peft/methods.def" | tr _ -); do
        grep -qE "^\| \`$method\`" "$ROOT/README.md" || { echo "README lacks method $method"; return 1; }
    done
    for code in $(sed -nE 's/^\| ([0-9]+) \|.*/\1/p' "$ROOT/docs/exit-codes.md"); do
        [ "$code" = 70 ] || grep -qE "(^| )$code " "$ROOT/README.md" || { echo "README lacks code $code"; return 1; }
    done
}

@test "files that README links to are there" {
    for target in $(grep -oE '\]\([^)#]+\)' "$ROOT/README.md" | tr -d '])('); do
        [ "$target" = docs/report.png ] || [ -e "$ROOT/$target" ] || { echo "no $target"; return 1; }
    done
}

@test "example data are what SOURCE.md says" {
    sed -nE 's/^\| ([a-z0-9_]+\.jsonl)[^|]*\|.*\| ([0-9a-f]{64}) \|$/\2  \1/p' "$ROOT/examples/reviews/SOURCE.md" >sums
    [ "$(wc -l <sums)" = 4 ]
    (cd "$ROOT/examples/reviews" && sha256sum --check --quiet) <sums
}
