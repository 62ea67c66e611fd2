#!/usr/bin/env bats
# `peftlab ui` against pages of other origins, names that lead here, paths that lead away, and clients that are broken, slow
# or many. Limits of time: tests/unit/lib/net/server_links.c.
bats_require_minimum_version 1.5.0
load common
load ui

setup() {
    find_program
    cd "$BATS_TEST_TMPDIR"
    export PEFTLAB_STORE=$PWD/s.db
}

teardown() {
    stop_ui
}

# A run, with its artifacts' path in $FILES
make_run() {
    RUN=$(mlflow_post runs/create '{"experiment_id": "0", "start_time": 1}' | jq -r .run.info.run_id)
    FILES=/api/2.0/mlflow-artifacts/artifacts/0/$RUN/artifacts
}

@test "each form of a request has one meaning, or is refused" {
    ui
    HOSTILE=ui run -0 python3 "$ROOT/tests/cli/hostile.py" forms "${URL##*:}"
    [ "$(code "$URL/health")" = 200 ]
}

@test "connections that say nothing keep nobody out; whoever does not read holds up nobody" {
    ui
    make_run
    head -c 2000000 /dev/zero >large
    [ "$(code -T large "$URL$FILES/large")" = 200 ]
    local count=6000
    [ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 8000 ] || count=$(($(ulimit -Hn) / 2))
    HOSTILE=ui run -0 python3 "$ROOT/tests/cli/hostile.py" flood "${URL##*:}" $count
    HOSTILE=ui run -0 python3 "$ROOT/tests/cli/hostile.py" many "${URL##*:}" 200
    HOSTILE=ui LARGE=$FILES/large run -0 python3 "$ROOT/tests/cli/hostile.py" unread "${URL##*:}" 20
    [ "$(code "$URL/health")" = 200 ]
}

@test "pages of other origins, and names that lead here, change and read nothing" {
    ui
    make_run
    local origin host path
    for origin in https://elsewhere.example null http://localhost.elsewhere.example 'http://localhost:80@elsewhere.example' file://; do
        for path in /api/2.0/mlflow/runs/set-tag /api/do; do
            [ "$(code -X POST "$URL$path" -H "Origin: $origin" -H 'Content-Type: text/plain' -d '{"run_id": "'"$RUN"'", "key": "a", "value": "b"}')" = 403 ]
        done
        [ "$(code -T /dev/null "$URL$FILES/x" -H "Origin: $origin")" = 403 ]
        [ "$(code -X DELETE "$URL$FILES/x" -H "Origin: $origin")" = 403 ]
        run curl -s -i "$URL/api/overview" -H "Origin: $origin"
        has 403
        lacks Access-Control
    done
    for host in elsewhere.example 127.0.0.1.elsewhere.example localhost.elsewhere.example 0.0.0.0 'localhost:80@elsewhere.example'; do
        for path in / /page/page.css /api/overview "$FILES/x" "/api/2.0/mlflow/runs/get?run_id=$RUN" /health; do
            [ "$(code "$URL$path" -H "Host: $host")" = 403 ] || { echo "$host $path"; return 1; }
        done
    done
    [ "$(code "$URL/api/overview" -H 'Sec-Fetch-Site: cross-site' -H 'Sec-Fetch-Mode: no-cors')" = 403 ]
    [ "$(curl -s "$URL/api/2.0/mlflow/runs/get?run_id=$RUN" | jq '[.run.data.tags[]? | select(.key == "a")] | length')" = 0 ]
    [ ! -e "s.db.mlartifacts/$RUN" ]
}

@test "buttons need the token of this start" {
    ui
    [ "$(code -X POST "$URL/api/do" -H 'Content-Type: application/json' -d '{"verb": "note", "trial": "1", "text": "x"}')" = 403 ]
    [ "$(code -X POST "$URL/api/do" -H 'X-Peftlab-Token: 0' -d '{"verb": "note", "trial": "1", "text": "x"}')" = 403 ]
}

@test "with a key nothing is told without it, in each of its forms" {
    echo hidden-key >key
    ui --api_key_file key
    local path
    for path in /api/overview /api/2.0/mlflow/experiments/get?experiment_id=0 /api/2.0/mlflow-artifacts/artifacts?path=0 /api/events; do
        [ "$(code "$URL$path")" = 401 ] || { echo "$path"; return 1; }
        [ "$(code "$URL$path" -H 'Authorization: Bearer other')" = 401 ]
        [ "$(code "$URL$path" -u ana:other)" = 401 ]
    done
    curl -s "$URL/api/2.0/mlflow/experiments/get?experiment_id=0" | jq -e '.error_code == "UNAUTHENTICATED"'
    [ "$(code "$URL/api/overview" -H 'Authorization: Bearer hidden-key')" = 200 ]
    [ "$(code "$URL/api/overview" -u ana:hidden-key)" = 200 ]
    # A browser sends a password by itself, so another origin's page gets nothing by it.
    [ "$(code -X POST "$URL/api/2.0/mlflow/experiments/create" -u ana:hidden-key -H 'Origin: https://elsewhere.example' -d '{"name": "x"}')" = 403 ]
    [ "$(code "$URL/api/overview" -u ana:hidden-key -H 'Sec-Fetch-Site: cross-site')" = 403 ]
    run ! grep -q hidden-key ui.log
    stop_ui
    run -78 "$PEFTLAB" ui --store new.db --address 0.0.0.0 --port 0
    has "give a key"
    [ ! -e new.db ]
}

