#!/usr/bin/env python3
"""bf16 against torch's own bf16, as TAP:   check_bf16.py PROGRAM

A fixed tolerance would say nothing about bf16: the rounding of the operands alone moves logits and gradients by a percent.
So the error of `dtype=bfloat16` against the fp32 reference of each case (which is float64's to 1e-6) is held against the error
that torch makes in bf16 on the same model and rows (torch_errors.json, made by make_bf16.py): at most LIMIT times that for each
quantity, and at most LIMIT_MEAN times it in the geometric mean over all of them.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
sys.dont_write_bytecode = True
from check_case import read_safetensors, read_weights  # noqa: E402

LIMIT, LIMIT_MEAN = 1.5, 1.0
CASES = os.path.join(HERE, "..", "cases")


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])}: exit status {done.returncode}: {done.stdout.strip()[-300:]}")


def relative(pairs):
    """||got - want|| / ||want - start|| over (got, want, start) of all tensors."""
    off = size = 0.0
    for got, want, start in pairs:
        off += math.fsum((g - w) ** 2 for g, w in zip(got, want))
        size += math.fsum((w - s) ** 2 for w, s in zip(want, start))
    return math.sqrt(off / size)


def start_of(case, trial):
    init = os.path.join(CASES, case, "adapter_init")
    if os.path.isdir(init):
        return read_weights(init)
    with open(trial) as f:
        model = next(line for line in f if line.startswith("model:")).split(":", 1)[1].strip().strip('"')
    return read_weights(os.path.join(CASES, case, model))


def errors(program, case, work):
    trial, expected = os.path.join(CASES, case, "trial.yaml"), os.path.join(CASES, case, "expected")
    run(program, "eval", trial, "dtype=bfloat16", "--out", work + "/before")
    run(program, "train", trial, "--no-store", "dtype=bfloat16", "--out", work + "/run")
    got = read_safetensors(work + "/before/logits.safetensors")["logits"][2]
    want = read_safetensors(expected + "/logits_before.safetensors")["logits"][2]
    start, end, ours = start_of(case, trial), read_weights(expected + "/adapter"), read_weights(work + "/run/adapter")
    moved = [(ours[n][2], end[n][2], start[n][2]) for n in end if n in start]
    return {"logits": relative([(got, want, [0.0] * len(want))]), "gradient": relative(moved)}


def main():
    program = os.path.abspath(sys.argv[1])
    with open(os.path.join(HERE, "torch_errors.json")) as f:
        torch = json.load(f)
    print(f"1..{len(torch) + 1}")
    ratios, failed = [], 0
    for i, case in enumerate(sorted(torch), 1):
        with tempfile.TemporaryDirectory() as work:
            try:
                ours = errors(program, case, work)
                own = {k: ours[k] / torch[case][k] for k in ours}
                ratios += own.values()
                good = all(r <= LIMIT for r in own.values())
                text = ", ".join(f"{k} {ours[k]:.2e} ({own[k]:.2f}x torch's)" for k in ours)
            except (RuntimeError, OSError, KeyError, subprocess.TimeoutExpired) as e:
                good, text = False, str(e).replace("\n", " ")
        failed += not good
        print(f"{'ok' if good else 'not ok'} {i} - {case}\n# {text}", flush=True)
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else math.inf
    good = mean <= LIMIT_MEAN
    print(f"{'ok' if good else 'not ok'} {len(torch) + 1} - all cases\n# geometric mean {mean:.2f}x torch's error")
    sys.exit(1 if failed or not good else 0)


if __name__ == "__main__":
    main()
