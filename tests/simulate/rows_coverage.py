#!/usr/bin/env python3
"""How often intervals for a score, and for a difference of two scores, hold for new seeds and new rows: drawn from the
trials of a store that were all judged on one large test set (what each row got: docs/store.md).

usage: rows_coverage.py STORE METRIC [DRAWS]      METRIC: accuracy, macro_f1 or loss; configurations are methods

The runs and rows of the store are the population: "true" is a method's mean over all of its runs on all rows. A draw takes
S runs (with replacement, the same seeds for both methods of a difference) and R rows, and asks whether the 95 % interval
holds the true value:
  seeds   t interval over the S scores, what one has without the rows
  both    seeds and rows, by the mean squares of the table of runs and rows (lib/stats/crossed.h), macro-F1 by influence values
  boot    percentiles of a bootstrap that draws runs and rows, for comparison (100 draws of 400 each)
In per cent; the formulas are written here once more, in numpy."""
import os, sqlite3, struct, sys
import numpy as np
from scipy import stats

store, metric = sys.argv[1], sys.argv[2]
DRAWS = int(sys.argv[3]) if len(sys.argv) > 3 else 4000
rng = np.random.default_rng(20261129)


def read(sha256):
    b = open(os.path.join(store + ".artifacts", sha256[:2], sha256), "rb").read()
    version, kind, width, _, n = struct.unpack_from("<IIIIQ", b, 8)
    assert (b[:8], version, kind) == (b"peftrows", 1, 0)
    loss = np.frombuffer(b, "<f4", n, 96).astype(float)
    said, truth = np.frombuffer(b, "<u2", 2 * n, 96 + 4 * n).reshape(2, n).astype(int)
    return loss, said, truth, width


def f1(said, truth, k):
    hit, seen = np.zeros(k), np.zeros(k)
    np.add.at(hit, said[said == truth], 2)
    np.add.at(seen, said, 1)
    np.add.at(seen, truth, 1)
    return hit, seen


def scores(run, rows):
    """One number per row whose mean is the score."""
    loss, said, truth, k = run[0][rows], run[1][rows], run[2][rows], run[3]
    if metric == "loss":
        return loss
    if metric == "accuracy":
        return (said == truth).astype(float)
    hit, seen = f1(said, truth, k)
    ok = seen > 0
    f = np.divide(hit, seen, out=np.zeros(k), where=ok)
    slope = lambda c, h: (h - f[c]) / seen[c]
    return (f[ok].sum() + len(rows) * (slope(truth, 2.0 * (said == truth)) + slope(said, 0))) / ok.sum()


def both(y):
    s, r = y.shape
    m, a, b = y.mean(), y.mean(1), y.mean(0)
    ms, mr = r * a.var(ddof=1), s * b.var(ddof=1)
    me = ((y - a[:, None] - b + m) ** 2).sum() / ((s - 1) * (r - 1))
    t = lambda df: stats.t.ppf(.975, df)
    return m, np.sqrt(t(s - 1) ** 2 * max(0, ms - me) / (r * s) + t(r - 1) ** 2 * (max(0, mr - me) / (s * r) + me / (s * r)))


def holds(m, half, true):
    return abs(m - true) <= half + 1e-12


db = sqlite3.connect(store)
runs = {}
for method, sha in db.execute("SELECT t.config ->> 'method', a.sha256 FROM artifact_view a JOIN trial_view t ON t.id = a.trial "
                              "WHERE a.name = 'rows/test' AND t.state = 'complete' ORDER BY t.seed, t.id"):
    runs.setdefault(method, []).append(read(sha))
population = min(len(r[0]) for m in runs.values() for r in m)
everything = np.arange(population)
true = {m: np.mean([scores(r, everything).mean() for r in runs[m]]) for m in runs}
names = list(runs)
print(f"{metric}, {population} rows; " + ", ".join(f"{m} {true[m]:.4f} ({len(runs[m])} seeds, s.d. "
      f"{np.std([scores(r, everything).mean() for r in runs[m]], ddof=1):.4f})" for m in names))
print("| interval for | seeds | rows | seeds alone | both | bootstrap |\n|---|---|---|---|---|---|")


def case(what, first, second, s, r):
    hits = np.zeros(2)
    boots = []
    n = min(len(runs[first]), len(runs[second]) if second else 1 << 30)
    for draw in range(DRAWS):
        seeds, rows = rng.integers(0, n, s), rng.integers(0, population, r)
        y = np.array([scores(runs[first][i], rows) for i in seeds])
        target = true[first]
        if second:
            y = y - np.array([scores(runs[second][i], rows) for i in seeds])
            target -= true[second]
        m, half = both(y)
        alone = stats.t.ppf(.975, s - 1) * y.mean(1).std(ddof=1) / np.sqrt(s)
        hits += [holds(m, alone, target), holds(m, half, target)]
        if draw < 400:
            drawn = []
            for _ in range(200):
                i, k = rng.integers(0, s, s), rng.integers(0, r, r)
                drawn.append(y[i].mean(0)[k].mean())
            low, high = np.quantile(drawn, (.025, .975))
            boots.append(low <= target <= high)
    a, b = 100 * hits / DRAWS
    print(f"| {what} | {s} | {r} | {a:.1f} | {b:.1f} | {100 * np.mean(boots):.1f} |", flush=True)


for s in (3, 5, 8):
    for r in (100, 200, 400):
        case(names[0], names[0], None, s, r)
for other in names[1:]:
    for s, r in ((3, 100), (3, 400), (5, 200), (8, 400)):
        case(f"{names[0]} - {other}", names[0], other, s, r)