@test "a key is the first line of its file, and a text" {
    printf 'hidden-key \r\nwhat it is for\n' >key
    ui --api_key_file key
    [ "$(code "$URL/api/overview" -H 'Authorization: Bearer hidden-key')" = 200 ]
    stop_ui
    local bad
    for bad in '\0hidden' 'hid\0den' 'hid\tden' '\nhidden' ' \n'; do
        printf "$bad" >key
        run -65 timeout 5 "$PEFTLAB" ui --store new.db --port 0 --api_key_file key
        has "--api-key-file: 'key'"
        [ ! -e new.db ]
    done
}

@test "pages that went away keep nobody from listening" {
    ui
    python3 - "${URL##*:}" <<'END'
import socket, sys
def listen():
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return s, s.recv(200)
for _ in range(3):
    opened = [listen() for _ in range(255)]
    assert all(b" 200 " in answer for _, answer in opened), [a for _, a in opened if b" 200 " not in a][0]
    for s, _ in opened:
        s.close()
END
    run timeout 1 curl -sN "$URL/api/events?since=-9223372036854775808"
    has '"trials": []'
}

@test "paths lead nowhere: what is put, read, listed or removed stays beside the store" {
    ui
    make_run
    echo secret >outside
    mkdir -p other
    local path
    [ "$(code -T outside "$URL$FILES/inside")" = 200 ]
    ln -s "$PWD/outside" "s.db.mlartifacts/$RUN/link"
    ln -s "$PWD/other" "s.db.mlartifacts/$RUN/away"
    find . ! -name 's.db-*' ! -path ./answer ! -path ./ui.log | sort >before
    for path in .. ../.. %2e%2e/%2e%2e/outside ..%2f..%2foutside %252e%252e%252f%252e%252e%252foutside %25252e%25252e/x \
        '..%5c..%5coutside' %2fetc%2fpasswd //etc/passwd 'c:%5cx' 'C:/x' file:%2f%2f%2fetc%2fpasswd a%00b a%0ab a%23b %ff%fe link away/x . '' 'x/'; do
        [ "$(code --path-as-is "$URL$FILES/$path")" -ge 400 ] || { echo "read: $path"; return 1; }
        [ "$(code --path-as-is -X DELETE "$URL$FILES/$path")" -ge 400 ] || [ "$path" = link ] || { echo "removed: $path"; return 1; }
    done
    ln -sf "$PWD/outside" "s.db.mlartifacts/$RUN/link"
    for path in ../up %2e%2e/up ..%2f..%2fup %252e%252e%252fup '..%5cup' 'c:%5cx' a%00b a%0ab a%23b %ff away/x inside/x; do
        [ "$(code --path-as-is -X PUT --data-binary @outside "$URL$FILES/$path")" -ge 400 ] || { echo "put: $path"; return 1; }
    done
    for path in .. %2e%2e ..%2f.. %252e%252e /etc %2fetc 0%2f.. "0%2F$RUN%2Fartifacts%2F.."; do
        [ "$(code "$URL/api/2.0/mlflow-artifacts/artifacts?path=$path")" -ge 400 ] || { echo "listed: $path"; return 1; }
    done
    [ "$(cat outside)" = secret ]
    find . ! -name 's.db-*' ! -path ./answer ! -path ./ui.log ! -path ./before ! -path ./after | sort >after
    diff <(grep -v './before' before) after
    run curl -s -i "$URL$FILES/inside"
    has "Content-Disposition: attachment" "X-Content-Type-Options: nosniff" "application/octet-stream"
}

@test "half an upload is none, and leaves nothing" {
    ui
    make_run
    python3 - "${URL##*:}" "$FILES" <<'END'
import socket, sys, time
for headers in b"Content-Length: 100000\r\n", b"Transfer-Encoding: chunked\r\n":
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    s.sendall(b"PUT " + sys.argv[2].encode() + b"/half HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n" + b"ff\r\n" + b"x" * 200)
    time.sleep(.2)
    s.close()
END
    for _ in {1..100}; do
        [ -n "$(ls s.db.mlartifacts/.uploads)" ] || break
        sleep .05
    done
    [ -z "$(ls s.db.mlartifacts/.uploads)" ]
    [ "$(code "$URL$FILES/half")" = 404 ]
    run -0 python3 - "${URL##*:}" "$FILES" <<'END'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.sendall(b"PUT " + sys.argv[2].encode() + b"/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999\r\n\r\n")
print(s.recv(100))
END
    has 413
}
