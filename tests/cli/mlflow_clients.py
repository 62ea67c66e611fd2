"""A script that uses every call that a stock MLflow client makes of a tracking server, and what came of each.

mlflow_clients.py calls URL FILE FOLDER   runs it; answers go to FILE as JSON, times and ids as words
mlflow_clients.py compare A B             what differs between two such files; fails where nobody said that it may
mlflow_clients.py threads URL N EACH      N threads log at once, asynchronously; then all that they logged is there, once
mlflow_clients.py steps URL N FILE        logs batches, a line to FILE after each; a server that is away meanwhile is waited for
mlflow_clients.py check URL N             what `steps` has logged is there, once
mlflow_clients.py trainer URL FOLDER      transformers' Trainer for two steps with report_to="mlflow"
"""
import fnmatch
import json
import math
import os
import re
import sys
import threading
import time

from answers import differences

NOW = 1750000000000
T0 = 1700000000000

# What a client says of where it runs.
HERE = ("mlflow.source.name", "mlflow.user", "user_id")
# Name of a call, of a field of what came of it (fnmatch); why it differs.
DIFFER = [
    ("create_experiment again", "message", "theirs has SQL in it"),
    ("create_run in a deleted one", "message", "the experiment's number"),
    ("create_run without a name", "data.tags.mlflow.user", "who made a run is a tag, whether the client says so or not"),
    ("get_run", "data.metrics.[cd]", "infinite values come back as they went in"),
    ("search_runs, by what is no grammar", "message", "in other words"),
    ("download nothing", "message", "the address of the server"),
]


# ---- what came of a call ----

class Made:
    """Ids by the order in which they were seen."""

    def __init__(self):
        self.words = []

    def add(self, value, word):
        self.words.append((str(value), word))
        return value

    def text(self, value, key):
        if key in HERE and value not in ("", "unknown"):
            return f"<{key}>"
        for known, word in self.words:
            if len(known) > 8:
                value = value.replace(known, word)
            elif key in ("experiment_id", "result") and value == known:
                value = word
            elif key in ("artifact_uri", "artifact_location", "root_uri", "uri"):
                value = re.sub(rf"(mlflow-artifacts:/){known}(/|$)", rf"\g<1>{word}\2", value)
        if key == "message":
            value = re.sub(r"http://\S+", "<url>", value)
        return re.sub(r"^[a-z]+-[a-z]+-\d+$", "<made-up-name>", value) if key in ("run_name", "mlflow.runName") else value

    def plain(self, value, key="result"):
        if isinstance(value, (list, tuple)):
            return [self.plain(v, key) for v in value]
        if isinstance(value, dict):
            # The branch and commit of where the test runs, if it is in a repository at all.
            return {str(k): self.plain(v, str(k)) for k, v in sorted(value.items()) if not str(k).startswith("mlflow.source.git.")}
        if isinstance(value, bool) or value is None:
            return value
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if isinstance(value, (int, float)):
            return "<now>" if NOW < value < 10 * NOW else value
        if isinstance(value, str):
            return self.text(value, key)
        if isinstance(value, bytes):
            return value.hex()
        if hasattr(value, "to_dictionary") and type(value).__name__ == "Run":
            return self.plain(value.to_dictionary())
        names = [n for n in dir(type(value)) if isinstance(getattr(type(value), n, None), property) and not n.startswith("_")]
        return {n: self.plain(getattr(value, n), n) for n in names if n not in ("workspace", "status_msg", "trace_location")}


