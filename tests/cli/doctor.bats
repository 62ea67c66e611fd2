#!/usr/bin/env bats
# doctor: what can be used here, and why the rest cannot; backends as shared objects.
bats_require_minimum_version 1.5.0
load common

setup() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
    EMUL=${PEFTLAB_BACKEND_DIR:-$(dirname "$PEFTLAB")}/peftlab_cuda_emul.so
    mkdir -p "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/none"
    ln -f "$PEFTLAB" "$BATS_TEST_TMPDIR/bin/" 2>/dev/null || cp "$PEFTLAB" "$BATS_TEST_TMPDIR/bin/"
    ALONE=$BATS_TEST_TMPDIR/bin/peftlab # nothing lies next to it
    export PEFTLAB_BACKEND_DIR=$BATS_TEST_TMPDIR/none
}

@test "doctor names versions, machine, programs" {
    run -0 "$PEFTLAB" doctor
    has "cpu        usable" "ref        usable" sqlite gnuplot cores memory
    PATH=/nowhere run -0 "$PEFTLAB" doctor
    has "not found - it draws"
}

@test "version: what the program was built from" {
    run -0 "$PEFTLAB" version
    has "$("$PEFTLAB" --version) (20" "kernels    " ", generic" "backends   cpu, ref" "sqlite 3."
    run -0 "$ALONE" version --json
    [ "$(jq -r .version <<<"$output")" = "$("$PEFTLAB" --version | cut -d' ' -f2)" ]
    jq -e '.kernels[-1] == "generic" and .backends == {cpu: true, ref: true, cuda: false, "cuda-emul": false}' <<<"$output"
    jq -e '(.compiler | test("^(gcc|clang) [0-9]+")) and (.libraries.curl | test("^[0-9]+[.][0-9]"))' <<<"$output"
    # a source with git: its commit, which may be older than the tree
    [ ! -e "$ROOT/.git" ] || git -C "$ROOT" cat-file -e "$(jq -r .commit <<<"$output")"
    echo "not an object" >"$PEFTLAB_BACKEND_DIR/peftlab_cuda.so"
    [ "$("$ALONE" version --json | jq .backends.cuda)" = true ]
}

@test "doctor as JSON" {
    run -0 "$PEFTLAB" doctor --json
    has '"schema_version"' '"backends"' '"usable": true' '"peftlab_version"'
}

@test "a backend that is not there" {
    run -0 "$ALONE" doctor
    has "cuda       no       peftlab_cuda.so is neither next to the program nor in"
    run -69 "$ALONE" doctor --backend cuda-emul
    has "backend 'cuda-emul' is not usable here: peftlab_cuda_emul.so is neither"
    run -69 "$ALONE" doctor --backend abacus
    has "no backend 'abacus'"
    run -0 "$ALONE" doctor --backend cpu
}

@test "an object that is none, and one that is no backend" {
    echo "not an object" >"$PEFTLAB_BACKEND_DIR/peftlab_cuda.so"
    run -69 "$ALONE" doctor --backend cuda
    has "it cannot be loaded" "peftlab_cuda.so"
    echo 'int other;' >"$BATS_TEST_TMPDIR/other.c"
    ${CC:-gcc} -shared -fPIC -o "$PEFTLAB_BACKEND_DIR/peftlab_cuda.so" "$BATS_TEST_TMPDIR/other.c"
    run -69 "$ALONE" doctor --backend cuda
    has "is no peftlab backend"
}

@test "an object that was built for other ops" {
    echo '#include "kernels/backend_load.h"
#include <stdio.h>
const struct backend *peftlab_backend_entry(const struct backend_host *host, char *reason, size_t size);
const struct backend *peftlab_backend_entry(const struct backend_host *host, char *reason, size_t size)
{
    static struct backend b = {.abi = BACKEND_ABI + 1, .name = "other", .variant = ""};
    (void)reason, (void)size;
    return host->args_bytes ? &b : NULL;
}' >"$BATS_TEST_TMPDIR/other.c"
    ${CC:-gcc} -shared -fPIC -I"$ROOT" -D_GNU_SOURCE -o "$PEFTLAB_BACKEND_DIR/peftlab_cuda.so" "$BATS_TEST_TMPDIR/other.c"
    run -69 "$ALONE" doctor --backend cuda
    has "was built for another version of peftlab"
}

@test "the emulation is found in PEFTLAB_BACKEND_DIR, then next to the program" {
    [ -e "$EMUL" ] || skip "no emulation was built"
    PEFTLAB_BACKEND_DIR=$(dirname "$EMUL") run -0 "$ALONE" doctor --backend cuda-emul
    has "cuda-emul  usable   host emulation, not a GPU, sm_75"
    cp "$EMUL" "$BATS_TEST_TMPDIR/bin/"
    run -0 "$ALONE" doctor --backend cuda-emul
}

@test "a backend that computes in float32 only refuses bf16 before anything runs" {
    [ -e "$EMUL" ] || skip "no emulation was built"
    local case=$ROOT/tests/golden/cases/bert-full
    PEFTLAB_BACKEND_DIR=$(dirname "$EMUL") PEFTLAB_BACKEND=cuda-emul run -78 "$PEFTLAB" train "$case/trial.yaml" dtype=bfloat16 \
        --out "$BATS_TEST_TMPDIR/run"
    has "backend 'cuda-emul' does not run 'linear' here: it computes in float32 only"
}
