#!/usr/bin/env bats
# Certificates and proxies of the environment, against a TLS server and proxies on this machine (network.py).
bats_require_minimum_version 1.5.0
load common

certificate() { # FILE HOST NAMES: key and self-signed certificate in one file
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$2" -addext "subjectAltName=$3" \
        -keyout "$1.key" -out "$1.crt" 2>/dev/null
    cat "$1.crt" "$1.key" >"$1"
}

start() { # NAME ARGUMENT...: its port is in $TOP/NAME.port
    python3 "$BATS_TEST_DIRNAME/network.py" "${@:2}" 3>&- >"$TOP/$1.port" 2>"$TOP/$1.err" &
    echo $! >>"$TOP/pids"
    for _ in $(seq 1200); do [ -s "$TOP/$1.port" ] && return; sleep 0.05; done
    cat "$TOP/$1.err"
    return 1
}

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab} TOP=$BATS_FILE_TMPDIR
    mkdir -p "$TOP/hub/api/models/org/tiny/revision" "$TOP/hub/org/tiny/resolve/main"
    printf '{"siblings": [{"rfilename": "config.json", "size": 3}]}' >"$TOP/hub/api/models/org/tiny/revision/main"
    echo '{}' >"$TOP/hub/org/tiny/resolve/main/config.json"
    certificate "$TOP/ours" localhost DNS:localhost,IP:127.0.0.1
    certificate "$TOP/other" other DNS:localhost,IP:127.0.0.1
    certificate "$TOP/elsewhere" elsewhere.example DNS:elsewhere.example
    start hub hub "$TOP/hub" "$TOP/ours"
    start elsewhere hub "$TOP/hub" "$TOP/elsewhere"
    start proxy proxy "$TOP/proxy.log"
    start refusing proxy "$TOP/refusing.log" 407
    (cd "$TOP/hub" && exec python3 -u -m http.server --bind 127.0.0.1 0) 3>&- >"$TOP/plain.out" 2>&1 &
    echo $! >>"$TOP/pids"
    for _ in $(seq 1200); do grep -q port "$TOP/plain.out" && break; sleep 0.05; done
    grep -o 'port [0-9]*' "$TOP/plain.out" | cut -d' ' -f2 >"$TOP/plain.port"
}

teardown_file() {
    kill $(cat "$TOP/pids")
}

port() { cat "$TOP/$1.port"; }

setup() {
    cd "$BATS_TEST_TMPDIR"
    export HOME=$BATS_TEST_TMPDIR HF_ENDPOINT=https://127.0.0.1:$(port hub)
    unset HF_TOKEN HF_TOKEN_PATH HF_HOME XDG_CACHE_HOME HF_HUB_OFFLINE PEFTLAB_MODELS CURL_CA_BUNDLE SSL_CERT_FILE \
        SSL_CERT_DIR http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY
    rm -f "$TOP/proxy.log" "$TOP/refusing.log"
}

pull() { "$PEFTLAB" pull org/tiny --out "${1:-d}" --retry-wait 0.01; }

at_once() { # it failed without a second try, saying these words
    [[ "$output" != *"trying again"* && "$output" != *tries* ]] || { echo "not at once: $output"; return 1; }
    has "$@"
}

@test "the certificates of SSL_CERT_FILE, CURL_CA_BUNDLE and SSL_CERT_DIR are trusted" {
    SSL_CERT_FILE=$TOP/ours.crt run -0 pull a
    [ "$(cat a/config.json)" = '{}' ]
    CURL_CA_BUNDLE=$TOP/ours.crt run -0 pull b
    CURL_CA_BUNDLE=$TOP/ours.crt SSL_CERT_FILE=$TOP/other.crt run -0 pull c
    mkdir folder && cp "$TOP/ours.crt" "folder/$(openssl x509 -hash -noout -in "$TOP/ours.crt").0"
    SSL_CERT_DIR=$PWD/folder run -0 pull d
    SSL_CERT_FILE=$TOP/other.crt SSL_CERT_DIR=$PWD/folder run -0 pull e
}

