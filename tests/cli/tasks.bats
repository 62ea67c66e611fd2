#!/usr/bin/env bats
# Many tasks on one base: one sweep trains them, one file of tasks is reported on, advised by and served from.
bats_require_minimum_version 1.5.0
load common

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

@test "a task without trials is told" {
    sed 's/data: [a-z]*_train/data: none/' tasks.yaml >none.yaml
    run -78 "$PEFTLAB" report --sla none.yaml
    has "none.jsonl" "training file"
}
