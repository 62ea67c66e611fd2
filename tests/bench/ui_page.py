#!/usr/bin/env python3
"""Measures `peftlab ui` in a browser: ui_page.py BUILD STORE MINUTES; see ui.sh.

Paint: from the start of the navigation, five loads. Update: from the event's arrival in the tab until the table's new number
stands there, asked for by the page in between, and the longest task of the tab's main thread. Memory: what the script's heap
holds after a collection, and the resident bytes of the tab's process, at the beginning and at the end.
"""

import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "browser"))
import ui_pages  # noqa: E402
from webdriver import Browser, missing  # noqa: E402

# In the page before anything of its own: when rows and curves stood there first, when events came, when the table changed.
WATCH = """
window.seen = { updates: [], tasks: [], waiting: null };
new PerformanceObserver((l) => l.getEntries().forEach((e) => seen.tasks.push(e.duration))).observe({ type: "longtask", buffered: true });
new MutationObserver((list) => {
  if (!seen.rows && document.querySelector(".window tbody tr[data-id]")) seen.rows = performance.now();
  if (!seen.curves && /^[1-9]/.test(document.querySelector(".curves > .note")?.textContent ?? "")) seen.curves = performance.now();
  if (seen.waiting !== null && list.some((m) => m.target.nodeType === 1 && m.target.closest?.(".window tbody td"))) {
    const begin = seen.waiting;
    seen.waiting = null;
    requestAnimationFrame(() => setTimeout(() => seen.updates.push(performance.now() - begin)));
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
const add = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (name, f) {
  return add.call(this, name, name !== "change" ? f : (e) => { seen.waiting ??= performance.now(); f(e); });
};
"""


def children(pid):
    out = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as f:
                    if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                        out.append(int(name))
            except OSError:
                pass
    return out + [c for p in out for c in children(p)]


def renderer_bytes(browser):
    """Of the largest renderer below the driver: the tab."""
    most = 0
    for pid in children(browser.driver.pid):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                if "--type=renderer" not in f.read():
                    continue
            with open(f"/proc/{pid}/statm") as f:
                most = max(most, int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        except OSError:
            pass
    return most


def heap_bytes(b):
    b.cdp("HeapProfiler.collectGarbage")
    metrics = {m["name"]: m["value"] for m in b.cdp("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"]


def load(b, url):
    b.open("about:blank")
    b.open(url, width=1400)
    b.wait("return seen.rows && seen.curves;", seconds=60)
    return b.js("""const paint = performance.getEntriesByType("paint").find((p) => p.name === "first-contentful-paint");
        return [paint.startTime, seen.rows, seen.curves].map((v) => v / 1000);""")


def told(name, value, target, unit):
    good = value < target
    print(f"{name:<44} {value:8.3f} {unit}   target {target:g}   {'ok' if good else 'MISSED'}", flush=True)
    return good


def main(build, store, minutes):
    if missing():
        sys.exit(f"{missing()} is not installed")
    server, b = ui_pages.Server(f"{build}/peftlab", store), Browser()
    try:
        b.cdp("Performance.enable")
        b.cdp("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        url = f"{server.url}#view=trials&sweep=1&key=train/loss&most=300&flat=1&sort=started_ms:desc&cols=state,method,rank,train/loss,eval/accuracy"
        loads = [load(b, url) for _ in range(5)]
        good = [told(f"{name}, median of five loads", statistics.median(v), target, "s") for name, v, target in
                zip(("first paint", "the table's rows stand there", "300 curves stand there"), zip(*loads), (1, 1, 4))]
        b.js("seen.updates = []; seen.tasks = [];")
        begin, first, updates, tasks = time.monotonic(), None, [], []
        while time.monotonic() < begin + minutes * 60:
            time.sleep(10)
            got, long_ones = b.js("const s = [seen.updates, seen.tasks]; seen.updates = []; seen.tasks = []; return s;")
            updates += got
            tasks += long_ones
            if first is None and time.monotonic() > begin + min(60, minutes * 12):
                first = (heap_bytes(b), renderer_bytes(b))
        last = (heap_bytes(b), renderer_bytes(b))
        print(f"{len(updates)} updates in {minutes:g} min; {len(tasks)} tasks above 50 ms, the longest {max(tasks, default=0):.0f} ms")
        updates.sort()
        good.append(told("an update, median", updates[len(updates) // 2] / 1000, 0.1, "s"))
        print(f"{'an update, 95 of 100':<44} {updates[len(updates) * 95 // 100] / 1000:8.3f} s")
        print("heap of the script {:.1f} -> {:.1f} MiB, the tab's process {:.0f} -> {:.0f} MiB".format(
            *(v / 2**20 for pair in zip(first, last) for v in pair)))
        good.append(told("growth of the tab's process", last[1] / first[1] - 1, 0.1, "of it"))
        good.append(told("growth of the script's heap", (last[0] - first[0]) / 2**20, 8, "MiB"))
        return 0 if all(good) else 1
    finally:
        b.close()
        server.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
