# What tests of `peftlab ui` share; `load ui` behind `load common`.

# ui WORD...: starts `peftlab ui WORD...`, at a free port where none is said; $URL, $TOKEN, its process in $SERVER, what it says in $BATS_TEST_TMPDIR/ui.log
ui() {
    local line=
    : >"$BATS_TEST_TMPDIR/ui.log"
    [[ " $* " == *" --port "* ]] || set -- "$@" --port 0
    "$PEFTLAB" ui "$@" >"$BATS_TEST_TMPDIR/ui.log" 2>&1 3>&- &
    SERVER=$!
    for _ in {1..600}; do
        line=$(sed -n 's/^.* on \(http.*\)$/\1/p' "$BATS_TEST_TMPDIR/ui.log")
        [ -z "$line" ] || break
        kill -0 $SERVER 2>/dev/null || break
        sleep .1
    done
    URL=${line%%/\?*} TOKEN=${line##*token=}
    [ -n "$line" ] || { cat "$BATS_TEST_TMPDIR/ui.log"; return 1; }
}

stop_ui() {
    [ -z "${SERVER-}" ] || { kill -9 "$SERVER" && wait "$SERVER"; } 2>/dev/null || true
    SERVER=
}

# get PATH [WORD...]: the answer in $output, behind it the status
get() {
    local path=$1
    shift
    run curl -sg -w '\n%{http_code}' "$@" "$URL$path"
}

# act JSON: POST /api/do with the token
act() { run curl -s -w '\n%{http_code}' -H "X-Peftlab-Token: $TOKEN" "$URL/api/do" --data-binary "$1"; }

# value PATH EXPRESSION: of the answer `a` in Python
value() {
    curl -sg "$URL$1" | python3 -c "import json, sys; a = json.load(sys.stdin); print(($2))"
}

# code WORD...: the status of what curl is told to ask
code() { curl -s -o answer -w '%{http_code}' "$@"; }

# mlflow_post ROUTE JSON: the answer
mlflow_post() { curl -s "$URL/api/2.0/mlflow/$1" -H 'Content-Type: application/json' --data-binary "$2"; }
