#!/bin/bash
# Lets libFuzzer look for inputs that break a parser: tests/fuzz/fuzz.sh BUILD SECONDS [NAME...]
# It starts from the seed corpus and keeps what it learns in BUILD/corpus; a finding is written to BUILD/found.
set -u
build=$1 seconds=$2
shift 2
cd "$(dirname "$0")/../.."
mkdir -p "$build/found"
failed=0
for target in "$build"/fuzz/fuzz_*; do
    name=${target##*/fuzz_}
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
    mkdir -p "$build/corpus/$name"
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$build/found/$name-" "$build/corpus/$name" "tests/fuzz/corpus/$name" \
        >"$build/$name.log" 2>&1; then
        echo "$name: $(grep -o 'Done [0-9]* runs' "$build/$name.log") in $seconds s, nothing found"
    else
        failed=1
        echo "$name: FOUND something, see $build/$name.log:"
        grep -m 5 -E 'ERROR|runtime error|SUMMARY|Test unit written' "$build/$name.log"
    fi
done
exit $failed