@test "another certificate ends at once, with its reason and the variable" {
    run -69 pull
    at_once "certificate" "SSL_CERT_FILE can name the certificates to trust"
    SSL_CERT_FILE=$TOP/other.crt run -69 pull
    at_once "certificate" "SSL_CERT_FILE is '$TOP/other.crt'"
    CURL_CA_BUNDLE=$TOP/other.crt SSL_CERT_FILE=$TOP/ours.crt run -69 pull
    at_once "certificate" "CURL_CA_BUNDLE is '$TOP/other.crt'; it goes before SSL_CERT_FILE"
    SSL_CERT_FILE=$PWD/none run -69 pull
    at_once "certificate file" "SSL_CERT_FILE is '$PWD/none'"
    SSL_CERT_FILE=$TOP/elsewhere.crt HF_ENDPOINT=https://127.0.0.1:$(port elsewhere) run -69 pull
    at_once "127.0.0.1" "SSL_CERT_FILE is"
    [ ! -e d/config.json ]
}

@test "what speaks no TLS ends at once" {
    HF_ENDPOINT=https://127.0.0.1:$(port plain) run -69 pull
    at_once "SSL routines"
}

@test "https and http go through their proxies, but for the hosts of no_proxy" {
    export SSL_CERT_FILE=$TOP/ours.crt
    https_proxy=http://127.0.0.1:$(port proxy) run -0 pull a
    grep -qx "CONNECT 127.0.0.1:$(port hub) -" "$TOP/proxy.log"
    all_proxy=http://127.0.0.1:$(port proxy) run -0 pull b
    rm "$TOP/proxy.log"
    HF_ENDPOINT=http://127.0.0.1:$(port plain) http_proxy=http://127.0.0.1:$(port proxy) run -0 pull c
    grep -q "^GET http://127.0.0.1:$(port plain)/org/tiny/resolve/main/config.json -$" "$TOP/proxy.log"
    rm "$TOP/proxy.log"
    no_proxy=example.org,127.0.0.1 https_proxy=http://127.0.0.1:$(port proxy) run -0 pull d
    http_proxy=http://127.0.0.1:$(port proxy) run -0 pull e
    [ ! -e "$TOP/proxy.log" ]
}

@test "a proxy that refuses ends it at once and is named, without its password" {
    export SSL_CERT_FILE=$TOP/ours.crt
    https_proxy=http://me:secret@127.0.0.1:$(port refusing) run -69 pull
    at_once "407" "https_proxy is '127.0.0.1:$(port refusing)'"
    [[ "$output" != *secret* ]]
    HF_ENDPOINT=http://127.0.0.1:$(port plain) http_proxy=http://127.0.0.1:$(port refusing) run -69 pull
    at_once "HTTP 407" "http_proxy is 'http://127.0.0.1:$(port refusing)'"
    https_proxy=odd://127.0.0.1:9 run -69 pull
    at_once "https_proxy is 'odd://127.0.0.1:9'"
}

@test "a proxy that is not there is named in each try; one that is not asked is not" {
    https_proxy=http://127.0.0.1:1 run -69 pull
    has "https_proxy is 'http://127.0.0.1:1'" "trying again" "after 6 tries"
    no_proxy=127.0.0.1 https_proxy=http://127.0.0.1:1 run -69 pull
    at_once "certificate"
    [[ "$output" != *proxy* ]]
    no_proxy=example.org http_proxy=http://127.0.0.1:1 HF_ENDPOINT=http://127.0.0.1:$(port plain) run -69 pull
    has "http_proxy is"
}

@test "a token over plain http stays on this machine, past any proxy" {
    HF_TOKEN=secret HF_ENDPOINT=http://127.0.0.1:$(port plain) http_proxy=http://127.0.0.1:$(port proxy) run -0 pull
    [ ! -e "$TOP/proxy.log" ] || ! grep token "$TOP/proxy.log"
}
