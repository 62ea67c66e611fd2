#!/usr/bin/env python3
"""Writes crossed.json: means over seeds and rows, their three variances and the interval, by another way than
lib/stats/crossed.c takes: mean squares from statsmodels' analysis of variance of a long table, t quantiles from scipy.
usage: make_crossed.py > crossed.json"""
import json
import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

rng = np.random.default_rng(20261129)
rows = []


def word(v):
    return None if v != v else float(v)


def crossed(y, level):
    s, r = y.shape
    if s == 1:
        se = y[0].std(ddof=1) / np.sqrt(r)
        half = stats.t.ppf((1 + level) / 2, r - 1) * se
        return dict(mean=y.mean(), seed=np.nan, row=y[0].var(ddof=1), rest=0.0, se_seeds=np.nan, se_rows=se, se=se,
                    low=y.mean() - half, high=y.mean() + half)
    table = pd.DataFrame({"y": y.ravel(), "seed": np.repeat(np.arange(s), r), "row": np.tile(np.arange(r), s)})
    a = anova_lm(ols("y ~ C(seed) + C(row)", table).fit())
    ms, mr, me = a["mean_sq"]["C(seed)"], a["mean_sq"]["C(row)"], a["mean_sq"]["Residual"]
    row = max(0, mr - me) / s
    seed = max(0, ms - me) / r
    by_seeds, by_rows = seed / s, row / r + me / (s * r)
    t = lambda df: stats.t.ppf((1 + level) / 2, df)
    half = np.sqrt(t(s - 1) ** 2 * by_seeds + t(r - 1) ** 2 * by_rows)
    return dict(mean=y.mean(), seed=seed, row=row, rest=me, se_seeds=y.mean(1).std(ddof=1) / np.sqrt(s),
                se_rows=y.mean(0).std(ddof=1) / np.sqrt(r), se=np.sqrt(by_seeds + by_rows), low=y.mean() - half, high=y.mean() + half)


for s, r, seed, row, rest, binary in ((3, 12, 1, 1, 1, 0), (5, 40, .1, 1, .5, 0), (2, 7, 0, .3, 1, 0), (4, 25, 2, 0, 1, 0), (3, 60, .3, 1.5, .4, 1),
                                      (5, 30, .3, 1.5, .4, 1), (1, 20, 0, 1, 0, 0), (8, 9, 1, .1, .1, 0)):
    y = 10 + seed ** .5 * rng.standard_normal((s, 1)) + row ** .5 * rng.standard_normal((1, r)) + rest ** .5 * rng.standard_normal((s, r))
    y = (y > 9).astype(float) if binary else y.round(4)
    out = crossed(y, .95)
    rows.append({"input": {"fn": "crossed", "seeds": s, "rows": r, "level": .95, "y": [float(v) for v in y.ravel()]},
                 "expected": {k: word(v) for k, v in out.items()}, "tolerance": {"rel": 1e-7, "abs": 1e-9}})
print("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]")
