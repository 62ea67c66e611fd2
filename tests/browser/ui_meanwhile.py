"""Tests of the live page (ui.py): what comes while something else is on its way to it."""

import json
import urllib.request

LAST_STEPS = """const d = [...document.querySelectorAll(".curves details")].at(-1); d.open = true;
return [...d.querySelectorAll("tbody tr")].map((tr) => Number(tr.cells[1].textContent));"""


class Client:
    """An MLflow client of a server, with an experiment of its own."""

    def __init__(self, server, name):
        self.base = server.base
        self.experiment = self.ask("experiments/create", name=name)["experiment_id"]

    def ask(self, path, **fields):
        request = urllib.request.Request(f"{self.base}api/2.0/mlflow/{path}", json.dumps(fields).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    def begin(self):
        return self.ask("runs/create", experiment_id=self.experiment)["run"]["info"]["run_id"]

    def log(self, run, key, step):
        self.ask("runs/log-metric", run_id=run, key=key, value=step, step=step, timestamp=1796000000000 + step)


SLOW = """const quick = window.fetch;
window.asked = 0;
window.fetch = async (...a) => {
  const answer = await quick(...a);
  if (!String(a[0]).includes("/api/curves")) return answer;
  window.asked++;
  await new Promise((done) => setTimeout(done, 1500));
  return answer;
};"""


def meanwhile(b, made):
    client = Client(made["table"], "meanwhile")
    run = client.begin()
    client.log(run, "a", 1)
    b.open("about:blank")
    b.open(f"{made['table'].base}#/experiments/{client.experiment}/runs/{run}")
    last = f"const steps = (() => {{ {LAST_STEPS} }})(); return steps.length === 1 && steps[0] === arguments[0];"
    b.wait("return document.querySelectorAll('.curves details').length > 0;")
    b.wait(last, 1)
    b.wait("return document.querySelector('.live').dataset.state === 'live';")
    b.js(SLOW)
    client.log(run, "a", 2)
    b.wait("return window.asked > 0;")
    client.log(run, "a", 3)
    b.wait(last, 3)
    client.log(run, "b", 1)
    b.wait("return [...document.querySelector('.curves select').options].some((o) => o.value === 'b');")


def deleted(b, made):
    client = Client(made["table"], "deleted")
    run = [client.begin() for _ in range(3)][1]
    b.open("about:blank")
    b.open(f"{made['table'].url}#view=trials&experiment={client.experiment}")
    rows = "return document.querySelectorAll('.window tbody tr[data-id]').length === arguments[0];"
    b.wait(rows, 3)
    b.wait("return document.querySelector('.live').dataset.state === 'live';")
    client.ask("runs/delete", run_id=run)
    b.wait(rows, 2)


LATE = """const Real = EventSource;
window.EventSource = function (url) {
  const waits = [];
  setTimeout(() => { const real = new Real(url); waits.forEach((w) => real.addEventListener(...w)); }, 1500);
  return { addEventListener: (...w) => waits.push(w), close() {}, readyState: 0 };
};"""


def between(b, made):
    client = Client(made["table"], "between")
    run = client.begin()
    late = b.cdp("Page.addScriptToEvaluateOnNewDocument", source=LATE)["identifier"]
    try:
        b.open("about:blank")
        b.open(f"{made['table'].url}#view=trials&experiment={client.experiment}&q=mark=late")
        b.wait("return document.querySelector('.tools output')?.textContent === '0 of 1 trial';")
        client.ask("runs/set-tag", run_id=run, key="mark", value="late")
        b.wait("return document.querySelector('.tools output')?.textContent === '1 trial';")
    finally:
        b.cdp("Page.removeScriptToEvaluateOnNewDocument", identifier=late)


def add(test):
    test("a point that comes while curves are fetched is not lost, a metric that comes late can be chosen")(meanwhile)
    test("a trial that is deleted leaves the table")(deleted)
    test("what changes between the first answer and the stream of changes is seen")(between)
