# What tests of sweeps over real (tiny) trainings share; `load sweeping` behind `load common`.

# A sweep file: $1 name, further lines of parameters until "--", then lines of the top level.
sweep_file() {
    local case=$ROOT/tests/golden/cases/bert-lora-clip file=$1.yaml
    cat >"$file" <<END
name: $1
metric: {name: eval/loss, goal: minimize}
parameters:
  model: {value: $ROOT/tests/golden/models/bert}
  train_data: {value: $case/train.jsonl}
  eval_data: {value: $case/eval.jsonl}
  num_labels: {value: 3}
  batch_size: {value: 4}
END
    shift
    while [ "$1" != -- ]; do printf '  %s\n' "$1" >>"$file"; shift; done
    shift
    printf '%s\n' "$@" >>"$file"
}
