#!/usr/bin/env python3
"""Writes row_scores.json: what each row moves a score by, as score + n d score / d weight, by numeric differentiation of
sklearn's weighted metrics, and the bytes of the rows as tracker/view/row_results.h has them (base64), made here.
usage: make_row_scores.py > row_scores.json"""
import base64, json, struct, warnings
import numpy as np
from sklearn.metrics import accuracy_score, f1_score, mean_squared_error

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20261129)
rows = []
STEP = 1e-4


def influences(score, n):
    """score(weights) -> the scores whose mean is the score."""
    ones = np.ones(n)
    out = []
    for i in range(n):
        up, down = ones.copy(), ones.copy()
        up[i] += STEP
        down[i] -= STEP
        out.append(score(ones) + n * (score(up) - score(down)) / (2 * STEP))
    return out


def pack(kind, width, count, *columns):
    body = b"".join(np.ascontiguousarray(c).tobytes() for c in columns)
    head = b"peftrows" + struct.pack("<IIIIQ", 1, kind, width, 0, count) + bytes(range(64))
    return base64.b64encode(head + body).decode()


def add(metric, data, score, n):
    rows.append({"input": {"fn": "row_scores", "metric": metric, "rows": data},
                 "expected": {"scores": [float(v) for v in influences(score, n)]}, "tolerance": {"rel": 1e-6, "abs": 1e-6}})


for n, k in ((12, 2), (40, 3), (25, 5)):
    y = rng.integers(0, k, n)
    p = np.where(rng.random(n) < .7, y, rng.integers(0, k, n))
    loss = rng.exponential(1, n).astype("<f4")
    data = pack(0, k + 1, n, loss, p.astype("<u2"), y.astype("<u2"))
    add("accuracy", data, lambda w: accuracy_score(y, p, sample_weight=w), n)
    add("macro_f1", data, lambda w: f1_score(y, p, average="macro", sample_weight=w), n)
    add("loss", data, lambda w: np.average(loss.astype(float), weights=w), n)
n, k = 30, 9
y = rng.random((n, k)) < .3
p = y ^ (rng.random((n, k)) < .1)
y[:, 4] = p[:, 4] = False
bits = lambda a: np.packbits(a, axis=1, bitorder="little")
data = pack(2, k, n, rng.exponential(1, n).astype("<f4"), bits(p), bits(y))
for average in ("macro", "micro"):
    add(average + "_f1", data, lambda w: f1_score(y, p, average=average, sample_weight=w, zero_division=0), n)
add("accuracy", data, lambda w: accuracy_score(y, p, sample_weight=w), n)
n, k = 20, 2
y = rng.standard_normal((n, k)).astype("<f4")
x = (y + rng.standard_normal((n, k))).astype("<f4")
data = pack(1, k, n, ((x - y) ** 2).mean(1).astype("<f4"), x, y)


def pearson(w):
    out = []
    for c in range(k):
        cov = np.cov(x[:, c].astype(float), y[:, c].astype(float), aweights=w, ddof=0)
        out.append(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]))
    return np.mean(out)


add("pearson", data, pearson, n)
add("mse", data, lambda w: mean_squared_error(y, x, sample_weight=w), n)
n = 15
tokens = rng.integers(1, 30, n)
right = rng.binomial(tokens, .6)
loss = (tokens * rng.exponential(1, n)).astype("<f4")
exact = np.array([-1., 0, 1] * 5, "<f4")
rouge = np.where(exact < 0, -1, rng.random(n)).astype("<f4")
data = pack(4, 1, n, loss, tokens.astype("<u4"), right.astype("<u4"), exact, rouge)
nll = lambda w: (w * loss.astype(float)).sum() / (w * tokens).sum()
add("loss", data, nll, n)
add("perplexity", data, lambda w: np.exp(nll(w)), n)
add("accuracy", data, lambda w: (w * right).sum() / (w * tokens).sum(), n)
add("exact_match", data, lambda w: np.average(exact[exact >= 0], weights=w[exact >= 0]), n)
add("rouge_l", data, lambda w: np.average(rouge[exact >= 0].astype(float), weights=w[exact >= 0]), n)
print("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]")
