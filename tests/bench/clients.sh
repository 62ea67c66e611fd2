#!/bin/bash
# A served language model under other people's load tools: what GuideLLM and the client of `vllm bench serve` say of it.
#   tests/bench/clients.sh BUILD MODEL NAME=ADAPTER...     STREAMS="1 4 8"
#   GUIDELLM=venv/bin/guidellm (texts of 32 tokens by the first adapter), VLLM_CLIENT="PYTHON FILE" (vllm_client.py, all adapters)
set -euo pipefail
[ $# -gt 2 ] || { echo "usage: $0 BUILD MODEL NAME=ADAPTER..." >&2; exit 2; }
build=$1 model=$2
shift 2
here=$(dirname "$0")
work=$(mktemp -d)
: >"$work/log"
"$build/peftlab" serve "$model" "$@" --port 0 --sequences 8 >"$work/log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in {1..600}; do
    url=$(sed -n 's/^serving .* on //p' "$work/log")
    [ -z "$url" ] || break
    kill -0 $server 2>/dev/null || { cat "$work/log" >&2; exit 1; }
    sleep .1
done
for i in {1..256}; do
    echo "{\"prompt\": \"Write what you know about the number $i.\", \"output_tokens_count\": 32}"
done >"$work/prompts.jsonl"
for streams in ${STREAMS:-1 4 8}; do
    if [ -n "${GUIDELLM-}" ]; then
        echo "GuideLLM, $streams at a time"
        "$GUIDELLM" run --backend "kind=openai_http,target=$url" --profile "kind=concurrent,streams=$streams" \
            --constraint "kind=max_requests,count=$((streams * 8))" --data "kind=json_file,path=$work/prompts.jsonl" \
            --output kind=console --disable-progress >"$work/said" 2>/dev/null
        sed -n '/Request Latency/,/^$/p; /Server Throughput/,/^$/{p;/^$/q}' "$work/said"
    fi
    if [ -n "${VLLM_CLIENT-}" ]; then
        read -r python file <<<"$VLLM_CLIENT"
        "$python" "$here/vllm_client.py" "$file" "$url" "$streams" "${@%%=*}"
    fi
done
curl -s "$url/metrics" | grep -E '^peftlab_(texts|failed_texts|generation_tokens|steps|step_rows|step_adapters)'
