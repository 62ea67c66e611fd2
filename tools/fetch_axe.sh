#!/bin/sh
# Brings axe-core 4.12.1 (accessibility rules, MPL-2.0) for tests/browser, out of a Python package that carries it:
#   tools/fetch_axe.sh FOLDER     writes FOLDER/axe.min.js; does nothing when it is there and right
set -eu
folder=${1:?usage: tools/fetch_axe.sh FOLDER}
sum=84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc
package=axe-playwright-python==0.1.8
right() { echo "$sum  $1" | sha256sum --check --status 2>/dev/null; }

right "$folder/axe.min.js" && exit 0
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --disable-pip-version-check --dest "$work" "$package"
python3 -m zipfile -e "$work"/*.whl "$work"
if ! right "$work/axe_playwright_python/axe.min.js"; then
    echo "fetch_axe.sh: what came is not the file that was expected; nothing was kept" >&2
    exit 1
fi
mv "$work/axe_playwright_python/axe.min.js" "$folder/axe.min.js"
