#!/usr/bin/env python3
"""Reference numbers for lib/stats/regret.h, as rows of regret.json (numpy, scipy).

    make_regret.py > regret.json      the rows
    make_regret.py calibration        a table: expected against true regret, by simulation

The rows are computed by another route than the program's: over the scale by the density
of chi square on a fine logarithmic grid, E[max] as the integral of x dP(max <= x), the
chance arm by arm; two arms by the closed form of the t loss; all held against draws.
The calibration compares the flat prior with empirical Bayes ("shrunk"), both with a common
scale for all arms; n seeds each, then the best mean is taken. Figures in s.d. of a seed.
"""
import json
import sys

import numpy as np
from scipy import special, stats


def scales(df, reference, x):
    """sqrt(df / chi2) of every arm where the reference's chi2 is x: same quantile."""
    out = np.empty((len(x), len(df)))
    for d in set(df):
        if np.isinf(d):
            s = np.ones(len(x))
        elif d == reference:
            s = np.sqrt(d / x)
        else:
            low = stats.chi2.cdf(x, reference)
            s = np.where(low < .5, np.sqrt(d / stats.chi2.ppf(low, d)),
                         np.sqrt(d / stats.chi2.isf(stats.chi2.sf(x, reference), d)))
        out[:, [i for i, e in enumerate(df) if e == d]] = s[:, None]
    return out


def given(mean, sd, delta):
    """E[max] and, per arm, P(max - arm > delta), normal arms."""
    z = np.linspace(-9, 9, 6001)
    h = z[1] - z[0]
    phi = np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    best, chance = 0, np.empty(len(mean))
    for i in range(len(mean)):
        x = mean[i] + sd[i] * z
        others = [j for j in range(len(mean)) if j != i]
        at = np.prod([special.ndtr((x - mean[j]) / sd[j]) for j in others], axis=0)
        near = np.prod([special.ndtr((x + delta - mean[j]) / sd[j]) for j in others], axis=0)
        best += np.sum(x * phi * at) * h
        chance[i] = 1 - np.sum(phi * near) * h
    return best, chance


def regret(mean, se, df, delta):
    mean, se = np.array(mean, float), np.array(se, float)
    finite = [d for d in df if np.isfinite(d)]
    if not finite:
        best, chance = given(mean, se, delta)
        return best - mean, chance
    ref = min(finite)
    t = np.linspace(np.log(stats.chi2.ppf(1e-13, ref)), np.log(stats.chi2.isf(1e-13, ref)), 400)
    x = np.exp(t)
    w = stats.chi2.pdf(x, ref) * x
    w /= w.sum()
    best, chance = 0, 0
    for weight, s in zip(w, scales(df, ref, x)):
        b, c = given(mean, se * s, delta)
        best, chance = best + weight * b, chance + weight * c
    return best - mean, chance


def two_arms(mean, se, df):
    """Closed form: the difference is a t with the pooled se."""
    s, gap = np.hypot(*se), mean[1] - mean[0]
    t = gap / s
    loss = s * ((df + t * t) / (df - 1) * stats.t.pdf(t, df) + t * stats.t.cdf(t, df))
    return [loss, loss - gap]


def drawn(mean, se, df, delta, n=400000):
    rng = np.random.default_rng(5)
    u = rng.random(n)
    s = np.stack([np.ones(n) if np.isinf(d) else np.sqrt(d / stats.chi2.ppf(u, d)) for d in df], 1)
    x = np.array(mean) + np.array(se) * s * rng.standard_normal((n, len(mean)))
    loss = x.max(1)[:, None] - x
    return loss.mean(0), (loss > delta).mean(0)


INF = float("inf")
CASES = [
    ([.81, .80], [.01, .01], [2, 2], .01),
    ([.81, .80], [.01, .03], [7, 7], .01),
    ([.81, .80, .79, .62], [.01] * 4, [9] * 4, .01),
    ([2, 0, 0, 0, 0, 0, 0, 0], [.354] * 8, [7] * 8, .25),
    ([0] * 8, [.5] * 8, [7] * 8, .25),
    ([0, -.4, -.8, -1.2, -1.6], [.3, .3, .2, .2, .1], [12, 12, 12, 4, 3], .25),
    ([.5, .49, .51, .3], [.0137] * 4, [INF] * 4, .02),
    ([1, 0, 0], [.5, .5, .5], [1, 1, 1], .5),
    ([0, .1, .2], [.05, .4, .1], [INF, 3, 9], 0),
    ([0, -3], [.02, 1], [6, 6], .1),
    ([float(v) for v in np.round(np.linspace(.6, .9, 24), 3)], [.02] * 24, [46] * 24, .01),
]


def rows():
    out = []
    for mean, se, df, delta in CASES:
        expected, chance = regret(mean, se, df, delta)
        if len(mean) == 2 and df[0] == df[1]:
            assert np.allclose(two_arms(mean, se, df[0]), expected, atol=1e-6 * max(se)), (mean, expected)
        e, c = drawn(mean, se, df, delta)
        assert np.allclose(c, chance, atol=5e-3)
        if min(df) > 2:
            assert np.allclose(e, expected, atol=2e-2 * max(se)), (mean, e, expected)
        known = min(df) > 1
        out.append({"input": {"fn": "regret", "mean": mean, "se": se, "delta": delta,
                              "df": ["inf" if np.isinf(d) else d for d in df]},
                    "expected": {"expected": [float(v) if known else None for v in expected],
                                 "chance": [float(v) for v in chance]},
                    "tolerance": {"rel": 1e-5, "abs": 1e-5}})
    print("[" + ",\n".join(json.dumps(r) for r in out) + "]")


def truth(name, k, n, rng):
    kind, size = name.split()[0], float(name.split()[-1] if " " in name else 0)
    mu = np.zeros((n, k))
    if kind == "lead":
        mu[:, 0] = size
    elif kind == "stairs":
        mu -= np.arange(k) * size
    elif kind == "half":
        mu[:, :k // 2] = size
    elif kind == "drawn":
        mu = size * rng.standard_normal((n, k))
    return mu


def calibration():
    rng = np.random.default_rng(3)
    print("| configurations x seeds | truth | true regret | flat prior | shrunk |\n|---|---|---|---|---|")
    for k in (4, 8, 16):
        for n in (2, 3, 5):
            for name in ("none", "lead 1", "lead 2", "lead 4", "stairs .4", "stairs 1", "half 1", "drawn .5", "drawn 1"):
                mu, df, found = truth(name, k, 600, rng), k * (n - 1), {0: [], 1: []}
                real = []
                for m in mu:
                    y = m[:, None] + rng.standard_normal((k, n))
                    mean, se2 = y.mean(1), y.var(1, ddof=1).mean() / n
                    z = rng.standard_normal((400, k)) * np.sqrt(df / rng.chisquare(df, (400, 1)))
                    for shrink in (0, 1):
                        tau2 = max(mean.var(ddof=1) - se2, .05 * mean.var(ddof=1))
                        w = tau2 / (tau2 + se2) if shrink else 1
                        x = mean.mean() + w * (mean - mean.mean()) + np.sqrt(w * se2) * z
                        found[shrink].append((x.max(1) - x[:, mean.argmax()]).mean())
                    real.append(m.max() - m[mean.argmax()])
                print(f"| {k} x {n} | {name} | {np.mean(real):.3f} | {np.mean(found[0]):.3f} | {np.mean(found[1]):.3f} |", flush=True)


if __name__ == "__main__":
    calibration() if sys.argv[1:] == ["calibration"] else rows()
