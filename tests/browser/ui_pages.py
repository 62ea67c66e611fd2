"""What the live page is tested on: `peftlab ui` on stores made for it, one of them with a sweep that really runs."""

import os
import random
import re
import signal
import subprocess
import sys
import time

from pages import run

# A program of a user's own: a curve of many steps, slow enough to be watched, and a line of talk now and then.
PROGRAM = """import json, random, sys, time
given = dict(word[2:].split("=", 1) for word in sys.argv[1:])
draw, rate, width = random.Random(int(given["seed"])), float(given["rate"]), int(given["width"])
steps, pause = int(given["steps"]), float(given["pause"])
for step in range(1, steps + 1):
    loss = 2 / (1 + step * rate) + 1 / width + draw.gauss(0, 0.02)
    print(json.dumps({"step": step, "eval/loss": loss, "train/loss": loss * 0.9}), flush=True)
    if step % 20 == 1:
        print(f"step {step} of {steps}", file=sys.stderr, flush=True)
    time.sleep(pause)
"""


class Server:
    """`peftlab ui` on a store; `url` has its token, `base` none."""

    def __init__(self, program, store):
        self.process = subprocess.Popen([program, "ui", "--store", store, "--port", "0"], stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            found = re.search(r"(http://\S+?)/?\?token=(\w+)", line)
            if found:
                self.base, self.token = found[1] + "/", found[2]
                self.url = f"{self.base}?token={self.token}"
                return
        raise RuntimeError("peftlab ui does not start")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def make_table(folder, program, name="table.db", count=60):
    """An experiment of `count` configurations with three seeds each, the second without a metric now and then."""
    draw, path = random.Random(5), f"{folder}/table.csv"
    with open(path, "w") as f:
        f.write("method,rank,learning_rate,seed,eval/accuracy,time/total_s,mem/weights_bytes,mem/activations_bytes,mem/allocated_bytes\n")
        for i in range(count):
            method, rank, rate = ["lora", "dora", "prefix"][i % 3], 2 ** (1 + i % 5), round(1e-4 * (1 + i // 3), 6)
            for seed in range(3):
                score = 0.5 + 0.02 * (i % 5) + 0.03 * (i % 3) + draw.gauss(0, 0.01)
                f.write(f"{method},{rank},{rate},{seed},{score:.4f},{60 + i},{2**20},{2**19},{3 * 2**19}\n")
    store = f"{folder}/{name}"
    run(program, "import", path, "--store", store, "--experiment", "reviews", "--params", "method,rank,learning_rate",
        "--metrics", "eval/accuracy,time/total_s,mem/weights_bytes,mem/activations_bytes,mem/allocated_bytes")
    return store


def write_sweep(folder, steps=600, pause=0.1):
    with open(f"{folder}/train.py", "w") as f:
        f.write(PROGRAM)
    with open(f"{folder}/sweep.yaml", "w") as f:
        f.write(f"""name: live
method: grid
command: [{sys.executable}, train.py]
metric: {{name: eval/loss}}
parameters:
  rate: {{values: [0.05, 0.2]}}
  width: {{values: [4, 16]}}
  steps: {{value: {steps}}}
  pause: {{value: {pause}}}
  seed: {{values: [0, 1]}}
""")


class Sweep:
    """Its eight trials, two at a time."""

    def __init__(self, folder, program, store):
        self.end = [program, "sweep", "stop", "live", "--now", "--store", store]
        self.process = subprocess.Popen([program, "sweep", "run", "sweep.yaml", "--store", store, "--jobs", "2"], cwd=folder,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while self.process.poll() is None and not (os.path.exists(store) and query(program, store, "SELECT 1 FROM trial_view LIMIT 1")):
            time.sleep(0.1)

    def close(self):
        if self.process.poll() is None:
            subprocess.run(self.end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.process.terminate()
        self.process.wait()


def query(program, store, sql):
    out = subprocess.run([program, "query", sql, "--store", store, "--format", "tsv"], capture_output=True, text=True)
    return out.stdout.strip().split("\n")[1:]
