#!/usr/bin/env python3
"""Asks MLflow's own store (SQLite) what searches find: tests/golden/search/mlflow.json.

    VENV/bin/python record.py [--count N] [--seed N] [OUT.json]

VENV has mlflow 3.17.2. The runs, the filters by hand and the generated ones are the same for the
same seed. A run is named by its place: they are sorted by MLflow's run ids, which decide between
equals, as our numbers do. In filters {run:7} stands for a run's id. An answer is the list of runs in
order (of all pages), or the code of the error. The store reads case as MLflow's server does.
"""
import argparse
import json
import random
import tempfile

import mlflow
import sqlparse
from mlflow.entities import (Dataset, DatasetInput, ExperimentTag, InputTag, Metric, Param, RunStatus, RunTag,
                             ViewType)
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

VIEWS = {"ACTIVE_ONLY": ViewType.ACTIVE_ONLY, "DELETED_ONLY": ViewType.DELETED_ONLY, "ALL": ViewType.ALL}
STATUSES = ["RUNNING", "FINISHED", "FINISHED", "FINISHED", "FAILED", "KILLED"]
METHODS = ["lora", "LoRA", "dora", "ia3", "full_tune", "full-tune", "LORA"]
TEAMS = ["nlp", "NLP", "vision", "it's", 'a "b"', "50%", "5_0", "x*y?z[1]", "größe", "GRÖSSE", "", " "]


def make_experiments(store, dice):
    made = []
    for i, name in enumerate(["Default", "alpha", "Alpha beta", "gamma_1", "gammaX1", "ünder%", "gone", "zeta"]):
        if name != "Default":
            store.create_experiment(name)
        e = store.get_experiment_by_name(name)
        tags = {}
        if dice.random() < 0.6:
            tags["team"] = dice.choice(TEAMS)
        if dice.random() < 0.4:
            tags["my key.x"] = dice.choice(["1", "2", "ten"])
        for k, v in tags.items():
            store.set_experiment_tag(e.experiment_id, ExperimentTag(k, v))
        made.append({"id": e.experiment_id, "name": name, "tags": tags, "deleted": name == "gone"})
    return made


def make_run(store, dice, i, experiments):
    experiment = dice.choice(experiments[1:4])
    start = 1700000000000 + 1000 * dice.randrange(12)
    name = dice.choice(["run a", "run B", "Run_1", "x-%d" % (i % 7), "größe"])
    user = dice.choice(["ana", "Ana", "bo", ""])
    run = store.create_run(experiment["id"], user, start, [], name)
    rid = run.info.run_id
    metrics, params, tags, datasets = [], {}, {}, []
    for key in ["loss", "eval/acc", "a.b.c", "top 5", "1st", "größe"]:
        if dice.random() < 0.55:
            for _ in range(dice.choice([1, 1, 2, 4])):
                value = dice.choice([0.0, -0.0, 0.25, 0.5, 0.5, 1.0, -3.5, 1e-3, 1e300, float("nan"), float("inf"),
                                     float("-inf"), round(dice.random(), 2)])
                metrics.append([key, value, dice.randrange(3), 1700000000000 + dice.randrange(4)])
    for key, values in {"method": METHODS, "lr": ["0.1", "1e-4", "0.01", "10", "9"], "lora.rank": ["4", "8", "16"],
                        "my key": ["a", "A", "b"], "2nd": ["x", "y"]}.items():
        if dice.random() < 0.7:
            params[key] = dice.choice(values)
    for key, values in {"team": TEAMS, "release.x": ["1", "2"], "mlflow.note.content": ["good", "bad"]}.items():
        if dice.random() < 0.6:
            tags[key] = dice.choice(values)
    for name_, digest in [("sst2", "d1"), ("SST2", "d2"), ("mnli_m", "12345")]:
        if dice.random() < 0.3:
            datasets.append([name_, digest, dice.choice(["train", "eval", "Test", None])])
    store.log_batch(rid, [Metric(k, v, at, step) for k, v, step, at in metrics],
                    [Param(k, v) for k, v in params.items()], [RunTag(k, v) for k, v in tags.items()])
    if datasets:
        store.log_inputs(rid, [DatasetInput(Dataset(n, d, "local", "x"),
                                            [InputTag("mlflow.data.context", c)] if c else [])
                               for n, d, c in datasets])
    if user:
        store.set_tag(rid, RunTag("mlflow.user", user))
    status = dice.choice(STATUSES)
    end = None if status == "RUNNING" else start + 1000 * dice.randrange(1, 9)
    if end:
        store.update_run_info(rid, RunStatus.from_string(status), end, None)
    deleted = dice.random() < 0.1
    if deleted:
        store.delete_run(rid)
    def word(v):
        return "NaN" if v != v else "Infinity" if v == float("inf") else "-Infinity" if v == float("-inf") else v
    return {"id": rid, "experiment": experiment["id"], "name": name, "user": user, "status": status, "start": start,
            "end": end, "deleted": deleted, "metrics": [[k, word(v), s, t] for k, v, s, t in metrics],
            "params": params, "tags": tags, "datasets": datasets}


