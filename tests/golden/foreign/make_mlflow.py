"""Runs of MLflow in its SQLite store or, where FOLDER says so, in an mlruns folder:
make_mlflow.py sqlite:///FILE | make_mlflow.py FOLDER (mlflow 2 or 3)."""
import os
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
import mlflow
from mlflow.entities import Metric, Param, RunTag

mlflow.set_tracking_uri(sys.argv[1])
client = mlflow.MlflowClient(sys.argv[1])
reviews = client.create_experiment("reviews", artifact_location="/nowhere")
other = client.create_experiment("gone", artifact_location="/nowhere")


def run(experiment, name, status="FINISHED", params=(), metrics=(), tags=(), at=1_700_000_000_000):
    r = client.create_run(experiment, start_time=at, run_name=name, tags=dict(tags))
    client.log_batch(r.info.run_id, [Metric(k, v, at + 1000 * i, s) for i, (k, s, v) in enumerate(metrics)],
                     [Param(k, v) for k, v in params], [])
    if status:
        client.set_terminated(r.info.run_id, status, end_time=at + 60_000)
    return r.info.run_id


first = run(reviews, "lora r8", params=[
    ("learning_rate", 0.001), ("rank", 8), ("seed", 3), ("bf16", True), ("note", "007"), ("nothing", None),
    ("optim/name", "adamw"), ("empty", "")],
    metrics=[("eval_loss", 10, 0.5), ("eval_loss", 20, 0.25), ("eval_loss", 0, 1.0), ("eval_loss", 20, 0.125),
             ("train/x", 0, float("nan")), ("train/x", 1, float("inf")), ("train/x", 2, float("-inf")),
             ("early", -1, 3.0), ("accuracy", 0, 0.75)],
    tags=[("mlflow.note.content", "the first one"), ("team", "help desk"), ("mlflow.user", "ann")])
run(reviews, "child", params=[("rank", 4)], metrics=[("accuracy", 0, 0.5)], tags=[("mlflow.parentRunId", first)])
run(reviews, "bad", "FAILED")
run(reviews, "stopped", "KILLED", metrics=[("accuracy", 0, 0.25)])
run(reviews, "open", None, metrics=[("accuracy", 0, 0.125)])
client.delete_run(run(reviews, "deleted", metrics=[("accuracy", 0, 0.9)]))
run(other, "of a deleted experiment")
client.delete_experiment(other)
