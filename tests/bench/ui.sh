#!/bin/bash
# The live page in a real browser: first paint, updates and memory of the tab while a sweep runs beside a large one.
#   make bench-ui         TRIALS=1000 POINTS=10000 RUNS=4 RATE=5 MINUTES=10
# Prints a table and fails where a target is missed (issue: first paint under 1 s, an update under 0.1 s, the tab's memory flat).
# KEEP=FILE keeps the store and takes it again the next time. Needs chromium and chromedriver, as tests/browser.
set -u
cd "$(dirname "$0")/../.." || exit
B=${1:-build}
work=$(mktemp -d)
trap 'kill "$writer" 2>/dev/null; rm -rf "$work"' EXIT
store=${KEEP:-$work/ui.db}
minutes=${MINUTES:-10}
[ -e "$store" ] || "$B/bench_ui" fill "$store" "${TRIALS:-1000}" "${POINTS:-10000}" 400 || exit 1
du -h "$store" | cut -f 1
# The runs outlast what is measured.
"$B/bench_ui" grow "$store" "${RUNS:-4}" "$(awk -v m="$minutes" 'BEGIN { print m * 60 + 90 }')" "${RATE:-5}" &
writer=$!
python3 tests/bench/ui_page.py "$B" "$store" "$minutes"
