#!/usr/bin/python3
"""Asks Optuna 3.1.0 (Debian: python3-optuna) for cases that no golden file holds: tpe.json and pruners.json in the form of
tests/golden/sweep, into the folder named. Exit status 77 where that version is not installed.

    optuna_cases.py DIR [SEED]
"""
import json
import math
import random
import sys
import warnings

try:
    import numpy as np
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
    from optuna.samplers._tpe import sampler as tpe_module
    from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator
    from optuna.trial import TrialState, create_trial
    assert optuna.__version__ == "3.1.0"
except (ImportError, AssertionError):
    sys.exit(77)

warnings.simplefilter("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)
TOLERANCE = {"rel": 1e-9, "abs": 1e-9}


def plain(x):
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    return "NaN" if isinstance(x, float) and math.isnan(x) else x


def distribution(d):
    if d["type"] == "categorical":
        return CategoricalDistribution(d["choices"])
    kind = IntDistribution if d["type"] == "int" else FloatDistribution
    return kind(d["low"], d["high"], log=d.get("log", False), step=d.get("step", 1 if kind is IntDistribution else None))


def some_space(rng):
    space = {"a": {"type": "float", "low": round(rng.uniform(-5, 0), 3), "high": round(rng.uniform(1, 9), 3)},
             "b": {"type": "float", "low": 10 ** -rng.randint(3, 7), "high": 10.0 ** rng.randint(-2, 1), "log": True},
             "c": {"type": "int", "low": rng.randint(-50, 0), "high": rng.randint(900, 2000)},
             "d": {"type": "int", "low": rng.randint(1, 4), "high": rng.randint(5000, 9000), "log": True},
             "e": {"type": "categorical", "choices": ["p", "q", "r", "s"][:rng.randint(2, 4)]},
             "f": {"type": "float", "low": 0.0, "high": 63.9375, "step": 0.0625}}
    space["c"]["high"] += 1 - (space["c"]["low"] + space["c"]["high"]) % 2  # nobody sits on the prior's place, the middle
    return {k: space[k] for k in rng.sample(sorted(space), rng.randint(1, 6))}


def draws(rng, d, n):
    """n different values: how equal ones share their gaps is an accident of numpy's sort in Optuna"""
    if d["type"] == "categorical":
        return [rng.choice(d["choices"]) for _ in range(n)]
    seen = set()
    while len(seen) < n:
        if d.get("log"):
            v = math.exp(rng.uniform(math.log(d["low"]), math.log(d["high"])))
        else:
            v = rng.uniform(d["low"], d["high"])
        if d["type"] == "int":
            v = min(d["high"], max(d["low"], round(v)))
        elif d.get("step"):
            v = d["low"] + round((v - d["low"]) / d["step"]) * d["step"]
        seen.add(v)
    out = sorted(seen)
    rng.shuffle(out)
    return out


def tpe_case(rng, number):
    space, n = some_space(rng), rng.randint(10, 90)
    columns = {k: draws(rng, d, n) for k, d in space.items()}
    trials = []
    for i in range(n):
        t = {"number": i, "state": "complete", "value": round(rng.gauss(0, 1), 4), "intermediate": [],
             "params": {k: columns[k][i] for k in space if rng.random() < .85}}
        if rng.random() < .3:
            steps = sorted(rng.sample(range(1, 30), rng.randint(0, 4)))
            t.update(state="pruned", value=None, intermediate=[[s, rng.choice([round(rng.gauss(0, 1), 3), math.nan])] for s in steps])
        elif rng.random() < .1:
            t.update(state="failed", value=None)
        trials.append(t)
    job = {"name": f"optuna-{number}", "direction": rng.choice(["minimize", "maximize"]), "space": space, "trials": trials,
           "candidates": {k: d.get("choices") or draws(rng, d, 8) for k, d in space.items()}}
    study = optuna.create_study(direction=job["direction"])
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    for t in trials:
        study.add_trial(create_trial(state=states[t["state"]], value=t["value"], params=t["params"],
                                     distributions={k: distribution(space[k]) for k in t["params"]},
                                     intermediate_values={s: float(v) for s, v in t["intermediate"]}))
    sampler = optuna.samplers.TPESampler(seed=0)
    values, scores, violations = tpe_module._get_observation_pairs(study, list(space), False, False)
    numbers = [t.number for t in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))]
    sides = dict(zip(("below", "above"), tpe_module._split_observation_pairs(scores, sampler._gamma(len(scores)), violations)))
    want = {"n": len(scores), "n_below": int(sampler._gamma(len(scores))), "params": {},
            **{side: [numbers[i] for i in at] for side, at in sides.items()}}
    for name, d in space.items():
        dist, v, made, answer = distribution(d), np.asarray(values[name], dtype=float), {}, {}
        for side, at in sides.items():
            made[side] = e = _ParzenEstimator({name: v[at][~np.isnan(v[at])]}, {name: dist}, sampler._parzen_estimator_parameters)
            answer[side] = {"weights": e._weights.tolist()}
            if d["type"] == "categorical":
                answer[side]["probabilities"] = np.inner(e._categorical_weights[name].T, e._weights).tolist()
            else:
                answer[side].update(low=float(e._low[name]), high=float(e._high[name]), mu=e._mus[name].tolist(), sigma=e._sigmas[name].tolist())
        at = np.asarray([dist.to_internal_repr(c) for c in job["candidates"][name]])
        at = at.astype(int) if d["type"] == "categorical" else at
        log_l, log_g = made["below"].log_pdf({name: at}), made["above"].log_pdf({name: at})
        answer["optuna_3_1_0"] = {"log_l": log_l.tolist(), "log_g": log_g.tolist(), "score": (log_l - log_g).tolist(),
                                  "best": int(np.argmax(log_l - log_g))}
        want["params"][name] = answer
    return plain({"input": job, "expected": want, "tolerance": TOLERANCE})


