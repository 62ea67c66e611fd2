#!/usr/bin/env python3
"""Adapters behind a small HTTP server, as a team would put it up with transformers + peft or with ONNX Runtime, for `peftlab bench` to ask.

    serve_rival.py MODEL ADAPTER K --style set|names|onnx [--port 8001] [--labels 3] [--threads 2] [--rows 32] [--alone TOKENS]

ADAPTER, a folder of peft's, is loaded K times, as a-0 ... a-(K-1). `set` calls set_adapter for each request, one request at a time; `names` puts
what waits into one padded batch with adapter_names (at most --rows). `onnx` has K merged copies in ONNX Runtime, with its transformers tool's
fusions; what waits for the same copy as the first is a batch. The shape is that of POST /v1/classify; input is text or token ids.
First it says what it does by itself, without HTTP, on requests of --alone tokens: the median of single ones, and rows per second in batches of
--rows for as many adapters as there are; and its memory. It says "serving" when it is ready.
"""

import argparse
import json
import os
import queue
import statistics
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


LOADED = 32  # adapters that peft loads itself; the others are copied


class Peft:
    def __init__(self, o):
        import torch
        from peft import PeftModel
        from transformers import AutoModelForSequenceClassification

        torch.set_num_threads(o.threads)
        base = AutoModelForSequenceClassification.from_pretrained(o.model, num_labels=o.labels)
        self.model = PeftModel.from_pretrained(base, o.adapter, adapter_name="a-0")
        for k in range(1, min(o.adapters, LOADED)):
            self.model.load_adapter(o.adapter, adapter_name=f"a-{k}")
        self.model.eval()
        if o.adapters > LOADED:
            self.copy_adapters([f"a-{k}" for k in range(LOADED, o.adapters)])
        self.torch, self.style = torch, o.style

    def copy_adapters(self, names):
        """As load_adapter leaves them, with weights of their own; it takes time by the square of their number (1,000: half an hour)."""
        import copy

        for module in list(self.model.modules()):
            mine = [*vars(module).values(), *module._modules.values()]
            for table in [t for t in mine if hasattr(t, "keys") and "a-0" in t]:
                for name in names:
                    table[name] = copy.deepcopy(table["a-0"])
            for known in [t for t in mine if isinstance(t, set) and "a-0" in t]:
                known.update(names)

    def group(self, first, name):
        return self.style == "names"

    def logits(self, names, rows):
        t = self.torch
        longest = max(len(r) for r in rows)
        ids, mask = t.zeros(len(rows), longest, dtype=t.long), t.zeros(len(rows), longest, dtype=t.long)
        for k, r in enumerate(rows):
            ids[k, : len(r)] = t.tensor(r)
            mask[k, : len(r)] = 1
        with t.inference_mode():
            if self.style == "names":
                return self.model(input_ids=ids, attention_mask=mask, adapter_names=names).logits.tolist()
            self.model.set_adapter(names[0])
            return self.model(input_ids=ids, attention_mask=mask).logits.tolist()


class Onnx:
    def __init__(self, o):
        import numpy as np
        import onnxruntime as ort
        import torch
        from onnxruntime.transformers import optimizer
        from peft import PeftModel
        from transformers import AutoModelForSequenceClassification

        base = AutoModelForSequenceClassification.from_pretrained(o.model, num_labels=o.labels, attn_implementation="eager")
        merged = PeftModel.from_pretrained(base, o.adapter).merge_and_unload().eval()
        names = ["input_ids", "attention_mask", "token_type_ids"]
        x = {n: torch.ones((1, 9), dtype=torch.int64) for n in names}
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = o.threads, 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # many sessions would hold each other up
        with tempfile.TemporaryDirectory() as work:
            path = os.path.join(work, "merged.onnx")
            torch.onnx.export(merged, (), path, kwargs=x, input_names=names, output_names=["logits"], dynamo=False, opset_version=17,
                              dynamic_axes={**{n: {0: "rows", 1: "tokens"} for n in names}, "logits": {0: "rows"}})
            c = merged.config
            optimizer.optimize_model(path, model_type="bert", num_heads=c.num_attention_heads, hidden_size=c.hidden_size).save_model_to_file(path)
            self.sessions = {f"a-{k}": ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for k in range(o.adapters)}
        self.inputs = {i.name for i in self.sessions["a-0"].get_inputs()}
        self.np = np

    def group(self, first, name):
        return first == name

    def logits(self, names, rows):
        np = self.np
        x = {n: np.zeros((len(rows), max(len(r) for r in rows)), dtype=np.int64) for n in ("input_ids", "attention_mask", "token_type_ids")}
        for k, r in enumerate(rows):
            x["input_ids"][k, : len(r)] = r
            x["attention_mask"][k, : len(r)] = 1
        return self.sessions[names[0]].run(None, {k: v for k, v in x.items() if k in self.inputs})[0].tolist()


