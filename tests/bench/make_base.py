#!/usr/bin/env python3
"""A BERT of a fixed shape with random weights, data of a fixed length, and a trial file, for tests/bench/bench.sh.

    make_base.py FOLDER NAME HIDDEN LAYERS HEADS FFN BATCH LENGTH STEPS

The shapes are those of rival/step_bench.py: random weights and tokens, nothing padded, LoRA r8 on query and value, no dropout.
Pure Python (the files are plain bytes), so that it runs where the rival is not installed.
"""
import array
import json
import os
import random
import struct
import sys

VOCABULARY, POSITIONS = 30522, 512


def shapes(d, layers, ffn):
    """Name and shape of every tensor of a BertModel without pooler use beyond the classifier."""
    yield "embeddings.word_embeddings.weight", (VOCABULARY, d)
    yield "embeddings.position_embeddings.weight", (POSITIONS, d)
    yield "embeddings.token_type_embeddings.weight", (2, d)
    yield from norm("embeddings.LayerNorm", d)
    for i in range(layers):
        at = f"encoder.layer.{i}."
        for name in ("query", "key", "value"):
            yield from linear(at + "attention.self." + name, d, d)
        yield from linear(at + "attention.output.dense", d, d)
        yield from norm(at + "attention.output.LayerNorm", d)
        yield from linear(at + "intermediate.dense", ffn, d)
        yield from linear(at + "output.dense", d, ffn)
        yield from norm(at + "output.LayerNorm", d)
    yield from linear("pooler.dense", d, d)


def linear(path, out, inner):
    yield path + ".weight", (out, inner)
    yield path + ".bias", (out,)


def norm(path, d):
    yield path + ".weight", (d,)
    yield path + ".bias", (d,)


def values(name, shape, pool, rng):
    """Matrices: a stretch of one pool of normal numbers (sd 0.02), at an offset of its own; norms: ones; biases: zeros."""
    count = shape[0] * (shape[1] if len(shape) > 1 else 1)
    if len(shape) == 1:
        return array.array("f", [1.0 if "LayerNorm.weight" in name else 0.0]) * count
    out = array.array("f")
    while len(out) < count:
        begin = rng.randrange(len(pool) // 2)
        out += pool[begin:begin + min(len(pool) // 2, count - len(out))]
    return out


def write_weights(path, d, layers, ffn):
    rng = random.Random(0)
    pool = array.array("f", (rng.gauss(0, 0.02) for _ in range(1 << 18)))
    header, at, all_shapes = {}, 0, list(shapes(d, layers, ffn))
    for name, shape in all_shapes:
        size = 4 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in all_shapes:
            numbers = values(name, shape, pool, rng)
            if sys.byteorder == "big":
                numbers.byteswap()
            numbers.tofile(f)


def main():
    folder, name = sys.argv[1:3]
    d, layers, heads, ffn, batch, length, steps = map(int, sys.argv[3:])
    model = os.path.join(folder, name)
    os.makedirs(model, exist_ok=True)
    with open(os.path.join(model, "config.json"), "w") as f:
        json.dump({"model_type": "bert", "architectures": ["BertModel"], "vocab_size": VOCABULARY, "hidden_size": d,
                   "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": ffn, "hidden_act": "gelu",
                   "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "initializer_range": 0.02,
                   "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": 0}, f, indent=1)
    write_weights(os.path.join(model, "model.safetensors"), d, layers, ffn)
    rng = random.Random(1)
    with open(os.path.join(folder, name + ".jsonl"), "w") as f:
        for row in range(batch * steps):
            ids = [rng.randrange(5, VOCABULARY) for _ in range(length)]
            f.write(json.dumps({"input_ids": ids, "label": row % 2}) + "\n")
    with open(os.path.join(folder, name + ".yaml"), "w") as f:
        f.write(f"model: {name}\ntask: seq-cls\nmethod: lora\nrank: 8\nalpha: 16\ntarget_modules: [query, value]\n"
                f"train_data: {name}.jsonl\nmax_length: {length}\nbatch_size: {batch}\nnum_train_epochs: 1\nlearning_rate: 1.0e-4\n")


if __name__ == "__main__":
    main()
