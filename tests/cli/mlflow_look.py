"""What a server says of an experiment, by MLflow's REST alone: mlflow_look.py URL EXPERIMENT

A line per run, by name: NAME STATUS parent=NAME state=TRIAL.STATE seconds=N params=K:V,... then a
line "  KEY STEP:VALUE,..." per metric, all its points in the order of steps.
"""
import json
import sys
import urllib.parse
import urllib.request

base, name = sys.argv[1] + "/api/2.0/mlflow/", sys.argv[2]


def get(route, **fields):
    with urllib.request.urlopen(base + route + "?" + urllib.parse.urlencode(fields)) as answer:
        return json.load(answer)


def post(route, **fields):
    request = urllib.request.Request(base + route, json.dumps(fields).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def pairs(run, part):
    return {p["key"]: p["value"] for p in run["data"].get(part, [])}


experiment = get("experiments/get-by-name", experiment_name=name)["experiment"]
runs = post("runs/search", experiment_ids=[experiment["experiment_id"]], max_results=1000).get("runs", [])
names = {run["info"]["run_id"]: run["info"]["run_name"] for run in runs}
for run in sorted(runs, key=lambda run: run["info"]["run_name"]):
    info, tags = run["info"], pairs(run, "tags")
    seconds = (int(info["end_time"]) - int(info["start_time"])) / 1000 if int(info.get("end_time") or 0) else "-"
    params = ",".join(f"{k}:{v}" for k, v in sorted(pairs(run, "params").items()))
    print(info["run_name"], info["status"], "parent=" + names.get(tags.get("mlflow.parentRunId"), "-"),
          "state=" + tags.get("trial.state", "-"), f"seconds={seconds}", "params=" + params)
    for key in sorted(pairs(run, "metrics")):
        points = get("metrics/get-history", run_id=info["run_id"], metric_key=key)["metrics"]
        assert all(int(p["timestamp"]) > 0 for p in points)
        points.sort(key=lambda p: int(p["step"]))
        print(" ", key, ",".join(f"{p['step']}:{p['value']}" for p in points))
