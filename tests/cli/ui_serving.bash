# What tests of `peftlab ui` by HTTP share; `load ui_serving` behind `load common`.

# ui WORD...: starts `peftlab ui` on ./s.db; its address is in $URL, its process in $UI, what it says in ui.log
ui() {
    : >ui.log
    "$PEFTLAB" ui --store s.db "$@" >ui.log 2>&1 3>&- &
    UI=$!
    for _ in {1..600}; do
        URL=$(grep -o 'http://[^/ ]*' ui.log | head -1)
        [ -z "$URL" ] || return 0
        kill -0 $UI 2>/dev/null || break
        sleep .05
    done
    cat ui.log
    return 1
}

# ui_ends [SIGNAL]
ui_ends() {
    [ -z "${UI-}" ] || { kill "-${1:-9}" "$UI" && wait "$UI"; } 2>/dev/null || true
    UI=
}

# code WORD...: the status of what curl is told to ask
code() { curl -s -o answer -w '%{http_code}' "$@"; }

# mlflow_post ROUTE JSON: the answer
mlflow_post() { curl -s "$URL/api/2.0/mlflow/$1" -H 'Content-Type: application/json' --data-binary "$2"; }
