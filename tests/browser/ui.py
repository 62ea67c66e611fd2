#!/usr/bin/env python3
"""`peftlab ui` in a real browser: the table, the curves of a sweep that runs, brushing, commands, keys, screens. TAP.

    tests/browser/ui.py BUILD [WORD]    only tests whose name has the word

Needs what run.py needs; skipped, with the reason, where it is missing.
"""

import json
import os
import sys
import urllib.error
import urllib.request

import ui_meanwhile
import ui_pages
from tap import AXE, CUT, Tests, same
from ui_meanwhile import LAST_STEPS

test = Tests()
SCROLLED = ".skip, .unseen, .window, .scroll, .parallel, .tip"
ROWS = """return [...document.querySelectorAll(".window tbody tr[data-id]")].map((tr) =>
    [...tr.cells].slice(1).map((c) => c.textContent.trim()));"""
HEADS = """return [...document.querySelectorAll(".window thead th")].slice(1).map((c) => c.textContent);"""
COUNT = "return document.querySelector('.tools output').textContent;"
HASH = "return decodeURIComponent(location.hash);"


def table(b, made, more="", **how):
    b.open("about:blank")
    b.open(f"{made['table'].url}#view=trials&experiment=1{more}", **how)
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 3;")


def live(b, made, more="", **how):
    b.open("about:blank")
    b.open(f"{made['live'].url}#view=trials&sweep=1{more}", **how)
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 1;")


def of_column(b, name):
    at = b.js(HEADS).index(name)
    return [row[at] for row in b.js(ROWS)]


# ---- what is there ----

@test("the first page has sweeps and experiments, and leads to their trials")
def overview(b, made):
    b.open("about:blank")
    b.open(made["live"].url)
    b.wait("return document.querySelector('main h1')?.textContent === 'Sweeps and experiments';")
    same(b.js("return location.search;"), "", "the token is out of the address")
    b.click("main table a")
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 1;")
    same(b.wait("const h = document.querySelector('h1').textContent; return h === 'live' && h;"), "live")
    b.do("/back")
    b.wait("return document.querySelector('main h1')?.textContent === 'Sweeps and experiments';")


@test("the address of a run that MLflow's clients print leads to its trial")
def printed(b, made):
    base = made["live"].url.split("?")[0].rstrip("/")
    wanted = {"experiment_ids": ["1"], "max_results": 1, "order_by": ["start_time ASC"]}
    request = urllib.request.Request(f"{base}/api/2.0/mlflow/runs/search", json.dumps(wanted).encode(), {"Content-Type": "application/json"})
    run = json.load(urllib.request.urlopen(request))["runs"][0]["info"]["run_id"]
    b.open("about:blank")
    b.open(f"{base}/#/experiments/1/runs/{run}")
    b.wait("return location.hash.includes('view=trial&trial=');")
    b.open("about:blank")
    b.open(f"{base}/#/experiments/1")
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 1;")


