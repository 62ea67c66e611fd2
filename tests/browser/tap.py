"""What the tests in a browser share: a list of them, told as TAP; axe-core; what is cut at a narrow width."""

import shutil
import subprocess
import tempfile
import traceback
from os.path import abspath, dirname, relpath, sep

from webdriver import Browser, missing

ROOT = dirname(dirname(dirname(abspath(__file__))))

AXE = """const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ["violations"]}).then((r) => done(r.violations.flatMap(
    (v) => v.nodes.map((n) => `${v.id}: ${n.target.join(" ")}: ${n.failureSummary.split("\\n")[1] ?? ""}`))));"""

# What stands out at the right; what may scroll (inside `except`, a selector) is let be.
CUT = """const out = [];
for (const e of document.querySelectorAll("body *")) {
  const r = e.getBoundingClientRect(), hidden = e.closest(arguments[0]);
  if (r.width > 1 && r.right > innerWidth + 1 && !hidden && !e.closest("svg"))
    out.push(`${e.tagName}.${e.className}: ${Math.round(r.right)}: ${e.textContent.slice(0, 40)}`);
}
return [document.documentElement.scrollWidth, out];"""


class Tests:
    def __init__(self):
        self.all = []

    def __call__(self, name, *args):
        def add(function):
            self.all.append((name, function, args))
            return function
        return add

    def skip_all(self, reason):
        print(f"1..{len(self.all)}")
        for number, (name, *_) in enumerate(self.all, 1):
            print(f"ok {number} - {name} # SKIP {reason}")
        return False

    def one(self, number, browser, made):
        name, function, args = self.all[number - 1]
        try:
            function(browser, made, *args)
            print(f"ok {number} - {name}", flush=True)
            return True
        except Exception as e:
            frames = traceback.extract_tb(e.__traceback__)
            line = frames[1 if len(frames) > 1 else 0].lineno
            print(f"not ok {number} - {name}\n# {function.__name__}, line {line}: {e}", flush=True)
            return False

    def run(self, build, programs, prepare, word=""):
        """programs: what is built first; prepare(folder): what each test gets, with "axe" added. True: one failed."""
        self.all = [t for t in self.all if word in t[0]]
        if missing():
            return self.skip_all(f"{missing()} is not installed")
        axe = subprocess.run([f"{ROOT}/tools/fetch_axe.sh", f"{build}/axe"], capture_output=True, text=True)
        if axe.returncode:
            return self.skip_all("axe-core could not be fetched: " + axe.stderr.strip().split("\n")[-1][:150])
        make(build, programs)
        folder, failed = tempfile.mkdtemp(), 0
        print(f"1..{len(self.all)}", flush=True)
        browser = Browser()
        made = {}
        try:
            made = prepare(folder)
            with open(f"{build}/axe/axe.min.js") as f:
                made["axe"] = f.read()
            failed = [self.one(n, browser, made) for n in range(1, len(self.all) + 1)].count(False)
        finally:
            browser.close()
            made.get("close", lambda: None)()
            shutil.rmtree(folder, ignore_errors=True)
        return failed > 0


def make(build, programs):
    """By the name that tests/run.sh gives the folder: make knows headers of objects by it."""
    b = relpath(build, ROOT) if build.startswith(ROOT + sep) else build
    subprocess.run(["make", "-s", "-C", ROOT, f"B={b}", *(f"{b}/{p}" for p in programs)], check=True, stdout=subprocess.DEVNULL)


def same(got, expected, what=""):
    assert got == expected, f"{what}: got {got!r}, expected {expected!r}"
