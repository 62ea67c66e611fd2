#!/bin/sh
# Brings peft's published results into a folder: examples/peft-comparison/fetch.sh [FOLDER]      (default: results, beside this)
# They are 63 JSON files (1.1 MB, Apache-2.0) of huggingface/peft at the commit below, taken by git without the rest of the
# repository's files. Nothing happens where they are there already; other files are refused, as the README's numbers are of these.
set -eu

commit=5d602fdbff04
digest=e7696b3c682c91ad58094912b3e056d59c5dc8b2371b2e71ff396ca41ebaf139
from=${PEFT_REPOSITORY:-https://github.com/huggingface/peft}
folder=${1:-$(cd "$(dirname "$0")" && pwd)/results}

right() { # FOLDER: the contents of its JSON files, in the order of their names
    [ -d "$1" ] && [ "$(cd "$1" && LC_ALL=C && cat -- *.json 2>/dev/null | sha256sum | cut -d' ' -f1)" = $digest ]
}

if right "$folder"; then
    exit 0
fi
if [ -e "$folder" ]; then
    echo "fetch.sh: '$folder' is there, and is not what peft had at $commit; take another folder" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! git clone --quiet --filter=tree:0 --no-checkout "$from" "$work/peft" ||
    ! git -C "$work/peft" checkout --quiet $commit -- method_comparison/MetaMathQA/results; then
    echo "fetch.sh: the results did not come from $from; PEFT_REPOSITORY names another copy of the repository" >&2
    exit 1
fi
if ! right "$work/peft/method_comparison/MetaMathQA/results"; then
    echo "fetch.sh: $from has other files at $commit" >&2
    exit 1
fi
mv "$work/peft/method_comparison/MetaMathQA/results" "$folder"
echo "$(find "$folder" -type f | wc -l) result files in $folder"
