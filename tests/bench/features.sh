#!/usr/bin/env bash
# tests/bench/features.sh - sweeps of `head` and of LoRA on the upper layers with what frozen layers gave computed anew each time (off),
# kept within each trial (within), and kept by all trials of the sweep (shared).
#
#   tests/bench/features.sh BUILD MODEL [NAME:METHOD:LAYERS ...]      ROUNDS=3 JOBS=1 EPOCHS=4
#
# MODEL: a folder of an encoder whose tokenizer reads examples/reviews, or NAME.yaml of make_base.py. Eight trials a sweep: four learning rates, two
# seeds; no dropout below the cut. The modes in turns, `shared` from an empty cache each time; `within` has no cache of weights either.
# Seconds of the whole command, and of processor time of all its processes: the least of the rounds. "same": every trial's numbers are those of `off`.
set -eu
build=$1 model=$2
shift 2
[ $# -gt 0 ] || set -- 'head:head:' 'LoRA r8 q,v, layers 3 to 5:lora:[3, 4, 5]'
rounds=${ROUNDS:-3} jobs=${JOBS:-1} epochs=${EPOCHS:-4}
case $build in /*) program=$build/peftlab ;; *) program=$PWD/$build/peftlab ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export work
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

rows() { # the trial's keys, as parameters of the sweep
    local data=$PWD/examples/reviews
    case $model in
    *.yaml)
        local folder
        folder=$(cd "$(dirname "$model")" && pwd)
        sed -nE "s#^model: (.*)#  model: {value: $folder/\1}#p; s#^train_data: (.*)#  train_data: {value: $folder/\1}\n  eval_data: {value: $folder/\1}#p; s#^(max_length|batch_size): (.*)#  \1: {value: \2}#p" "$model"
        ;;
    *)
        printf '  model: {value: %s}\n' "$(cd "$model" && pwd)"
        printf '  train_data: {value: %s}\n  eval_data: {value: %s}\n  test_data: {value: %s}\n' "$data/train_400.jsonl" "$data/dev.jsonl" "$data/test.jsonl"
        printf '  batch_size: {value: 16}\n  max_length: {value: 128}\n'
        ;;
    esac
}

sweep_file() { # METHOD LAYERS KEEP
    local rates='[3.0e-3, 6.0e-3, 1.2e-2, 2.4e-2]'
    [ "$1" = head ] && rates='[1.0e-2, 2.0e-2, 4.0e-2, 8.0e-2]'
    printf 'name: kept\nmetric: {name: eval/loss, goal: minimize}\nparameters:\n'
    rows
    printf '  method: {value: %s}\n  learning_rate: {values: %s}\n  num_train_epochs: {value: %s}\n' "$1" "$rates" "$epochs"
    printf '  hidden_dropout_prob: {value: 0}\n  attention_probs_dropout_prob: {value: 0}\n  latency_requests: {value: 0}\n  cache_features: {value: %s}\n' "$3"
    [ -z "$2" ] || printf '  layers_to_transform: {value: %s}\n' "$2"
    printf 'seeds: [0, 1]\n'
}

numbers() { # STORE: what must not differ
    sqlite3 -readonly "$1" "select t.key, t.seed, s.key, s.value from trial t join summary_view s on s.trial = t.id where s.key like 'eval/%' or s.key like 'test/%' or s.key like 'train/loss%' order by 1, 2, 3"
}

measure() { # MODE METHOD LAYERS: seconds and seconds of processor time, into the mode's file
    local keep=auto cache=$work/cache begin times=() TIMEFORMAT='%R %U %S'
    [ "$1" = off ] && keep=off
    [ "$1" = within ] && cache=off
    rm -rf "$work/cache" "$work/s.db" "$work/peftlab-runs"
    sweep_file "$2" "$3" $keep >"$work/sweep.yaml"

    begin=$({ time PEFTLAB_CACHE=$cache "${before[@]}" "$program" sweep run "$work/sweep.yaml" --jobs "$jobs" --store "$work/s.db" >"$work/log" 2>&1; } 2>&1) ||
        { cat "$work/log"; exit 1; }
    read -ra times <<<"$begin"
    awk -v r="${times[0]}" -v u="${times[1]}" -v s="${times[2]}" 'BEGIN { print r, u + s }' >>"$work/$1"
    numbers "$work/s.db" >"$work/$1.numbers"
}
least() { sort -g -k"$2,$2" "$work/$1" | awk -v k="$2" 'NR == 1 { printf "%.1f", $k }'; } # MODE COLUMN

say "8 trials, $epochs epochs, $jobs at a time, least of $rounds rounds: $(basename "$model")"
say
say '| sweep | off s | within s | shared s | off cpu s | within | shared | off / shared | within / shared | same |'
say '|---|---|---|---|---|---|---|---|---|---|'
for spec; do
    IFS=: read -r name method layers <<<"$spec"
    rm -f "$work"/{off,within,shared}
    same=yes
    for ((round = 0; round < rounds; round++)); do
        for mode in off within shared; do
            measure $mode "$method" "$layers"
            cmp -s "$work/$mode.numbers" "$work/off.numbers" && [ -s "$work/off.numbers" ] || same=NO
        done
    done
    say "| $name | $(least off 1) | $(least within 1) | $(least shared 1) | $(least off 2) | $(least within 2) | $(least shared 2) | $(ratio "$(least off 2)" "$(least shared 2)") | $(ratio "$(least within 2)" "$(least shared 2)") | $same |"
done
