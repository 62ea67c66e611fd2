"""The pages that are looked at: what a user would have, made by the program from stores of known truth."""

import math
import os
import random
import subprocess


def run(*words, **more):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, **more)


def reviews(folder, program, maker):
    """Methods at two sizes of data, as examples/reviews leaves them (tests/unit/report/fixture.h)."""
    run(maker, f"{folder}/reviews.db", "3")
    run(program, "report", "--store", f"{folder}/reviews.db", "-o", f"{folder}/reviews.html")
    return f"{folder}/reviews.html"


def page_of_table(folder, program, name, rows, params, metric, more=()):
    """ROWS: dictionaries; the page of the table that they make."""
    columns = list(rows[0])
    with open(f"{folder}/{name}.csv", "w") as f:
        f.write(",".join(columns) + "\n")
        for row in rows:
            f.write(",".join(str(row[c]) for c in columns) + "\n")
    metrics = [c for c in columns if c not in params and c != "seed"]
    store = f"{folder}/{name}.db"
    run(program, "import", f"{folder}/{name}.csv", "--store", store, "--experiment", name,
        "--params", ",".join(params), "--metrics", ",".join(metrics))
    run(program, "report", "--store", store, "--experiment", name, "--metric", metric, "-o",
        f"{folder}/{name}.html", *more)
    return f"{folder}/{name}.html"


def support(folder, program):
    """A language model judged by its loss, where lower is better, as examples/support."""
    rows, draw = [], random.Random(2)
    for method, loss in (("lora", 1.61), ("qlora", 1.63), ("head", 1.95)):
        for rate in (0.0002, 0.001):
            for seed in range(3):
                rows.append({"method": method, "learning_rate": rate, "seed": seed,
                             "eval/loss": round(loss + 40 * rate + draw.gauss(0, 0.01), 4),
                             "mem/peak_rss_bytes": int(draw.uniform(5, 6) * 1e8), "time/total_s": 300 + seed})
    return page_of_table(folder, program, "support", rows, ["method", "learning_rate"], "eval/loss")


def published(folder, program):
    """63 configurations with long names and a run each, as peft's published comparison."""
    rows, draw = [], random.Random(3)
    for i in range(63):
        name = f"method{i % 21}/llama-3.2-3B-rank{2 ** (i % 6)}-variant-{i}"
        rows.append({"config": name, "rank": 2 ** (i % 6), "seed": 0,
                     "test/accuracy": round(draw.uniform(0.3, 0.53), 4),
                     "mem/peak_device_bytes": int(draw.gauss(22, 2) * 2**30),
                     "time/total_s": round(draw.uniform(1500, 4000), 1)})
    return page_of_table(folder, program, "published", rows, ["config", "rank"], "test/accuracy")


def many(folder, program, count=1000):
    rows, seen, draw = [], set(), random.Random(4)
    methods = ["lora", "dora", "adapter", "prefix", "full"]
    while len(seen) < count:
        key = (draw.choice(methods), draw.choice([2, 4, 8, 16, 32, 64]), draw.choice([8, 16, 32, 64]),
               f"{10 ** draw.uniform(-5, -2):.3g}")
        if key in seen:
            continue
        seen.add(key)
        method, rank, alpha, rate = key
        level = 0.5 + 0.0125 * methods.index(method) - 0.03 * abs(math.log10(float(rate)) + 3.5)
        for seed in range(2):
            rows.append({"method": method, "rank": rank, "alpha": alpha, "learning_rate": rate, "seed": seed,
                         "score": round(level + draw.gauss(0, 0.01), 4),
                         "mem/peak_rss_bytes": int(1e8 * (1 + rank / 10) * draw.uniform(1, 1.1)),
                         "latency/p50_ms": round(5 + rank / 8 + draw.random(), 3),
                         "time/total_s": round(60 + 2 * rank + 10 * draw.random(), 2)})
    return page_of_table(folder, program, "many", rows, ["method", "rank", "alpha", "learning_rate"], "score")


def make_all(folder, program, maker):
    os.makedirs(folder, exist_ok=True)
    return {"reviews": reviews(folder, program, maker), "support": support(folder, program),
            "published": published(folder, program), "many": many(folder, program)}
