"""Requests of MLflow's REST API, each with every field of its answer compared.

mlflow_replay.py record URL FILE   asks a server and writes what it answered, times and ids as words
mlflow_replay.py check URL FILE    asks another the same; prints what differs; fails where nobody said that it may

FILE is tests/golden/mlflow/answers.json: `mlflow server` 3.17.2 on SQLite. What may differ, and why: DIFFER below and
docs/mlflow.md. Only Python's own library is used.
"""
import fnmatch
import http.client
import json
import re
import sys
import urllib.parse

from answers import differences

ROOT = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts"
BIG = [{"key": f"m{i % 7}", "value": i / 8, "timestamp": 1700000000000 + i, "step": i // 7} for i in range(1000)]
NAN = [{"key": "odd", "value": v, "timestamp": 1700000000000 + i, "step": i} for i, v in enumerate(["NaN", "Infinity", "-Infinity", 1e308])]


def metric(key, value, step=0, timestamp=1700000000000):
    return {"key": key, "value": value, "step": step, "timestamp": timestamp}


def dataset(name, context):
    return {"tags": [{"key": "mlflow.data.context", "value": context}],
            "dataset": {"name": name, "digest": "abc", "source_type": "local", "source": '{"uri": "x.csv"}', "schema": '{"a": 1}', "profile": '{"n": 2}'}}


# name, method, path below ROOT (or from the root), body (None: no body), what is kept of the answer for later: {word: path}
CASES = [
    ("default experiment", "GET", "experiments/get?experiment_id=0", None, {}),
    ("experiment that is not there", "GET", "experiments/get-by-name?experiment_name=exp%2Fa+b", None, {}),
    ("create experiment", "POST", "experiments/create", {"name": "exp/a b", "tags": [{"key": "team", "value": "blue"}]}, {"exp": "experiment_id"}),
    ("create it again", "POST", "experiments/create", {"name": "exp/a b"}, {}),
    ("create without a name", "POST", "experiments/create", {}, {}),
    ("create with an empty name", "POST", "experiments/create", {"name": ""}, {}),
    ("create with a number as name", "POST", "experiments/create", {"name": 5}, {}),
    ("create with a long name", "POST", "experiments/create", {"name": "x" * 501}, {}),
    ("get experiment", "GET", "experiments/get?experiment_id={exp}", None, {}),
    ("get experiment by name", "GET", "experiments/get-by-name?experiment_name=exp%2Fa%20b", None, {}),
    ("get an unknown experiment", "GET", "experiments/get?experiment_id=999999", None, {}),
    ("get an experiment that is no number", "GET", "experiments/get?experiment_id=abc", None, {}),
    ("get no experiment", "GET", "experiments/get", None, {}),
    ("set experiment tag", "POST", "experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": "note", "value": "of it"}, {}),
    ("set experiment tag without value", "POST", "experiments/set-experiment-tag", {"experiment_id": "{exp}", "key": "note"}, {}),
    ("delete experiment tag", "POST", "experiments/delete-experiment-tag", {"experiment_id": "{exp}", "key": "team"}, {}),
    ("delete it again", "POST", "experiments/delete-experiment-tag", {"experiment_id": "{exp}", "key": "team"}, {}),
    ("rename experiment", "POST", "experiments/update", {"experiment_id": "{exp}", "new_name": "exp/renamed"}, {}),
    ("its new name", "GET", "experiments/get?experiment_id={exp}", None, {}),
    ("second experiment", "POST", "experiments/create", {"name": "second"}, {"exp2": "experiment_id"}),
    ("rename to a name that is taken", "POST", "experiments/update", {"experiment_id": "{exp2}", "new_name": "exp/renamed"}, {}),
    ("delete experiment", "POST", "experiments/delete", {"experiment_id": "{exp2}"}, {}),
    ("delete it twice", "POST", "experiments/delete", {"experiment_id": "{exp2}"}, {}),
    ("get a deleted one by name", "GET", "experiments/get-by-name?experiment_name=second", None, {}),
    ("create one that was deleted", "POST", "experiments/create", {"name": "second"}, {}),
    ("a run in a deleted one", "POST", "runs/create", {"experiment_id": "{exp2}", "start_time": 1700000000000}, {}),
    ("rename a deleted one", "POST", "experiments/update", {"experiment_id": "{exp2}", "new_name": "third"}, {}),
    ("tag a deleted one", "POST", "experiments/set-experiment-tag", {"experiment_id": "{exp2}", "key": "a", "value": "b"}, {}),
    ("restore experiment", "POST", "experiments/restore", {"experiment_id": "{exp2}"}, {}),
    ("restore it twice", "POST", "experiments/restore", {"experiment_id": "{exp2}"}, {}),
    ("search experiments", "POST", "experiments/search", {"max_results": 10, "order_by": ["name ASC"]}, {}),
    ("search experiments by GET", "GET", "experiments/search?max_results=10&order_by=name+DESC", None, {}),
    ("search experiments by tag", "POST", "experiments/search", {"max_results": 10, "filter": "tags.note = 'of it'"}, {}),
    ("search experiments in pages", "POST", "experiments/search", {"max_results": 1, "order_by": ["name ASC"]}, {"page": "next_page_token"}),
    ("the next page of experiments", "POST", "experiments/search", {"max_results": 1, "order_by": ["name ASC"], "page_token": "{page}"}, {}),
    ("search no experiments", "POST", "experiments/search", {"max_results": 0}, {}),
    ("search experiments without a limit", "POST", "experiments/search", {}, {}),
    ("search too many experiments", "POST", "experiments/search", {"max_results": 50001}, {}),
    ("search experiments by nonsense", "POST", "experiments/search", {"max_results": 5, "filter": "nonsense"}, {}),
    ("create run", "POST", "runs/create", {"experiment_id": "{exp}", "user_id": "ana", "run_name": "first", "start_time": 1700000000000,
                                           "tags": [{"key": "mlflow.user", "value": "ana"}, {"key": "mlflow.source.name", "value": "a.py"}, {"key": "mlflow.source.type", "value": "LOCAL"},
                                                    {"key": "mlflow.runName", "value": "first"}, {"key": "own", "value": "tag"}]}, {"run": "run.info.run_id"}),
    ("create run without a name", "POST", "runs/create", {"experiment_id": "{exp}", "user_id": "ana", "start_time": 1700000001000, "tags": []}, {"run2": "run.info.run_id"}),
    ("create run with little", "POST", "runs/create", {"experiment_id": "{exp2}"}, {"run3": "run.info.run_id"}),
    ("create run in no experiment", "POST", "runs/create", {"start_time": 1700000002000}, {}),
    ("create run in Default", "POST", "runs/create", {"experiment_id": "0", "start_time": 1700000002000}, {"run4": "run.info.run_id"}),
    ("create nested run", "POST", "runs/create", {"experiment_id": "{exp}", "start_time": 1700000003000, "run_name": "child", "tags": [{"key": "mlflow.parentRunId", "value": "{run}"}]}, {"run5": "run.info.run_id"}),
    ("create run with two names", "POST", "runs/create", {"experiment_id": "{exp}", "start_time": 1, "run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}, {}),
    ("create run, its name as a tag", "POST", "runs/create", {"experiment_id": "{exp}", "start_time": 1700000004000, "tags": [{"key": "mlflow.runName", "value": "by tag"}]}, {"run6": "run.info.run_id"}),
    ("create run in an unknown experiment", "POST", "runs/create", {"experiment_id": "999999", "start_time": 1}, {}),
    ("create run with a time that is none", "POST", "runs/create", {"experiment_id": "{exp}", "start_time": "soon"}, {}),
    ("create run with a time as text", "POST", "runs/create", {"experiment_id": "{exp}", "start_time": "1700000005000", "run_name": "text"}, {"run7": "run.info.run_id"}),
    ("log param", "POST", "runs/log-parameter", {"run_uuid": "{run}", "run_id": "{run}", "key": "lr", "value": "0.1"}, {}),
    ("log it again", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "lr", "value": "0.1"}, {}),
    ("log another value", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "lr", "value": "0.2"}, {}),
    ("log param without value", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "empty"}, {}),
    ("log param without key", "POST", "runs/log-parameter", {"run_id": "{run}", "value": "x"}, {}),
    ("log param without run", "POST", "runs/log-parameter", {"key": "a", "value": "x"}, {}),
    ("log param of a number", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "n", "value": 5}, {}),
    ("log param to an unknown run", "POST", "runs/log-parameter", {"run_id": "0" * 32, "key": "a", "value": "x"}, {}),
    ("log param to what is no run", "POST", "runs/log-parameter", {"run_id": "../x", "key": "a", "value": "x"}, {}),
    ("log long param", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "long", "value": "v" * 6500}, {}),
    ("log param of a long name", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "k" * 251, "value": "x"}, {}),
    ("names that are refused: quotes", "POST", "runs/log-parameter", {"run_id": "{run}", "key": 'a"b<>', "value": "x"}, {}),
    ("names that are refused: upwards", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "../x", "value": "x"}, {}),
    ("names that are refused: absolute", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "/x", "value": "x"}, {}),
    ("names that are refused: not normal", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "a//b", "value": "x"}, {}),
    ("names that are refused: a dot", "POST", "runs/log-parameter", {"run_id": "{run}", "key": ".", "value": "x"}, {}),
    ("names that are refused: empty", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "", "value": "x"}, {}),
    ("names that are taken", "POST", "runs/log-parameter", {"run_id": "{run}", "key": "päram/a b-c.d_e:f", "value": "x"}, {}),
    ("log metric", "POST", "runs/log-metric", {"run_uuid": "{run}", "run_id": "{run}", **metric("loss", 0.5)}, {}),
    ("log it twice", "POST", "runs/log-metric", {"run_id": "{run}", **metric("loss", 0.5)}, {}),
    ("log a second point of the step", "POST", "runs/log-metric", {"run_id": "{run}", **metric("loss", 0.25, 0, 1700000000005)}, {}),
    ("log metric of a later step", "POST", "runs/log-metric", {"run_id": "{run}", **metric("loss", 9007199254740992.0, 3, 1700000000001)}, {}),
    ("log metric of a negative step", "POST", "runs/log-metric", {"run_id": "{run}", **metric("loss", 1, -2)}, {}),
    ("log metric without step", "POST", "runs/log-metric", {"run_id": "{run}", "key": "nostep", "value": 1, "timestamp": 5}, {}),
    ("log metric, numbers as texts", "POST", "runs/log-metric", {"run_id": "{run}", "key": "texts", "value": "1.5", "timestamp": "1700000000000", "step": "4"}, {}),
    ("log metric without a time", "POST", "runs/log-metric", {"run_id": "{run}", "key": "notime", "value": 1}, {}),
    ("log metric at time 0", "POST", "runs/log-metric", {"run_id": "{run}", "key": "zero", "value": 1, "timestamp": 0}, {}),
    ("log metric without value", "POST", "runs/log-metric", {"run_id": "{run}", "key": "a", "timestamp": 5}, {}),
    ("log metric that is no number", "POST", "runs/log-metric", {"run_id": "{run}", **metric("a", "much")}, {}),
    ("log metric with fields of a model", "POST", "runs/log-metric", {"run_id": "{run}", "model_id": None, "dataset_name": "d", "dataset_digest": "abc", "foreign": [1], **metric("acc", 0.75, 1)}, {}),
    ("set tag", "POST", "runs/set-tag", {"run_uuid": "{run}", "run_id": "{run}", "key": "colour", "value": "red"}, {}),
    ("set it again", "POST", "runs/set-tag", {"run_id": "{run}", "key": "colour", "value": "blue"}, {}),
    ("set long tag", "POST", "runs/set-tag", {"run_id": "{run}", "key": "longtag", "value": "v" * 8001}, {}),
    ("set tag without key", "POST", "runs/set-tag", {"run_id": "{run}", "value": "x"}, {}),
    ("set tag, empty", "POST", "runs/set-tag", {"run_id": "{run}", "key": "nothing", "value": ""}, {}),
    ("delete tag", "POST", "runs/delete-tag", {"run_id": "{run}", "key": "own"}, {}),
    ("delete tag twice", "POST", "runs/delete-tag", {"run_id": "{run}", "key": "own"}, {}),
    ("rename by tag", "POST", "runs/set-tag", {"run_id": "{run6}", "key": "mlflow.runName", "value": "renamed by tag"}, {}),
    ("its name", "GET", "runs/get?run_id={run6}", None, {}),
    ("log batch", "POST", "runs/log-batch", {"run_id": "{run}", "metrics": [dict(m, run_id="{run}") for m in NAN], "params": [{"key": "p1", "value": "1"}, {"key": "p2", "value": "2"}], "tags": [{"key": "t1", "value": "1"}]}, {}),
    ("log batch of 1,000", "POST", "runs/log-batch", {"run_id": "{run2}", "metrics": BIG}, {}),
    ("log batch of 1,001", "POST", "runs/log-batch", {"run_id": "{run2}", "metrics": BIG + BIG[:1]}, {}),
    ("log batch of 101 params", "POST", "runs/log-batch", {"run_id": "{run2}", "params": [{"key": f"p{i}", "value": "x"} for i in range(101)]}, {}),
    ("log batch of 101 tags", "POST", "runs/log-batch", {"run_id": "{run2}", "tags": [{"key": f"p{i}", "value": "x"} for i in range(101)]}, {}),
    ("log batch of 1,000 and more", "POST", "runs/log-batch", {"run_id": "{run2}", "metrics": BIG, "tags": [{"key": "one", "value": "more"}]}, {}),
    ("log empty batch", "POST", "runs/log-batch", {"run_id": "{run2}"}, {}),
    ("log batch with a param twice", "POST", "runs/log-batch", {"run_id": "{run2}", "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}, {}),
    ("log batch with a param twice, the same", "POST", "runs/log-batch", {"run_id": "{run2}", "params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]}, {}),
    ("log batch with a changed param", "POST", "runs/log-batch", {"run_id": "{run2}", "params": [{"key": "a", "value": "3"}, {"key": "b", "value": "3"}]}, {}),
    ("log batch with a bad metric", "POST", "runs/log-batch", {"run_id": "{run2}", "metrics": [metric("good", 1), {"key": "bad", "value": "x", "timestamp": 1, "step": 0}]}, {}),
    ("log batch with a bad name", "POST", "runs/log-batch", {"run_id": "{run2}", "metrics": [metric("a/../b", 1)]}, {}),
    ("log batch with a key missing", "POST", "runs/log-batch", {"run_id": "{run2}", "params": [{"value": "1"}]}, {}),
    ("log batch that is no list", "POST", "runs/log-batch", {"run_id": "{run2}", "params": {"key": "a"}}, {}),
    ("log inputs", "POST", "runs/log-inputs", {"run_id": "{run}", "datasets": [dataset("train", "training"), dataset("eval", "evaluation")]}, {}),
    ("log inputs again", "POST", "runs/log-inputs", {"run_id": "{run}", "datasets": [dataset("train", "training")]}, {}),
    ("log inputs without a name", "POST", "runs/log-inputs", {"run_id": "{run}", "datasets": [{"dataset": {"digest": "x", "source_type": "l", "source": "s"}}]}, {}),
    ("get run", "GET", "runs/get?run_uuid={run}&run_id={run}", None, {}),
    ("get run by its old name", "GET", "runs/get?run_uuid={run}", None, {}),
    ("get the run of a thousand values", "GET", "runs/get?run_id={run2}", None, {}),
    ("get the run in Default", "GET", "runs/get?run_id={run4}", None, {}),
    ("get unknown run", "GET", "runs/get?run_id=" + "0" * 32, None, {}),
    ("get no run", "GET", "runs/get", None, {}),
    ("Default, with a run", "GET", "experiments/get?experiment_id=0", None, {}),
    ("history", "GET", "metrics/get-history?run_uuid={run}&metric_key=loss&run_id={run}&max_results=25000", None, {}),
    ("history of what is no number", "GET", "metrics/get-history?metric_key=odd&run_id={run}", None, {}),
    ("history in pages", "GET", "metrics/get-history?metric_key=m1&run_id={run2}&max_results=100", None, {"page": "next_page_token"}),
    ("its second page", "GET", "metrics/get-history?metric_key=m1&run_id={run2}&max_results=100&page_token={page}", None, {}),
    ("history of none", "GET", "metrics/get-history?metric_key=other&run_id={run}", None, {}),
    ("history without key", "GET", "metrics/get-history?run_id={run}", None, {}),
    ("history of an unknown run", "GET", "metrics/get-history?metric_key=a&run_id=" + "0" * 32, None, {}),
    ("history, no results", "GET", "metrics/get-history?metric_key=loss&run_id={run}&max_results=0", None, {}),
    ("history of several", "GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id={run}&run_id={run2}&metric_key=loss&max_results=100", None, {}),
    ("history of several, a part", "GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids={run2}&metric_key=m1&start_step=10&end_step=100&max_results=20", None, {}),
    ("finish", "POST", "runs/update", {"run_uuid": "{run}", "run_id": "{run}", "status": "FINISHED", "end_time": 1700000100000}, {}),
    ("go on", "POST", "runs/update", {"run_id": "{run}", "status": "RUNNING", "end_time": 1700000100000}, {}),
    ("rename run", "POST", "runs/update", {"run_id": "{run}", "run_name": "renamed", "status": "FINISHED", "end_time": 1700000200000}, {}),
    ("fail", "POST", "runs/update", {"run_id": "{run2}", "status": "FAILED", "end_time": 1700000300000}, {}),
    ("kill", "POST", "runs/update", {"run_id": "{run3}", "status": "KILLED", "end_time": 1700000300000}, {}),
    ("schedule", "POST", "runs/update", {"run_id": "{run4}", "status": "SCHEDULED"}, {}),
    ("a state that is none", "POST", "runs/update", {"run_id": "{run4}", "status": "DONE"}, {}),
    ("update an unknown run", "POST", "runs/update", {"run_id": "0" * 32, "status": "FINISHED"}, {}),
    ("the run as it ended", "GET", "runs/get?run_id={run}", None, {}),
    ("log to a run that has ended", "POST", "runs/log-metric", {"run_id": "{run}", **metric("late", 1)}, {}),
    ("delete run", "POST", "runs/delete", {"run_id": "{run5}"}, {}),
    ("delete run twice", "POST", "runs/delete", {"run_id": "{run5}"}, {}),
    ("a deleted run", "GET", "runs/get?run_id={run5}", None, {}),
    ("log to a deleted run", "POST", "runs/log-metric", {"run_id": "{run5}", **metric("a", 1)}, {}),
    ("log a param to a deleted run", "POST", "runs/log-parameter", {"run_id": "{run5}", "key": "a", "value": "1"}, {}),
    ("log a batch to a deleted run", "POST", "runs/log-batch", {"run_id": "{run5}", "metrics": [metric("a", 1)]}, {}),
    ("tag a deleted run", "POST", "runs/set-tag", {"run_id": "{run5}", "key": "a", "value": "1"}, {}),
    ("update a deleted run", "POST", "runs/update", {"run_id": "{run5}", "status": "FINISHED"}, {}),
    ("delete an unknown run", "POST", "runs/delete", {"run_id": "0" * 32}, {}),
    ("search runs", "POST", "runs/search", {"experiment_ids": ["{exp}"], "max_results": 100}, {}),
    ("search deleted runs", "POST", "runs/search", {"experiment_ids": ["{exp}"], "run_view_type": "DELETED_ONLY", "max_results": 100}, {}),
    ("search all runs", "POST", "runs/search", {"experiment_ids": ["{exp}"], "run_view_type": "ALL", "max_results": 100, "order_by": ["attributes.start_time DESC"]}, {}),
    ("search by metric and param", "POST", "runs/search", {"experiment_ids": ["{exp}"], "filter": "metrics.loss > 0.1 AND params.lr = '0.1'", "max_results": 5}, {}),
    ("search by tag like", "POST", "runs/search", {"experiment_ids": ["{exp}"], "filter": "tags.colour ILIKE 'BL%'", "max_results": 5}, {}),
    ("search by status", "POST", "runs/search", {"experiment_ids": ["{exp}"], "filter": "attributes.status = 'FINISHED'"}, {}),
    ("search in pages", "POST", "runs/search", {"experiment_ids": ["{exp}"], "max_results": 2, "order_by": ["attributes.start_time ASC"]}, {"page": "next_page_token"}),
    ("search, the next page", "POST", "runs/search", {"experiment_ids": ["{exp}"], "max_results": 2, "order_by": ["attributes.start_time ASC"], "page_token": "{page}"}, {}),
    ("search by a metric's order", "POST", "runs/search", {"experiment_ids": ["{exp}"], "order_by": ["metrics.loss DESC"], "max_results": 100}, {}),
    ("search by nonsense", "POST", "runs/search", {"experiment_ids": ["{exp}"], "filter": "metrics.loss ~ 3"}, {}),
    ("search by half a filter", "POST", "runs/search", {"experiment_ids": ["{exp}"], "filter": "metrics.loss >"}, {}),
    ("search by a text as number", "POST", "runs/search", {"experiment_ids": ["{exp}"], "filter": "metrics.loss > 'a'"}, {}),
    ("search too many", "POST", "runs/search", {"experiment_ids": ["{exp}"], "max_results": 50001}, {}),
    ("search nowhere", "POST", "runs/search", {"max_results": 5}, {}),
    ("search by a token that is none", "POST", "runs/search", {"experiment_ids": ["{exp}"], "page_token": "!!"}, {}),
    ("restore run", "POST", "runs/restore", {"run_id": "{run5}"}, {}),
    ("restore run twice", "POST", "runs/restore", {"run_id": "{run5}"}, {}),
    ("a restored run", "GET", "runs/get?run_id={run5}", None, {}),
    ("put artifact", "PUT", FILES + "/{exp}/{run}/artifacts/sub%20dir/one.txt", b"first", {}),
    ("put it again", "PUT", FILES + "/{exp}/{run}/artifacts/sub%20dir/one.txt", b"second", {}),
    ("put an empty one", "PUT", FILES + "/{exp}/{run}/artifacts/empty", b"", {}),
    ("put one of letters", "PUT", FILES + "/{exp}/{run}/artifacts/caf%C3%A9.bin", bytes(range(256)), {}),
    ("list artifacts", "GET", FILES + "?path={exp}%2F{run}%2Fartifacts", None, {}),
    ("list a folder of them", "GET", FILES + "?path={exp}%2F{run}%2Fartifacts%2Fsub+dir", None, {}),
    ("list what is a file", "GET", FILES + "?path={exp}%2F{run}%2Fartifacts%2Fempty", None, {}),
    ("list what is not there", "GET", FILES + "?path={exp}%2F{run}%2Fartifacts%2Fother", None, {}),
    ("get artifact", "GET", FILES + "/{exp}/{run}/artifacts/sub%20dir/one.txt", None, {}),
    ("get one of letters", "GET", FILES + "/{exp}/{run}/artifacts/caf%C3%A9.bin", None, {}),
    ("get what is not there", "GET", FILES + "/{exp}/{run}/artifacts/other", None, {}),
    ("artifacts as the page lists them", "GET", "artifacts/list?run_id={run}", None, {}),
    ("a folder as the page lists it", "GET", "artifacts/list?run_id={run}&path=sub+dir", None, {}),
    ("artifacts of an unknown run", "GET", "artifacts/list?run_id=" + "0" * 32, None, {}),
    ("artifacts upwards", "GET", "artifacts/list?run_id={run}&path=../..", None, {}),
    ("list upwards", "GET", FILES + "?path={exp}%2F..%2F..", None, {}),
    ("get upwards", "GET", FILES + "/{exp}/{run}/artifacts/%2e%2e/%2e%2e/x", None, {}),
    ("get upwards, escaped twice", "GET", FILES + "/{exp}/{run}/artifacts/%252e%252e%252fx", None, {}),
    ("get absolute", "GET", FILES + "/%2Fetc%2Fpasswd", None, {}),
    ("put with a hash", "PUT", FILES + "/{exp}/{run}/artifacts/a%23b", b"x", {}),
    ("put upwards", "PUT", FILES + "/{exp}/{run}/artifacts/..%2F..%2Fx", b"x", {}),
    ("put with a backslash", "PUT", FILES + "/{exp}/{run}/artifacts/a%5C..%5Cb", b"x", {}),
    ("delete artifact", "DELETE", FILES + "/{exp}/{run}/artifacts/empty", None, {}),
    ("list without it", "GET", FILES + "?path={exp}%2F{run}%2Fartifacts", None, {}),
    ("search models", "POST", "logged-models/search", {"experiment_ids": ["{exp}"], "filter": "name = 'all'"}, {}),
    ("a route that is none", "GET", "nowhere/at-all", None, {}),
    ("a body that is no JSON", "POST", "runs/create", b"{nonsense", {}),
    ("a body that is a list", "POST", "runs/create", b"[1]", {}),
    ("a method that is none", "PUT", "runs/create", {}, {}),
    ("health", "GET", "/health", None, {}),
]

# Name of a case, of a field of its answer (fnmatch); why it differs.
DIFFER = [
    ("*", "answer.error_class", "newer than the clients; they read error_code"),
    ("*", "answer.sqlstate", "as error_class"),
    ("*", "*.workspace", "there are no workspaces here"),
    ("*", "*.outputs", "empty, where theirs is not there"),
    # What a field is when nobody set it
    ("default experiment", "answer.experiment.*_time", "it is made when somebody first writes to it"),
    ("search experiments*", "answer.experiments[[]*].*_time", "the same"),
    ("create run with little", "answer.run.info.start_time", "when it came, not 1970"),
    ("kill", "answer.run_info.start_time", "the same"),
    ("*", "*.data.tags", "who made a run is a tag, whether the client says so or not"),
    ("go on", "answer.run_info.end_time", "what runs has not ended"),
    ("list *", "answer.files[[]*].file_size", "0, where theirs is not there"),
    ("artifacts as the page*", "answer.files[[]*].file_size", "the same"),
    ("list what is *", "answer.files", "an empty list, where theirs is not there"),
    ("history of *", "answer.metrics", "the same"),
    ("put *", "answer", "an empty object, where theirs is nothing: clients of 2.x want one"),
    # Infinity is not the largest number
    ("history of what is no number", "answer.metrics[[][12]].value", "infinite values come back as they went in"),
    # What is refused here and done there, or the other way round
    ("search experiments without a limit", "*", "1,000, as for runs"),
    ("create run in no experiment", "*", "it is one of Default"),
    ("rename to a name that is taken", "answer.error_code", "the code of create"),
    ("rename a deleted one", "status", "400: clients try again for minutes after 500"),
    ("log batch with a bad metric", "*", "a word that is no number is 0 there"),
    ("*", "*.data.metrics", "'bad' and 'good' of that batch, of which nothing is kept here"),
    ("log inputs without a name", "*", "a dataset needs one"),
    ("*", "*.dataset_inputs", "the one without a name"),
    ("a state that is none", "*", "theirs says nothing and leaves the run without a state"),
    ("put with a backslash", "*", "refused, as on Windows"),
    ("list without it", "answer.files", "the one with a backslash"),
    ("a route that is none", "answer", "JSON, where theirs is a page"),
    ("a method that is none", "answer", "the same"),
    # The database's own words, and words of a parser that is another
    ("create *", "answer.message", "theirs has SQL in it"),
    ("rename to a name that is taken", "answer.message", "the same"),
    ("a body that is *", "answer.message", "the same; a body that is no JSON is an empty one there"),
    ("names that are refused: *", "answer.message", "theirs adds what the name would become as a path"),
    ("log batch with a bad name", "answer.message", "the same"),
    ("log batch with a key missing", "answer.message", "theirs adds where to read about it"),
    ("log batch that is no list", "answer.message", "a blank"),
    ("search *", "answer.message", "what is wrong with a search, in other words"),
]


def fill(value, words):
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda m: words.get(m[1], m[0]), value)
    if isinstance(value, list):
        return [fill(v, words) for v in value]
    if isinstance(value, dict):
        return {k: fill(v, words) for k, v in value.items()}
    return value


def at(answer, path):
    for name in path.split("."):
        answer = answer.get(name) if isinstance(answer, dict) else None
    return answer


NOW = 1750000000000


def plain(value, words, key=""):
    """Without what a server makes up."""
    if isinstance(value, dict):
        return {k: plain(v, words, k) for k, v in value.items()}
    if isinstance(value, list):
        out = [plain(v, words) for v in value]
        for order in lambda v: v["key"], lambda v: v["dataset"]["name"]:  # no order is promised
            try:
                return sorted(out, key=order)
            except (KeyError, TypeError):
                pass
        return out
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > NOW:
        return "<now>" if value < 10 * NOW else value
    if isinstance(value, str):
        for word, known in sorted(words.items(), key=lambda w: -len(w[1])):
            if word == "page":
                continue
            if len(known) > 8:
                value = value.replace(known, f"<{word}>")
            elif key == "experiment_id" and value == known:
                value = f"<{word}>"
            elif key in ("artifact_uri", "artifact_location", "root_uri"):
                value = re.sub(rf"(mlflow-artifacts:/){known}(/|$)", rf"\g<1><{word}>\2", value)
        if len(value) > 300:
            value = f"{value[:40]}... ({len(value)} characters)"
        return re.sub(r"^[a-z]+-[a-z]+-\d+$", "<made-up-name>", value) if key in ("run_name", "value") else value
    return value


def ask(url, method, path, body):
    server = urllib.parse.urlsplit(url)
    link = http.client.HTTPConnection(server.hostname, server.port, timeout=60)
    raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if raw is not None and not path.startswith(FILES) else {}
    link.request(method, path if path.startswith("/") else ROOT + path, raw, headers)
    answer = link.getresponse()
    data = answer.read()
    link.close()
    kind = (answer.headers.get("Content-Type") or "").split(";")[0]
    if method == "GET" and path.startswith(FILES + "/") and answer.status == 200:
        return answer.status, data.hex()
    try:
        return answer.status, json.loads(data)
    except ValueError:
        return answer.status, f"<{kind}>" if answer.status >= 400 else data.decode("latin-1")


def replay(url):
    words, out = {}, []
    for name, method, path, body, keeps in CASES:
        status, answer = ask(url, method, fill(path, words), fill(body, words))
        for word, where in keeps.items():
            words[word] = str(at(answer, where))
        token = at(answer, "next_page_token") if isinstance(answer, dict) else None
        if token:
            answer["next_page_token"] = "<token>"
        out.append({"name": name, "status": status, "answer": plain(answer, words)})
    return out


def check(url, file):
    with open(file) as f:
        known = {case["name"]: case for case in json.load(f)["cases"]}
    bad, used = 0, set()
    for case in replay(url):
        theirs = known.get(case["name"])
        if not theirs:
            print(f"{case['name']}: was not recorded")
            bad += 1
            continue
        for where, a, b in differences({"status": theirs["status"], "answer": theirs["answer"]}, {"status": case["status"], "answer": case["answer"]}):
            why = next((i for i, (n, p, _) in enumerate(DIFFER) if fnmatch.fnmatchcase(case["name"], n) and fnmatch.fnmatchcase(where, p)), None)
            if why is not None:
                used.add(why)
                continue
            bad += 1
            print(f"{case['name']}: {where}\n    theirs {json.dumps(a)[:300]}\n    ours   {json.dumps(b)[:300]}")
    for i, (n, p, _) in enumerate(DIFFER):
        if i not in used:
            bad += 1
            print(f"no difference any more: {n}: {p}")
    print(f"{len(CASES)} requests, {bad} differences that nobody named, {len(DIFFER)} named")
    return bad != 0


def record(url, file):
    cases = replay(url)
    with open(file, "w") as f:
        f.write('{"server": "mlflow server ' + ask(url, "GET", "/version", None)[1] + ', SQLite", "cases": [\n')
        f.write(",\n".join(json.dumps(c, sort_keys=True) for c in cases))
        f.write("\n]}\n")


if __name__ == "__main__":
    what = sys.argv[1]
    if what == "record":
        record(*sys.argv[2:])
    elif what == "check":
        sys.exit(check(*sys.argv[2:]))
