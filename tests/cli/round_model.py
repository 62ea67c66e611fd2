#!/usr/bin/env python3
"""round_model.py FROM TO bfloat16|float16: a model folder of fp32 with every value as the nearest number of 16 bits (ties to
even), as a judge of `base_dtype`. Standard library only."""
import array
import json
import os
import shutil
import struct
import sys


def bfloat16(data):
    bits = array.array("I", data)
    return array.array("H", [(x + 0x7FFF + (x >> 16 & 1)) >> 16 for x in bits]).tobytes()


def float16(data):
    return struct.pack("<%de" % (len(data) // 4), *array.array("f", data))


def main():
    source, out, word = sys.argv[1:]
    turn, name = {"bfloat16": (bfloat16, "BF16"), "float16": (float16, "F16")}[word]
    shutil.copytree(source, out)
    path = os.path.join(out, "model.safetensors")
    with open(path, "rb") as f:
        data = f.read()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    parts, at = [], 0
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        assert entry["dtype"] == "F32", tensor
        begin, end = entry["data_offsets"]
        parts.append(turn(body[begin:end]))
        header[tensor] = {**entry, "dtype": name, "data_offsets": [at, at + len(parts[-1])]}
        at += len(parts[-1])
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
    path = os.path.join(out, "config.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    with open(path, "w", encoding="utf-8") as f:
        json.dump({**config, "dtype": word}, f, indent=1)


main()
