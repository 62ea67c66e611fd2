#!/usr/bin/env python3
"""Writes pairs.json: the comparisons of the twelve tables by the rules of report/evidence/verdict.h
as numpy and scipy compute them (variances by make_pooled.py's written-out projection, the
studentised range by scipy.stats.studentized_range). It fails where a word, the best or the tied set
of verdicts.json is not met.
usage: make_pairs.py > pairs.json (in this folder)"""
import csv, json, os, sys
import numpy as np
from scipy import stats

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "stats"))
from make_pooled import pooled  # noqa: E402
ALPHA = 0.05


def spreads(cells, configs, paired):
    variance, df, own, own_df = pooled(cells, configs, paired)
    out = []
    for i in range(configs):
        if not df > 0:
            out.append((np.nan, np.nan, np.nan))
        elif own[i] > variance and own_df[i] < df:
            fits = min(1, 2 * stats.f.sf(own[i] / variance, own_df[i], df)) ** 2
            out.append((own[i], 1 / (1 / own_df[i] + (1 / df - 1 / own_df[i]) * fits), df))
        else:
            out.append((variance, df, df))
    return out


def judge(case):
    table = list(csv.DictReader(open(os.path.join(here, case["input"]["file"]))))
    delta = case["input"]["delta"]
    line = case["input"]["collapsed_at_or_below"]
    names = list(dict.fromkeys(r["config"] for r in table))
    good = {}
    for name in names:
        rate = case["expected"]["configs"][name]["learning_rate"]
        good[name] = {int(r["seed"]): float(r["score"]) for r in table
                      if r["config"] == name and float(r["learning_rate"]) == rate and r["state"] == "complete"
                      and np.isfinite(float(r["score"])) and not (line is not None and float(r["score"]) <= line)}
    cells = [[i, s, x] for i, name in enumerate(names) for s, x in good[name].items()]
    spread = {True: spreads(cells, len(names), True), False: spreads(cells, len(names), False)}
    ranked = sorted((n for n in names if good[n]), key=lambda n: -np.mean(list(good[n].values())))
    k = len(ranked)
    pairs = []
    for i, a in enumerate(ranked):
        for b in ranked[i + 1:]:
            shared = sorted(set(good[a]) & set(good[b]))
            p = dict(a=a, b=b, n=len(shared), test="none")
            pairs.append(p)
            paired = len(shared) >= 3
            if not paired and min(len(good[a]), len(good[b])) < 2:
                continue
            x, y = ([good[c][s] for s in (shared if paired else good[c])] for c in (a, b))
            va, vb = (spread[paired][names.index(c)] for c in (a, b))
            variance = va[0] / len(x) + vb[0] / len(y)
            diff = np.mean(x) - np.mean(y)
            df = min(variance ** 2 / ((va[0] / len(x)) ** 2 / va[1] + (vb[0] / len(y)) ** 2 / vb[1]), va[2])
            same = paired and np.ptp(np.subtract(x, y)) < 1e-12 and abs(diff) < 1e-12
            se = 0 if same else np.sqrt(variance)
            p.update(test="paired" if paired else "welch", diff=diff, df=df)
            if same:
                p.update(p=1.0, p_winner=1.0, p_tost=0.0 if delta > 0 else 1.0, low95=diff, high95=diff, low90=diff,
                         high90=diff, p_adjusted=1.0, low95_all=diff, high95_all=diff)
                continue
            t = abs(diff) / se
            q = stats.studentized_range.isf(ALPHA, k, df) / np.sqrt(2)
            p.update(p=2 * stats.t.sf(t, df), p_winner=2 * stats.t.sf(t, np.sqrt(df * va[2])),
                     p_tost=max(stats.t.sf((diff + delta) / se, df), stats.t.cdf((diff - delta) / se, df)),
                     low95=diff - stats.t.isf(.025, df) * se, high95=diff + stats.t.isf(.025, df) * se,
                     low90=diff - stats.t.isf(.05, df) * se, high90=diff + stats.t.isf(.05, df) * se,
                     p_adjusted=stats.studentized_range.sf(t * np.sqrt(2), k, df),
                     low95_all=diff - q * se, high95_all=diff + q * se)
    mine = [p for p in pairs if p["a"] == ranked[0]]
    if mine and all("p" in p for p in mine):
        df = max(p["df"] for p in pairs if "df" in p)
        level = ALPHA
        if k >= 4:
            level -= stats.studentized_range.sf(stats.studentized_range.isf(ALPHA, k, df), k - 2, df)
        alone = min(1, max(p["p_winner"] for p in mine) * ALPHA / level)
        for p in mine:
            p["p_adjusted"] = min(p["p_adjusted"], alone)
    for p, old in zip(pairs, case["expected"]["pairs"]):
        p["verdict"] = ("better" if p.get("p_adjusted", 1) < ALPHA and p["diff"] >= delta
                        else "equivalent" if p.get("p_tost", 1) < ALPHA else "undecided")
        if "equal_effort_diff" in old and p["verdict"] == "better" and old["equal_effort_diff"] < delta:
            p["verdict"] = "undecided"
        p.pop("p_winner", None)
        assert (p["a"], p["b"], p["n"], p["test"]) == (old["a"], old["b"], old["n"], old["test"])
        assert p["verdict"] == old["verdict"], (case["input"]["file"], p, old)
    tied = ranked[:1] + [p["b"] for p in mine if p["verdict"] != "better"]
    assert tied == case["expected"]["tied_set"], (case["input"]["file"], tied)
    return {"file": case["input"]["file"], "pairs": [{key: float(v) if isinstance(v, (float, np.floating)) else v
                                                      for key, v in p.items()} for p in pairs],
            "tolerance": {"rel": 2e-6, "abs": 2e-9}}


if __name__ == "__main__":
    with open(os.path.join(here, "verdicts.json")) as f:
        print("[\n" + ",\n".join(json.dumps(judge(case)) for case in json.load(f)) + "\n]")
