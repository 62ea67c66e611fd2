#!/usr/bin/env bats
# `peftlab ui`: the page's API says what the store has, buttons are commands, who listens hears what changes.
bats_require_minimum_version 1.5.0
load common
load ui

setup_file() {
    find_program
    report_store
    cp "$PEFTLAB_STORE" "$BATS_FILE_TMPDIR/kept.db"
}

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR"
    cp "$BATS_FILE_TMPDIR/kept.db" s.db
    export PEFTLAB_STORE=$PWD/s.db
}

teardown() {
    stop_ui
}

@test "lists, tables, curves and trials are those of the store" {
    ui
    [ "$(value /api/overview 'len(a["sweeps"]), a["store"].endswith("s.db")')" = "($("$PEFTLAB" query 'SELECT count(*) FROM sweep_view' --format tsv | tail -1), True)" ]
    trials=$("$PEFTLAB" query 'SELECT count(*) FROM trial_view' --format tsv | tail -1)
    [ "$(value /api/trials 'a["total"], len(a["rows"])')" = "($trials, $trials)" ]
    [ "$(value '/api/trials?sweep=1&limit=2&offset=1' '[r["id"] for r in a["rows"]]')" = "[2, 3]" ]
    [ "$(value '/api/trials?ids=3,5' '[r["id"] for r in a["rows"]]')" = "[3, 5]" ]
    score=$(value /api/trials 'next(c["name"] for c in a["columns"] if c["main"] and c["better"] == "high")')
    [ "$(value "/api/trials?sort=$score" "[r['values'].get('$score', -1) for r in a['rows']] == sorted((r['values'].get('$score', -1) for r in a['rows']), reverse=True)")" = True ]
    [ "$(value '/api/trials?q=state=complete' 'all(r["state"] == "complete" for r in a["rows"]) and a["total"] > 0')" = True ]
    name=$(value "/api/trials?ids=1" 'a["rows"][0]["name"]')
    [ "$(value /api/trial/1 'a["id"], a["state"], "usd" in a["cost"], type(a["config"]).__name__, a["name"]')" = "(1, 'complete', True, 'dict', '$name')" ]
    [ "$(value '/api/compare?trials=1,2' 'a["trials"], a["names"][0]')" = "([1, 2], '$name')" ]
    [ "$(value /api/sweep/1 'a["sweep"], a["trials"] > 0, a["rungs"], "best" in a')" = "(1, True, [], True)" ]
    [ "$(value '/api/keys?sweep=1' 'type(a["keys"]).__name__')" = list ]
    get /api/trial/999999
    has 404 "no trial 999999"
    get '/api/trials?limit=x'
    has 400 "limit: 'x' is no number"
    get '/api/trials?sort=nothing'
    has 400 "no column 'nothing'"
    get "/api/curves?key=loss&points=100000&trials=$(seq -s, 21)"
    has 400 "21 trials of 100000 points are more than 2000000"
    get /api/nothing
    has 404
}

@test "the page comes with its guards, once, and is readable without a script" {
    ui
    get / -D head
    has 200 "<title>peftlab" "/plain?sweep=1"
    grep -qi "^content-security-policy: default-src 'none'; script-src 'self'" head
    grep -qi "^x-content-type-options: nosniff" head
    get /plain?sweep=1
    has 200 "/plain?trial=1" complete
    lacks "<script"
    get /plain?trial=1
    has 200 Configuration
    get /plain?trial=99999
    has 404 "no trial 99999"
    curl -s -D head -o page.css "$URL/page/page.css"
    tag=$(sed -n 's/^etag: \(.*\)\r$/\1/Ip' head)
    get /page/page.css -H "If-None-Match: $tag"
    [ "$output" = $'\n304' ]
    get /page/../cmd_ui.c --path-as-is
    has 404
    get /page/%2e%2e/schema.sql
    has 404
}

