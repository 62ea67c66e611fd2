#!/usr/bin/env bats
# Packages: what `make deb` and `make wheel` make, and that the program in them looks at rows and trains.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    find_program
    BUILD=$(dirname "$PEFTLAB") # locked while make works there: other tests install from it
    export BUILD
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    unset PEFTLAB_STORE PEFTLAB_MODELS PEFTLAB_BACKEND_DIR PYTHONPATH LD_LIBRARY_PATH
}

needs() { # PROGRAM PACKAGE
    command -v "$1" >/dev/null || skip "$1 is not installed (package $2)"
}

# Rows of three labels, looked at and trained by the program of the package.
works() { # PROGRAM
    local i
    tiny_model
    for i in {1..30}; do
        echo "{\"text\": \"good $i\", \"label\": \"a\"}"
        echo "{\"text\": \"poor $i\", \"label\": \"b\"}"
        echo "{\"text\": \"food $i\", \"label\": \"c\"}"
    done >own.jsonl
    run -0 "$1" init own.jsonl --model ./model
    has "3 values: a (30), b (30), c (30)" "peftlab sweep run own/sweep.yaml"
    "$1" train own/trial.yaml --out run max_steps=2 latency_requests=0 >log 2>&1 || { cat log; return 1; }
    [ "$(jq .train.updates run/result.json)" = 2 ]
    [ -s run/adapter/adapter_model.safetensors ]
}

@test "make deb: a package of the program's version that lintian has nothing to say of" {
    needs dpkg-shlibdeps dpkg-dev
    run -0 flock "$BUILD" make -s -C "$ROOT" B="$BUILD" deb
    local version deb
    version=$("$PEFTLAB" version --json | jq -r .version)
    deb=$BUILD/peftlab_${version}_$(dpkg --print-architecture).deb
    [ "$(dpkg-deb -f "$deb" Version)" = "$version" ]
    [[ "$(dpkg-deb -f "$deb" Depends)" == *libc6*libcurl4*libsqlite3-0* ]]
    dpkg-deb -x "$deb" root
    gzip -dc root/usr/share/man/man1/peftlab-init.1.gz | grep -q 'Look at rows'
    gzip -dc root/usr/share/doc/peftlab/changelog.gz | grep -q "^peftlab ($version) "
    [ -s root/usr/share/bash-completion/completions/peftlab ] && [ -s root/usr/share/zsh/vendor-completions/_peftlab ]
    [ -s root/usr/share/doc/peftlab/copyright ] && [ -s root/usr/share/doc/peftlab/examples/reviews/sweep.yaml ]
    run -0 root/usr/bin/peftlab version --json
    [ "$(jq -r .commit <<<"$output")" = "$("$PEFTLAB" version --json | jq -r .commit)" ]
    works "$PWD/root/usr/bin/peftlab"
    # the same source makes the same package
    sha256sum "$deb" >sum
    run -0 flock "$BUILD" make -s -C "$ROOT" B="$BUILD" deb
    sha256sum --check --quiet sum
    needs lintian lintian
    run -0 --separate-stderr lintian "$deb"
    [ -z "$output" ] || { echo "$output"; return 1; }
}

@test "make wheel: pip puts a program into bin that needs nothing but glibc" {
    needs ldd libc-bin
    needs strip binutils
    python3 -c 'import venv, ensurepip' 2>/dev/null || skip "Python's venv is not installed (package python3-venv)"
    run -0 flock "$BUILD" make -s -C "$ROOT" B="$BUILD" wheel
    local wheel
    wheel=$(ls "$BUILD"/peftlab-*.whl)
    [[ "${wheel##*/}" == "peftlab-$("$PEFTLAB" version --json | jq -r .version)-py3-none-manylinux_2_"*"_$(uname -m).whl" ]]
    [ "$(stat -c %s "$wheel")" -lt 16000000 ]
    python3 -m venv v
    run -0 v/bin/pip install --quiet --no-index --disable-pip-version-check "$wheel"
    [ "$(v/bin/peftlab --version)" = "$("$PEFTLAB" --version)" ]
    [ -s v/share/man/man1/peftlab-train.1 ] && [ -s v/lib/peftlab/libcurl.so.4 ]
    # what is not of the wheel is of glibc, or of every system (zlib)
    run -0 ldd v/bin/peftlab
    [ -z "$(grep '=>' <<<"$output" | grep -v "=> $PWD/v/bin/../lib/peftlab/" | grep -vE 'lib(c|m|dl|pthread|resolv|rt|z)\.so')" ]
    # each library has its terms with it
    [ "$(ls v/lib/python3*/site-packages/peftlab-*.dist-info/licenses | wc -l)" -gt "$(ls v/lib/peftlab | wc -l)" ]
    works "$PWD/v/bin/peftlab"
    run -0 v/bin/pip uninstall --quiet --yes peftlab
    [ ! -e v/bin/peftlab ] && [ ! -e v/lib/peftlab/libcurl.so.4 ]
}

@test "make wheel: auditwheel finds its tag right" {
    local audit=${AUDITWHEEL:-auditwheel} wheel
    command -v "$audit" >/dev/null || skip "auditwheel is not installed (pip install auditwheel; AUDITWHEEL names it)"
    wheel=$(ls "$BUILD"/peftlab-*.whl 2>/dev/null) || skip "the wheel was not built"
    run -0 "$audit" show "$wheel"
    has "\"$(grep -oE 'manylinux_[0-9]+_[0-9]+_[a-z0-9_]+' <<<"${wheel##*/}")\""
}
