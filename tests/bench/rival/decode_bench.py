#!/usr/bin/env python3
"""Decoding one text, greedily: ours beside transformers and llama.cpp, in turns in one run.

    decode_bench.py PROGRAM MODEL [--gguf FILE]... [--tokens 128] [--threads 1] [--rounds 3]

MODEL: a folder. Prints a JSON line per side with the best round: milliseconds of processor time and of wall time per token. On a busy
machine the first is the one to compare (torch's threads spin, so give one thread); loading and reading the prompt do not count.
Needs transformers, torch and, for --gguf, llama-cpp-python.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import time

PROMPT = [504, 3575, 282, 4649, 314]


def seconds(who):
    r = resource.getrusage(who)
    return r.ru_utime + r.ru_stime


def child_llama(path, tokens, threads):
    from llama_cpp import Llama
    m = Llama(path, n_ctx=len(PROMPT) + tokens + 1, n_threads=threads, n_threads_batch=threads, verbose=False)
    m.eval(PROMPT)
    begin, cpu = time.perf_counter(), seconds(resource.RUSAGE_SELF)
    for _ in range(tokens):
        m.eval([m.sample(temp=0.0, top_k=1)])
    return time.perf_counter() - begin, seconds(resource.RUSAGE_SELF) - cpu


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
    begin, cpu = time.perf_counter(), seconds(resource.RUSAGE_SELF)
    generate(tokens)
    return time.perf_counter() - begin, seconds(resource.RUSAGE_SELF) - cpu


def ours_once(program, words, tokens, threads):
    begin, cpu = time.perf_counter(), seconds(resource.RUSAGE_CHILDREN)
    subprocess.run([program, "generate", *words, "--max-new-tokens", str(tokens), "--ignore-eos", "--json"], check=True, text=True,
                   input=json.dumps({"input_ids": PROMPT}) + "\n", capture_output=True, env={**os.environ, "PEFTLAB_THREADS": str(threads)})
    return time.perf_counter() - begin, seconds(resource.RUSAGE_CHILDREN) - cpu


def ours(program, words, tokens, threads):
    """Without what one token takes: start, weights, prompt."""
    few, many = ours_once(program, words, 1, threads), ours_once(program, words, tokens + 1, threads)
    return many[0] - few[0], many[1] - few[1]


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
    sides.update({f"llama.cpp {os.path.basename(g)}": lambda g=g: in_child("llama", g, "float32", a) for g in a.gguf})
    best = {}
    for _ in range(a.rounds):
        for name, side in sides.items():
            got = side()
            best[name] = min(best.get(name, got), got, key=lambda x: x[1])
    for name, (wall, cpu) in best.items():
        print(json.dumps({"side": name, "cpu_ms": round(1e3 * cpu / a.tokens, 2), "wall_ms": round(1e3 * wall / a.tokens, 2)}))


if __name__ == "__main__":
    main()
