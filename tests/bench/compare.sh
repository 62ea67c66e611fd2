#!/bin/bash
# This tree beside another commit of it, in turns: did a change make a step faster, and by how much more than the noise?
#   make bench-compare REF=commit    SHAPES='real minilm bert-base decoder' DTYPES='fp32 bf16' REPEATS=5 STEPS=8
# Prints tokens per second (median of the repeats), spread, the ratio new / old, and peak memory of both.
set -u
cd "$(dirname "$0")/../.." || exit
B=${1:-build}
REF=${REF:?a commit, as in make bench-compare REF=HEAD~1}
REPEATS=${REPEATS:-5}
STEPS=${STEPS:-8}
work=$B/bench
old=$work/ref
mkdir -p "$work"
# shellcheck source=tests/bench/lib.sh
. tests/bench/lib.sh

commit=$(git rev-parse --verify --quiet "$REF^{commit}") || { say "bench-compare: no commit '$REF'" >&2; exit 66; }
rm -rf "$old"
mkdir -p "$old"
git archive "$commit" | tar -x -C "$old"
make -C "$old" -j"$(nproc)" NO_INSTALL=1 CC="${CC:-cc}" build/peftlab >"$work/ref.log" 2>&1 || { tail -3 "$work/ref.log" >&2; exit 1; }

say "old: ${commit:0:10}, new: this tree; peak before: $(peak "$work/peak_before.json")"
say
say "| | dtype | old, tokens/s | spread, % | new | spread, % | new / old | old, MiB | new |"
say "|---|---|---|---|---|---|---|---|---|"
for shape in ${SHAPES:-real minilm bert-base decoder}; do
    case $shape in
    real) on_reviews ;;
    decoder) of_decoder ;;
    *) of_shape "$shape" ;;
    esac || continue
    for dtype in ${DTYPES:-fp32 bf16}; do
        : >"$work/o"
        : >"$work/n"
        for _ in $(seq "$REPEATS"); do
            train "$old/build/peftlab" "$trial" "dtype=$(long_dtype "$dtype")" >>"$work/o"
            train "$B/peftlab" "$trial" "dtype=$(long_dtype "$dtype")" >>"$work/n"
        done
        rate() { cut -d' ' -f1 "$work/$1"; }
        rss() { cut -d' ' -f2 "$work/$1" | median; }
        printf '| %s | %s | %.0f | %s | %.0f | %s | %s | %s | %s |\n' "$shape" "$dtype" "$(rate o | median)" "$(rate o | spread)" \
            "$(rate n | median)" "$(rate n | spread)" "$(ratio "$(rate n | median)" "$(rate o | median)")" "$(mib "$(rss o)")" "$(mib "$(rss n)")"
    done
done
say
say "peak after: $(peak "$work/peak_after.json")"
