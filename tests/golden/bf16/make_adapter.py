#!/usr/bin/env python3
"""The case llama-dora-adapter-bf16: adapter_dtype bfloat16. Wants torch, transformers and peft:   make_adapter.py SOURCE TARGET

SOURCE is a DoRA case in fp32, whose rows, trial and start point are taken. What trains is bf16 (TRL's SFTTrainer casts it so
where the base is quantised, but for DoRA's magnitudes): parameters, gradients, and the moments of torch's fused AdamW. The
forward pass is peft's, in fp32, with the parameters' values: which format products are made in is another key (dtype).
"""
import json
import os
import shutil
import sys

import torch
import transformers
from peft import PeftModel
from safetensors.torch import load_file, save_file

STEPS, RATE, BATCH = 8, 0.01, 4


def rows_of(path):
    with open(path) as f:
        return [json.loads(line) for line in f]


def is_exact(name):
    return "lora_magnitude_vector" in name


def to_halves(path):
    tensors = {k: (v if is_exact(k) else v.bfloat16()) for k, v in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})


def loss_of(model, rows):
    """The mean over all labelled tokens, row by row so that nothing is padded."""
    total, count = 0, 0
    for row in rows:
        labels = torch.tensor(row["labels"])[1:]
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1]
        total = total + torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        count += int((labels != -100).sum())
    return total / count


def logits_of(model, rows):
    with torch.no_grad():
        return torch.cat([model(input_ids=torch.tensor([r["input_ids"]])).logits[0] for r in rows])


def main():
    source, target = sys.argv[1:]
    shutil.copytree(source, target)
    for folder in ("adapter_init", "expected/adapter"):
        to_halves(os.path.join(target, folder, "adapter_model.safetensors"))
    base = os.path.join(target, "../../models/llama")
    model = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager", dtype=torch.float32)
    model = PeftModel.from_pretrained(model, os.path.join(target, "adapter_init"), is_trainable=True).eval()
    used = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    kept = [torch.nn.Parameter(p.detach().clone() if is_exact(n) else p.detach().bfloat16()) for n, p in used]
    optimizer = torch.optim.AdamW(kept, lr=RATE, weight_decay=0.0, fused=True)
    train, evaluate = rows_of(os.path.join(target, "train.jsonl")), rows_of(os.path.join(target, "eval.jsonl"))
    save_file({"logits": logits_of(model, evaluate)}, os.path.join(target, "expected/logits_before.safetensors"))
    trace, at = [], 0
    for step in range(STEPS):
        rate = RATE * (STEPS - step) / STEPS
        for group in optimizer.param_groups:
            group["lr"] = rate
        model.zero_grad()
        loss = loss_of(model, train[at:at + BATCH])
        loss.backward()
        at = (at + BATCH) % len(train)
        for (_, p), k in zip(used, kept):
            k.grad = p.grad.to(k.dtype)
        norm = torch.nn.utils.get_total_norm([k.grad.float() for k in kept])
        torch.nn.utils.clip_grads_with_norm_(kept, 1.0, norm)
        optimizer.step()
        with torch.no_grad():
            for (_, p), k in zip(used, kept):
                p.copy_(k.float())
        trace.append({"step": step + 1, "loss": loss.item(), "grad_norm": norm.item(), "learning_rate": rate})
    with open(os.path.join(target, "expected/trace.jsonl"), "w") as f:
        f.writelines(json.dumps(line) + "\n" for line in trace)
    save_file({"logits": logits_of(model, evaluate)}, os.path.join(target, "expected/logits_after.safetensors"))
    model.save_pretrained(os.path.join(target, "expected/adapter"))
    to_halves(os.path.join(target, "expected/adapter/adapter_model.safetensors"))
    readme = os.path.join(target, "expected/adapter/README.md")
    if os.path.exists(readme):
        os.remove(readme)
    with open(os.path.join(target, "trial.yaml"), "a") as f:
        f.write("adapter_dtype: bfloat16\n")
    with open(os.path.join(target, "case.json")) as f:
        case = json.load(f)
    case["name"] = os.path.basename(os.path.normpath(target))
    case["reference"]["function"] = "bf16/make_adapter.py"
    case["tolerance"] = {"loss": 1e-3, "grad_norm": 1e-2, "learning_rate": 1e-6, "logits": 5e-3, "adapter": 5e-3}
    case["notes"] = ["Numbers close to the middle of two of bf16 are rounded either way, and moments carry that on: of the "
                     "parameters three quarters come out equal to the bit."]
    case.pop("rounding", None)
    with open(os.path.join(target, "case.json"), "w") as f:
        json.dump(case, f, indent=1)
        f.write("\n")


main()
