#!/usr/bin/env python3
"""The report in a real browser: accessibility, narrow screens, figures, and the script's comfort. TAP.

    tests/browser/run.py BUILD [WORD]    only tests whose name has the word

Needs chromium and chromedriver (Debian's chromium-driver) and axe-core (tools/fetch_axe.sh); where one is
missing every test is skipped, with the reason.
"""

import json
import os
import re
import sys

import pages
from tap import AXE, CUT, Tests, same

NAMES = ["reviews", "support", "published", "many"]
OPEN_ALL = "document.querySelectorAll('details').forEach((d) => { d.open = true; });"
SCROLLED = ".skip, thead, #decision h2"

test = Tests()


def configurations(path):
    text = re.search(r'<template id="report-data"[^>]*>(.*?)</template>', open(path).read(), re.S)[1]
    return json.loads(text)["configurations"]


# ---- accessibility ----

# axe takes minutes for a thousand rows and lines: of each table and figure a dozen stay, which have all forms.
FEW = """const many = (all) => [...all].slice(12).forEach((e) => e.remove());
document.querySelectorAll("tbody").forEach((t) => many(t.rows));
document.querySelectorAll("svg").forEach((s) => ["path.m", "path.line", "circle.dot", "use"].forEach((k) =>
    many(s.querySelectorAll(k))));"""


def check_axe(b, made, name, width, dark):
    b.open(made[name], width, dark)
    b.js(OPEN_ALL + FEW)
    b.js(made["axe"])
    found = b.js_async(AXE)
    assert not found, f"{len(found)} violations: " + "; ".join(found[:5])


for page in NAMES:
    for dark in (False, True):
        test(f"axe finds nothing on {page}, {'dark' if dark else 'light'}", page, 1200, dark)(check_axe)
test("axe finds nothing on reviews at 400 pixels", "reviews", 400, False)(check_axe)


@test("axe tells a page that is broken")
def axe_tells(b, made):
    b.open(made["support"])
    b.js("document.querySelector('main').insertAdjacentHTML('beforeend', '<img><p style=\"color:#ccc\">too pale to read</p>');")
    b.js(made["axe"])
    found = " ".join(b.js_async(AXE))
    assert "image-alt" in found and "color-contrast" in found, found


# ---- narrow screens ----

def check_narrow(b, made, name, script):
    b.open(made[name], 400, script=script)
    b.js(OPEN_ALL)
    width, cut = b.js(CUT, SCROLLED)
    assert width <= 400, f"the page is {width} pixels wide"
    assert not cut, f"{len(cut)} are cut: {cut[:4]}"


for page in NAMES:
    for script in (True, False):
        test(f"nothing is cut at 400 pixels: {page}, {'with' if script else 'without'} script", page, script)(check_narrow)


@test("the deciding column comes first and whole at 400 pixels")
def deciding_column(b, made):
    b.open(made["reviews"], 400)
    rows = b.js("""return [...document.querySelectorAll("#matrix table.matrix tbody tr")].map((tr) =>
        [...tr.cells].slice(1).map((c) => { const r = c.getBoundingClientRect();
            return [r.left, r.right, r.top, getComputedStyle(c, "::before").content]; }));""")
    same(len(rows), 6, "rows")
    for first, last in rows:
        assert last[0] >= 0 and last[1] <= 400 and last[2] < first[2], (first, last)
        same(last[3], '"400 rows"', "its heading")


TEXTS = """return [...document.querySelectorAll("figure svg text")].filter((t) => t.getClientRects().length).map((t) =>
    parseFloat(getComputedStyle(t).fontSize) * Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b));"""


@test("texts of figures are 11 pixels or more at 1200 and at 400")
def text_sizes(b, made):
    for name in NAMES:
        for width in (1200, 400):
            b.open(made[name], width)
            b.js(OPEN_ALL)
            sizes = b.js(TEXTS)
            assert len(sizes) > 20, f"{name}: {len(sizes)} texts"
            assert min(sizes) >= (10.9 if width > 400 else 10.4), f"{name} at {width}: {min(sizes):.2f}"


# ---- figures ----

@test("every mark has a title, every figure a key")
def marks(b, made):
    for name in NAMES:
        b.open(made[name])
        bare, marked, keyless = b.js("""const m = [...document.querySelectorAll("figure .m")];
            return [m.filter((e) => !e.querySelector("title")?.textContent.trim()).length, m.length,
                [...document.querySelectorAll("figure")].filter((f) => f.querySelector(".plot") &&
                    !f.querySelector(".key li")).map((f) => f.textContent.slice(0, 40))];""")
        same(bare, 0, f"{name}: marks without a title")
        same(keyless, [], f"{name}: figures without a key")
        assert marked > 20, f"{name}: {marked} marks"


