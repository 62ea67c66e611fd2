"""Studies of Optuna as its own SQLite storage leaves them: make_optuna.py FILE (optuna 4 or 5)."""
import sys

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
STORAGE = "sqlite:///" + sys.argv[1]
FLOAT = optuna.distributions.FloatDistribution
INT = optuna.distributions.IntDistribution
CHOICE = optuna.distributions.CategoricalDistribution


def trial(study, params, value=None, state=None, steps=(), attributes=()):
    t = study.ask(params)
    for step, v in steps:
        t.report(v, step)
    for key, v in attributes:
        t.set_user_attr(key, v)
    study.tell(t, value, state=state)


one = optuna.create_study(study_name="tune", storage=STORAGE, direction="maximize",
                          sampler=optuna.samplers.RandomSampler(seed=1))
one.set_metric_names(["eval_accuracy"])
one.set_user_attr("data", "reviews")
one.set_user_attr("rows", 400)
S = optuna.trial.TrialState
space = {"learning_rate": FLOAT(1e-5, 1e-1, log=True), "rank": INT(2, 64, log=True),
         "optimizer": CHOICE(["adamw", "sgd", None]), "bias": CHOICE([False, True])}
for params, more in [
    ({"learning_rate": 0.001, "rank": 8, "optimizer": "adamw", "bias": True},
     dict(value=0.75, steps=[(0, 0.5), (1, float("nan")), (2, 0.75)],
          attributes=[("note", "first"), ("gpu", {"n": 1}), ("good", True)])),
    ({"learning_rate": 0.01, "rank": 4, "optimizer": "sgd", "bias": False},
     dict(state=S.PRUNED, steps=[(0, 0.25), (5, float("-inf"))])),
    ({"learning_rate": 0.1, "rank": 2, "optimizer": None, "bias": False}, dict(state=S.FAIL)),
]:
    one.enqueue_trial(params)
    trial(one, space, **more)
one.enqueue_trial({"rank": 64})  # waits
two = optuna.create_study(study_name="both", storage=STORAGE, directions=["minimize", "maximize"])
for i in range(3):
    two.enqueue_trial({"seed": i, "x": i / 2})
    trial(two, {"seed": INT(0, 9), "x": FLOAT(0, 1, step=0.5)},
          value=[[1.5, 2.0], [float("inf"), float("-inf")], [0.5, 4.0]][i])
two.enqueue_trial({"seed": 7, "x": 1.0})
two.ask({"seed": INT(0, 9), "x": FLOAT(0, 1, step=0.5)})  # its program ended without a word
