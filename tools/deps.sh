#!/bin/sh
# Says which Debian/Ubuntu packages are missing and installs them; silent when all are there.
#   tools/deps.sh build|demo|demo-support|demo-tasks|test|packages|arm...     no word: build, demo, test
# NO_INSTALL=1 only names what is missing and fails. Everything the packages are for: docs/dependencies.md.
set -eu

build="gcc libc6-dev make pkgconf libsqlite3-dev libcurl4-openssl-dev libmicrohttpd-dev libjansson-dev libyaml-dev
libpcre2-dev libutf8proc-dev libssl-dev"
demo="gnuplot-nox"
model="python3 python3-pip"
test="gnuplot-nox python3 libcmocka-dev bats clang-format sqlite3 procps openssl jq"
packages="dpkg-dev lintian python3-venv python3-pip"
browser="chromium chromium-driver python3-pip" # Ubuntu has these as snaps alone
arm="gcc-aarch64-linux-gnu qemu-user-static"

here=$(dirname "$0")
wanted=
[ $# -gt 0 ] || set -- build demo test
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    demo)
        wanted="$wanted $demo"
        "$here/fetch_model.sh" --check || wanted="$wanted $model" ;;
    demo-support)
        wanted="$wanted $demo"
        "$here/fetch_model.sh" smollm2 --check || wanted="$wanted $model" ;;
    demo-tasks)
        wanted="$wanted $demo curl"
        { "$here/fetch_model.sh" --check && "$here/fetch_model.sh" smollm2 --check; } || wanted="$wanted $model" ;;
    test)
        wanted="$wanted $test"
        ! grep -qs '^ID=debian' /etc/os-release || wanted="$wanted $browser" ;;
    packages) wanted="$wanted $packages" ;;
    arm) wanted="$wanted $arm" ;;
    *)
        echo "deps.sh: unknown group '$group' (build, demo, demo-support, demo-tasks, test, packages, arm)" >&2
        exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps.sh: this is no Debian or Ubuntu machine, so nothing is installed. Needed here, by Debian's names:"
    echo " $wanted" | fmt -w 88
    exit 0
fi

# A package counts as there when it is installed, or when another one that provides it is (pkg-config for pkgconf).
missing=
for package in $wanted; do
    state=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$state" = "install ok installed" ] && continue
    [ "$package" = pkgconf ] && command -v pkg-config >/dev/null 2>&1 && continue
    case " $missing " in *" $package "*) ;; *) missing="$missing $package" ;; esac
done
[ -n "$missing" ] || exit 0

if [ -n "${NO_INSTALL:-}" ]; then
    echo "deps.sh: NO_INSTALL is set and these packages are missing:$missing" >&2
    echo "         install them with: apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps.sh: these packages are missing, and only root (or sudo) can install them:$missing" >&2
        exit 1
    fi
fi
echo "Installing packages (a minute or so, by the network):$missing"
started=$(date +%s)
$as_root apt-get update -qq || echo "deps.sh: apt-get update failed; trying with the lists that are there" >&2
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
echo "Installed in $(($(date +%s) - started)) s"