FILTERS = open(__file__.replace("record.py", "filters.txt"), encoding="utf-8").read().split("\n")


def by_hand(section):
    """Lines of filters.txt below [section]; \\n in them is a line end."""
    out, here = [], False
    for line in FILTERS:
        if line.startswith("[") and line.endswith("]") and line.strip("[]").isalpha():
            here = line == "[%s]" % section
        elif here and line and not line.startswith("##"):
            out.append(line.replace("\\n", "\n"))
    return out


def quoted(dice, text):
    return dice.choice(["'%s'", "'%s'", '"%s"']) % text


METRIC_KEYS = ["loss", "a.b.c", '"eval/acc"', "`eval/acc`", '"top 5"', "`1st`", "größe", "none"]
PARAM_KEYS = ["method", "lr", "lora.rank", '"lora.rank"', "`my key`", '"2nd"', "none"]
TAG_KEYS = ["team", "release.x", "`mlflow.note.content`", "mlflow.runName", '"mlflow.user"', "none"]
PATTERNS = ["%", "l%", "%o%", "L_RA", "%a", "_", "", "run%", "%\\_%", "5_%", "*", "%[1]%", "GR%", "gr__e", "%ß%"]
WORDS = METHODS + TEAMS + ["4", "8", "0.1", "1", "good", "run a", "ana", "FINISHED", "finished", "sst2", "train"]
NUMBERS = ["0", "0.5", ".25", "-3.5", "1e-3", "1E2", "1.", "-0", "1e300", "1e400", "00", "1700000003000"]


def cased(dice, word):
    return dice.choice([word, word, word.lower(), word.title()])


def blank(dice):
    return dice.choice([" ", " ", " ", "  ", "\t", "\n"])


def clause(dice, count):
    kind = dice.randrange(12)
    gap = dice.choice(["", " ", " "])
    if kind < 3:
        return "%s.%s%s%s%s%s" % (dice.choice(["metrics", "metric", "`metrics`"]), dice.choice(METRIC_KEYS), gap,
                                  dice.choice(["=", "!=", "<", "<=", ">", ">="]), gap, dice.choice(NUMBERS))
    if kind < 8:
        entity, keys = dice.choice([("params", PARAM_KEYS), ("param", PARAM_KEYS), ("parameters", PARAM_KEYS),
                                    ("tags", TAG_KEYS), ("tag", TAG_KEYS)])
        key = entity + "." + dice.choice(keys)
        how = dice.randrange(5)
        if how == 0:
            return key + blank(dice) + cased(dice, dice.choice(["IS NULL", "IS NOT NULL", "IS NOT  NULL"]))
        if how < 3:
            return key + blank(dice) + cased(dice, dice.choice(["LIKE", "ILIKE"])) + blank(dice) + \
                quoted(dice, dice.choice(PATTERNS + WORDS))
        return key + gap + dice.choice(["=", "!="]) + gap + quoted(dice, dice.choice(WORDS))
    if kind < 10:
        name = dice.choice(["status", "run_name", "user_id", "attributes.status", "attr.run_name", "run.status",
                            '"Run Name"', "attributes.`Run name`", "attribute.user_id"])
        op = dice.choice(["=", "!=", "LIKE", "ilike"])
        return "%s %s %s" % (name, op, quoted(dice, dice.choice(WORDS + PATTERNS)))
    if kind == 10:
        return "%s%s%s%s" % (dice.choice(["start_time", "end_time", "created", "attributes.start_time", "run.Created"]),
                             dice.choice(["=", "!=", "<", "<=", ">", ">="]), gap, 1700000000000 + 1000 * dice.randrange(14))
    if dice.random() < 0.5:
        ids = ", ".join(quoted(dice, "{run:%d}" % dice.randrange(count)) for _ in range(dice.randrange(1, 9)))
        return "%s %s (%s)" % (dice.choice(["run_id", "attributes.run_id"]), cased(dice, dice.choice(["IN", "NOT IN"])), ids)
    return "%s.%s %s" % (dice.choice(["dataset", "datasets"]), dice.choice(["name", "digest", "context"]),
                         dice.choice(["= 'sst2'", "!= 'sst2'", "LIKE '%2'", "ILIKE 'S%'", "IN ('sst2', 'train')", "= 'train'",
                                      "NOT IN ('d1')", "NOT IN ('d1', 'eval', 'sst2')", "IN ('SST2')", "= \"12345\""]))