# Names beside points against the points and against one another; those of the axes end or stand in the middle.
OVERLAPS = """const out = [];
for (const svg of document.querySelectorAll("#pareto .wide svg")) {
  const box = (e) => e.getBoundingClientRect();
  const names = [...svg.querySelectorAll("g[text-anchor=start] text")].map((t) => [t.textContent.trim(), box(t)]);
  const marks = [...svg.querySelectorAll("g use")].map(box);
  const meet = (a, b, by) => a.left + by < b.right && b.left + by < a.right && a.top + by < b.bottom && b.top + by < a.bottom;
  names.forEach(([text, a], i) => {
    if (marks.some((m) => meet(a, m, 2))) out.push(`${text} under a mark`);
    for (const [other, b] of names.slice(i + 1)) if (meet(a, b, 2)) out.push(`${text} and ${other}`);
  });
  out.count = (out.count ?? 0) + names.length;
}
return [out.count, out];"""


@test("names in the figures stand under no mark and under no other name")
def names_free(b, made):
    for name in ("reviews", "published"):
        b.open(made[name])
        b.js(OPEN_ALL)
        count, overlaps = b.js(OVERLAPS)
        assert count >= 6, f"{name}: {count} names"
        same(overlaps, [], name)


# ---- the script ----

FIND_TRIALS = """const t = [...document.querySelectorAll("table")].find((t) => /^TrialGroup/.test(t.tHead?.textContent ?? ""));
t.id = "trials-table"; return [...t.tHead.rows[0].cells].map((c) => c.textContent);"""
COLUMN = """return [...document.querySelectorAll("#trials-table tbody tr")].filter((tr) => !tr.hidden)
    .map((tr) => tr.cells[arguments[0]].textContent.trim());"""


def trials(b, made, name="reviews"):
    b.open(made[name])
    return b.js(FIND_TRIALS)


@test("a heading sorts up, down and back, by mouse and by keys")
def sorts(b, made):
    at = trials(b, made).index("Seconds")
    button = f"#trials-table thead th:nth-child({at + 1}) button"
    asked = f"return document.querySelector('#trials-table thead th:nth-child({at + 1})').getAttribute('aria-sort');"
    before = b.js(COLUMN, at)
    numbers = sorted(float(v) for v in before)
    b.click(button)
    same([float(v) for v in b.js(COLUMN, at)], numbers, "up")
    same(b.js(asked), "ascending")
    b.focus(button)
    b.key("Enter")
    same([float(v) for v in b.js(COLUMN, at)], numbers[::-1], "down")
    same(b.js(asked), "descending")
    b.key("Enter")
    same(b.js(COLUMN, at), before, "as it came")
    same(b.js(asked), None)


@test("units and missing values are sorted as what they mean")
def sorts_units(b, made):
    at = trials(b, made).index("Memory")
    b.click(f"#trials-table thead th:nth-child({at + 1}) button")
    scale = {"KiB": 1, "MiB": 1024, "GiB": 1024**2}
    got = b.js(COLUMN, at)
    known = [float(v.split()[0]) * scale[v.split()[1]] for v in got if v != "–"]
    same(known, sorted(known), "memory")
    same(got[len(known):], ["–"] * (len(got) - len(known)), "missing ones last")
    assert len(known) > 50 and len(known) < len(got), f"{len(known)} of {len(got)}"


@test("a filter leaves the rows that have every word")
def filters(b, made):
    trials(b, made)
    b.focus(".filter:has(+ .scroll > #trials-table) input")
    b.key(*"lora 400")
    group, rows = b.js(COLUMN, 1), b.js("return document.querySelectorAll('#trials-table tbody tr').length;")
    assert 0 < len(group) < rows and all("lora" in g for g in group), group
    same(b.js("return document.querySelector('.filter:has(+ .scroll > #trials-table) output').textContent;"),
         f"{len(group)} of {rows} rows")


@test("the axes of the picture are chosen")
def chooses_axes(b, made):
    for name in ("reviews", "many"):
        b.open(made[name])
        state = """const s = document.querySelector("#explore figure svg");
            return [s.querySelectorAll("circle").length, [...s.querySelectorAll("circle")].map((c) => c.getAttribute("cx")),
                s.getAttribute("aria-label")];"""
        count, before, _ = b.js(state)
        known = configurations(made[name])
        same(count, len(known["rows"]), "dots")
        index = b.js("""const s = document.getElementById("axis-x");
            return [...s.options].findIndex((o) => o.text === "learning_rate");""")
        b.focus("#axis-x")
        chosen = b.js("return document.getElementById('axis-x').selectedIndex;")
        b.key(*["ArrowDown"] * (index - chosen))
        _, after, label = b.js(state)
        assert "learning_rate" in label and after != before, label


HANDLE = '#explore [role=slider][aria-label="{}"]'
OUT = """const of = (s) => document.querySelectorAll("#explore " + s).length;
return [of("path.line"), of("path.line.out"), of("circle.dot"), of("circle.dot.out"),
    document.querySelector("#explore output").textContent];"""


