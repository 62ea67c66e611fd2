#!/usr/bin/env python3
"""torch's own bf16 errors for the cases of check_bf16.py, written to torch_errors.json. Wants torch, transformers and peft.

Each case is one SGD step with rate 1, so the change of the parameters is the gradient. The reference is the same model in
float64. Two ways in which people train in bf16 are tried, autocast over fp32 weights and autocast over bf16 weights (trainable
parameters fp32), and the smaller error counts.
"""
import json
import os
import sys

import torch
import transformers
import yaml
from peft import PeftModel

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = os.path.join(HERE, "..", "cases")


def rows_of(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def model_of(case, trial):
    folder = os.path.join(CASES, case, trial["model"])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    init = os.path.join(CASES, case, "adapter_init")
    return PeftModel.from_pretrained(model, init, is_trainable=True) if os.path.isdir(init) else model


def run(case, trial, kind):
    """Logits of the evaluation rows and the gradient, as one float64 vector each."""
    model = model_of(case, trial).eval()
    trained = [n for n, p in model.named_parameters() if p.requires_grad]
    if kind == "float64":
        model.double()
    elif kind == "bf16 weights":
        for p in model.parameters():
            if not p.requires_grad:
                p.data = p.data.bfloat16()
    pad = model.config.pad_token_id or 0
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind != "float64"):
        with torch.no_grad():
            logits = [model(input_ids=torch.tensor([r["input_ids"]])).logits.double()
                      for r in rows_of(os.path.join(CASES, case, trial["eval_data"]))]
        batch = rows_of(os.path.join(CASES, case, trial["train_data"]))[:trial["batch_size"]]
        width = max(len(r["input_ids"]) for r in batch)
        ids = torch.tensor([r["input_ids"] + [pad] * (width - len(r["input_ids"])) for r in batch])
        mask = torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in batch])
        out = model(input_ids=ids, attention_mask=mask).logits
    loss = torch.nn.functional.cross_entropy(out.double() if kind == "float64" else out.float(), torch.tensor([r["label"] for r in batch]))
    loss.backward()
    named = dict(model.named_parameters())
    gradient = torch.cat([named[n].grad.double().flatten() for n in trained if named[n].grad is not None])
    return torch.cat(logits).flatten(), gradient


def main():
    names = sys.argv[1:] or [c for c in sorted(os.listdir(CASES)) if c.endswith("-sgd") and "adapter" not in c]
    errors = {}
    for case in names:
        with open(os.path.join(CASES, case, "trial.yaml")) as f:
            trial = yaml.safe_load(f)
        want = run(case, trial, "float64")
        best = {}
        for kind in ("fp32 weights", "bf16 weights"):
            got = run(case, trial, kind)
            for what, g, w in zip(("logits", "gradient"), got, want):
                e = float((g - w).norm() / w.norm())
                best[what] = min(best.get(what, e), e)
        errors[case] = {k: float(f"{v:.3g}") for k, v in best.items()}
        print(case, errors[case])
    with open(os.path.join(HERE, "torch_errors.json"), "w") as f:
        json.dump(errors, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