@test "buttons are commands, and need the token" {
    ui
    run curl -s -w '\n%{http_code}' "$URL/api/do" --data-binary '{"verb": "stop", "sweep": 1}'
    has 403 "the token is missing"
    run curl -s -w '\n%{http_code}' -H "X-Peftlab-Token: ${TOKEN}x" "$URL/api/do" --data-binary '{"verb": "stop", "sweep": 1}'
    has 403
    get '/api/do?verb=stop&sweep=1&now=true'
    has 200 "peftlab sweep stop --now --store=$PWD/s.db -- 1"
    act '{"verb": "stop", "sweep": 1}'
    has 200 '"exit": 0' "starts no further trials"
    [ "$("$PEFTLAB" query 'SELECT stopped FROM sweep_view WHERE id = 1' --format tsv | tail -1)" = 1 ]
    act '{"verb": "note", "trial": 1, "text": "--store=other.db"}'
    has 200 '"exit": 0'
    [ "$("$PEFTLAB" query 'SELECT note FROM trial_view WHERE id = 1' --format tsv | tail -1)" = "--store=other.db" ]
    act '{"verb": "tag", "trials": [1, 2], "tags": ["owner=ana"]}'
    has 200 '"exit": 0'
    [ "$(value /api/trials?q=ana '[r["id"] for r in a["rows"]]')" = "[1, 2]" ]
    act '{"verb": "retire", "trial": 1}'
    has 200 '"exit": 78' "is complete already"
    act '{"verb": "rm", "trial": 1}'
    has 400 "no verb 'rm'"
    act '{"verb": "stop", "sweep": "1 --now"}'
    has 400 "a whole number"
    act '{"verb": "stop"'
    has 400
}

@test "who listens hears what changes, and what was missed" {
    ui
    curl -sN "$URL/api/events" >heard &
    listener=$!
    for _ in {1..50}; do grep -q '^event: change' heard && break; sleep .1; done
    first=$(sed -n 's/^id: //p' heard | head -1)
    # The first look may come later than a change, of which it is only said then that there was one.
    for i in {1..50}; do "$PEFTLAB" tag 3 mark=$i; sleep .2; grep -q '"trials": \[3\]' heard && break; done
    grep -q '"trials": \[3\]' heard
    now=$(value /api/overview 'a["change"]')
    [ "$now" -gt "$first" ]
    kill $listener
    timeout 20 grep -qm 1 '"trials": \[3\]' < <(curl -sN -H "Last-Event-ID: $first" "$URL/api/events" 3>&-)
    timeout 20 grep -qm 1 '"all": true' < <(curl -sN "$URL/api/events?since=5" 3>&-)
}

@test "a sweep that runs is followed, stopped, cloned and resumed from the page" {
    unset PEFTLAB_STORE
    printf '%s\n' 'i=0' 'while [ $i -lt $1 ]; do i=$((i + 1)); echo "{\"step\": $i, \"loss\": $((1000 / i))}"; [ -e go ] || sleep .1; done' >count.sh
    printf '%s\n' 'command: [sh, count.sh, "{steps}"]' 'metric: {name: loss, goal: minimize}' 'parameters:' '  steps: {values: [500, 501]}' >s.yaml
    "$PEFTLAB" sweep run s.yaml --jobs 1 --store live.db >run.txt 2>&1 3>&- &
    controller=$!
    for _ in {1..100}; do [ "$(sqlite3 -readonly live.db 'select count(*) > 2 from metric' 2>/dev/null)" != 1 ] || break; sleep .1; done
    ui --store live.db
    [ "$(value /api/sweep/1 'a["controller"], len(a["running"]), len(a["waits"]), a["running"][0]["trial"], a["used"]["usd"] > 0')" = "(True, 1, 1, 1, True)" ]
    last=$(value '/api/curves?trials=1&key=loss' 'a["series"][0]["points"][-1][0]')
    curl -sN "$URL/api/events" >heard &
    for _ in {1..100}; do [ "$(grep -c '"trials": \[1\]' heard)" -lt 3 ] || break; sleep .1; done
    [ "$(grep -c '"trials": \[1\]' heard)" -ge 3 ]
    [ "$(value "/api/curves?trials=1&key=loss&after=$last" "a['series'][0]['points'][0][0] == $last + 1 and a['series'][0]['n'] > 0")" = True ]
    [ "$(value /api/trials?sweep=1 'a["rows"][0]["values"]["loss"] < 1000')" = True ]
    act '{"verb": "clone", "trial": 1, "changes": ["steps=3"]}'
    has '"exit": 0' "trial 3 is a clone of 1"
    act '{"verb": "stop", "sweep": 1, "now": true}'
    has '"exit": 0'
    wait $controller || true
    [ "$(value /api/sweep/1 'a["stopped"], a["controller"]')" = "(True, False)" ]
    touch go
    act '{"verb": "resume", "sweep": 1, "jobs": 1}'
    has '"started": true' ui-resume-
    for _ in {1..300}; do [ "$(sqlite3 -readonly live.db "select count(*) from trial where state = 'complete'")" != 3 ] || break; sleep .1; done
    [ "$(sqlite3 -readonly live.db "select count(*) from trial where state = 'complete'")" = 3 ]
    for _ in {1..100}; do [ "$(value /api/started 'a["started"][0]["ended"]')" != True ] || break; sleep .1; done
    [ "$(value /api/started 'a["started"][0]["exit"], len(a["started"])')" = "(0, 1)" ]
    grep -q complete peftlab-runs/ui-resume-*.log
}

