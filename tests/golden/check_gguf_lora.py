#!/usr/bin/env python3
"""LoRA adapters as llama.cpp's GGUF: what `convert --to gguf-lora` writes against files of the gguf package. TAP, standard library only.

    check_gguf_lora.py PROGRAM [FOLDER [CASES MODELS]]

FOLDER has CASE.gguf and CASE.json (metadata, names, dims) for adapters in CASES/CASE/expected/adapter of models in MODELS. Names, dims, alpha
and the other keys must be equal, values bit for bit (or by product, where the scale stands in another place).
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def read(path):
    """{key: value}, {name: (dims, type, bytes)}"""
    data = open(path, "rb").read()
    at = 0

    def take(form):
        nonlocal at
        value = struct.unpack_from("<" + form, data, at)[0]
        at += struct.calcsize(form)
        return value

    def text():
        nonlocal at
        n = take("Q")
        at += n
        return data[at - n:at].decode()

    def value(kind):
        if kind == 9:
            inner, count = take("I"), take("Q")
            return [value(inner) for _ in range(count)]
        return text() if kind == 8 else take(SCALARS[kind])

    assert data[:4] == b"GGUF"
    at = 8
    tensors, pairs = take("Q"), take("Q")
    keys = {}
    for _ in range(pairs):
        key = text()
        keys[key] = value(take("I"))
    infos = [(text(), [take("Q") for _ in range(take("I"))], take("I"), take("Q")) for _ in range(tensors)]
    start = -(-at // 32) * 32
    out = {}
    for name, dims, kind, offset in infos:
        assert kind == 0, f"{name}: type {kind}"
        n = 4
        for d in dims:
            n *= d
        out[name] = dims, data[start + offset:start + offset + n]
        assert len(out[name][1]) == n, name
    return keys, out


def check(program, folder, cases, models, case):
    want = json.load(open(os.path.join(folder, case + ".json")))
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "x.gguf")
        done = subprocess.run([program, "convert", os.path.join(cases, case, "expected/adapter"), "--model", os.path.join(models, want["model"]),
                               "--to", "gguf-lora", "--out", out], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr.strip()
        keys, ours = read(out)
    _, theirs = read(os.path.join(folder, case + ".gguf"))
    for key, value in want["metadata"].items():
        assert keys.get(key) == value, f"{key}: {keys.get(key)}, expected {value}"
    assert sorted(ours) == sorted(theirs), f"names differ: {sorted(set(ours) ^ set(theirs))[:4]}"
    for t in want["tensors"]:
        assert ours[t["name"]][0] == t["dims"], f"{t['name']}: {ours[t['name']][0]}"
    for name in theirs:
        assert ours[name] == theirs[name], f"{name}: values differ"


def main():
    program, folder = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "gguf-lora")
    cases, models = sys.argv[3:5] if len(sys.argv) > 4 else (os.path.join(HERE, "cases"), os.path.join(HERE, "models"))
    names = sorted(n[:-5] for n in os.listdir(folder) if n.endswith(".json"))
    print(f"1..{len(names)}")
    failed = 0
    for number, case in enumerate(names, 1):
        try:
            check(program, folder, cases, models, case)
            print(f"ok {number} - {case}")
        except AssertionError as e:
            failed += 1
            print(f"not ok {number} - {case}\n# {e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