@test("ranges narrow the configurations: by keys, as the data says")
def brushes_by_keys(b, made):
    b.open(made["published"])
    known = configurations(made["published"])
    at = 4 + known["parameters"].index("rank")
    handle = HANDLE.format("rank, at least")
    b.focus(handle)
    b.key("ArrowRight", "ArrowRight")  # from the least rank to the third
    least = sorted({row[at] for row in known["rows"]})[2]
    left = sum(row[at] >= least for row in known["rows"])
    assert 0 < left < 63, left
    lines, out, dots, dots_out, text = b.js(OUT)
    same((lines, lines - out, dots - dots_out, text), (63, left, left, f"{left} of 63 configurations"))
    same(b.js(f"return document.querySelector('{handle}').getAttribute('aria-valuetext');"), str(least))
    best = b.js("return document.querySelector('#explore tbody th').textContent;")
    expected = next(known["groups"][r[0]] for r in known["rows"] if r[at] >= least)
    assert best.startswith(expected), f"the best of the rest is {best}, expected {expected}"
    b.click("#explore .choose button")
    same(b.js(OUT)[1], 0, "after taking ranges back")


@test("ranges narrow the configurations: by dragging")
def brushes_by_drag(b, made):
    b.open(made["many"])
    x, y = b.middle(HANDLE.format("score, at least"))
    b.pointer(("move", x, y), ("down",), ("move", x + 300, y), ("move", x + 400, y), ("up",))
    lines, out, *_ = b.js(OUT)
    same(lines, 1000, "lines")
    assert 0 < out < 1000, f"{out} are out"


@test("one configuration is marked in tables, figures and lines")
def marks_everywhere(b, made):
    b.open(made["reviews"])
    row = "#matrix table.matrix tbody tr[data-c]"
    number = b.js(f"return document.querySelector('{row}').dataset.c;")
    b.hover(row + " th")
    kinds = """return [...new Set([...document.querySelectorAll(".on")].map((e) => e.dataset.c + " " +
        (e.closest("tr") ? "row" : e.matches("figure .m") ? "mark" : e.matches(".line") ? "line" : "dot")))].sort();"""
    same(b.js(kinds), sorted(f"{number} {k}" for k in ("row", "mark", "line", "dot")))
    b.pointer(("move", 2, 2))
    same(b.js(kinds), [], "the pointer is elsewhere")
    b.focus(row)
    b.key("Enter", "ArrowDown")
    other = b.js("return document.activeElement.dataset.c;")
    assert other != number, "the arrow goes to the next row"
    b.js("document.activeElement.blur();")
    same({k.split()[0] for k in b.js(kinds)}, {number}, "kept")
    assert b.js("return !document.getElementById('marked').hidden;")
    b.key("Escape")
    same(b.js(kinds), [], "let go")


@test("the policy lets the page's script run and no other")
def policy(b, made):
    b.open(made["reviews"])
    same([m for m in b.log() if "favicon" not in m], [], "messages")
    broken = made["reviews"].replace(".html", "-other.html")
    text = open(made["reviews"]).read()
    with open(broken, "w") as f:
        f.write(text.replace("<main>", "<main><script>document.title = 'run'</script>", 1))
    b.open(broken)
    assert b.js("return document.title;") != "run"
    assert b.js("return !!document.getElementById('explore');"), "the page's own ran"


@test("without the script the page is whole")
def without_script(b, made):
    shown = """const of = (s) => [...document.querySelectorAll(s)].filter((e) => !e.closest("#explore")).length;
        return ["main table", "main tr", "figure", "figure svg", "details", "section", "th", "td"].map(of);"""
    for name in NAMES:
        b.open(made[name])
        assert b.js("return document.querySelectorAll('.sort').length;") > 10
        with_it = b.js(shown)
        b.open(made[name], script=False)
        same(b.js("return document.querySelectorAll('.sort, .filter, #explore').length;"), 0, "of the script")
        same(b.js(shown), with_it, name)


@test("paper has the page and not the script's parts")
def prints(b, made):
    b.open(made["reviews"])
    b.cdp("Emulation.setEmulatedMedia", media="print")
    seen = """return [...document.querySelectorAll(arguments[0])].filter((e) => e.getClientRects().length).length;"""
    same(b.js(seen, "#explore, .filter, nav, .plot.narrow"), 0, "on paper")
    assert b.js(seen, ".plot.wide svg") >= 6


# ---- running ----

def main(build, word=""):
    def prepare(folder):
        return pages.make_all(folder, f"{build}/peftlab", f"{build}/tests/report_example")
    return test.run(build, ["peftlab", "tests/report_example"], prepare, word)


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1]), *sys.argv[2:]))
