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

@test "the reviews example is 56 to 84 trials: methods by rows, three rates each and LoRA varied on 400 rows" {
    run -0 "$PEFTLAB" sweep plan "$ROOT/examples/reviews/sweep.yaml" '~model'
    has "at least 56 trials (2 seeds of each), at most 84"
    run -0 "$PEFTLAB" sweep plan "$ROOT/examples/reviews/sweep.yaml" '~model' --json
    count() { grep -cE "\"$1\": *\"?$2\"?[,}]?" <<<"$output"; }
    [ "$(count method lora)" = 24 ]
    for method in head qlora adapter prefix full; do
        [ "$(count method $method)" = 12 ]
    done
    [ "$(count max_train_samples 100)" = 18 ]
    [ "$(count max_train_samples 400)" = 66 ]
    [ "$(count seed 0)" = 28 ]
    python3 - "$output" <<'PY'
import json, sys
rates = {}
for t in json.loads(sys.argv[1])["trials"]:
    p = t["params"]
    rates.setdefault((p["method"], p["max_train_samples"]), set()).add(p["learning_rate"])
assert {k: len(v) for k, v in rates.items()} == {(m, n): 3 if n == 400 else 1 for m, n in rates}, rates
assert all(rates[m, 100] < rates[m, 400] and sorted(rates[m, 400])[1] in rates[m, 100] for m, n in rates), rates
PY
}

@test "the example of many tasks: each is judged by its own rows, and tasks.yaml names their files" {
    # Without the models, which are not here: what hangs on them goes, too.
    sed '/SmolLM2/d; /^ *model:/d; /^exclude:/d' "$ROOT/examples/many-tasks/sweep.yaml" >sweep.yaml
    run -0 "$PEFTLAB" sweep plan sweep.yaml --json
    python3 - "$output" "$ROOT/examples/many-tasks" <<'PY'
import json, os, re, sys
trials = [t["params"] for t in json.loads(sys.argv[1])["trials"]]
files = {p["train_data"] for p in trials}
assert len(trials) == 24 and len(files) == 4, trials
for p in trials:
    of = os.path.basename(p["train_data"]).split("_")[0].replace("train", "reviews")
    for key in "train_data", "eval_data", "test_data":
        assert os.path.exists(os.path.join(sys.argv[2], p[key])) and of in p[key], p
data = re.findall(r"data: ([^,]+),", open(os.path.join(sys.argv[2], "tasks.yaml")).read())
assert len(data) == 4 and all(any(("/" + f).endswith("/" + d) for f in files) for d in data), data
PY
}

@test "the sweep file of README expands" {
    block "version: 1" >sweep.yaml
    [ "$(wc -l <sweep.yaml)" = 16 ]
    run -0 "$PEFTLAB" sweep plan sweep.yaml '~model' --json
    [ "$(grep -cE '"method"' <<<"$output")" = 48 ]
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

@test "the support example is 21 trials: lora varied on all linear layers, qlora beside it" {
    run -0 "$PEFTLAB" sweep plan "$ROOT/examples/support/sweep.yaml" '~model' --json
    count() { grep -cE "\"$1\": *\"?$2\"?[,}]?" <<<"$output"; }
    [ "$(count method lora)" = 15 ]
    [ "$(count method qlora)" = 6 ]
    [ "$(count target_modules all-linear)" = 15 ]
    [ "$(count rank 4)" = 6 ]
    [ "$(count seed 0)" = 7 ]
}

@test "the support example at 7 B: planned for a card of 24 GB that is not here, refused where there is no GPU" {
    export CUDA_VISIBLE_DEVICES=
    run -0 "$PEFTLAB" sweep plan "$ROOT/examples/support/llama-2-7b.yaml" --json
    python3 - "$output" <<'PY'
import json, sys
trials = json.loads(sys.argv[1])["trials"]
assert len(trials) == 8 and sorted({t["params"]["rank"] for t in trials}) == [32, 64], len(trials)
assert all(6e9 < t["peak_bytes"] < 24e9 for t in trials), [t["peak_bytes"] for t in trials]
PY
    run -0 "$PEFTLAB" plan "$ROOT/examples/support/llama-2-7b.yaml" --gpu rtx4090
    [[ "$output" == *"8 of 8"*"on 1 x RTX 4090"*"it fits"*"twice the rank: 128"* ]]
    run -69 "$PEFTLAB" sweep run "$ROOT/examples/support/llama-2-7b.yaml" --store s.db
    [[ "$output" == *"executor.backend is 'cuda', but"*"executor.backend=cpu"* ]]
    run -66 "$PEFTLAB" sweep run "$ROOT/examples/support/llama-2-7b.yaml" executor.backend=cpu --store s.db
    [[ "$output" == *"peftlab pull"* ]]
}

@test "questions of the support example are the test dialogues' own, and general text is that of reviews" {
    python3 - "$ROOT/examples" <<'PY'
import json, sys
rows = lambda name: [json.loads(line) for line in open(f"{sys.argv[1]}/{name}.jsonl")]
test = {r["id"]: r for r in rows("support/test")}
questions = rows("support/questions")
assert len(questions) == 10 and all(q["messages"] == test[q["id"]]["messages"][:1] for q in questions)
reviews = {r["id"]: r["text"] for r in rows("reviews/test")}
assert all(reviews[r["id"]] == r["text"] for r in rows("support/general"))
train = {r["messages"][0]["content"] for r in rows("support/train")}
assert not train & {q["messages"][0]["content"] for q in questions}
PY
}

@test "example data are what SOURCE.md says" {
    for example in reviews:4 support:5 many-tasks:9; do
        sed -nE 's/^\| ([a-z0-9_]+\.jsonl)[^|]*\|.*\| ([0-9a-f]{64}) \|$/\2  \1/p' "$ROOT/examples/${example%:*}/SOURCE.md" >sums
        [ "$(wc -l <sums)" = "${example#*:}" ]
        (cd "$ROOT/examples/${example%:*}" && sha256sum --check --quiet) <sums
    done
}
