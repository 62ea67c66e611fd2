#!/usr/bin/env python3
"""Greedy texts of transformers as TAP: run.py PROGRAM [NAME...]    (no name: all of this folder)

Each file holds prompts and what transformers' generate gave for them, with and without its cache and as a batch. Here every
file goes through `generate` one text at a time, as a batch, and with texts waiting for a place; the ids must be those, and the
lines of all three the same bytes. The backend is PEFTLAB_BACKEND's. Standard library only."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WAYS = (["--batch-size", "1"], ["--batch-size", "8"], ["--batch-size", "2"])


def source(case):
    """What goes in front of the options: a model, or the trial of an adapter and the adapter."""
    if not case["adapter"]:
        return [os.path.join(HERE, case["model"])]
    adapter = os.path.normpath(os.path.join(HERE, case["adapter"]))
    return [os.path.normpath(os.path.join(adapter, "../../trial.yaml")), "--adapter", adapter]


def texts(program, case, extra):
    rows = "".join(json.dumps({"input_ids": p["input_ids"]}) + "\n" for p in case["prompts"])
    words = [program, "generate", *source(case), "--max-new-tokens", str(case["max_new_tokens"]), "--json", *extra]
    done = subprocess.run(words, input=rows, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise ValueError(f"exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def wanted(prompt, stop):
    end = prompt["eos_at"]
    return prompt["output_ids"][:end + 1] if stop and end is not None else prompt["output_ids"]


def compare(program, case):
    outputs = [texts(program, case, way) for way in WAYS]
    if len(set(outputs)) != 1:
        return "other bytes in another batch"
    for stop, output in ((True, outputs[0]), (False, texts(program, case, ["--ignore-eos"]))):
        for prompt, line in zip(case["prompts"], output.splitlines(), strict=True):
            got, want = json.loads(line), wanted(prompt, stop)
            if got.get("ids") != want:
                return f"prompt {prompt['input_ids']}: {line}, transformers has {want}"
            ended = stop and prompt["eos_at"] is not None
            if got["finish_reason"] != ("stop" if ended else "length"):
                return f"prompt {prompt['input_ids']}: finish_reason {got['finish_reason']}"
    return None


def main():
    program = os.path.realpath(sys.argv[1])
    names = sys.argv[2:] or sorted(f[:-5] for f in os.listdir(HERE) if f.endswith(".json"))
    failed = 0
    print(f"1..{len(names)}")
    for number, name in enumerate(names, 1):
        with open(os.path.join(HERE, name + ".json"), encoding="utf-8") as f:
            case = json.load(f)
        try:
            wrong = compare(program, case)
        except (ValueError, subprocess.TimeoutExpired) as e:
            wrong = str(e)
        print(f"{'not ' if wrong else ''}ok {number} - {name}")
        if wrong:
            print(f"# {wrong}")
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
