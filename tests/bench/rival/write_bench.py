#!/usr/bin/env python3
"""Texts of many adapters at a time by transformers and peft, as bench_write measures them of ours.

    write_bench.py MODEL ADAPTER [--new 32] [--prompt 64] [--rounds 3] [--threads 2] [--texts 1,4,16]

The adapter is loaded 16 times. Texts each of another adapter: in one batch with `adapter_names`, one after the other with `set_adapter`
(what people do who have more than LoRA), and all of the base in one batch. Greedy, with the cache, prompts of the same length (there is no
padding to pay). Prints new tokens a second, prompts and all, and of `write` without the time to the first token, the best of all rounds.
Needs transformers, torch, peft.
"""
import argparse
import json
import time

import torch
import transformers
from peft import PeftModel

MOST = 16


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("adapter")
    p.add_argument("--new", type=int, default=32)
    p.add_argument("--prompt", type=int, default=64)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--texts", default="1,4,16", help="at a time; 16 at most")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    base = transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32).eval()
    model = PeftModel.from_pretrained(base, a.adapter, adapter_name="a0")
    for i in range(1, MOST):
        model.load_adapter(a.adapter, adapter_name=f"a{i}")
    model.eval()
    prompts = torch.tensor([[100 + i] + [1000 + (i * 37 + t * 101) % 20000 for t in range(1, a.prompt)] for i in range(MOST)])

    def generate(x, new, **more):
        with torch.no_grad():
            model.generate(input_ids=x, attention_mask=torch.ones_like(x), max_new_tokens=new, min_new_tokens=new, do_sample=False,
                           pad_token_id=2, **more)

    def one_batch(n, new):
        generate(prompts[:n], new, adapter_names=[f"a{i}" for i in range(n)])

    def in_turn(n, new):
        for i in range(n):
            model.set_adapter(f"a{i}")
            generate(prompts[i:i + 1], new)

    def alone(n, new):
        with model.disable_adapter():
            generate(prompts[:n], new)

    sides = {"adapter_names, one batch": one_batch, "set_adapter, one after the other": in_turn, "base": alone}
    best = {}
    alone(1, 2)
    for _ in range(a.rounds):
        for n in map(int, a.texts.split(",")):
            for name, side in sides.items():
                begin = time.perf_counter()
                side(n, 1)
                first = time.perf_counter() - begin
                begin = time.perf_counter()
                side(n, a.new)
                whole = time.perf_counter() - begin
                got = best.setdefault((n, name), [0, 0])
                got[0] = max(got[0], n * a.new / whole)
                got[1] = max(got[1], n * (a.new - 1) / (whole - first))
    for (n, name), (rate, write) in best.items():
        print(json.dumps({"texts": n, "side": name, "tokens_per_s": round(rate, 1), "write_per_s": round(write, 1)}))


if __name__ == "__main__":
    main()
