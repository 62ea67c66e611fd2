#!/usr/bin/env bats
# Documentation that is made of tables: it is up to date, man pages are clean, completions complete, install installs.
bats_require_minimum_version 1.5.0
load common

setup_file() {
    ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    export ROOT PEFTLAB=${PEFTLAB:-$ROOT/build/peftlab}
}

setup() { cd "$ROOT"; }

made_of_tables() { grep -l '^<!-- made by peftlab docs: ' README.md docs/*.md */README.md; }

@test "pages that are made of tables are as the tables say ('make docs' renews them)" {
    [ "$(made_of_tables | wc -l)" -ge 11 ]
    # shellcheck disable=SC2046
    run -0 "$PEFTLAB" docs check $(made_of_tables)
    [ -z "$output" ]
}

@test "a page that differs is named, fails, and is mended by fill" {
    cp docs/exit-codes.md "$BATS_TEST_TMPDIR/page.md"
    cd "$BATS_TEST_TMPDIR"
    sed -i '/^| 79 /d' page.md
    run -1 "$PEFTLAB" docs check page.md
    has "differs from the tables: page.md" "make docs"
    run -1 grep '^| 79 ' page.md # checking changes nothing
    run -0 "$PEFTLAB" docs fill page.md
    cmp page.md "$ROOT/docs/exit-codes.md"
    run -0 "$PEFTLAB" docs check page.md
}

@test "blocks that cannot be made are refused with file and reason" {
    cd "$BATS_TEST_TMPDIR"
    refuse() { # BLOCK MESSAGE
        printf 'a\n<!-- made by peftlab docs: %s -->\n<!-- end -->\nb\n' "$1" >bad.md
        cp bad.md before.md
        run -65 "$PEFTLAB" docs fill bad.md
        has "bad.md" "$2"
        cmp bad.md before.md
    }
    refuse "nothing" "no kind of block 'nothing'"
    refuse "sweep-keys nothing" "no section 'nothing'"
    printf 'int a;\n' >a.h
    refuse "essay a.h" "'a.h' has no head"
    printf 'a\n<!-- made by peftlab docs: metrics -->\n' >bad.md
    run -65 "$PEFTLAB" docs check bad.md
    has "without '<!-- end -->'"
    run -66 "$PEFTLAB" docs check nothing.md
    run -2 "$PEFTLAB" docs check
    run -2 "$PEFTLAB" docs mann
    has "did you mean 'man'"
}

@test "every top folder has a README that is the essay of its main header" {
    for folder in lib kernels runner tracker sweep report cli; do
        grep -q "^<!-- made by peftlab docs: essay $folder/" $folder/README.md || { echo "$folder"; return 1; }
    done
}

@test "links between the pages lead to files that exist" {
    for page in README.md docs/*.md */README.md kernels/cuda/README.md tests/*/README.md examples/*/README.md; do
        for link in $(grep -oE '\]\([^)#: ]+' "$page" | sed 's/^](//'); do
            [ -e "$(dirname "$page")/$link" ] || { echo "$page: $link is not there"; return 1; }
        done
    done
}

@test "docs/architecture.md names every folder of the layers" {
    for folder in $(find lib kernels runner tracker sweep report cli -mindepth 1 -type d | grep -vE 'kernels/(cuda|cpu)/'); do
        [ -n "$(ls "$folder")" ] || continue
        grep -q "](../$folder)" docs/architecture.md || { echo "$folder is missing"; return 1; }
    done
}

