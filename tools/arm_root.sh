#!/bin/sh
# The libraries that the program needs on 64-bit Arm, for the cross compiler and for qemu: tools/arm_root.sh FOLDER
# Fetched by apt-get from where this machine has its packages, with lists of its own, and unpacked into FOLDER: nothing of this
# machine changes, and its own libraries may be of other versions. Does nothing where FOLDER is complete.
set -eu

packages="libc6-dev libsqlite3-dev libcurl4-openssl-dev libmicrohttpd-dev libjansson-dev libyaml-dev libpcre2-dev libutf8proc-dev
libssl-dev libcmocka-dev"

root=$1
[ ! -e "$root/complete" ] || exit 0
rm -rf "$root"
mkdir -p "$root"
root=$(cd "$root" && pwd)
state=$root.apt
mkdir -p "$state/lists/partial" "$state/cache/archives/partial"
: >"$state/status"

arm_apt() {
    apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o APT::Sandbox::User=root -o Debug::NoLocking=true \
        -o Dir::State="$state" -o Dir::State::lists="$state/lists" -o Dir::State::status="$state/status" \
        -o Dir::Cache="$state/cache" "$@"
}
if ! arm_apt update || ! arm_apt install -y --no-install-recommends --download-only $packages >/dev/null; then
    echo "arm_root.sh: the packages for arm64 cannot be fetched - on Ubuntu they are on a server of their own" \
        "(ports), which apt's sources must name" >&2
    exit 1
fi
for deb in "$state"/cache/archives/*.deb; do
    dpkg-deb -x "$deb" "$root"
done
rm -rf "$state"
# links to /lib/.. are links within the folder
find "$root" -type l -lname '/*' | while IFS= read -r link; do
    ln -snf "$root$(readlink "$link")" "$link"
done
touch "$root/complete"
