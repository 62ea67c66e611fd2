#!/usr/bin/env python3
"""transformers + peft behind a small HTTP server, as a team would put it up, for `peftlab bench` to ask.

    serve_rival.py MODEL ADAPTER K --style set|names [--port 8001] [--labels 3] [--threads N] [--rows 32]

ADAPTER, a folder of peft's, is loaded K times, as a-0 ... a-(K-1). `set` calls set_adapter for each request, one
request at a time; `names` puts what waits into one padded batch with adapter_names (at most --rows). The shape is
that of POST /v1/classify; input is text or token ids. It says "serving" when it is ready.
"""

import argparse
import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import torch
from peft import PeftModel
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class Engine:
    def __init__(self, o):
        torch.set_num_threads(o.threads)
        base = AutoModelForSequenceClassification.from_pretrained(o.model, num_labels=o.labels)
        self.model = PeftModel.from_pretrained(base, o.adapter, adapter_name="a-0")
        for k in range(1, o.adapters):
            self.model.load_adapter(o.adapter, adapter_name=f"a-{k}")
        self.model.eval()
        self.names = {f"a-{k}" for k in range(o.adapters)}
        self.tokenizer = AutoTokenizer.from_pretrained(o.model)
        self.rows, self.style, self.waiting = o.rows, o.style, queue.Queue()
        threading.Thread(target=self.run, daemon=True).start()

    def ask(self, name, text):
        ids = text if isinstance(text, list) else self.tokenizer(text)["input_ids"]
        item = [name, ids, threading.Event(), None, time.monotonic(), 0.0, 0.0]
        self.waiting.put(item)
        item[2].wait()
        return item

    def take(self):
        items = [self.waiting.get()]
        while self.style == "names" and len(items) < self.rows:
            try:
                items.append(self.waiting.get_nowait())
            except queue.Empty:
                break
        return items

    def forward(self, items):
        longest = max(len(i[1]) for i in items)
        ids = torch.zeros(len(items), longest, dtype=torch.long)
        mask = torch.zeros(len(items), longest, dtype=torch.long)
        for r, i in enumerate(items):
            ids[r, : len(i[1])] = torch.tensor(i[1])
            mask[r, : len(i[1])] = 1
        if self.style == "set":
            self.model.set_adapter(items[0][0])
            return self.model(input_ids=ids, attention_mask=mask).logits
        return self.model(input_ids=ids, attention_mask=mask, adapter_names=[i[0] for i in items]).logits

    @torch.inference_mode()
    def run(self):
        while True:
            items = self.take()
            begin = time.monotonic()
            logits = self.forward(items)
            for row, i in zip(logits, items):
                i[3], i[5], i[6] = row.tolist(), begin - i[4], time.monotonic() - begin
                i[2].set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    engine = None

    def log_message(self, *_):
        pass

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["model"] not in self.engine.names:
            return self.answer(404, {"error": {"message": "no such adapter"}})
        item = self.engine.ask(asked["model"], asked["input"])
        logits = torch.tensor(item[3])
        self.answer(200, {"object": "list", "model": asked["model"], "data": [
            {"index": 0, "label": f"LABEL_{int(logits.argmax())}", "probs": logits.softmax(0).tolist(), "num_classes": len(item[3])}]},
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


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("model")
    p.add_argument("adapter")
    p.add_argument("adapters", type=int)
    p.add_argument("--style", choices=["set", "names"], required=True)
    p.add_argument("--port", type=int, default=8001)
    p.add_argument("--labels", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rows", type=int, default=32)
    o = p.parse_args()
    begin = time.monotonic()
    Handler.engine = Engine(o)
    server = ThreadingHTTPServer(("127.0.0.1", o.port), Handler)
    server.daemon_threads = True
    print(f"serving {o.adapters} adapters on http://127.0.0.1:{o.port}, loaded in {time.monotonic() - begin:.1f} s", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