def calls(url, out, folder):
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(url)
    client, made, steps = MlflowClient(url), Made(), []

    def call(name, f, keep=None):
        value = None
        try:
            value = f()
            if keep:
                keep(value)
            came = made.plain(value)
        except MlflowException as e:
            came = {"error": e.error_code, "message": made.text(e.message, "message")}
        except Exception as e:  # what a client itself refuses
            came = {"error": type(e).__name__}
        steps.append({"name": name, "came": came})
        return value

    def run_made(run, word):
        made.add(run.info.run_id, word)
        return run

    os.makedirs(folder, exist_ok=True)
    e = call("set_experiment", lambda: mlflow.set_experiment("exp/a b"), lambda e: made.add(e.experiment_id, "<exp>"))
    run = call("start_run", lambda: mlflow.start_run(run_name="named", tags={"own": "tag"}, description="what it is about"), lambda r: run_made(r, "<run 1>"))
    rid = run.info.run_id
    child = call("nested", lambda: mlflow.start_run(run_name="child", nested=True), lambda r: run_made(r, "<run 2>"))
    call("end the nested one", mlflow.end_run)
    call("log_param", lambda: mlflow.log_param("lr", 0.1))
    call("log_param again", lambda: mlflow.log_param("lr", 0.1))
    call("log_param, another value", lambda: client.log_param(rid, "lr", "0.2"))
    call("log_params of 130", lambda: mlflow.log_params({f"p{i:03d}": i for i in range(130)}))
    call("log_param, long", lambda: client.log_param(rid, "long", "x" * 6000))
    call("log_param, quotes", lambda: client.log_param(rid, 'a"b<>', "1"))
    call("log_param, letters", lambda: client.log_param(rid, "päram/a b-c.d_e", "ü\n\"quoted\""))
    call("log_metric", lambda: mlflow.log_metric("loss", 0.5, step=1))
    call("log_metric, large", lambda: client.log_metric(rid, "big", 2**53 + 1, timestamp=T0, step=0))
    call("log_metrics", lambda: mlflow.log_metrics({"a": 1.0, "b": float("nan"), "c": float("inf"), "d": -math.inf, "e": 1e308}, step=2))
    for i in range(20):
        client.log_metric(rid, "curve", 1 / (i + 1), timestamp=T0 + i, step=i)
    call("log_metric, the same again", lambda: client.log_metric(rid, "curve", 1.0, timestamp=T0, step=0))
    call("log_metrics, asynchronous", lambda: mlflow.log_metrics({"async": 3.0}, step=1, synchronous=False).wait())
    call("log_params, asynchronous", lambda: mlflow.log_params({"async_p": 3}, synchronous=False).wait())
    call("log_batch of 1,500", lambda: client.log_batch(rid, [Metric(f"many{i % 3}", i / 4, T0 + i, i) for i in range(1500)],
                                                         [Param(f"q{i}", str(i)) for i in range(150)], [RunTag(f"t{i}", str(i)) for i in range(150)]))
    call("set_tag", lambda: mlflow.set_tag("colour", "red"))
    call("set_tags", lambda: mlflow.set_tags({"colour": "blue", "size": 3}))
    call("delete_tag", lambda: mlflow.delete_tag("size"))
    call("delete_tag again", lambda: mlflow.delete_tag("size"))
    call("set_tag, long", lambda: client.set_tag(rid, "longtag", "x" * 8001))
    call("set_experiment_tag", lambda: mlflow.set_experiment_tag("note", "of it"))
    call("log_inputs", lambda: client.log_inputs(rid, [DatasetInput(Dataset("rows", "d1", "local", '{"uri": "rows.csv"}', '{"a": 1}', '{"n": 3}'), [InputTag("mlflow.data.context", "train")])]))

    for name in ("f.txt", "f é.bin"):
        with open(os.path.join(folder, name), "w") as f:
            f.write(f"of {name}")
    call("log_artifact", lambda: mlflow.log_artifact(os.path.join(folder, "f.txt"), "sub dir"))
    call("log_artifact, letters", lambda: mlflow.log_artifact(os.path.join(folder, "f é.bin")))
    call("log_artifacts", lambda: mlflow.log_artifacts(folder, "all of it"))
    call("log_text", lambda: mlflow.log_text("some text", "texts/one.txt"))
    call("log_dict", lambda: mlflow.log_dict({"a": [1, 2]}, "texts/one.json"))
    call("list_artifacts", lambda: sorted((f.path, f.is_dir, f.file_size) for f in client.list_artifacts(rid)))
    call("list_artifacts of a folder", lambda: sorted((f.path, f.is_dir, f.file_size) for f in client.list_artifacts(rid, "texts")))
    call("list_artifacts of a file", lambda: client.list_artifacts(rid, "texts/one.txt"))
    call("list_artifacts of nothing", lambda: client.list_artifacts(rid, "nothing"))

    def download(path):
        got = mlflow.artifacts.download_artifacts(run_id=rid, artifact_path=path, dst_path=os.path.join(folder, "down"))
        found = {}
        for at, _, names in os.walk(got):
            for name in names:
                found[os.path.relpath(os.path.join(at, name), got)] = open(os.path.join(at, name), "rb").read()
        return found or open(got, "rb").read()

    call("download a file", lambda: download("sub dir/f.txt"))
    call("download one of letters", lambda: download("f é.bin"))
    call("download a folder", lambda: download("texts"))
    call("download nothing", lambda: download("nothing"))
    call("load_text", lambda: mlflow.artifacts.load_text(run.info.artifact_uri + "/texts/one.txt"))
    call("load_dict", lambda: mlflow.artifacts.load_dict(run.info.artifact_uri + "/texts/one.json"))
    call("end_run", mlflow.end_run)
    call("get_run", lambda: client.get_run(rid))
    call("get_parent_run", lambda: client.get_parent_run(child.info.run_id).info.run_id)
    call("go on", lambda: mlflow.start_run(run_id=rid).info.status)
    call("log_metric, gone on", lambda: mlflow.log_metric("loss", 0.25, step=3))
    call("end_run as failed", lambda: mlflow.end_run("FAILED"))
    call("get_run, failed", lambda: client.get_run(rid).info)
    call("get_metric_history", lambda: [(m.step, m.value, m.key) for m in client.get_metric_history(rid, "loss")])
    call("get_metric_history of many", lambda: [(m.step, m.value, m.timestamp) for m in client.get_metric_history(rid, "many1")])
    call("get_metric_history of NaN", lambda: [(m.step, m.value) for m in client.get_metric_history(rid, "b")])
    call("get_metric_history of none", lambda: client.get_metric_history(rid, "nothing"))

    for i in range(5):  # by the client, of known times
        r = client.create_run(e.experiment_id, start_time=T0 + 1000 * i, run_name=f"r{i}", tags={"i": str(i)})
        made.add(r.info.run_id, f"<run r{i}>")
        client.log_batch(r.info.run_id, [Metric("acc", i / 10, T0, 0)], [Param("i", str(i))])
        client.set_terminated(r.info.run_id, "FINISHED", T0 + 1000 * i + 500)
        if i == 4:
            last = r.info.run_id
    unnamed = call("create_run without a name", lambda: client.create_run(e.experiment_id, start_time=T0 - 5), lambda r: run_made(r, "<run 3>"))
    call("update_run", lambda: client.update_run(unnamed.info.run_id, status="KILLED", name="named later"))
    call("get_run, named later", lambda: client.get_run(unnamed.info.run_id).to_dictionary() | {"end": None} and
         {k: v for k, v in client.get_run(unnamed.info.run_id).to_dictionary()["info"].items() if k != "end_time"})

    def ids(found):
        return [r.info.run_id for r in found]

    exps = [e.experiment_id]
    for name, words in {
        "all": {}, "by metric": {"filter_string": "metrics.acc > 0.15"}, "by param": {"filter_string": "params.i = '3'"},
        "by tag": {"filter_string": "tags.i != '1' and metrics.acc >= 0"}, "by order": {"filter_string": "metrics.acc >= 0", "order_by": ["metrics.acc DESC"]},
        "by status": {"filter_string": "attributes.status = 'KILLED'"}, "by name": {"filter_string": "run_name LIKE 'r%'", "order_by": ["attributes.run_name"]},
        "by start": {"filter_string": f"start_time <= {T0 + 2000}", "order_by": ["start_time ASC"]}, "limited": {"max_results": 2},
        "by quoted key": {"filter_string": "params.`päram/a b-c.d_e` LIKE 'ü%'"}, "by dataset": {"filter_string": "dataset.name = 'rows'"},
        "by what is no grammar": {"filter_string": "metrics.acc >"}, "by or": {"filter_string": "metrics.acc > 1 OR metrics.acc < 0"},
        "by two orders": {"order_by": ["params.i DESC", "start_time"]}, "by id": {"filter_string": f"run_id IN ('{rid}', '{last}')", "order_by": ["start_time"]},
    }.items():
        call(f"search_runs, {name}", lambda: ids(client.search_runs(exps, **words)))
    call("search_runs by names", lambda: len(mlflow.search_runs(experiment_names=["exp/a b"], output_format="list")))
    call("search_runs in pages", lambda: pages(client, exps, made))
    call("delete_run", lambda: client.delete_run(last))
    call("log to a deleted run", lambda: client.log_metric(last, "acc", 1))
    call("search_runs, deleted", lambda: ids(client.search_runs(exps, run_view_type=ViewType.DELETED_ONLY)))
    call("search_runs, active", lambda: len(client.search_runs(exps)))
    call("restore_run", lambda: client.restore_run(last))
    call("get_run, restored", lambda: client.get_run(last).info.lifecycle_stage)
    call("get_run, unknown", lambda: client.get_run("f" * 32))
    call("get_run, no id", lambda: client.get_run("../x"))
    call("get_experiment", lambda: client.get_experiment(e.experiment_id))
    call("get_experiment_by_name", lambda: client.get_experiment_by_name("exp/a b").experiment_id)
    call("get_experiment_by_name, unknown", lambda: client.get_experiment_by_name("nothing"))
    other = call("create_experiment", lambda: client.create_experiment("other", tags={"a": "b"}), lambda i: made.add(i, "<other>"))
    call("create_experiment again", lambda: client.create_experiment("other"))
    call("rename_experiment", lambda: client.rename_experiment(other, "another"))
    call("search_experiments", lambda: [x.name for x in client.search_experiments(order_by=["name ASC"])])
    call("search_experiments, filtered", lambda: [x.name for x in client.search_experiments(filter_string="name LIKE 'an%' AND tags.a = 'b'")])
    call("delete_experiment_tag", lambda: client.delete_experiment_tag(other, "a"))
    call("delete_experiment", lambda: client.delete_experiment(other))
    call("get_experiment, deleted", lambda: client.get_experiment(other))
    call("set_experiment, deleted", lambda: mlflow.set_experiment("another"))
    call("create_run in a deleted one", lambda: client.create_run(other))
    call("search_experiments, deleted", lambda: [x.name for x in client.search_experiments(view_type=ViewType.DELETED_ONLY)])
    call("restore_experiment", lambda: client.restore_experiment(other))
    call("get_experiment, restored", lambda: client.get_experiment(other).lifecycle_stage)
    with open(out, "w") as f:
        json.dump({"client": mlflow.__version__, "steps": steps}, f, indent=1, sort_keys=True)
    print(f"mlflow {mlflow.__version__}: {len(steps)} calls")