@test "the report and advice are made from there" {
    ui
    curl -s -D head -o report.html "$URL/api/report?sweep=1"
    grep -q 'HTTP/1.1 200' head
    grep -qi '^content-security-policy: sandbox' head
    grep -q '<title>' report.html
    get '/api/report?sweep=999'
    has 400 "no sweep '999'"
    get "/api/report?sweep=1&output=$PWD/elsewhere.html&store=$PWD/other.db" # what is not asked here is not heeded
    has 200
    [ ! -e elsewhere.html ] && [ ! -e other.db ]
    [ "$(value '/api/advise?model=bert-base-uncased&rows=1000' 'type(a).__name__')" = dict ]
    get /api/advise
    has 400 "model is missing"
    get '/api/advise?model=hf_abcdefghijklmnopqrstuvwxyz0123'
    has 400 redacted
    lacks hf_abcdefghij
    get '/api/report?sweep=1' -H "Sec-Fetch-Site: cross-site"
    has 403
    get '/api/advise?model=bert-base-uncased' -H "Sec-Fetch-Site: cross-site"
    has 403
}

@test "it ends when asked, after what it was asked; on a signal nobody waits" {
    ui
    curl -sN "$URL/api/events" >heard &
    for _ in {1..50}; do grep -q '^event' heard && break; sleep .1; done
    kill -TERM $SERVER
    wait $SERVER
    SERVER=
    wait
    run "$PEFTLAB" ui --address 0.0.0.0 --port 0
    [ "$status" -ne 0 ]
    has "give a key"
    run "$PEFTLAB" ui --token-file /dev/null --port 0
    has "is empty"
}

@test "off the loopback's names, and from pages of others, nothing is answered" {
    ui
    get /api/overview -H "Host: evil.example"
    has 403
    get /api/overview -H "Origin: https://evil.example"
    has 403
    run curl -s -w '\n%{http_code}' -H "Origin: https://evil.example" -H "X-Peftlab-Token: $TOKEN" "$URL/api/do" --data-binary '{"verb": "stop", "sweep": 1}'
    has 403
}

