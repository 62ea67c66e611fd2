#!/usr/bin/env python3
"""peft and transformers load what we write, and compute the same logits from it. TAP; skipped with a word where they are not installed.

    peft_loads.py PROGRAM [CASE...]      (no case: every one whose files are peft's or transformers')

Each case is trained by PROGRAM; `eval --adapter` gives our logits of its eval rows. The folder goes to peft (or, for `full`, to
transformers alone) over the case's base, one row at a time, and the logits must agree within 1e-4 of their norm.
"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOLERANCE = 1e-4


def cases(names):
    everything = sorted(os.listdir(os.path.join(HERE, "cases")))
    return [n for n in everything if (n in names if names else "-adapter-" not in n and not n.endswith("-head"))]


def trial_of(case):
    """The keys that loading needs; the files are flat `key: value` lines."""
    out = {}
    for line in open(os.path.join(case, "trial.yaml")):
        key, _, value = line.partition(":")
        out[key.strip()] = value.strip().strip('"')
    return out


def ours(program, case, work):
    trial = os.path.join(case, "trial.yaml")
    for command in (["train", trial, "--no-store", "--out", os.path.join(work, "run")],
                    ["eval", trial, "--adapter", os.path.join(work, "run", "adapter"), "--out", os.path.join(work, "eval")]):
        done = subprocess.run([program, *command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
    from safetensors.torch import load_file
    return load_file(os.path.join(work, "eval", "logits.safetensors"))["logits"]


def round_to_nf4(base):
    """What bitsandbytes' layers hold. Its layers themselves do not run on the CPU where 64 does not divide a width."""
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit
    for module in base.modules():
        if isinstance(module, torch.nn.Linear):
            packed, state = quantize_4bit(module.weight.data, blocksize=64, compress_statistics=True, quant_type="nf4")
            module.weight.data = dequantize_4bit(packed, state).reshape(module.weight.shape)


def theirs(case, trial, work):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
    adapter = os.path.join(work, "run", "adapter")
    causal = trial.get("task") == "causal-lm"
    kind = AutoModelForCausalLM if causal else AutoModelForSequenceClassification
    load = {"attn_implementation": "eager"} | ({} if causal else {"num_labels": int(trial["num_labels"])})
    if os.path.exists(os.path.join(adapter, "adapter_config.json")):
        base = kind.from_pretrained(os.path.join(case, trial["model"]), **load)
        if trial["method"] == "qlora":
            round_to_nf4(base.bert)
        model = PeftModel.from_pretrained(base, adapter)
    else:
        model = kind.from_pretrained(adapter, **load)
    model.eval()
    with torch.no_grad():
        rows = [json.loads(line)["input_ids"] for line in open(os.path.join(case, "eval.jsonl")) if line.strip()]
        logits = [model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)).logits
                  for ids in rows]
        # of every token, but for virtual ones; of a classifier one row
        return torch.cat([x[0, -len(ids):] if causal else x for x, ids in zip(logits, rows)]).float()


def main():
    program, names = os.path.abspath(sys.argv[1]), sys.argv[2:]
    try:
        import peft
        import transformers
    except ImportError as e:
        print(f"1..1\nok 1 - peft loads what we write # SKIP {e.name or 'peft'} is not installed")
        return 0
    transformers.logging.set_verbosity_error()
    print(f"# peft {peft.__version__}, transformers {transformers.__version__}")
    todo, failed = cases(names), 0
    print(f"1..{len(todo)}", flush=True)
    for number, name in enumerate(todo, 1):
        case = os.path.join(HERE, "cases", name)
        with tempfile.TemporaryDirectory() as work:
            try:
                a = ours(program, case, work)
                b = theirs(case, trial_of(case), work)
                error = ((a - b).norm() / b.norm()).item()
                good, word = error <= TOLERANCE, f"{error:.1e}"
            except Exception as e:                       # a folder that does not load is what is looked for
                good, word = False, f"{type(e).__name__}: {str(e).splitlines()[0][:200]}"
        failed += not good
        print(f"{'ok' if good else 'not ok'} {number} - {name}\n# {word}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