@test "every variable of the environment that the program reads is told" {
    for name in $(grep -rhoE '(getenv|env|env_is_on)\("[A-Z_]+"\)' --include=*.[ch] lib runner tracker sweep report cli kernels/*.c kernels/cpu |
        grep -oE '[A-Z_]{3,}' | sort -u); do
        case $name in HOME | PATH | PEFTLAB_NOW_MS | PEFTLAB_MONO_MS) continue ;; esac
        grep -q "^VARIABLE(\"$name\"" cli/docs/environment.def || { echo "$name is missing"; return 1; }
    done
}

@test "a man page for every command and kind of file, without a warning" {
    "$PEFTLAB" docs man "$BATS_TEST_TMPDIR/man"
    cd "$BATS_TEST_TMPDIR/man"
    for command in $(sed -n 's/^COMMAND(\([a-z_]*\)).*/\1/p' "$ROOT/cli/commands.def"); do
        [ -s peftlab-"${command//_/-}".1 ]
    done
    [ -s peftlab.1 ] && [ -s peftlab-trial-file.5 ] && [ -s peftlab-sweep-file.5 ]
    grep -q 'fB\\-\\-train\\-data' peftlab-advise.1
    grep -q '^\\fBlearning_rate\\fR: X$' peftlab-trial-file.5
    if ! command -v mandoc >/dev/null && ! command -v groff >/dev/null; then
        skip "neither mandoc nor groff is installed"
    fi
    if command -v mandoc >/dev/null; then
        run -0 mandoc -Tlint ./*
        [ -z "$output" ]
    fi
    if command -v groff >/dev/null; then
        run -0 groff -man -ww -z ./*
        [ -z "$output" ]
    fi
}

# Words as bash splits them, the last one is completed.
complete_bash() {
    # shellcheck disable=SC2016
    bash -c 'source /dev/stdin; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _peftlab; printf "%s " "${COMPREPLY[@]}"' \
        _ "$@" < <("$PEFTLAB" docs bash)
}

@test "completion in bash: commands, verbs, flags, keys, values, files" {
    [ "$(complete_bash peftlab sw)" = "sweep " ]
    [ "$(complete_bash peftlab sweep re)" = "resume retire " ]
    [ "$(complete_bash peftlab sweep run a.yaml --ret)" = "--retry-failed " ]
    [[ "$(complete_bash peftlab train a.yaml rank)" == *"rank= rank_pattern= "* ]]
    [ "$(complete_bash peftlab train a.yaml method = qd)" = "qdora " ]
    [ "$(complete_bash peftlab train a.yaml lr_scheduler_type =)" = "linear constant cosine constant_with_warmup " ]
    [ "$(complete_bash peftlab ls --state pr)" = "pruned preempted " ]
    [ "$(complete_bash peftlab ls --state = pr)" = "pruned preempted " ]
    [ "$(complete_bash peftlab train REA)" = "README.md " ]
    [ "$(complete_bash peftlab ls rank)" = " " ] # ls takes no keys
}

@test "completion in zsh: commands, verbs, flags, values" {
    command -v zsh >/dev/null || skip "zsh is not installed"
    "$PEFTLAB" docs zsh >"$BATS_TEST_TMPDIR/_peftlab"
    complete_zsh() { # the words that _peftlab hands to compadd
        zsh -fc 'compdef() { :; }; compset() { :; }; _files() { print FILES; }
            compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -r -- "$@"; }
            source $1; shift; words=("$@"); CURRENT=$#; _peftlab' _ "$BATS_TEST_TMPDIR/_peftlab" "$@"
    }
    [[ "$(complete_zsh peftlab '')" == *"sweep"*"docs help" ]]
    [ "$(complete_zsh peftlab sweep '')" = "plan run status stop resume retire clone --help" ]
    [[ "$(complete_zsh peftlab sweep run a.yaml --)" == *"--retry-failed"* ]]
    [[ "$(complete_zsh peftlab train a.yaml method=)" == "head full bitfit "* ]]
    [[ "$(complete_zsh peftlab ls --state '')" == "waiting running"* ]]
    [[ "$(complete_zsh peftlab train a.yaml '')" == *"rank="*FILES ]]
}

@test "make install and make uninstall: everything in its place, nothing left" {
    local to=$BATS_TEST_TMPDIR/to build
    build=$(dirname "$PEFTLAB")
    run -0 flock "$build" make -s B="$build" PREFIX=/usr DESTDIR="$to" install
    "$to/usr/bin/peftlab" --version
    for file in man/man1/peftlab-sweep.1 man/man5/peftlab-trial-file.5 bash-completion/completions/peftlab \
        zsh/site-functions/_peftlab doc/peftlab/README.md doc/peftlab/docs/sweep-file.md doc/peftlab/examples/reviews/sweep.yaml; do
        [ -s "$to/usr/share/$file" ] || { echo "$file is missing"; return 1; }
    done
    [ "$(stat -c %a "$to/usr/bin/peftlab" "$to/usr/share/man/man1/peftlab.1" | tr '\n' ' ')" = "755 644 " ]
    touch "$to/usr/share/man/man1/other.1"
    run -0 make -s B="$build" PREFIX=/usr DESTDIR="$to" uninstall
    [ "$(find "$to" -type f)" = "$to/usr/share/man/man1/other.1" ]
}

@test "a backend in ../lib/peftlab of the program is found" {
    mkdir -p "$BATS_TEST_TMPDIR"/{bin,lib/peftlab}
    cp "$PEFTLAB" "$BATS_TEST_TMPDIR/bin"
    unset PEFTLAB_BACKEND_DIR
    echo "no object" >"$BATS_TEST_TMPDIR/lib/peftlab/peftlab_cuda.so"
    run -0 "$BATS_TEST_TMPDIR/bin/peftlab" doctor
    has "it cannot be loaded"
}
