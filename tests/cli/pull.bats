#!/usr/bin/env bats
# pull against a hub on this machine that misbehaves (tests/unit/support/http_server.h).
bats_require_minimum_version 1.5.0
load common

COMMIT=0123456789abcdef0123456789abcdef01234567

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    local program
    program=$(dirname "$PEFTLAB")/tests/lib_http_server
    [ -x "$program" ] || make -s -C "$ROOT" B="$(dirname "$PEFTLAB")" "$program"
    export HUB=$BATS_FILE_TMPDIR/hub no_proxy=127.0.0.1,localhost
    mkdir -p "$HUB"
    "$program" "$HUB" "$BATS_FILE_TMPDIR/ports" 3>&- >"$BATS_FILE_TMPDIR/server.log" 2>&1 &
    echo $! >"$BATS_FILE_TMPDIR/pid"
    for _ in $(seq 1200); do [ -s "$BATS_FILE_TMPDIR/ports" ] && break; sleep 0.05; done
    local a b
    read -r a b <"$BATS_FILE_TMPDIR/ports"
    export HF_ENDPOINT=http://127.0.0.1:$a/
}

teardown_file() {
    kill "$(cat "$BATS_FILE_TMPDIR/pid")"
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    export HOME=$BATS_TEST_TMPDIR
    unset HF_TOKEN HF_TOKEN_PATH HF_HOME XDG_CACHE_HOME HF_HUB_OFFLINE PEFTLAB_MODELS
    rm -rf "$HUB"/* "$HUB"/.log "$HUB"/.rules
    mkdir -p "$HUB/api/models/org/tiny/revision" "$HUB/org/tiny/resolve/$COMMIT/onnx"
    FILES=$HUB/org/tiny/resolve/$COMMIT
    echo '{"model_type": "bert"}' >"$FILES/config.json"
    seq 40000 | head -c 200000 >"$FILES/model.safetensors"
    echo bin >"$FILES/pytorch_model.bin"
    echo onnx >"$FILES/onnx/model.onnx"
    list_files
}

file_row() { # PATH as the hub lists small files
    local sum
    sum=$( (printf 'blob %s\0' "$(stat -c %s "$FILES/$1")"; cat "$FILES/$1") | sha1sum | cut -c1-40)
    printf '{"rfilename": "%s", "size": %s, "blobId": "%s"}' "$1" "$(stat -c %s "$FILES/$1")" "$sum"
}

list_files() {
    local weights=$FILES/model.safetensors
    printf '{"sha": "%s", "siblings": [%s, %s, %s, {"rfilename": "model.safetensors", "size": %s, "blobId": "%s", "lfs": {"sha256": "%s", "size": %s}}]}' \
        "$COMMIT" "$(file_row config.json)" "$(file_row pytorch_model.bin)" "$(file_row onnx/model.onnx)" \
        "$(stat -c %s "$weights")" "$COMMIT" "$(sha256sum <"$weights" | cut -c1-64)" "$(stat -c %s "$weights")" \
        >"$HUB/api/models/org/tiny/revision/main"
}

pull() {
    "$PEFTLAB" pull org/tiny --retry-wait 0.01 "$@"
}

whole() { # the folder holds what the hub has, and nothing half done
    cmp "$FILES/config.json" "${1:-models/org/tiny}/config.json"
    cmp "$FILES/model.safetensors" "${1:-models/org/tiny}/model.safetensors"
    ! ls "${1:-models/org/tiny}"/*.peftlab-part 2>/dev/null
}

@test "a model comes whole, without other formats; again, nothing is asked for" {
    run -0 pull
    has "2 files" "2 brought" "left out:" "commit $COMMIT of main"
    whole
    [ ! -e models/org/tiny/pytorch_model.bin ]
    rm "$HUB/.log"
    run -0 pull --json
    has '"fetched": 0' '"files": 2' '"dir": "models/org/tiny"'
    [ "$(grep -c resolve "$HUB/.log")" = 0 ]
}

@test "--all, --include and --out choose" {
    run -0 pull --all --out everything
    whole everything
    [ -e everything/onnx/model.onnx ]
    run -0 pull --include '*.onnx' --include 'config*' --out some
    [ -e some/onnx/model.onnx ]
    [ ! -e some/model.safetensors ]
    run -66 pull --include '*.gguf'
    has "4 files, none of them wanted"
    PEFTLAB_MODELS=elsewhere run -0 pull
    whole elsewhere/org/tiny
}

@test "broken off, busy, silent about ranges: it arrives all the same" {
    printf '%s\n' "2 cut 70000 /org/tiny/resolve/$COMMIT/model" "1 status 503 /org/tiny/resolve/$COMMIT/config" \
        "1 status 429:1 /api" "1 plain - /org/tiny/resolve/$COMMIT/model" >"$HUB/.rules"
    run -0 pull
    has "HTTP 429; trying again in 1 s" "HTTP 503; trying again" "trying again in 0.01 s"
    whole
    grep -q "model.safetensors bytes=70000-" "$HUB/.log"
}

@test "a pull that was killed goes on by range" {
    mkdir -p models/org/tiny
    head -c 123456 "$FILES/model.safetensors" >models/org/tiny/model.safetensors.peftlab-part
    run -0 pull
    whole
    grep -q "model.safetensors bytes=123456-" "$HUB/.log"
}

@test "kill -9 again and again: each call goes on, the last one is whole" {
    echo "99 slow 500 /org/tiny/resolve/$COMMIT/model" >"$HUB/.rules" # 4 s in all
    local round part=models/org/tiny/model.safetensors.peftlab-part before
    for round in 1 2 3 4; do
        before=$(stat -c %s $part 2>/dev/null || echo 0)
        "$PEFTLAB" pull org/tiny 3>&- >pull.log 2>&1 &
        for _ in $(seq 1200); do
            [ "$(stat -c %s $part 2>/dev/null || echo 0)" -gt "$before" ] && break
            sleep 0.05
        done
        kill -9 $!
        wait $! || true
        [ ! -e models/org/tiny/model.safetensors ]
        [ ! -e models/org/tiny/.peftlab-pull.json ]
    done
    : >"$HUB/.rules"
    run -0 pull
    whole
    grep -oE "model.safetensors bytes=[0-9]+" "$HUB/.log" | cut -d= -f2 >from
    sort -cn from # never back
    [ "$(tail -n 1 from)" -gt 0 ]
}

@test "wrong bytes are brought once more, and refused when wrong again" {
    echo "1 flip 5000 /org/tiny/resolve/$COMMIT/model" >"$HUB/.rules"
    run -0 pull
    whole
    echo "2 flip 5000 /org/tiny/resolve/$COMMIT/model" >"$HUB/.rules"
    run -65 pull --out b
    has "'model.safetensors' of 'org/tiny'" "SHA-256"
    [ ! -e b/model.safetensors ] && [ ! -e b/model.safetensors.peftlab-part ]
    echo "2 flip 3 /org/tiny/resolve/$COMMIT/config" >"$HUB/.rules"
    run -65 pull --out c
    has "SHA-1"
    echo "2 extra 9 /org/tiny/resolve/$COMMIT/model" >"$HUB/.rules"
    run -65 pull --out d
    has "more than 200000 bytes"
}

@test "a part begun from something else is thrown away" {
    mkdir -p models/org/tiny
    head -c 100000 /dev/zero >models/org/tiny/model.safetensors.peftlab-part
    run -0 pull
    whole
}

@test "a file that was changed here is brought again" {
    pull
    echo damaged >models/org/tiny/config.json
    run -0 pull
    has "1 brought"
    whole
}

@test "the token comes from variable, file or flag, and stays with the hub" {
    printf '%s\n' "9 other - /org/tiny/resolve/$COMMIT/model" >"$HUB/.rules"
    HF_TOKEN=secret run -0 pull --out a
    whole a
    grep -q "^A /org.*model.safetensors - token" "$HUB/.log"
    grep -q "^B /org.*model.safetensors - -" "$HUB/.log"
    ! grep "^B" "$HUB/.log" | grep -q token
    mkdir -p .cache/huggingface
    echo secret >.cache/huggingface/token
    rm "$HUB/.log"
    run -0 pull --out b
    grep -q "^A /api.* token" "$HUB/.log"
    HF_ENDPOINT=http://example.org run -78 pull --token secret --out c
    has "not sent over plain http"
}

@test "refusals say what to do" {
    echo "1 status 401 /api" >"$HUB/.rules"
    run -69 pull
    has "org/tiny" "needs a token in HF_TOKEN"
    echo "1 status 403 /api" >"$HUB/.rules"
    HF_TOKEN=x run -69 pull
    has "are its terms accepted there?"
    run -66 "$PEFTLAB" pull org/none
    has "org/none" "a wrong name" "--dataset"
    run -2 "$PEFTLAB" pull ../../etc
    has "no id of a hub"
    run -2 "$PEFTLAB" pull
    HF_ENDPOINT=http://127.0.0.1:1 run -69 pull
    has "after 6 tries"
    HF_ENDPOINT=ftp://x run -78 pull
}

@test "names that lead out of the folder are not written" {
    printf '{"siblings": [{"rfilename": "../../evil.json", "size": 4}]}' >"$HUB/api/models/org/tiny/revision/main"
    run -65 pull
    has "could leave the folder"
    [ ! -e evil.json ]
    echo '<html>' >"$HUB/api/models/org/tiny/revision/main"
    run -65 pull
}

@test "offline: what is there is checked, what is not is told" {
    run -66 pull --offline
    has "has not been pulled" "models/org/tiny"
    pull
    rm "$HUB/.log"
    run -0 pull --offline
    has "2 files" "0 brought"
    HF_HUB_OFFLINE=1 run -0 pull
    [ ! -e "$HUB/.log" ]
    run -66 pull --offline --revision v2
    has "holds revision main, not v2"
    printf 'not what was here' | dd of=models/org/tiny/model.safetensors bs=1 seek=99 conv=notrunc status=none
    run -65 pull --offline
    has "SHA-256"
    rm models/org/tiny/config.json
    run -66 pull --offline
    has "'config.json' is missing"
}

@test "a hub that tells neither sizes nor hashes in its list is asked by headers" {
    printf '{"siblings": [{"rfilename": "config.json"}]}' >"$HUB/api/models/org/tiny/revision/main"
    mkdir -p "$HUB/org/tiny/resolve/main"
    cp "$FILES/config.json" "$HUB/org/tiny/resolve/main/"
    local sum
    sum=$(sha256sum <"$FILES/config.json" | cut -c1-64)
    echo "1 head X-Linked-Etag:\"$sum\" /org/tiny/resolve/main/config" >"$HUB/.rules"
    run -0 pull
    cmp "$FILES/config.json" models/org/tiny/config.json
    grep -q "$sum" models/org/tiny/.peftlab-pull.json
    echo "2 head X-Linked-Etag:\"${sum/[0-9]/f}\" /org/tiny/resolve/main/config" >"$HUB/.rules"
    run -65 pull --out other
    has "SHA-256"
}

@test "data sets have their own addresses and folder" {
    mkdir -p "$HUB/api/datasets/org/rows/revision" "$HUB/datasets/org/rows/resolve/v1"
    printf '{"siblings": [{"rfilename": "data/train.jsonl", "size": 3}]}' >"$HUB/api/datasets/org/rows/revision/v1"
    mkdir -p "$HUB/datasets/org/rows/resolve/v1/data"
    echo '{}' >"$HUB/datasets/org/rows/resolve/v1/data/train.jsonl"
    run -0 "$PEFTLAB" pull org/rows --dataset --revision v1
    [ "$(cat data/org/rows/data/train.jsonl)" = '{}' ]
}

@test "two pulls do not write into one folder" {
    mkdir -p models/org/tiny
    exec 9>models/org/tiny/.peftlab-pull.json.lock
    flock 9
    run -75 pull
    has "another pull"
    exec 9>&-
}