class Engine:
    """Requests wait; what may go together goes together."""

    def __init__(self, o, model):
        from transformers import AutoTokenizer

        self.model, self.rows, self.waiting, self.left = model, o.rows, queue.Queue(), []
        self.names = {f"a-{k}" for k in range(o.adapters)}
        self.tokenizer = AutoTokenizer.from_pretrained(o.model)
        threading.Thread(target=self.run, daemon=True).start()

    def ask(self, name, text):
        ids = text if isinstance(text, list) else self.tokenizer(text)["input_ids"]
        item = [name, ids, threading.Event(), None, time.monotonic(), 0.0, 0.0]
        self.waiting.put(item)
        item[2].wait()
        return item

    def take(self):
        self.left = self.left or [self.waiting.get()]
        while True:
            try:
                self.left.append(self.waiting.get_nowait())
            except queue.Empty:
                break
        first, items, rest = self.left[0], [], []
        for i in self.left:
            fits = i is first or (len(items) < self.rows and self.model.group(first[0], i[0]))
            (items if fits else rest).append(i)
        self.left = rest
        return items

    def run(self):
        while True:
            items = self.take()
            begin = time.monotonic()
            logits = self.model.logits([i[0] for i in items], [i[1] for i in items])
            for row, i in zip(logits, items):
                i[3], i[5], i[6] = row, begin - i[4], time.monotonic() - begin
                i[2].set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one piece
    engine = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] not in self.engine.names:
            return self.answer(404, {"error": {"message": "no such adapter"}})
        item = self.engine.ask(asked["model"], asked["input"])
        best = max(range(len(item[3])), key=item[3].__getitem__)
        self.answer(200, {"object": "list", "model": asked["model"], "data": [
            {"index": 0, "label": f"LABEL_{best}", "logits": item[3], "num_classes": len(item[3])}]},
            f"queue;dur={item[5] * 1e3:.3f}, batch;dur={item[6] * 1e3:.3f}")

    def answer(self, status, body, timing=""):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if timing:
            self.send_header("Server-Timing", timing)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def memory_mib():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024


def alone(o, model):
    """Without HTTP."""
    row = [(37 * t) % 20000 + 1000 for t in range(o.alone)]
    ms = []
    for k in range(220):
        begin = time.perf_counter()
        model.logits([f"a-{k % o.adapters}"], [row])
        ms.append(1e3 * (time.perf_counter() - begin))
    many = o.rows if o.style == "names" else 1
    begin, batches = time.perf_counter(), 0
    while time.perf_counter() - begin < 3:
        model.logits([f"a-{(batches * many + r) % o.adapters}" for r in range(many)], [row] * many)
        batches += 1
    print(f"alone: single request p50 {statistics.median(ms[20:]):.2f} ms; {batches * many / (time.perf_counter() - begin):.0f} rows/s in batches of {many}, "
          f"each row for another adapter", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("adapter")
    p.add_argument("adapters", type=int)
    p.add_argument("--style", choices=["set", "names", "onnx"], required=True)
    p.add_argument("--port", type=int, default=8001)
    p.add_argument("--labels", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rows", type=int, default=32)
    p.add_argument("--alone", type=int, default=24)
    o = p.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    begin = time.monotonic()
    model = (Onnx if o.style == "onnx" else Peft)(o)
    print(f"loaded {o.adapters} adapters in {time.monotonic() - begin:.1f} s, {memory_mib():.0f} MiB", flush=True)
    alone(o, model)
    Handler.engine = Engine(o, model)
    print(f"serving on http://127.0.0.1:{o.port}", flush=True)
    Server(("127.0.0.1", o.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
