#!/usr/bin/env bats
# Many tasks on one base: one sweep trains them, one file of tasks is reported on, advised by and served from.
bats_require_minimum_version 1.5.0
load common
load serving

setup_file() {
    find_program
    cd "$BATS_FILE_TMPDIR"
    tiny_model
    python3 - <<'END'
import json, random
words = "good bad fine poor it was the food here".split()
random.seed(5)
for task, labels in ("mood", ["neg", "new", "pos"]), ("desk", ["food", "room", "staff"]):
    for name, n in ("train", 24), ("eval", 12), ("test", 12):
        with open(f"{task}_{name}.jsonl", "w") as f:
            for i in range(n):
                text = " ".join(random.choices(words, k=random.randint(2, 9)))
                print(json.dumps({"text": text, "label": labels[i % len(labels)]}), file=f)
END
    cat >sweep.yaml <<'YAML'
name: tasks
metric: {name: eval/accuracy, goal: maximize}
parameters:
  model: {value: model}
  train_data: {values: [mood_train.jsonl, desk_train.jsonl]}
  eval_data: {expr: "'mood_eval.jsonl' if train_data == 'mood_train.jsonl' else 'desk_eval.jsonl'"}
  test_data: {expr: "'mood_test.jsonl' if train_data == 'mood_train.jsonl' else 'desk_test.jsonl'"}
  method: {value: lora}
  learning_rate: {values: [1e-3, 1e-2]}
  num_train_epochs: {value: 1}
  latency_requests: {value: 20}
seeds: [0, 1]
YAML
    cat >tasks.yaml <<'YAML'
latency_p99_ms: 1000
replica_usd_per_hour: 0.1
tasks:
  - {name: mood, data: mood_train.jsonl, requests_per_s: 2, quality_floor: 0}
  - {name: desk, data: desk_train.jsonl, requests_per_s: 1, quality_floor: 1.5}
YAML
    "$PEFTLAB" sweep run sweep.yaml --store s.db --run-dir runs >sweep.log
}

setup() {
    cd "$BATS_FILE_TMPDIR"
    export PEFTLAB_STORE=$BATS_FILE_TMPDIR/s.db
}

@test "report: what each task reaches, which share, ways to serve them" {
    run -0 "$PEFTLAB" report --sla tasks.yaml -o r.html
    has "model is good enough for" "below their floor there: desk" "merged, a model per task, model" "predicted"
    grep -q 'id="tasks"' r.html
    ! grep -q 'id="sla"' r.html
    run -0 "$PEFTLAB" report --sla tasks.yaml --json
    has '"plan": "one shared base, model"' '"first_to_break"' '"kind": "predicted"' '"task": "mood"'
    # Rows that are judged by belong to the task: they tell no configurations apart.
    lacks "test_data desk"
}

@test "advise: the ways to serve them, the best first" {
    run -1 "$PEFTLAB" advise --tasks tasks.yaml # desk's floor cannot be reached
    has "one shared base, model" "merged, a model per task, model" "below their floor there: desk" "peftlab serve --tasks tasks.yaml"
    sed 's/quality_floor: 1.5/quality_floor: 0/' tasks.yaml >low.yaml
    run -0 "$PEFTLAB" advise --tasks low.yaml --json
    has '"plan": "one shared base, model"' '"takeaways"'
    run -2 "$PEFTLAB" advise
    has "--model is missing"
}

@test "a task without trials is told" {
    sed 's/data: [a-z]*_train/data: none/' tasks.yaml >none.yaml
    run -78 "$PEFTLAB" report --sla none.yaml
    has "none.jsonl" "training file"
}

teardown() { stop_serving; }

@test "serve --tasks: the base and for each task the adapter of its best trial" {
    serve_of --tasks tasks.yaml
    run -0 curl -s "$URL/v1/models"
    has '"mood"' '"desk"' '"model"'
    # The labels are the task's, the numbers those of the trial that is best by the rows to choose by.
    run -0 curl -s "$URL/v1/classify" --data-binary '{"model": ["desk", "mood"], "input": "good food", "logits": true}'
    python3 - "$output" <<'END'
import json, sys
desk, mood = json.loads(sys.argv[1])["data"]
assert desk["label"] in ("food", "room", "staff") and mood["label"] in ("neg", "new", "pos"), (desk, mood)
END
    trial=$("$PEFTLAB" report --sla tasks.yaml --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["sections"]["tasks"]["tasks"][1]["bases"][0]["trial"])')
    adapter=$("$PEFTLAB" show "$trial" --json | sed -n 's/^ *"path": "\(.*\/adapter\)",\{0,1\}$/\1/p' | tail -1)
    kill "$SERVER" && wait "$SERVER" || true
    asked=$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["data"][0]["probs"])' "$output")
    serve_of model "it=$adapter"
    run -0 curl -s "$URL/v1/classify" --data-binary '{"input": "good food", "logits": true}'
    [ "$asked" = "$(python3 -c 'import json, sys; print(json.loads(sys.argv[1])["data"][0]["probs"])' "$output")" ]
}

@test "serve --tasks: a folder of one's own, another base, no base" {
    adapter=$(ls -d runs/trial-1/attempt-*/adapter)
    sed "s|name: mood,|name: mood, adapter: $adapter,|" tasks.yaml >own.yaml
    serve_of model --tasks own.yaml
    run -0 curl -s "$URL/v1/models"
    has '"mood"'
    sed "s|name: mood,|name: mood, adapter: nowhere,|" tasks.yaml >own.yaml
    run -66 "$PEFTLAB" serve --tasks own.yaml
    has "task 'mood'" "nowhere"
    run -78 "$PEFTLAB" serve other --tasks tasks.yaml
    has "other" "tried were model"
    printf 'tasks:\n  - {name: a, requests_per_s: 1}\n' >plain.yaml
    run -78 "$PEFTLAB" serve --tasks plain.yaml
    has "no tasks with 'data'"
    run -2 "$PEFTLAB" serve
    has "which base?"
}

@test "bench: the adapters of the tasks; what it measured stands for what was predicted" {
    cp s.db measured.db
    cat >bench.yaml <<'YAML'
model: model
adapters: {tasks: tasks.yaml}
requests: {data: mood_test.jsonl}
points: [merged, 2]
arrivals: {open: poisson, rate: [40]}
duration: 2s
warmup: 0s
slo: {p99: 1000ms}
seeds: [0]
YAML
    run -0 "$PEFTLAB" bench bench.yaml --store measured.db
    run -1 "$PEFTLAB" advise --tasks tasks.yaml --store measured.db
    has "by batches of bench 1"
    run -0 "$PEFTLAB" report --sla tasks.yaml --store measured.db --json
    has '"kind": "measured"' '"surface"' '"answers": "adapters"' '"answers": "merged"'
    sed -i 's/tasks: tasks.yaml/dir: runs, tasks: tasks.yaml/' bench.yaml
    run -78 "$PEFTLAB" bench bench.yaml --store measured.db
    has "either 'dir' or 'tasks'"
}
