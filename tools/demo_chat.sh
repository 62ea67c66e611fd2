#!/bin/bash
# Ten questions of the test dialogues, answered by the base and by the best trial of a store (tools/demo.sh support calls it).
#   tools/demo_chat.sh STORE [SWEEP] [MODEL]
set -euo pipefail
cd "$(dirname "$0")/.."
store=$1 sweep=${2:-support} model=${3:-models/SmolLM2-135M-Instruct}
questions=examples/support/questions.jsonl

best=$(build/peftlab ls --store "$store" --sweep "$sweep" --state complete --sort eval/loss --limit 1 --json | sed -n 's/^   "id": \([0-9]*\),$/\1/p')
[ -n "$best" ] || { echo "demo: no complete trial of sweep '$sweep' in $store" >&2; exit 1; }
about=$(build/peftlab show "$best" --store "$store" --json)
value() { sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}$/\1/p" <<<"$about" | tail -1; }
adapter=$(sed -n 's/^ *"path": "\(.*\/adapter\)",\{0,1\}$/\1/p' <<<"$about" | tail -1)
# A winner on a 4-bit base answers on that base.
base=("$model" "quantization=$(value quantization)")

text_of() { # KEY: that text of each line of JSON, on one line
    sed 's/.*"'"$1"'": *"\(\([^"\\]\|\\.\)*\)".*/\1/; s/\\n/ /g; s/\\"/"/g'
}
answers() { # further words of generate
    build/peftlab generate "${base[@]}" --max-new-tokens 48 "$@" --json <"$questions" 2>/dev/null | text_of text
}
mapfile -t asked < <(text_of content <"$questions")
mapfile -t plain < <(answers)
mapfile -t tuned < <(answers --adapter "$adapter")
echo
echo "Ten questions of the test dialogues, to the base and to trial $best ($(value method), the best of all on dev):"
for i in "${!asked[@]}"; do
    printf '\nasked  %s\nbase   %.250s\ntuned  %.250s\n' "${asked[i]}" "${plain[i]:-}" "${tuned[i]:-}"
done
echo
echo "Chat with it: build/peftlab chat ${base[*]} --adapter $adapter"
