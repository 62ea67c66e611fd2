#!/usr/bin/env bats
# `peftlab serve` against clients that are broken, slow, many, or mean it badly: each gets one clear answer or an end, and
# others are answered all the while. Connections that owe a request: tests/unit/lib/net/server_links.c.
bats_require_minimum_version 1.5.0
load common
load serving

setup_file() {
    find_program
    cd "$BATS_FILE_TMPDIR"
    tiny_adapters lora ia3
}

setup() {
    find_program
    cd "$BATS_FILE_TMPDIR"
}

teardown() {
    stop_serving
}

# hostile WORD...: tests/cli/hostile.py; the server answers as before.
hostile() {
    run -0 python3 "$ROOT/tests/cli/hostile.py" "$1" "${URL##*:}" "${@:2}"
    post /v1/classify '{"model": "lora", "input": "good"}'
    [ "${lines[-1]}" = 200 ]
}

@test "each form of a request has one meaning, or is refused" {
    serve --adapters adapters
    hostile forms
}

@test "ten thousand connections that say nothing keep nobody out" {
    local count=10000
    [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 12500 ] || count=$(($(ulimit -Hn) / 2))
    serve --adapters adapters
    hostile flood $count
    run curl -s "$URL/metrics"
    has $'peftlab_queued_rows 0\n'
}

@test "hundreds of connections are kept alive and asked at the same time" {
    serve --adapters adapters
    hostile many 400
    run curl -s "$URL/metrics"
    has $'peftlab_rows_total 801\n' $'peftlab_failed_rows_total 0\n'
}

@test "whoever does not read an answer holds up nobody" {
    serve --adapters adapters --queue 100000
    hostile unread 30
}

@test "bodies that are no question" {
    serve --adapters adapters
    python3 - <<'END'
open("deep", "w").write("[" * 100000)
open("deeper", "w").write('{"model": "lora", "input": ' + "[" * 3000 + "]" * 3000 + "}")
open("latin", "wb").write(b'{"model": "lora", "input": "caf\xe9"}')
open("nul", "wb").write(b'{"model": "lora", "input": "good\\u0000bad"}')
open("raw_nul", "wb").write(b'{"model": "lora", "input": "good\0bad"}')
open("utf16", "wb").write('{"model": "lora", "input": "good"}'.encode("utf-16"))
open("mark", "wb").write(b'\xef\xbb\xbf{"model": "lora", "input": "good"}')
open("half", "wb").write(b'{"model": "lora", "input": "\\ud800"}')
open("behind", "wb").write(b'{"model": "lora", "input": "good"} {}')
open("many", "w").write('{"model": "lora", "input": [' + ",".join(['"good"'] * 1025) + "]}")
open("wide", "w").write('{"model": ["lora", "ia3"], "input": [' + ",".join(['"good"'] * 600) + "]}")
open("long", "w").write('{"model": "lora", "input": "' + "good " * 800000 + '"}')
open("word", "w").write('{"model": "lora", "input": "' + "a" * 4000000 + '"}')
open("keys", "w").write("{" + ",".join('"k%d": %d' % (i, i) for i in range(100000)) + "}")
END
    local file code words
    while IFS='|' read -r file code words; do
        post /v1/classify "@$file"
        [ "${lines[-1]}" = "$code" ] || { echo "$file: $output" | cut -c1-300; return 1; }
        jq -e '.error.code == '"$code" <<<"${output%$'\n'*}"
        has "$words"
    done <<'END'
deep|400|body
deeper|400|body
latin|400|unable to decode byte
nul|400|not allowed
raw_nul|400|body
mark|400|body
utf16|400|body
half|400|body
behind|400|body
many|400|1 to 1024
wide|400|1 to 1024
long|400|tokens
keys|400|'input' is missing
END
    post /v1/classify @word # long, and a text: one word that is in no vocabulary
    [ "${lines[-1]}" = 200 ]
    local body
    while IFS='|' read -r body words; do
        post /v1/classify "$body"
        [ "${lines[-1]}" = 400 ] || { echo "$body: $output"; return 1; }
        has "$words"
    done <<'END'
{"model": "lora", "model": "ia3", "input": "good"}|body
{"model": "lora", "input": null}|an input is text
{"model": "lora", "input": {"text": "good"}}|an input is text
{"model": "lora", "input": [1.5]}|an input is text
{"model": "lora", "input": [5, "good"]}|token 2
{"model": "lora", "input": [-1]}|no id below
{"model": "lora", "input": [9223372036854775807]}|no id below
{"model": "lora", "input": [92233720368547758070]}|body
{"model": "lora", "input": [1e400]}|body
{"model": "lora", "input": ["a", "b", 3]}|an input is text
{"model": {"lora": 1}, "input": "good"}|'model'
{"model": [], "input": "good"}|'model'
END
    post /v1/classify '{"model": "'"$(printf 'x%.0s' {1..3000})"'", "input": "good"}'
    has "there is no adapter" 404
    post /v1/classify '{"model": "\u001b[31m", "input": "good"}'
    [ "${lines[-1]}" = 404 ]
    lacks $'\e'
    post /v1/load_lora_adapter '{"lora_name": 3, "lora_path": []}'
    has "are needed" 400
    post /v1/load_lora_adapter '{"lora_name": "x", "lora_path": "model/config.json"}'
    has "no folder" 404
    post /v1/load_lora_adapter '{"lora_name": "", "lora_path": "adapters/lora/adapter"}'
    has "needs a name" 400
    post /v1/unload_lora_adapter '{}'
    has "is needed" 400
    post /tokenize '{"prompt": 5}'
    [ "${lines[-1]}" = 400 ]
}

@test "pages of a browser: those of this machine read answers, others nothing" {
    serve --adapters adapters
    run curl -s -i -X OPTIONS "$URL/v1/classify" -H 'Origin: http://localhost:3000' -H 'Access-Control-Request-Method: POST' -H 'Access-Control-Request-Headers: content-type'
    has "200 OK" "Access-Control-Allow-Origin: http://localhost:3000" "Access-Control-Allow-Methods: POST, OPTIONS" "Access-Control-Allow-Headers: Authorization, Content-Type"
    run curl -s -i "$URL/v1/models" -H 'Origin: http://localhost:3000'
    has "200 OK" "Access-Control-Allow-Origin: http://localhost:3000" "Vary: Origin" "Access-Control-Expose-Headers: Retry-After, Server-Timing"
    local origin
    for origin in https://elsewhere.example null http://localhost.elsewhere.example 'http://localhost:80@elsewhere.example' file://; do
        run curl -s -i -X OPTIONS "$URL/v1/classify" -H "Origin: $origin"
        has "403"
        lacks "Access-Control"
    done
    stop_serving
    echo secret >key
    serve --adapters adapters --api-key-file key
    run curl -s -i -X OPTIONS "$URL/v1/classify" -H 'Origin: https://elsewhere.example'
    has "200 OK" "Access-Control-Allow-Origin: https://elsewhere.example"
    run curl -s -i "$URL/v1/models" -H 'Origin: https://elsewhere.example' -H 'Authorization: Bearer secret'
    has "200 OK" "Access-Control-Allow-Origin: https://elsewhere.example"
    run curl -s -i "$URL/v1/models" -H 'Origin: https://elsewhere.example'
    has "401"
    lacks "Access-Control"
    run curl -s -i "$URL/metrics" -H 'Origin: https://elsewhere.example'
    has "200 OK"
    lacks "Access-Control"
}