@test "what an MLflow client logs is on the page as it comes, its files can be fetched" {
    ui --store new.db
    api=$URL/api/2.0/mlflow
    curl -s -H 'Content-Type: application/json' "$api/experiments/create" -d '{"name": "x"}'
    id=$(curl -s -H 'Content-Type: application/json' "$api/runs/create" -d '{"experiment_id": "1", "run_name": "first"}' |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["run"]["info"]["run_id"])')
    curl -sN "$URL/api/events" >heard &
    listener=$!
    for _ in {1..50}; do grep -q '^event' heard && break; sleep .1; done
    curl -s -H 'Content-Type: application/json' "$api/runs/log-batch" -d "{\"run_id\": \"$id\", \"params\": [{\"key\": \"lr\", \"value\": \"0.001\"}],
        \"metrics\": [{\"key\": \"loss\", \"value\": 0.5, \"step\": 1, \"timestamp\": 1796000000000}, {\"key\": \"loss\", \"value\": 0.25, \"step\": 2, \"timestamp\": 1796000000001}]}"
    echo hello | curl -s -T - "$URL/api/2.0/mlflow-artifacts/artifacts/1/$id/artifacts/a%20b/note.txt"
    for i in {1..50}; do
        curl -s -H 'Content-Type: application/json' "$api/runs/log-metric" -d "{\"run_id\": \"$id\", \"key\": \"other\", \"value\": $i, \"step\": $i, \"timestamp\": 1796000000000}"
        sleep .2
        grep -q '"trials": \[1\]' heard && break
    done
    kill $listener
    grep -q '"trials": \[1\]' heard
    [ "$(value /api/trials?experiment=1 'a["rows"][0]["name"], a["rows"][0]["state"], a["rows"][0]["values"]["lr"], a["rows"][0]["values"]["loss"]')" = "('first', 'running', 0.001, 0.25)" ]
    [ "$(value '/api/curves?trials=1&key=loss' 'a["series"][0]["points"]')" = "[[1, 0.5], [2, 0.25]]" ]
    href=$(value /api/trial/1 'a["artifacts"][0]["href"]')
    [ "$(curl -s "$URL$href")" = hello ]
}

@test "with a key nothing is read without it; browsers give it as a password; buttons need the token all the same" {
    echo sesame >key
    echo my-token >token
    ui --api-key-file key --token-file token
    [ "$TOKEN" = my-token ]
    get /api/overview
    has 401
    get / -u ana:wrong
    has 401
    get / -u ana:sesame
    has 200 "<title>"
    get /api/overview -H "Authorization: Bearer sesame"
    has 200
    run curl -s -w '\n%{http_code}' -u ana:sesame "$URL/api/do" --data-binary '{"verb": "stop", "sweep": 1}'
    has 403
    act '{"verb": "stop", "sweep": 1}'
    has 401
    run curl -s -w '\n%{http_code}' -u ana:sesame -H "X-Peftlab-Token: my-token" "$URL/api/do" --data-binary '{"verb": "stop", "sweep": 1}'
    has 200 '"exit": 0'
}

@test "a secret in a configuration, a log or an output is not shown" {
    mkdir -p runs/trial-1/attempt-1
    echo 'HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz0123' >runs/trial-1/output.log
    printf 'one\ntwo' >runs/trial-1/attempt-1/stdout.log
    python3 - <<'EOF'
import sqlite3
db = sqlite3.connect("s.db")
db.execute("UPDATE trial SET config_json = json_set(config_json, '$.api_key', 'verysecretword') WHERE id = 1")
db.execute("UPDATE run SET run_dir = 'runs/trial-1/attempt-1' WHERE id = (SELECT last_run FROM trial WHERE id = 1)")
db.commit()
EOF
    ui
    get /api/trial/1
    has 200 redacted '"name": "output"' '"name": "stdout"'
    lacks verysecretword
    get /api/trial/1/log
    has 200 redacted
    lacks hf_abcdefghij
    for cut in from=15 from=15\&bytes=8 from=-12 bytes=20; do # a part of it is not known as one
        get "/api/trial/1/log?$cut"
        has 200 redacted
        lacks abcdef 456789 opqrst z0123
    done
    [ "$(value '/api/trial/1/log?name=stdout&from=2' 'a["text"], a["next"]')" = "('e\ntwo', 7)" ]
    get '/api/trial/1/log?name=../../../etc/passwd'
    has 404
    ln -sf /etc/passwd runs/trial-1/attempt-1/stderr.log
    get '/api/trial/1/log?name=stderr'
    has 404
}
