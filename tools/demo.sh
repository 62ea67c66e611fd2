#!/bin/bash
# The whole way once: packages, program, base model, sweep over real data, report. Stopped anywhere (Ctrl-C, kill -9) and
# started again it goes on; what is finished is not done again. NO_INSTALL=1 installs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
make=${MAKE:-make}
store=${DEMO_STORE:-demo.db}
runs=${DEMO_RUNS:-peftlab-runs}
report=${DEMO_REPORT:-report.html}

cat <<TEXT
This installs the packages that are missing (with apt-get), builds build/peftlab, brings the base model all-MiniLM-L6-v2
(84 MB, once) into models/, trains the trials of examples/reviews/sweep.yaml on this machine's CPU (about ten minutes on two
cores) into $store and $runs/, and writes $report.

TEXT
tools/deps.sh build demo
$make --no-print-directory -j"$(nproc)" all
tools/fetch_model.sh

# A sweep in which some trial failed (status 1) still has a report; anything else ends here.
status=0
build/peftlab sweep run examples/reviews/sweep.yaml --store "$store" --run-dir "$runs" || status=$?
[ "$status" -le 1 ] || exit "$status"
echo
build/peftlab report --store "$store" --sweep reviews --sla examples/reviews/sla.yaml -o "$report"
exit "$status"
