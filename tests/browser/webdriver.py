"""A browser to drive: Debian's chromium by chromedriver, in the W3C's WebDriver protocol.

Standard library alone. `Browser()` starts both, `close()` ends both. Places are pixels of the
window. Elements are found and read by JavaScript; keys and pointers are real input.
"""

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request

KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "Tab": "\ue004", "ArrowLeft": "\ue012", "ArrowUp": "\ue013",
        "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Home": "\ue011", "End": "\ue010"}


def missing():
    """What a browser lacks here; '' when it is all there."""
    return ", ".join(p for p in ("chromedriver", "chromium") if not shutil.which(p))


class Browser:
    def __init__(self):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL, text=True)
        self.base = None
        for line in self.driver.stdout:
            port = re.search(r"started successfully on port (\d+)", line)
            if port:
                self.base = f"http://127.0.0.1:{port[1]}"
                break
        if not self.base:
            raise RuntimeError("chromedriver does not start")
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            "--hide-scrollbars", "--force-device-scale-factor=1"]}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                                   "timeouts": {"script": 170000},
                                                   "goog:loggingPrefs": {"browser": "ALL"}}}}
        try:
            self.session = self.ask("POST", "/session", wanted)["sessionId"]
        except Exception:
            self.driver.terminate()
            raise

    def ask(self, verb, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=verb)
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as e:
            raise RuntimeError(json.load(e)["value"]["message"].split("\n")[0]) from None

    def do(self, path, body=None):
        return self.ask("POST", f"/session/{self.session}{path}", body or {})

    def close(self):
        try:
            self.ask("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def cdp(self, command, **params):
        return self.do("/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, path, width=1200, dark=False, script=True):
        self.cdp("Emulation.setScriptExecutionDisabled", value=not script)
        self.cdp("Emulation.setEmulatedMedia", media="",
                 features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                           {"name": "prefers-reduced-motion", "value": "reduce"}])  # nothing moves under the pointer
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.do("/url", {"url": f"file://{path}" if path.startswith("/") else path})

    def js(self, code, *args):
        return self.do("/execute/sync", {"script": code, "args": list(args)})

    def js_async(self, code, *args):
        return self.do("/execute/async", {"script": code, "args": list(args)})

    def wait(self, code, *args, seconds=20):
        """Until the script's value is true; it is returned."""
        end = time.monotonic() + seconds
        while True:
            value = self.js(code, *args)
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {' '.join(code.split())[:200]}")
            time.sleep(0.05)

    def shot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.ask("GET", f"/session/{self.session}/screenshot")))

    def log(self):
        return [e["message"] for e in self.do("/se/log", {"type": "browser"})]

    # ---- input ----

    def key(self, *names):
        actions = []
        for name in names:
            for kind in ("keyDown", "keyUp"):
                actions.append({"type": kind, "value": KEYS.get(name, name)})
        self.do("/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def pointer(self, *steps):
        """Steps: ("move", x, y), ("down",), ("up",)."""
        actions = []
        for step in steps:
            if step[0] == "move":
                actions.append({"type": "pointerMove", "duration": 20, "x": round(step[1]), "y": round(step[2])})
            else:
                actions.append({"type": f"pointer{step[0].capitalize()}", "button": 0})
        self.do("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": actions}]})

    def middle(self, selector):
        """Scrolls the element into sight and says where its middle is."""
        return self.js("""const e = document.querySelector(arguments[0]);
            for (let d = e.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
            e.scrollIntoView({block: "center", behavior: "instant"});
            const r = e.getBoundingClientRect();
            return [r.x + r.width / 2, r.y + r.height / 2];""", selector)

    def click(self, selector):
        x, y = self.middle(selector)
        self.pointer(("move", x, y), ("down",), ("up",))

    def hover(self, selector):
        x, y = self.middle(selector)
        self.pointer(("move", 2, 2), ("move", x, y))

    def focus(self, selector):
        self.js("""const e = document.querySelector(arguments[0]);
            for (let d = e.closest("details"); d; d = d.parentElement.closest("details")) d.open = true;
            e.focus();""", selector)
