#!/usr/bin/env python3
"""Decoding one text, greedily: ours beside transformers and llama.cpp, in turns in one run.

    decode_bench.py PROGRAM MODEL [--gguf FILE]... [--tokens 128] [--threads 1] [--rounds 3]

MODEL: a folder; each GGUF file is run by ours and by llama.cpp. Prints a JSON line per side with the best round: milliseconds per token; loading
and reading the prompt do not count. Wants a quiet machine.
Needs transformers, torch and, for --gguf, llama-cpp-python.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

PROMPT = [504, 3575, 282, 4649, 314]


def child_llama(path, tokens, threads):
    from llama_cpp import Llama
    m = Llama(path, n_ctx=len(PROMPT) + tokens + 1, n_threads=threads, n_threads_batch=threads, verbose=False)
    m.eval(PROMPT)
    begin = time.perf_counter()
    for _ in range(tokens):
        m.eval([m.sample(temp=0.0, top_k=1)])
    return time.perf_counter() - begin


def child_transformers(path, dtype, tokens, threads):
    import torch
    import transformers
    torch.set_num_threads(threads)
    m = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=getattr(torch, dtype)).eval()
    x = torch.tensor([PROMPT])

    def generate(n):
        with torch.no_grad():
            m.generate(input_ids=x, attention_mask=torch.ones_like(x), max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=2)

    generate(4)
    begin = time.perf_counter()
    generate(tokens)
    return time.perf_counter() - begin


def ours(program, words, tokens, threads):
    """What it says itself: of the tokens behind the first one. Loading takes seconds that vary more than these."""
    run = subprocess.run([program, "generate", *words, "--max-new-tokens", str(tokens + 1), "--ignore-eos", "--json"], check=True, text=True,
                         input=json.dumps({"input_ids": PROMPT}) + "\n", capture_output=True, env={**os.environ, "PEFTLAB_THREADS": str(threads)})
    return float(re.search(r"then ([0-9.]+) ms each", run.stderr).group(1)) * tokens / 1e3


def in_child(kind, path, dtype, a):
    words = [sys.executable, __file__, a.program, path, "--child", kind, "--dtype", dtype, "--tokens", str(a.tokens),
             "--threads", str(a.threads)]
    env = {**os.environ, "OMP_NUM_THREADS": str(a.threads), "HF_HUB_OFFLINE": "1"}
    return json.loads(subprocess.run(words, check=True, text=True, capture_output=True, env=env).stdout.splitlines()[-1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("--gguf", action="append", default=[])
    p.add_argument("--tokens", type=int, default=128)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--child")
    p.add_argument("--dtype", default="float32")
    a = p.parse_args()
    if a.child:
        run = child_llama(a.model, a.tokens, a.threads) if a.child == "llama" else \
            child_transformers(a.model, a.dtype, a.tokens, a.threads)
        print(json.dumps(run))
        return
    sides = {f"peftlab {d}": lambda d=d: ours(a.program, [a.model, f"dtype={d}"], a.tokens, a.threads) for d in ("float32", "bfloat16")}
    sides.update({f"transformers {d}": lambda d=d: in_child("transformers", a.model, d, a) for d in ("float32", "bfloat16")})
    sides.update({f"peftlab {os.path.basename(g)}": lambda g=g: ours(a.program, [g], a.tokens, a.threads) for g in a.gguf})
    sides.update({f"llama.cpp {os.path.basename(g)}": lambda g=g: in_child("llama", g, "float32", a) for g in a.gguf})
    best = {}
    for _ in range(a.rounds):
        for name, side in sides.items():
            got = side()
            best[name] = min(best.get(name, got), got)
    for name, wall in best.items():
        print(json.dumps({"side": name, "ms_per_token": round(1e3 * wall / a.tokens, 2)}))


if __name__ == "__main__":
    main()
