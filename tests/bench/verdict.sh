#!/bin/bash
# Time to a verdict: the question of examples/reviews/sweep.yaml (which method, how many rows) asked
#   (a) by the full grid with five seeds of each, (b) by `until` (two seeds of each, then where they matter),
# and (a) by the rival, one process of transformers + peft per trial (rival/sweep_rival.py). Seconds of wall time, in Markdown.
#   make bench-verdict RIVAL_PYTHON=venv/bin/python      ours alone without it
#   BENCH_MODEL=DIR        MiniLM                        SEEDS=0,1,2,3,4
#   REGRET=0.0025          of (b)                        STYLE=tuned     the rival's (rival/README.md)
#   WORDS='method=head,lora max_train_samples=100'       a smaller question, to try it
# peft has no bottleneck adapters: those trials are left out on its side, and the table says how many it ran.
# Wants a quiet machine.
set -u
cd "$(dirname "$0")/../.." || exit

B=${1:-build}
SEEDS=${SEEDS:-0,1,2,3,4}
REGRET=${REGRET:-0.0025}
STYLE=${STYLE:-tuned}
work=$B/bench-verdict
rm -rf "$work"
mkdir -p "$work"
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh
python=${RIVAL_PYTHON:-$rival/venv/bin/python}
model=$(realpath "${BENCH_MODEL:-models/all-MiniLM-L6-v2}")
[ -d "$model" ] || { say "skipped: no $model (make model)"; exit 0; }
read -ra words <<<"${WORDS:-}"
words+=("model=$model" +latency_requests=0) # as the rival, which times none
sweep=examples/reviews/sweep.yaml

# NAME word...: runs it into its own store; prints SECONDS TRIALS
ours() {
    local name=$1 begin end
    shift
    begin=$(date +%s.%N)
    "${before[@]}" "$B/peftlab" sweep run $sweep --store "$work/$name.db" --run-dir "$work/$name" "${words[@]}" "$@" >"$work/$name.log" 2>&1 ||
        { tail -3 "$work/$name.log" >&2; return 1; }
    end=$(date +%s.%N)
    printf '%s %s\n' "$(awk -v a="$begin" -v b="$end" 'BEGIN { printf "%.1f", b - a }')" "$(grep -c '^\[' "$work/$name.log")"
}
# NAME: the first sentence of its report
answer() {
    "$B/peftlab" report --store "$work/$1.db" -o "$work/$1.html" 2>/dev/null | head -1 | tr '|' '/'
}

say "$(date +%Y-%m-%d), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown), load $(cut -d' ' -f1 /proc/loadavg) at the start, ${WORDS:-the whole question}"
say
say "| asked by | trials | seconds | answer |"
say "|---|---|---|---|"
read -r grid_s grid_n < <(ours grid "seeds=$SEEDS" '~until')
say "| (a) the grid, seeds $SEEDS | ${grid_n:--} | ${grid_s:--} | $(answer grid) |"
read -r until_s until_n < <(ours until "seeds=$SEEDS" "until.regret=$REGRET")
say "| (b) until regret $REGRET | ${until_n:--} | ${until_s:--} | $(answer until) |"
if [ -x "$(command -v "$python")" ] && "$python" -c 'import torch, transformers, peft' 2>/dev/null; then
    "$B/peftlab" sweep plan $sweep --json "${words[@]}" "seeds=$SEEDS" '~until' >"$work/plan.json" || exit
    "$python" - "$work/plan.json" examples/reviews >"$work/rival.yaml" <<'PLAN'
import json, os, sys
plan, folder = json.load(open(sys.argv[1])), os.path.abspath(sys.argv[2])
trials = []
for t in plan["trials"]:
    point = {**t["params"], "seed": t["seed"]}
    if point["method"] != "adapter":
        trials.append({k: os.path.join(folder, v) if k == "model" or k.endswith("_data") else v for k, v in point.items()})
json.dump({"task": "seq-cls", "trials": trials}, sys.stdout)
PLAN
    "${before[@]}" "$python" $rival/sweep_rival.py "$work/rival.yaml" --style process --train-style "$STYLE" >"$work/rival.json" 2>"$work/rival.log" ||
        { tail -3 "$work/rival.log" >&2; exit 1; }
    rival_s=$(field "$work/rival.json" wall_s)
    say "| (a) by the rival ($STYLE), without adapters | $(field "$work/rival.json" trials) | ${rival_s:--} | none: it leaves the table to the reader |"
    say
    say "Rival's (a) / ours: (a) $(ratio "$rival_s" "$grid_s"), (b) $(ratio "$rival_s" "$until_s")."
else
    say
    say "rival: not installed (set RIVAL_PYTHON, see $rival/requirements.txt)"
fi