def pages(client, exps, made):
    out, token = [], None
    while True:
        found = client.search_runs(exps, max_results=3, page_token=token, order_by=["attributes.start_time ASC"])
        out.append([made.plain(r.info.run_id) for r in found])
        token = found.token
        if not token:
            return out


# ---- comparing ----

def compare(theirs, ours):
    a, b = ({s["name"]: s["came"] for s in json.load(open(f))["steps"]} for f in (theirs, ours))
    bad = 0
    for name in sorted(set(a) | set(b)):
        for where, x, y in differences(a.get(name, "<not called>"), b.get(name, "<not called>")):
            if not any(fnmatch.fnmatchcase(name, n) and fnmatch.fnmatchcase(where, w) for n, w, _ in DIFFER):
                bad += 1
                print(f"{name}: {where}\n    theirs {json.dumps(x)[:300]}\n    ours   {json.dumps(y)[:300]}")
    print(f"{len(a)} calls, {bad} differences that nobody named")
    return bad != 0


# ---- many at once, and a server that dies ----

def threads(url, count, each):
    import mlflow
    from mlflow import MlflowClient
    mlflow.set_tracking_uri(url)
    mlflow.set_experiment("threads")
    client, failed = MlflowClient(url), []
    runs = [client.create_run(mlflow.get_experiment_by_name("threads").experiment_id).info.run_id for _ in range(count)]

    def log(i):
        try:
            waits = [mlflow.log_metrics({"a": k, "b": -k}, step=k, run_id=runs[i], synchronous=False) for k in range(each)]
            waits += [mlflow.log_metrics({"shared": i * each + k}, step=i * each + k, run_id=runs[0], synchronous=False) for k in range(each)]
            for w in waits:
                w.wait()
        except Exception as e:
            failed.append(repr(e))

    workers = [threading.Thread(target=log, args=(i,)) for i in range(count)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    assert not failed, failed[:3]
    for i, run in enumerate(runs):
        for key, sign in ("a", 1), ("b", -1):
            got = sorted((m.step, m.value) for m in client.get_metric_history(run, key))
            assert got == [(k, sign * k) for k in range(each)], (run, key, len(got))
    got = sorted((m.step, m.value) for m in client.get_metric_history(runs[0], "shared"))
    assert got == [(k, k) for k in range(count * each)], len(got)
    print(f"{count} threads, {3 * count * each} values: each is there, once")


def steps(url, count, file):
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    mlflow.set_tracking_uri(url)
    client = MlflowClient(url)
    e = mlflow.set_experiment("killed").experiment_id
    run = client.create_run(e, run_name="killed").info.run_id
    for i in range(count):
        client.log_batch(run, [Metric(f"k{j}", i + j / 100, T0 + i, i) for j in range(50)])
        with open(file, "a") as f:
            f.write(f"{i}\n")
        time.sleep(0.02)
    client.set_terminated(run)


def check(url, count):
    import mlflow
    from mlflow import MlflowClient
    client = MlflowClient(url)
    runs = client.search_runs([client.get_experiment_by_name("killed").experiment_id])
    assert len(runs) == 1, len(runs)
    assert runs[0].info.status == "FINISHED", runs[0].info.status
    for j in range(50):
        got = [(m.step, m.value) for m in client.get_metric_history(runs[0].info.run_id, f"k{j}")]
        assert got == [(i, i + j / 100) for i in range(count)], (j, len(got))
    print(f"{50 * count} values: each is there, once")


# ---- transformers ----

def trainer(url, folder):
    """Two real steps of the Trainer on a tiny encoder that is made here."""
    os.environ.update(MLFLOW_TRACKING_URI=url, MLFLOW_EXPERIMENT_NAME="trainer", MLFLOW_TAGS='{"of": "a test"}', MLFLOW_FLATTEN_PARAMS="true")
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=2))
    rows = [{"input_ids": torch.randint(0, 50, (8,)), "attention_mask": torch.ones(8, dtype=torch.long), "labels": i % 2} for i in range(8)]
    args = TrainingArguments(output_dir=folder, max_steps=2, per_device_train_batch_size=4, logging_steps=1, eval_strategy="steps", eval_steps=1, save_strategy="no",
                             report_to=["mlflow"], run_name="two steps", seed=7, use_cpu=True, disable_tqdm=True)
    Trainer(model=model, args=args, train_dataset=rows, eval_dataset=rows).train()
    import mlflow
    mlflow.flush_async_logging()
    run = mlflow.MlflowClient(url).search_runs([mlflow.get_experiment_by_name("trainer").experiment_id])[0]
    assert run.info.status == "FINISHED" and run.info.run_name == "two steps", run.info
    assert run.data.params["max_steps"] == "2" and run.data.params["hidden_size"] == "16" and run.data.tags["of"] == "a test"
    for key in "loss", "eval_loss":
        got = [m.step for m in mlflow.MlflowClient(url).get_metric_history(run.info.run_id, key)]
        assert got == [1, 2], (key, got)
    print(f"Trainer: {len(run.data.params)} parameters, {len(run.data.metrics)} metrics")


if __name__ == "__main__":
    what, words = sys.argv[1], [int(w) if w.isdigit() else w for w in sys.argv[2:]]
    sys.exit({"calls": calls, "compare": compare, "threads": threads, "steps": steps, "check": check, "trainer": trainer}[what](*words))
