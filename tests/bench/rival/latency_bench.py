#!/usr/bin/env python3
"""Single requests to a classifier: ours beside ONNX Runtime and transformers, in turns in one run.

    latency_bench.py PROGRAM MODEL DATA.jsonl [--requests 400] [--threads 1] [--rounds 3]

MODEL gets a LoRA of one update, is merged, and the merged folder is what the others load: the same numbers on all sides. Each row of DATA is a
request, one after the other, in the file's order; tokenising does not count. ONNX Runtime runs the graph that torch exports, with all of its own
optimisations and, as a second side, with the fusions of its transformers tool (attention, layer norm, bias and gelu). Prints a JSON line per side:
p50 and p95 in milliseconds of the best round, by p50, and the largest difference of a logit from transformers'.
Needs torch, transformers, onnx, onnxscript, onnxruntime. Wants a quiet machine.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np


def ours(program, trial, folder, threads, requests):
    """Its own figures, of the base with its adapter and of the merged weights."""
    subprocess.run([program, "train", trial, "--no-store", "--out", folder, "--overwrite", f"latency_requests={requests}", "max_steps=1"], check=True,
                   env={**os.environ, "PEFTLAB_THREADS": str(threads)}, capture_output=True)
    with open(os.path.join(folder, "result.json")) as f:
        return json.load(f)["latency"] if requests else None


def requests_of(model, path, count, most):
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(model)
    with open(path) as f:
        texts = [json.loads(line)["text"] for line in f]
    texts = (texts * (count // len(texts) + 1))[:count]
    return [dict(tokenizer(t, truncation=True, max_length=most, return_tensors="np")) for t in texts]


def export(folder, path, fused):
    import torch
    from transformers import AutoModelForSequenceClassification
    model = AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager").eval()
    names = ["input_ids", "attention_mask", "token_type_ids"]
    x = {n: torch.ones((1, 9), dtype=torch.int64) for n in names}
    torch.onnx.export(model, (), path, kwargs=x, input_names=names, output_names=["logits"], dynamo=False, opset_version=17,
                      dynamic_axes={**{n: {0: "rows", 1: "tokens"} for n in names}, "logits": {0: "rows"}})
    if fused:
        from onnxruntime.transformers import optimizer
        c = model.config
        m = optimizer.optimize_model(path, model_type="bert", num_heads=c.num_attention_heads, hidden_size=c.hidden_size)
        print(json.dumps({"fused": m.get_fused_operator_statistics()}), file=sys.stderr)
        m.save_model_to_file(path)


def timed(call, requests):
    for x in requests[:20]:
        call(x)
    ms = []
    for x in requests:
        begin = time.perf_counter()
        call(x)
        ms.append(1e3 * (time.perf_counter() - begin))
    return {"p50_ms": float(np.percentile(ms, 50)), "p95_ms": float(np.percentile(ms, 95))}


def onnx_side(path, threads):
    import onnxruntime as ort
    o = ort.SessionOptions()
    o.intra_op_num_threads = threads
    o.inter_op_num_threads = 1
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    names = {i.name for i in s.get_inputs()}
    return lambda x: s.run(None, {k: v for k, v in x.items() if k in names})[0]


def torch_side(folder, threads):
    import torch
    from transformers import AutoModelForSequenceClassification
    torch.set_num_threads(threads)
    m = AutoModelForSequenceClassification.from_pretrained(folder).eval()

    def call(x):
        with torch.inference_mode():
            return m(**{k: torch.from_numpy(v) for k, v in x.items()}).logits.numpy()
    return call


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("--requests", type=int, default=400)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=3)
    a = p.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as work:
        def at(name):
            return os.path.join(work, name)
        data = os.path.realpath(a.data)
        with open(at("trial.yaml"), "w") as f:
            f.write(f"model: {os.path.realpath(a.model)}\nmethod: lora\nrank: 8\nlearning_rate: 1e-3\nbatch_size: 16\n"
                    f"train_data: {data}\neval_data: {data}\n")
        ours(a.program, at("trial.yaml"), at("run"), a.threads, 0)
        subprocess.run([a.program, "merge", at("trial.yaml"), "--adapter", at("run/adapter"), "--out", at("merged")], check=True, capture_output=True)
        rows = requests_of(at("merged"), data, a.requests, 512)
        export(at("merged"), at("plain.onnx"), False)
        export(at("merged"), at("fused.onnx"), True)
        sides = {"onnxruntime": onnx_side(at("plain.onnx"), a.threads), "onnxruntime, fused": onnx_side(at("fused.onnx"), a.threads),
                 "transformers": torch_side(at("merged"), a.threads)}
        truth = [sides["transformers"](x) for x in rows[:20]]
        off = {n: max(float(np.abs(s(x) - t).max()) for x, t in zip(rows, truth)) for n, s in sides.items()}
        best = {}
        for _ in range(a.rounds):
            mine = ours(a.program, at("trial.yaml"), at("again"), a.threads, a.requests)
            got = {"peftlab": {q: mine[q] for q in ("p50_ms", "p95_ms")},
                   "peftlab, merged": {q: mine[f"merged_{q}"] for q in ("p50_ms", "p95_ms")}}
            got.update({n: timed(s, rows) for n, s in sides.items()})
            for name, g in got.items():
                if name not in best or g["p50_ms"] < best[name]["p50_ms"]:
                    best[name] = g
    for name, g in best.items():
        print(json.dumps({"side": name, "threads": a.threads, **{k: round(v, 3) for k, v in g.items()}, "logit_off": off.get(name)}))


if __name__ == "__main__":
    main()
