#!/bin/bash
# Puts tables into a page, under the heading of a kind of machine; what stood there before goes.
#   record.sh KIND TABLES.md PAGE.md
set -eu
kind=$1 tables=$2 page=$3
awk -v head="## $kind" '
    /^## / { skip = $0 == head }
    !skip { print }
' "$page" >"$page.new"
{
    printf '## %s\n' "$kind"
    cat "$tables"
} >>"$page.new"
mv "$page.new" "$page"
echo "$page: $kind"
