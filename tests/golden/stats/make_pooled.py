#!/usr/bin/env python3
"""Writes pooled.json: pooled and own residual variances of tables with holes, by numpy: the
projection M = I - X pinv(X) written out, E[SS_i] from its squares, and two equations solved
per configuration. Full tables are checked against Grubbs's closed form here.
usage: make_pooled.py > pooled.json"""
import json
import numpy as np

def pooled(cells, configs, paired):
    cells = list(cells)
    while True:  # cells that are alone say nothing
        kept = [c for c in cells if sum(d[0] == c[0] for d in cells) > 1
                and (not paired or sum(d[1] == c[1] for d in cells) > 1)]
        if len(kept) == len(cells):
            break
        cells = kept
    n = len(cells)
    if n == 0:
        return float("nan"), 0, [float("nan")] * configs, [float("nan")] * configs
    config = np.array([c[0] for c in cells])
    x = np.array([c[2] for c in cells])
    columns = [config == i for i in range(configs)]
    if paired:
        columns += [np.array([c[1] for c in cells]) == b for b in sorted({c[1] for c in cells})]
    design = np.array(columns, float).T
    m = np.eye(n) - design @ np.linalg.pinv(design)
    residual = m @ x
    df = round(np.trace(m))
    total = residual @ residual
    variance = total / df if df else float("nan")
    own, own_df = [], []
    for i in range(configs):
        mine = config == i
        a = np.array([[(m[np.ix_(p, q)] ** 2).sum() for q in (mine, ~mine)] for p in (mine, ~mine)])
        ss = np.array([(residual[mine] ** 2).sum(), (residual[~mine] ** 2).sum()])
        if mine.sum() == 0 or np.linalg.det(a) < 1e-9 * a[0, 0] * df:
            own.append(float("nan"))
            own_df.append(float("nan"))
            continue
        inverse = np.linalg.inv(a)
        own.append(inverse[0] @ ss)
        own_df.append(np.trace(m[np.ix_(mine, mine)]) ** 2 / a[0, 0])
    return variance, df, own, own_df


def main():
    rng = np.random.default_rng(20261129)
    rows = []

    def row(cells, configs, paired):
        variance, df, own, own_df = pooled(cells, configs, paired)
        word = lambda v: None if np.isnan(v) else float(v)
        rows.append({"input": {"fn": "pooled", "configs": configs, "paired": paired, "cells": cells},
                     "expected": {"variance": word(variance), "df": float(df), "own": [word(v) for v in own],
                                  "own_df": [word(v) for v in own_df]},
                     "tolerance": {"rel": 1e-9, "abs": 1e-9}})


    for configs, blocks, missing in ((2, 3, 0), (3, 3, 0), (4, 3, 0), (4, 5, 0), (8, 5, 0), (4, 5, 3), (6, 4, 5), (8, 3, 4),
                                     (5, 6, 12), (3, 2, 1), (4, 1, 0)):
        for paired in (True, False):
            sd = np.ones(configs)
            sd[-1] = 4
            effects = 3 * rng.standard_normal(blocks)
            cells = [[i, b, round(float(effects[b] + i + sd[i] * rng.standard_normal()), 4)]
                     for i in range(configs) for b in range(blocks)]
            cells = [cells[i] for i in sorted(rng.permutation(len(cells))[missing:])]
            row(cells, configs, paired)
            if paired and missing == 0 and configs > 2 and blocks > 1:
                y = np.array([c[2] for c in cells]).reshape(configs, blocks)
                r = y - y.mean(0) - y.mean(1)[:, None] + y.mean()
                ss, k, n = (r ** 2).sum(1), configs, blocks
                grubbs = (k * (k - 1) * ss / (n - 1) - ss.sum() / (n - 1)) / ((k - 1) * (k - 2))
                assert np.allclose(grubbs, rows[-1]["expected"]["own"])
    # two parts that share no block; nothing at all
    row([[0, 1, 1.5], [1, 1, 2.25], [0, 2, 1.75], [1, 2, 2.0], [2, 7, 5.0], [3, 7, 6.0], [2, 8, 5.5], [3, 8, 7.25], [2, 9, 4.0]], 5, True)
    row([], 2, True)
    print("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]")


if __name__ == "__main__":
    main()
