#!/bin/bash
# Kills trainings with SIGKILL at random moments and lets them go on, until they end; adapter and trace (apart from
# step_ms) must equal those of an undisturbed training, byte for byte.
#   tests/crash/resume_rounds.sh PROGRAM ROUNDS [SEED]
# A round is one method (in turn), one save_steps, and kills until the training ends. Prints a line per round; exit
# status 1 when any differed.
set -u
program=$(realpath "$1") rounds=$2
RANDOM=${3:-1}
cd "$(dirname "$0")/../golden" || exit 2
root=$PWD
work=$(mktemp -d)
export PEFTLAB_STORE=$work/store.db
trap 'rm -rf "$work"' EXIT

# Dropout, shuffling, evaluations and the best adapter's copy take part.
methods=(
    "method=lora rank=4 lora_dropout=0.1"
    "method=qlora rank=4 target_modules=all-linear optim=adamw"
    "method=full learning_rate=0.001 optim=adamw_8bit class_weights=balanced load_best_model_at_end=true metric_for_best_model=loss"
    "method=adapter reduction_factor=4 gradient_accumulation_steps=2"
    "method=adalora init_r=6 target_r=3 tinit=5 tfinal=10 deltaT=3"
    "method=prefix num_virtual_tokens=3 learning_rate=0.01 optim=sgd"
)
updates=60
case_dir=$root/cases/bert-lora-clip
cat >"$work/trial.yaml" <<EOF
model: $root/models/bert
train_data: $case_dir/train.jsonl
eval_data: $case_dir/eval.jsonl
num_labels: 3
batch_size: 4
max_steps: $updates
eval_steps: 7
hidden_dropout_prob: 0.1
seed: 3
EOF

# Trace without times, and the adapter's bytes.
fingerprint() {
    sed 's/, "step_ms".*//' "$1/trace.jsonl" | sha256sum
    (cd "$1/adapter" && find . -type f | sort | xargs sha256sum)
}

failed=0
for ((round = 0; round < rounds; round++)); do
    m=$((round % ${#methods[@]}))
    read -ra words <<<"${methods[m]}"
    whole=$work/whole-$m out=$work/out-$round
    if [ ! -d "$whole" ]; then
        began=$(date +%s%N)
        "$program" train "$work/trial.yaml" "${words[@]}" --out "$whole" >/dev/null || exit 2
        took[m]=$((($(date +%s%N) - began) / 1000000)) # ms, to choose when to kill
    fi
    save=$((1 + RANDOM % 4)) kills=0 resumed=0
    for ((try = 0; try < 40; try++)); do
        "$program" train "$work/trial.yaml" "${words[@]}" save_steps=$save --out "$out" >/dev/null 2>"$work/err" &
        pid=$!
        wait_ms=$((20 + RANDOM % (took[m] + 50)))
        [ "$try" -lt 25 ] || wait_ms=60000 # let it end
        for ((t = 0; t < wait_ms; t += 10)); do
            kill -0 $pid 2>/dev/null || break
            sleep 0.01
        done
        kill -9 $pid 2>/dev/null && kills=$((kills + 1))
        wait $pid 2>/dev/null
        status=$?
        [ $status -eq 137 ] && { [ -d "$out/checkpoints" ] && resumed=$((resumed + 1)); continue; }
        break
    done
    if [ $status -ne 0 ] || ! diff <(fingerprint "$whole") <(fingerprint "$out") >"$work/diff"; then
        echo "not ok: round $round: ${words[*]} save_steps=$save, $kills kills, status $status"
        cat "$work/err" "$work/diff"
        failed=$((failed + 1))
    else
        echo "ok: round $round: ${words[*]} save_steps=$save, $kills kills, $resumed with checkpoints"
    fi
    rm -rf "$out"
done
echo "$rounds rounds, $failed differed"
[ $failed -eq 0 ]