@test("a trial says what its program logged by MLflow's API, and what it read")
def logged(b, made):
    base = made["live"].url.split("?")[0].rstrip("/")

    def ask(path, **fields):
        request = urllib.request.Request(f"{base}/api/2.0/mlflow/{path}", json.dumps(fields).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    run = ask("runs/search", experiment_ids=["1"], max_results=1, order_by=["start_time ASC"])["runs"][0]["info"]["run_id"]
    ask("runs/log-parameter", run_id=run, key="flavour", value="strong <b>")
    ask("runs/log-inputs", run_id=run, datasets=[{"tags": [{"key": "mlflow.data.context", "value": "train"}], "dataset": {
        "name": "reviews", "digest": "abc123", "source_type": "local", "source": "/data/reviews.csv"}}])
    b.open(f"{base}/#/experiments/1/runs/{run}")
    text = b.wait("return document.querySelector('#logged')?.textContent;")
    assert "flavour" in text and "strong <b>" in text, text
    text = b.wait("return document.querySelector('#inputs')?.textContent;")
    assert all(word in text for word in ("reviews", "train", "abc123")), text


@test("what varies stands first, seeds of a configuration under one heading with mean and interval")
def groups(b, made):
    table(b, made)
    heads = b.js(HEADS)
    same(heads[:2], ["Trial", "state"])
    same(sorted(heads[2:5]), ["learning_rate", "method", "rank"], "what varies")
    rows = b.js(ROWS)
    assert all("3 seeds" in row[0] for row in rows), rows[:3]
    assert "±" in rows[0][heads.index("eval/accuracy")], rows[0]
    b.click(".window .fold")
    rows = b.wait("const r = [...document.querySelectorAll('.window tbody tr.seed')]; return r.length === 3 && r.map((t) => t.textContent);")
    assert all("seed" in text for text in rows), rows
    assert "open=" in b.js(HASH)


@test("a heading sorts, best first, and the address keeps it")
def sorts(b, made):
    table(b, made, "&flat=1")
    b.click("button[data-column='eval/accuracy']")
    b.wait("return location.hash.includes('sort=');")
    got = [float(v) for v in of_column(b, "eval/accuracy")]
    same(got, sorted(got, reverse=True), "highest first")
    b.do("/refresh")
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 3;")
    same([float(v) for v in of_column(b, "eval/accuracy")], got, "after a reload")
    same(b.js("return document.querySelector('[aria-sort]').getAttribute('aria-sort');"), "descending")


@test("words and comparisons filter, and the address keeps them")
def filters(b, made):
    table(b, made, "&flat=1")
    b.key("/")
    b.key(*"lora rank>=8")
    b.wait("return decodeURIComponent(location.hash).includes('rank>=8');")
    same(b.wait("const t = document.querySelector('.tools output').textContent; return t.includes(' of ') && t;"), "36 of 180 trials")
    assert all(v == "lora" for v in of_column(b, "method")) and all(int(v) >= 8 for v in of_column(b, "rank"))
    b.do("/refresh")
    b.wait("return document.querySelector('.tools output')?.textContent === '36 of 180 trials';")


@test("columns are chosen and put in order, and the address keeps them")
def columns(b, made):
    table(b, made)
    b.js("[...document.querySelectorAll('.tools button')].find((e) => e.textContent.startsWith('Columns')).click();")
    b.click("dialog li[data-name='learning_rate'] input")
    b.click("dialog li[data-name='eval/accuracy'] .up")
    b.click("dialog button.main")
    heads = b.js(HEADS)
    assert "learning_rate" not in heads, heads
    b.do("/refresh")
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 3;")
    same(b.js(HEADS), heads, "after a reload")


@test("of a thousand rows those in sight are in the page, and the last is reached")
def windowed(b, made):
    b.open("about:blank")
    b.open(f"{made['many'].url}#view=trials&experiment=1&flat=1")
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 3;")
    same(b.js("return document.querySelector('.window table').getAttribute('aria-rowcount');"), "1501")
    assert b.js(ROWS + "") and len(b.js(ROWS)) < 100, len(b.js(ROWS))
    b.js("const w = document.querySelector('.window'); w.scrollTop = w.scrollHeight;")
    b.wait("return !!document.querySelector('tr[aria-rowindex=\"1501\"]');")


# ---- keys ----

@test("keys go over the rows, choose and open them")
def keys(b, made):
    table(b, made, "&flat=1")
    b.js("document.querySelector('h1').tabIndex = -1; document.querySelector('h1').focus();")
    b.key("j", "j")
    same(b.js("return document.activeElement.getAttribute('aria-rowindex');"), "3", "the second row")
    b.key("x")
    b.wait("return location.hash.includes('pick=');")
    b.key("j", "x")
    assert b.wait("return document.querySelector('.picked a')?.textContent === 'Compare 2';")
    b.key("Enter")
    b.wait("return /^Trial \\d+$/.test(document.querySelector('h1')?.textContent);")


@test("everything that acts is reached by the tabulator and shows its focus")
def tabulator(b, made):
    table(b, made)
    b.js("document.activeElement.blur();")
    seen = set()
    for _ in range(60):
        b.key("Tab")
        what, outline = b.js("""const e = document.activeElement, s = getComputedStyle(e);
            return [e.getAttribute("aria-label") ?? e.dataset.column ?? e.id ?? e.textContent.slice(0, 20), s.outlineStyle];""")
        assert outline != "none" or what in ("main", ""), f"{what} shows no focus"
        seen.add(what)
    assert {"Filter the trials: words, or comparisons such as rank>=8", "rank", "Table of trials"} <= seen, seen


# ---- pictures ----

@test("ranges of the parallel coordinates narrow table and curves, by keys and by dragging")
def brushes(b, made):
    table(b, made, "&flat=1")
    b.focus(".handle[aria-label='rank, at least']")
    b.key("ArrowRight", "ArrowRight")
    b.wait("return location.hash.includes('brush=rank~8~');")
    b.wait("return document.querySelector('.tools output').textContent === '108 of 180 trials';")
    assert all(int(v) >= 8 for v in of_column(b, "rank"))
    same(b.js("return document.querySelector('.coordinates output').textContent;"), "108 of 180 trials")
    x, y = b.middle(".handle[aria-label='eval/accuracy, at least']")
    b.pointer(("move", x, y), ("down",), ("move", x + 80, y), ("move", x + 150, y), ("up",))
    left = int(b.js(COUNT).split()[0])
    assert 0 < left < 108, left
    b.do("/refresh")
    b.wait("return document.querySelectorAll('.window tbody tr[data-id]').length > 0;")
    b.wait(f"return document.querySelector('.tools output').textContent === '{left} of 180 trials';")
    b.js("[...document.querySelectorAll('.coordinates button')].find((e) => e.textContent.startsWith('Take')).click();")
    b.wait("return document.querySelector('.tools output').textContent === '180 trials';")


INK = """const c = document.querySelector(".chart canvas"), d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
let n = 0; for (let k = 3; k < d.length; k += 4) n += d[k] > 0; return n;"""


@test("a sweep that runs: curves grow, and zoom, filter and order stay")
def follows(b, made):
    live(b, made, "&key=eval/loss&flat=1&sort=id:asc&q=rate=0.05")
    b.wait("return document.querySelector('.live').dataset.state === 'live';")
    b.wait("const d = [...document.querySelectorAll('.curves details')].at(-1); d.open = true;"
           " return [...d.querySelectorAll('tbody tr')].some((tr) => Number(tr.cells[1].textContent) > 5);")
    x, y = b.middle(".chart canvas + canvas")
    right = b.js("return document.querySelector('.chart').getBoundingClientRect().right;")
    b.pointer(("move", x - 50, y), ("down",), ("move", x, y + 2), ("move", right - 4, y + 2), ("up",))
    zoom = b.wait("return new URLSearchParams(location.hash.slice(1)).get('zoom');")
    before, ink = b.js(LAST_STEPS), b.js(INK)
    assert ink > 1000, f"{ink} pixels"
    running = b.js("return document.querySelector('.sweep table').textContent;")
    b.wait(f"""const now = (() => {{ {LAST_STEPS} }})(), before = arguments[0];
        return now.reduce((a, v) => a + v, 0) > before.reduce((a, v) => a + v, 0) || now.length > before.length;""", before, seconds=30)
    b.wait("return document.querySelector('.sweep table').textContent !== arguments[0];", running)
    after = b.js("return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));")
    same((after["zoom"], after["q"], after["sort"]), (zoom, "rate=0.05", "id:asc"), "what was looked at")
    assert all(v == "0.05" for v in of_column(b, "rate"))
    b.focus(".chart")
    b.key("0")
    b.wait("return !location.hash.includes('zoom');")


@test("a curve under the pointer is named, and its row is marked")
def hovers(b, made):
    live(b, made, "&key=eval/loss&flat=1")
    b.wait(f"return (() => {{ {INK} }})() > 1500;")
    box = b.js("const r = document.querySelector('.chart').getBoundingClientRect(); return [r.x, r.y, r.width];")
    b.js("document.querySelector('.chart').scrollIntoView({block: 'center'});")
    x, y, width = b.js("const r = document.querySelector('.chart').getBoundingClientRect(); return [r.x, r.y, r.width];")
    for height in range(20, 280, 20):
        b.pointer(("move", x + 120, y + height))
        text = b.js("const t = document.querySelector('.tip'); return t.hidden ? '' : t.textContent;")
        if text:
            break
    assert text.startswith("#") and "step" in text, (text, box, width)
    same(b.js("return document.querySelectorAll('.window tr.hot').length;"), 1, "its row")


# ---- the parts by themselves ----

PARTS = """const done = arguments[0], out = {};
Promise.all(["rows", "curves", "place", "base"].map((n) => import(`/page/${n}.js`))).then(([rows, curves, place, base]) => {
  const row = (id, values) => ({ id, name: `t${id}`, state: "complete", seed: 0, values });
  const list = [row(1, { rank: 8, loss: 0.5 }), row(2, { rank: 16, loss: "NaN" }), row(3, { rank: 4 }), row(4, { method: "lora", rank: 16, loss: 0.1 })];
  const ids = (l) => l.map((r) => r.id);
  out.filter = ["rank>=8", "rank=16 lora", "loss<1", "method!=dora", "T3", "rank>x"].map((q) => ids(rows.filtered(list, q)));
  out.range = ids(rows.within(list, new Map([["rank", ["8", ""]], ["loss", ["", "0.4"]]])));
  const kinds = ["lora-10", "lora-2", "Sgd"].map((kind, k) => row(k, { kind }));
  out.texts = [["lora-10", ""], ["", "lora-2"], ["Sgd", ""]].map((range) => ids(rows.within(kinds, new Map([["kind", range]]))));
  out.own = [rows.value_of(row(5, {}), "constructor"), base.shown("x", "constructor"), base.shown("x", "toString")];
  out.down = ids(rows.ordered(list, (r) => rows.value_of(r, "loss"), -1));
  out.up = ids(rows.ordered(list, (r) => rows.value_of(r, "loss"), 1));
  out.smooth = curves.smooth([2, 2, NaN, 2, 5], 0.5).map((v) => (Number.isNaN(v) ? "NaN" : v));
  place.set({ brush: place.join_ranges(new Map([["a,b~c;d", ["x=1&y", ""]], ["rank", ["4", "8"]]])), cols: place.join_names(["a,b", "c%d"]) });
  out.ranges = [...place.ranges()];
  out.names = place.names("cols");
  place.set({ axes: "50%" });
  out.typed = place.names("axes");
  out.shown = [0.1 + 0.2, 1e-5, 12345678, true, null, "Infinity"].map((v) => base.shown("x", v));
  out.units = [base.shown("mem/peak_rss_bytes", 3 * 2 ** 20), base.shown("duration_ms", 3700000), base.duration(59.96)];
  done(out);
}, (e) => done(String(e)));"""


@test("filter, ranges, order, smoothing and addresses do what they say")
def parts(b, made):
    table(b, made)
    got = b.js_async(PARTS)
    assert isinstance(got, dict), got
    same(got["filter"], [[1, 2, 4], [4], [1, 4], [4], [3], []], "filter")
    same(got["range"], [4], "within ranges")
    same(got["texts"], [[0, 2], [1], [2]], "within ranges of texts, in the order of an axis")
    same(got["own"], [None, "constructor", "toString"], "names that every object has")
    same(got["typed"], ["50%"], "a sign that is no escape")
    same((got["down"], got["up"]), ([1, 4, 2, 3], [4, 1, 2, 3]), "what is missing comes last")
    same(got["smooth"][:4], [2, 2, "NaN", 2], "a level stays")
    assert abs(got["smooth"][4] - (2 * 7 / 15 + 5 * 8 / 15)) < 1e-9, got["smooth"]
    same(got["ranges"], [["a,b~c;d", ["x=1&y", ""]], ["rank", ["4", "8"]]], "ranges through the address")
    same(got["names"], ["a,b", "c%d"], "names through the address")
    same(got["shown"], ["0.3", "1.00e-5", "1.23e7", "true", "–", "∞"], "numbers")
    same(got["units"], ["3 MiB", "1 h 1 min", "60 s"], "units")


ui_meanwhile.add(test)


# ---- views ----

@test("a failure is said, and no longer where something else is looked at")
def failure(b, made):
    made.setdefault("console", []).extend(b.log())
    b.open("about:blank")
    b.open(f"{made['table'].url}#view=trial&trial=999999")
    b.wait("return document.querySelector('#trouble:not([hidden])')?.textContent.includes('no trial 999999');")
    b.click("#crumbs a")
    b.wait("return document.querySelector('main h1')?.textContent === 'Sweeps and experiments';")
    b.wait("return document.querySelector('#trouble').hidden;")
    b.open(f"{made['table'].url}#view=toString")
    b.wait("return document.querySelector('main h1')?.textContent === 'Sweeps and experiments';")
    made["console"].extend(m for m in b.log() if "999999" not in m)


@test("chosen trials stand side by side, what differs first")
def compares(b, made):
    b.open("about:blank")
    b.open(f"{made['table'].url}#view=compare&pick=1,4")
    heads = b.wait("const c = [...document.querySelectorAll('main caption')].map((e) => e.textContent); return c.length && c;")
    same(heads[:2], ["What differs", "Metrics"])
    names = b.js("return [...document.querySelector('table.beside').tBodies[0].rows].map((tr) => tr.cells[0].textContent);")
    assert {"method", "rank"} <= set(names), names


@test("a trial has its configuration, its curves and its log as it comes")
def one_trial(b, made):
    b.open("about:blank")
    running = ui_pages.query(made["program"], made["live_store"], "SELECT max(id) FROM trial_view WHERE state = 'running'")[0]
    b.open(f"{made['live'].url}#view=trial&trial={running}")
    b.wait("return document.querySelectorAll('#log option').length === 3;")
    b.js("const s = document.querySelector('#log select'); s.value = 'stderr'; s.dispatchEvent(new Event('change'));")
    b.wait("return document.querySelector('#log pre').textContent.includes('step 1 of');", seconds=60)
    text = b.js("return document.querySelector('#log pre').textContent;")
    b.wait("return document.querySelector('#log pre').textContent.length > arguments[0];", len(text), seconds=30)
    text = b.js("return document.querySelector('#configuration').textContent;")
    assert "rate" in text and "width" in text, text
    b.wait(f"return (() => {{ {INK} }})() > 500;")


@test("a trial's memory stands by category, without the sums")
def memory(b, made):
    b.open("about:blank")
    b.open(f"{made['table'].url}#view=trial&trial=1")
    b.wait("return !!document.querySelector('#memory li');")
    same(b.js("return [...document.querySelectorAll('#memory li')].map((e) => e.textContent);"), ["weights 1 MiB", "activations 512 KiB"])


@test("clone from the page: the command is shown, asked for, and runs")
def clones(b, made):
    b.open("about:blank")
    b.open(f"{made['live'].url}#view=trial&trial=1")
    b.wait("return !!document.querySelector('button[data-verb=clone]');")
    before = ui_pages.query(made["program"], made["live_store"], "SELECT count(*) FROM trial_view")
    b.click("button[data-verb=clone]")
    b.focus("dialog textarea")
    b.key(*"width=64")
    line = b.wait("const t = document.querySelector('dialog .line code').textContent; return t.includes('width=64') && t;")
    assert line.startswith("peftlab sweep clone") and line.endswith("1 width=64"), line
    same(ui_pages.query(made["program"], made["live_store"], "SELECT count(*) FROM trial_view"), before, "nothing runs unasked")
    b.click("dialog button.main")
    b.wait("return document.querySelector('dialog .good');", seconds=30)
    after = ui_pages.query(made["program"], made["live_store"], "SELECT count(*) FROM trial_view")
    same(int(after[0]), int(before[0]) + 1, "trials")
    b.key("Escape")


@test("without the token nothing is changed")
def token(b, made):
    for headers in ({}, {"X-Peftlab-Token": "0" * 32}):
        request = urllib.request.Request(made["live"].base + "api/do", b'{"verb": "stop", "sweep": "1"}',
                                         {"Content-Type": "application/json", **headers}, method="POST")
        try:
            urllib.request.urlopen(request)
            raise AssertionError("it was taken")
        except urllib.error.HTTPError as e:
            same(e.code, 403)


@test("without a script sweeps and trials can be read")
def plain(b, made):
    b.open("about:blank")
    b.open(made["table"].url, script=False)
    href = b.js("return [...document.querySelectorAll('main a')].map((a) => a.getAttribute('href')).find((h) => h.includes('plain'));")
    assert href, "a link to the plain page"
    for path in ("plain", href.lstrip("/"), "plain?sweep=1", "plain?trial=1"):
        b.open(made["table"].base + path, 400)
        b.js(made["axe"])
        same(b.js_async(AXE), [], f"axe on {path}")
    b.open(made["table"].base + href.lstrip("/"), script=False)
    assert b.js("return document.querySelectorAll('main table tr').length;") > 100
    assert b.js("return document.body.textContent.includes('eval/accuracy');")


# ---- who looks, and on what ----

VIEWS = {"overview": ("live", ""), "trials": ("table", "#view=trials&experiment=1"), "sweep": ("live", "#view=trials&sweep=1&flat=1"),
         "trial": ("live", "#view=trial&trial=1"), "compare": ("table", "#view=compare&pick=1,4,7")}
READY = """return document.querySelector("main h1") && document.querySelector(".live").dataset.state === "live" &&
    !document.querySelector("#trouble:not([hidden])") && document.querySelectorAll("main table tbody tr").length > 1;"""


def view(b, made, name, width, dark):
    server, place = VIEWS[name]
    b.open("about:blank")
    b.open(made[server].url + place, width, dark)
    b.wait(READY)


def check_axe(b, made, name, width, dark):
    view(b, made, name, width, dark)
    b.js(made["axe"])
    found = b.js_async(AXE)
    assert not found, f"{len(found)} violations: " + "; ".join(found[:5])


LINES = """return [...document.querySelectorAll(".acts code")].map((code) => {
  const flags = [...code.querySelectorAll(".flag")];
  return [code.textContent, flags.filter((e) => e.getClientRects().length > 1).map((e) => e.textContent), flags.length];
});"""


@test("a command line breaks between its words at 400 pixels, never within --store=")
def words(b, made):
    view(b, made, "trial", 400, False)
    b.wait("const c = [...document.querySelectorAll('.acts code')]; return c.length > 3 && c.every((e) => e.textContent);")
    for text, broken, flags in b.js(LINES):
        assert text.startswith("peftlab ") and f"--store={made['live_store']} " in text, text
        assert flags > 3 and not broken, (text, broken)
    height = b.js("return [...document.querySelectorAll('.acts code')].map((e) => e.getBoundingClientRect().height);")
    assert max(height) > 30, f"lines are long enough to break: {height}"


def check_narrow(b, made, name):
    view(b, made, name, 400, False)
    width, cut = b.js(CUT, SCROLLED)
    assert width <= 400, f"the page is {width} pixels wide"
    assert not cut, f"{len(cut)} are cut: {cut[:4]}"


for name in VIEWS:
    for dark in (False, True):
        test(f"axe finds nothing on {name}, {'dark' if dark else 'light'}", name, 1300, dark)(check_axe)
    test(f"axe finds nothing on {name} at 400 pixels", name, 400, False)(check_axe)
    test(f"nothing is cut at 400 pixels: {name}", name)(check_narrow)


@test("dark and light by the system and by the switch")
def themes(b, made):
    paper = "return getComputedStyle(document.body).backgroundColor;"
    view(b, made, "overview", 1200, True)
    dark = b.js(paper)
    switch = "[...document.querySelectorAll('#tools button')].at(-1).click();"
    b.js(switch)  # dark
    same(b.js(paper), dark)
    b.js(switch)  # light
    same(b.js(paper), "rgb(255, 255, 255)")
    b.do("/refresh")
    b.wait(READY)
    same(b.js(paper), "rgb(255, 255, 255)", "kept")
    b.js(switch)
    same(b.js(paper), dark, "as the system")


@test("no view has said anything to the console")
def silence(b, made):
    same([m for m in made.get("console", []) + b.log() if "favicon" not in m], [], "messages")


# ---- running ----

def main(build, word=""):
    program = f"{build}/peftlab"

    def prepare(folder):
        made = {"program": program, "live_store": f"{folder}/live.db"}
        started = []

        made["close"] = lambda: [one.close() for one in started]
        ui_pages.write_sweep(folder, steps=50000)  # nobody waits for an end of it, however slow the machine is
        started.append(ui_pages.Sweep(folder, program, made["live_store"]))
        for name, store in (("table", ui_pages.make_table(folder, program)),
                            ("many", ui_pages.make_table(folder, program, "many.db", 500)), ("live", made["live_store"])):
            made[name] = ui_pages.Server(program, store)
            started.append(made[name])
        return made
    return test.run(build, ["peftlab"], prepare, word)


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), *sys.argv[2:]))
