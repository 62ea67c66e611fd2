#!/usr/bin/env bats
# What each test row got, from the trainer through the store to the page: ranges for other seeds and other rows, what is
# said where rows are missing or damaged, and stores that are copied, exported and backed up.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    export STORE=$BATS_FILE_TMPDIR/s.db
    cd "$BATS_FILE_TMPDIR"
    python3 - <<'END'
import json, random
random.seed(1)
for name, n in (("train", 120), ("test", 150)):
    with open(name + ".jsonl", "w") as f:
        for _ in range(n):
            y = random.randrange(3)
            ids = [random.randrange(10, 160) if random.random() < .75 else 20 + 40 * y + random.randrange(3)
                   for _ in range(random.randrange(4, 14))]
            f.write(json.dumps({"input_ids": ids, "label": y}) + "\n")
END
    cat >sweep.yaml <<END
version: 1
name: tiny
metric: {name: test/macro_f1, goal: maximize}
method: grid
parameters:
  model: {value: $ROOT/tests/golden/models/bert}
  num_labels: {value: 3}
  train_data: {value: train.jsonl}
  test_data: {value: test.jsonl}
  method: {values: [head, lora]}
  learning_rate: {value: 1e-2}
  num_train_epochs: {value: 6}
seeds: [0, 1, 2]
END
    "$PEFTLAB" sweep run sweep.yaml --store "$STORE" --jobs 1
}

# chance STORE [FLAGS]: the part of the report about the two sources of chance, and the sentences beside it
chance() {
    "$PEFTLAB" report --json --store "$@" | python3 -c '
import json, sys
r = json.load(sys.stdin)
c = r["sections"]["evidence"]["chance"]
print("with", c["with"], "without", c["without"], "configs", len(c["configs"]), *c.get("lead", {}))
wider = [x["high95"] - x["low95"] > x["se_rows"] for x in c["configs"]]
print("wide", all(wider), "test", r["verdicts"]["pairs"][0]["test"])
print(*r["takeaways"]["evidence"], sep="\n")'
}

@test "ranges hold for other seeds and other rows, and which of more would help is said" {
    run -0 chance "$STORE"
    has "with 6 without 0 configs 2 a b helps" "wide True test paired" "of test rows (" "Twice the seeds" "twice the rows" "paired by row"
    lacks "does not hold what each"
    run -0 chance "$STORE" --metric test/loss
    has "with 6 without 0 configs 2"
    run -0 "$PEFTLAB" report --store "$STORE" -o page.html
    grep -q "Two sources of chance" page.html
    grep -q "those of scores also over test rows" page.html
    run -0 "$PEFTLAB" report verify page.html --store "$STORE"
    has "store  ok"
}

@test "single runs are paired by row" {
    sed 's/^seeds.*/seeds: [0]/; s/tiny/one/' "$BATS_FILE_TMPDIR/sweep.yaml" >"$BATS_FILE_TMPDIR/one.yaml"
    "$PEFTLAB" sweep run "$BATS_FILE_TMPDIR/one.yaml" --store one.db --jobs 1
    run -0 chance one.db --metric test/accuracy
    has "test rows" "paired by row"
    run -0 "$PEFTLAB" report --store one.db -o one.html
    has "one run each" "on 150 evaluation"
}

@test "rows go along with backup and export, and are missed where they are not" {
    "$PEFTLAB" backup copy.db --store "$STORE"
    run -0 chance copy.db
    has "with 6 without 0"
    "$PEFTLAB" export --store "$STORE" --out all.jsonl
    "$PEFTLAB" import all.jsonl --store other.db
    run -0 chance other.db
    has "with 6 without 0"
    run -0 "$PEFTLAB" gc --store other.db
    lacks "artifacts"
    # one copy is damaged, one gone
    files=(copy.db.artifacts/*/*)
    printf x >"${files[0]}"
    rm "${files[1]}"
    run -0 chance copy.db
    has "Of 2 of 6 trials the store does not hold what each test row got" "of trial "
    [ "$(grep -c "$BATS_TEST_TMPDIR" <<<"$output")" = 0 ]
    rm -r copy.db.artifacts
    run -0 chance copy.db
    has "without 6 configs 0" "Of 6 of 6 trials" "the copy is gone" "sweep run FILE --name NEW"
    # a line that came by a hand that changed it
    sed 's/cGVmdHJv/cGVndHJv/' all.jsonl >bad.jsonl
    run -65 "$PEFTLAB" import bad.jsonl --store bad.db
    has "bad.jsonl:" "'content' of the artifact 'rows/test' is not what its sha256 says"
}

@test "a program of the user's keeps its rows too: classes by name, numbers, and what is said of bad ones" {
    cat >score.py <<'END'
import json, os, random, sys
skill, seed, form = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
rows, hard = [], random.Random(1)
luck = random.Random(seed * 1000 + int(skill * 100))
for i in range(200):
    label, ease = hard.choice(["good", "bad"]), hard.gauss(0, .2)
    right = luck.random() < skill + ease
    rows.append({"id": f"r{i}", "label": label, "predicted": label if right else "none", "loss": 0.25 if right else 2})
if form == "numbers":
    rows = [{"target": i, "output": i + luck.gauss(0, 2 - skill)} for i in range(200)]
    print(json.dumps({"test/mse": sum((r["output"] - r["target"]) ** 2 for r in rows) / 200}))
else:
    print(json.dumps({"test/accuracy": sum(r["label"] == r["predicted"] for r in rows) / 200, "test/loss": sum(r["loss"] for r in rows) / 200}))
if form == "bad":
    del rows[6]["predicted"]
with open(os.environ["PEFTLAB_RUN_DIR"] + "/rows_test.jsonl", "w") as f:
    f.writelines(json.dumps(r) + "\n" for r in rows)
END
    for form in classes numbers bad; do
        cat >own.yaml <<END
name: $form
command: [python3, score.py, "{skill}", "{seed}", $form]
metric: {name: $([ $form = numbers ] && echo "test/mse" || echo "test/accuracy"), goal: $([ $form = numbers ] && echo minimize || echo maximize)}
parameters:
  skill: {values: [0.6, 0.8]}
seeds: [0, 1, 2]
END
        run -0 "$PEFTLAB" sweep run own.yaml --store own.db --jobs 2
    done
    run -0 chance own.db --sweep classes
    has "with 6 without 0 configs 2" "wide True test paired" "paired by row"
    run -0 chance own.db --sweep classes --metric test/loss
    has "with 6 without 0 configs 2"
    run -0 chance own.db --sweep numbers
    has "with 6 without 0 configs 2" "paired by row"
    run -0 chance own.db --sweep bad
    has "with 0 without 6"
    run -0 "$PEFTLAB" show 13 --store own.db
    has "rows_test.jsonl, line 7: 'label' and 'predicted' are texts, integers or booleans: what each row got is not kept"
}