def broken(dice, text):
    """One of the words or letters elsewhere."""
    words = text.split(" ")
    how = dice.randrange(6)
    if how == 0 and len(words) > 1:
        del words[dice.randrange(len(words))]
    elif how == 1:
        words.insert(dice.randrange(len(words) + 1), dice.choice(["AND", "and", "OR", "NOT", "(", ")", "'", '"', ";", "IN", "=",
                                                                  "--", "1", "x", "IS", "NULL", ",", "a.b", "/* */"]))
    elif how == 2:
        dice.shuffle(words)
    else:
        at = dice.randrange(len(text) + 1)
        cut = dice.choice([0, 1, 1])
        return text[:at] + dice.choice(["", "'", '"', ".", " ", "-", "`", "=", "(", ")", "[", "]", "x", "1", "%", ",", "#", "$", "e5"]) + text[at + cut:]
    return " ".join(words)


ORDERS = ["metrics.loss", "metric.`eval/acc`", 'metrics."top 5"', "metrics.a.b.c", "params.lr", "param.method", "tags.team",
          "start_time", "attributes.end_time", "status", "run_id", "run_name", "user_id", "artifact_uri", "created",
          "params.none", "metrics.none", "tags.`release.x`", 'params."lora.rank"', "tag.größe"]


def order(dice):
    items, used = [], set()
    for _ in range(dice.choice([1, 1, 2, 3])):
        key = dice.choice(ORDERS)
        if key in used:
            continue
        used.add(key)
        items.append(key + dice.choice(["", " ASC", " DESC", " desc", "  asc"]))
    return items


def questions(dice, count, runs):
    out = [{"filter": f} for f in by_hand("filters")]
    out += [{"order_by": f.split(" | ")} for f in by_hand("orders")]
    out += [{"of": "experiments", "filter": f} for f in by_hand("experiments")]
    out += [{"of": "experiments", "order_by": f.split(" | ")} for f in by_hand("experimentorders")]
    for view in VIEWS:
        out += [{"view": view}, {"view": view, "filter": "metrics.loss < 1"}, {"of": "experiments", "view": view}]
    for i in range(count):
        text = (dice.choice([" AND ", " and ", "  And\n"])).join(clause(dice, runs) for _ in range(dice.choice([1, 1, 2, 3])))
        q = {"filter": broken(dice, text) if dice.random() < 0.3 else text}
        if dice.random() < 0.4:
            q["order_by"] = order(dice)
        if dice.random() < 0.2:
            q["view"] = dice.choice(list(VIEWS))
        if dice.random() < 0.2:
            q["experiments"] = dice.sample(["1", "2", "3"], 2)
        if dice.random() < 0.2:
            q["page"] = dice.choice([1, 3, 10])
        out.append(q)
    return out


def ask(store, q, ids, places):
    def pages(call):
        found, token = [], None
        while True:
            got = call(token)
            found += got
            token = got.token
            if not token or not got:
                return found
    text = q.get("filter", "")
    for i, rid in enumerate(ids):
        text = text.replace("{run:%d}" % i, rid)
    view, page, orders = VIEWS[q.get("view", "ACTIVE_ONLY")], q.get("page", 1000), q.get("order_by", [])
    try:
        if q.get("of"):
            got = pages(lambda t: store.search_experiments(view, page, text, orders, t))
            return {"gives": [int(e.experiment_id) for e in got]}
        got = pages(lambda t: store.search_runs(q.get("experiments", ["1", "2", "3"]), text, view, page, orders, t))
        return {"gives": [places[r.info.run_id] for r in got]}
    except MlflowException as e:
        return {"error": e.error_code, "said": e.message[:160]}
    except Exception as e:
        return {"error": "INTERNAL_ERROR", "said": repr(e)[:160]}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=220)
    p.add_argument("--runs", type=int, default=100)
    p.add_argument("--seed", type=int, default=15)
    p.add_argument("out", nargs="?", default=__file__.replace("record.py", "mlflow.json"))
    a = p.parse_args()
    dice = random.Random(a.seed)
    with tempfile.TemporaryDirectory() as folder:
        store = SqlAlchemyStore("sqlite:///%s/m.db" % folder, folder)
        experiments = make_experiments(store, dice)
        runs = sorted((make_run(store, dice, i, experiments) for i in range(a.runs)), key=lambda r: r["id"])
        ids = [r.pop("id") for r in runs]
        places = {rid: i for i, rid in enumerate(ids)}
        for e in experiments:
            if e["deleted"]:
                store.delete_experiment(e["id"])
        for e in experiments:
            now = store.get_experiment(e["id"])
            e["created"], e["updated"] = now.creation_time, now.last_update_time
        asked = questions(dice, a.count, len(runs))
        for q in asked:
            q.update(ask(store, q, ids, places))
    with open(a.out, "w", encoding="utf-8") as f:
        f.write('{"mlflow": "%s", "sqlparse": "%s",\n' % (mlflow.__version__, sqlparse.__version__))
        for name, rows in (("experiments", experiments), ("runs", runs), ("asked", asked)):
            f.write('"%s": [\n' % name)
            f.write(",\n".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in rows))
            f.write("\n]%s\n" % ("" if name == "asked" else ","))
        f.write("}\n")


main()
