#!/bin/bash
# Serves the tasks of examples/many-tasks from a store as `serve --tasks` does, and asks each of them something (tools/demo.sh tasks calls it).
#   tools/demo_tasks.sh STORE
set -euo pipefail
cd "$(dirname "$0")/.."
store=$1 tasks=examples/many-tasks/tasks.yaml
log=$(mktemp)
# Where the tasks stand best on several bases each is a server of its own; this asks the small one.
build/peftlab serve models/all-MiniLM-L6-v2 --tasks "$tasks" --store "$store" --port 0 >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$log"' EXIT
url=
for _ in $(seq 200); do
    url=$(sed -n 's/^serving .* on //p' "$log")
    [ -z "$url" ] && kill -0 "$server" 2>/dev/null || break
    sleep .1
done
[ -n "$url" ] || { cat "$log" >&2; exit 1; }

label() { # TASK TEXT
    curl -sS "$url/v1/classify" -d "{\"model\": \"$1\", \"input\": \"$2\"}" | sed -n 's/.*"label": "\([^"]*\)".*/\1/p'
}
echo
echo "From one base at $url, each by the adapter of its best trial:"
while IFS='|' read -r task text; do
    answer=$(label "$task" "$text")
    printf '%-8s  %-58s  %s\n' "$task" "$text" "${answer:-(stands best on the other base, a server of its own)}"
done <<'TEXTS'
reviews|The zoom is quick and the pictures are sharp.
reviews|It stopped working after two weeks.
movies|A warm, funny film with a great cast.
movies|Two hours of my life that I will not get back.
tweets|just missed my train again, great start of the week
tweets|Best concert ever, thank you all!
support|Who wrote Hamlet?
support|What is a compiler?
TEXTS
echo
echo "Serve them: build/peftlab serve --tasks $tasks --store $store"
