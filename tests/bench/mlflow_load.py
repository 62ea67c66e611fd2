"""One client that logs to a server of MLflow's API as fast as it is answered; prints values per second, and how many.

mlflow_load.py raw|client single|batch URL SECONDS    over HTTP itself, or by MlflowClient; one value a request, or 1,000
mlflow_load.py client async URL SECONDS               one value a call that returns at once (synchronous=False), until all are written
mlflow_load.py trackio SECONDS                        trackio.log of one value each, which returns at once too, until all are written
mlflow_load.py fill URL RUNS                          runs with 20 params and 10 metrics each, for searches
mlflow_load.py search URL ROUNDS                      milliseconds of a search over them, by HTTP itself: one a line, NAME MS
"""
import http.client
import json
import sys
import time
import urllib.parse

T0 = 1700000000000
ROOT = "/api/2.0/mlflow/"


class Raw:
    def __init__(self, url):
        at = urllib.parse.urlsplit(url)
        self.link = http.client.HTTPConnection(at.hostname, at.port, timeout=300)

    def send(self, route, body):
        self.link.request("POST", ROOT + route, body, {"Content-Type": "application/json"})
        answer = self.link.getresponse()
        data = answer.read()
        assert answer.status == 200, data[:500]
        return data

    def post(self, route, body):
        return json.loads(self.send(route, json.dumps(body)))


def experiment(raw):
    name = f"bench {time.time()}"
    return raw.post("experiments/create", {"name": name})["experiment_id"]


def until(seconds, log, each):
    """Values a second, without the first calls; how many."""
    for i in range(3):
        log(i)
    n, begin = 0, time.perf_counter()
    while True:
        log(3 + n)
        n += 1
        took = time.perf_counter() - begin
        if took >= seconds:
            return n * each / took, n * each


def by_http(kind, url, seconds):
    raw = Raw(url)
    run = raw.post("runs/create", {"experiment_id": experiment(raw), "start_time": T0})["run"]["info"]["run_id"]
    if kind == "single":
        def log(i):
            raw.send("runs/log-metric", f'{{"run_id": "{run}", "key": "loss", "value": {1 / (i + 1)}, "timestamp": {T0 + i}, "step": {i}}}')
        return until(seconds, log, 1)

    def log(i):
        points = ", ".join(f'{{"key": "m{k % 10}", "value": {k / 8}, "timestamp": {T0 + i}, "step": {100 * i + k // 10}}}' for k in range(1000))
        raw.send("runs/log-batch", f'{{"run_id": "{run}", "metrics": [{points}]}}')
    return until(seconds, log, 1000)


def by_client(kind, url, seconds):
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    client = MlflowClient(url)
    run = client.create_run(experiment(Raw(url))).info.run_id
    if kind == "async":
        begin, waits = time.perf_counter(), []
        while time.perf_counter() - begin < seconds:
            waits.append(client.log_metric(run, "loss", 1 / (len(waits) + 1), T0, len(waits), synchronous=False))
        for w in waits:
            w.wait()
        return len(waits) / (time.perf_counter() - begin), len(waits)
    if kind == "single":
        return until(seconds, lambda i: client.log_metric(run, "loss", 1 / (i + 1), T0 + i, i), 1)
    return until(seconds, lambda i: client.log_batch(run, [Metric(f"m{k % 10}", k / 8, T0 + i, 100 * i + k // 10) for k in range(1000)]), 1000)


def by_trackio(seconds):
    import trackio
    trackio.init(project=f"bench-{time.time_ns()}", embed=False)
    for i in range(3):
        trackio.log({"loss": 1.0}, step=i)
    n, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        trackio.log({"loss": 1 / (n + 1)}, step=3 + n)
        n += 1
    trackio.finish()
    return n / (time.perf_counter() - begin)


def fill(url, runs):
    raw = Raw(url)
    of = raw.post("experiments/create", {"name": "search"})["experiment_id"]
    for i in range(runs):
        run = raw.post("runs/create", {"experiment_id": of, "start_time": T0 + i, "run_name": f"run {i}"})["run"]["info"]["run_id"]
        raw.post("runs/log-batch", {"run_id": run,
                                    "params": [{"key": f"p{k}", "value": str((i * (k + 7)) % 101)} for k in range(20)],
                                    "metrics": [{"key": f"m{k}", "value": ((i * 7919 + k) % 10007) / 10007, "timestamp": T0 + i, "step": 0} for k in range(10)],
                                    "tags": [{"key": "half", "value": str(i % 2)}]})


SEARCHES = {
    "the first 100, by start": {"max_results": 100},
    "metric > .9, best first": {"max_results": 100, "filter": "metrics.m0 > 0.9", "order_by": ["metrics.m1 DESC"]},
    "two params and a metric": {"max_results": 100, "filter": "params.p1 = '8' AND params.p2 LIKE '1%' AND metrics.m3 < 0.5"},
    "1,000 runs, whole": {"max_results": 1000, "order_by": ["params.p3 ASC"]},
}


def search(url, rounds):
    raw = Raw(url)
    at = urllib.parse.quote("search")
    raw.link.request("GET", ROOT + "experiments/get-by-name?experiment_name=" + at)
    of = json.loads(raw.link.getresponse().read())["experiment"]["experiment_id"]
    for name, words in SEARCHES.items():
        for _ in range(rounds + 1):
            begin = time.perf_counter()
            found = raw.send("runs/search", json.dumps({"experiment_ids": [of], **words}))
            took = time.perf_counter() - begin
            if _:
                print(f"{name}\t{1000 * took:.3f}\t{len(json.loads(found).get('runs', []))}")


what, words = sys.argv[1], sys.argv[2:]
if what == "raw":
    print(*by_http(words[0], words[1], float(words[2])))
elif what == "client":
    print(*by_client(words[0], words[1], float(words[2])))
elif what == "trackio":
    print(by_trackio(float(words[0])))
elif what == "fill":
    fill(words[0], int(words[1]))
else:
    search(words[0], int(words[1]))
