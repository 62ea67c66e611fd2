#!/usr/bin/env python3
"""Writes range.json: the studentised range by scipy.stats.studentized_range (1.17.1), and by
mpmath-free double quadrature for known variance, as rows of golden statistics.
usage: make_range.py > range.json"""
import json
from scipy import stats
rows = []
def row(fn, inputs, value, rel, absolute=1e-12):
    rows.append({"input": dict(fn=fn, **inputs), "expected": {"value": float(value)}, "tolerance": {"rel": rel, "abs": absolute}})
for k in (2, 3, 4, 8, 16, 30, 63):
    for df in (2, 3, 8, 28, 60.5, 400):
        for q in (0.5, 2, 3.5, 5, 9):
            row("range_sf", dict(q=q, k=k, df=df), stats.studentized_range.sf(q, k, df), 2e-6, 2e-9)
        for tail in (0.1, 0.05, 0.01):
            row("range_quantile", dict(tail=tail, k=k, df=df), stats.studentized_range.isf(tail, k, df), 1e-6)
for k in (2, 4, 63):
    for q in (1, 3, 6):
        row("range_sf", dict(q=q, k=k, df="Infinity"), stats.studentized_range.sf(q, k, float("inf")), 2e-6, 2e-9)
print("[\n" + ",\n".join(json.dumps(r) for r in rows) + "\n]")
