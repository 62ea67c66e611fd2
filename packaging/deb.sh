#!/bin/sh
# make deb: build/peftlab_VERSION_ARCH.deb, for the Debian or Ubuntu that it is made on.
#   packaging/deb.sh BUILD VERSION RELEASED        MAINTAINER="Name <address>" says who stands in it
# What `make install` puts into its places, stripped; the packages it depends on are those whose libraries it links
# (dpkg-shlibdeps). Times in it are that of the release, so that one source makes one package, byte for byte.
set -eu

build=$1 version=$2 released=$3
here=$(cd "$(dirname "$0")" && pwd)
maintainer=${MAINTAINER:-"peftlab maintainers <maintainers@peftlab.invalid>"}
for tool in dpkg-deb dpkg-shlibdeps dpkg-gencontrol strip; do
    command -v "$tool" >/dev/null 2>&1 || {
        echo "deb: $tool is missing: apt-get install --no-install-recommends dpkg-dev" >&2
        exit 1
    }
done
SOURCE_DATE_EPOCH=$(date -u -d "$released" +%s)
export SOURCE_DATE_EPOCH

work=$build/deb
rm -rf "$work"
mkdir -p "$work/debian"
work=$(cd "$work" && pwd)
root=$work/root doc=$work/root/usr/share/doc/peftlab
make --no-print-directory -s -C "$here/.." install "B=$build" PREFIX=/usr "DESTDIR=$root" \
    ZSHDIR=/usr/share/zsh/vendor-completions
strip --remove-section=.comment --remove-section=.note "$root/usr/bin/peftlab"
find "$root/usr/lib" -name '*.so' -exec strip --strip-unneeded {} + 2>/dev/null || true

# Debian's own papers: who may do what with it, what changed.
install -m644 "$here/copyright" "$doc/copyright"
cat >"$work/debian/changelog" <<END
peftlab ($version) unstable; urgency=medium

  * What changed: /usr/share/doc/peftlab/CHANGELOG.md.gz.

 -- $maintainer  $(date -u -R -d "$released")
END
gzip -9nc "$work/debian/changelog" >"$doc/changelog.gz"
gzip -9n "$doc/CHANGELOG.md"
find "$root/usr/share/man" -type f -exec gzip -9n {} +

sed "s|@MAINTAINER@|$maintainer|" "$here/control" >"$work/debian/control"
mkdir "$root/DEBIAN"
cd "$work"
dpkg-shlibdeps -Tdebian/substvars "$root/usr/bin/peftlab"
dpkg-gencontrol -Tdebian/substvars -P"$root" -O"$root/DEBIAN/control"
(cd "$root" && find usr -type f -exec md5sum {} + | LC_ALL=C sort -k2 >DEBIAN/md5sums)
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
chmod -R u=rwX,go=rX "$root"
dpkg-deb --root-owner-group -Zxz --build "$root" "$work/.." >&2
rm -rf "$work"