def some_pruner(rng):
    kind = rng.choice(["median", "percentile", "successive_halving"])
    if kind == "successive_halving":
        return {"type": kind, "min_resource": rng.choice([1, 1, 2, "auto"]), "reduction_factor": rng.randint(2, 4),
                "min_early_stopping_rate": rng.randint(0, 1)}
    return {"type": kind, **({"percentile": rng.choice([10., 30., 75.])} if kind == "percentile" else {}), "n_startup_trials": rng.randint(0, 5),
            "n_warmup_steps": rng.randint(0, 5), "interval_steps": rng.randint(1, 3), "n_min_trials": rng.randint(1, 3)}


def pruner_case(rng):
    p, direction = some_pruner(rng), rng.choice(["minimize", "maximize"])
    make = {"median": optuna.pruners.MedianPruner, "percentile": optuna.pruners.PercentilePruner,
            "successive_halving": optuna.pruners.SuccessiveHalvingPruner}[p["type"]]
    study = optuna.create_study(direction=direction, pruner=make(**{k: v for k, v in p.items() if k != "type"}))
    curves = [[[s, math.nan if rng.random() < .04 else round(rng.gauss(0, 1) + level, 1)] for s in range(1, 31) if rng.random() < .7]
              for level in [rng.uniform(0, 4) for _ in range(25)]]
    curves = [c or [[1, 0.0]] for c in curves]
    trials = [study.ask() for _ in curves]
    left, events = {i: list(c) for i, c in enumerate(curves)}, []
    while left:
        i = rng.choice(sorted(left)[:4])
        step, value = left[i].pop(0)
        trials[i].report(float(value), step)
        event = {"trial": i, "step": step, "value": value, "prune": bool(trials[i].should_prune())}
        events.append(event)
        if event["prune"]:
            study.tell(trials[i], state=TrialState.PRUNED)
            del left[i]
        elif not left[i]:
            event["end"] = "failed" if math.isnan(value) else "complete"
            study.tell(trials[i], None if math.isnan(value) else value, state=TrialState.FAIL if math.isnan(value) else TrialState.COMPLETE)
            del left[i]
    return plain({"input": {"direction": direction, "pruner": p, "curves": curves}, "expected": {"events": events}, "tolerance": TOLERANCE})


def main():
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for name, cases in (("tpe", [tpe_case(rng, i) for i in range(15)]), ("pruners", [pruner_case(rng) for _ in range(15)])):
        with open(f"{sys.argv[1]}/{name}.json", "w") as f:
            json.dump(cases, f, allow_nan=False)


main()
