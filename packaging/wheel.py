#!/usr/bin/env python3
"""make wheel: BUILD/peftlab-VERSION-py3-none-manylinux_X_Y_ARCH.whl, which `pip install` turns into bin/peftlab.

    packaging/wheel.py PROGRAM BUILD VERSION

The wheel has no Python in it: the program goes into bin, the libraries that it does not have inside itself into
lib/peftlab beside it (where its run path looks), man pages and completions into share. Which libraries those are, the
dynamic linker says; those that every Linux of the tag has stay outside. X_Y is the newest glibc that any of the files
asks for: build on an older system for an older one. The same inputs give the same bytes. Needs readelf, strip and ldd.
"""
import base64
import hashlib
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import zipfile

# What the manylinux policies let a wheel expect of a system.
SYSTEM = re.compile(r"(ld-linux.*|linux-vdso|lib(c|m|dl|rt|pthread|util|nsl|resolv|gcc_s|stdc\+\+|z|anl))\.so")
HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent


def output(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout


def libraries(program):
    """What the program loads that not every system has: {name: path}."""
    found = {}
    for line in output("ldd", program).splitlines():
        name, _, rest = line.strip().partition(" => ")
        if SYSTEM.match(os.path.basename(name.split(" ")[0])):
            continue
        if "not found" in rest or not rest:
            sys.exit(f"wheel: the program needs {line.strip()}")
        found[name] = rest.split(" (")[0]
    return found


def newest_glibc(files):
    """The versions of glibc's symbols that the files ask for; the newest."""
    newest = (2, 17)
    for file in files:
        for version in re.findall(r"GLIBC_(\d+)\.(\d+)", output("readelf", "-V", file)):
            newest = max(newest, tuple(map(int, version)))
    return newest


def licences(paths):
    """The papers of the libraries that go with it, by Debian package."""
    papers = {"peftlab": HERE / "copyright"}
    for path in paths:
        real = os.path.realpath(path)
        # where /lib is a link to /usr/lib, a package may have its files under either name
        for name in (path, real, real.removeprefix("/usr") if hasattr(str, "removeprefix") else real[4:]):
            owner = subprocess.run(["dpkg", "-S", name], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            package = owner.stdout.split(":")[0]
            paper = pathlib.Path("/usr/share/doc") / package / "copyright"
            if package and paper.exists():
                papers[package] = paper
                break
        else:
            sys.exit(f"wheel: no package says under which terms {path} may be passed on")
    return papers


# What is linked into the program itself: packages of the static libraries.
INSIDE = ("libsqlite3-dev", "libjansson-dev", "libyaml-dev", "libpcre2-dev", "libutf8proc-dev")


def main(program, build, version):
    build = pathlib.Path(build)
    staged = build / "wheel-files"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    arch = output("uname", "-m").strip()
    info, data = f"peftlab-{version}.dist-info", f"peftlab-{version}.data"
    files = {}  # name in the wheel: path

    def stripped(path, name):
        target = staged / os.path.basename(name)
        subprocess.run(["strip", "--strip-unneeded", "-o", target, os.path.realpath(path)], check=True)
        files[name] = target
        return target

    beside = libraries(program)
    binaries = [stripped(program, f"{data}/scripts/peftlab")]
    binaries += [stripped(path, f"{data}/data/lib/peftlab/{name}") for name, path in sorted(beside.items())]
    for page in sorted((build / "man").iterdir()):
        files[f"{data}/data/share/man/man{page.suffix[1:]}/{page.name}"] = page
    files[f"{data}/data/share/bash-completion/completions/peftlab"] = build / "completions/peftlab.bash"
    files[f"{data}/data/share/zsh/site-functions/_peftlab"] = build / "completions/_peftlab"
    papers = licences(beside.values())
    papers.update({p: f for p in INSIDE for f in [pathlib.Path("/usr/share/doc") / p / "copyright"] if f.exists()})
    for package, paper in sorted(papers.items()):
        files[f"{info}/licenses/{package}"] = paper

    tag = "py3-none-manylinux_%d_%d_%s" % (*newest_glibc(binaries), arch)
    texts = {
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: peftlab packaging/wheel.py\nRoot-Is-Purelib: false\nTag: {tag}\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: peftlab\n"
        f"Version: {version}\nSummary: Trains, tracks, compares and reports parameter-efficient fine-tuning: one program\n"
        "Requires-Python: >=3.7\nDescription-Content-Type: text/markdown\n\n" + (ROOT / "README.md").read_text("utf-8"),
    }
    wheel = build / f"peftlab-{version}-{tag}.whl"
    for old in build.glob("peftlab-*.whl"):
        old.unlink()
    write(wheel, files, texts, f"{info}/RECORD")
    shutil.rmtree(staged)
    print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB, {len(beside)} libraries beside the program")


def write(wheel, files, texts, record):
    """Files by name and texts, at a fixed time, with RECORD as the last."""
    rows = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        def add(name, content, mode):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={digest},{len(content)}\n")

        for name, path in files.items():
            add(name, pathlib.Path(path).read_bytes(), 0o755 if "/scripts/" in name else 0o644)
        for name, text in texts.items():
            add(name, text.encode(), 0o644)
        add(record, ("".join(rows) + f"{record},,\n").encode(), 0o644)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
