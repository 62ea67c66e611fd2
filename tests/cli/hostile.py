"""Requests as no library sends them, for tests/cli/serve_hostile.bats, and with HOSTILE=ui for ui_safety.bats.

hostile.py forms PORT      each form of a request: which answers come, and whether the connection goes on
hostile.py flood PORT N    N connections that begin a request and say no more; others are answered meanwhile
hostile.py many PORT N     N connections kept alive, each asked in turn and all at once
hostile.py unread PORT N   N clients that ask for much and read nothing of it, and leave
"""
import json
import os
import resource
import socket
import sys

PORT = int(sys.argv[2])
MUCH = json.dumps({"model": ["lora", "ia3"], "input": ["good"] * 500}).encode()
# A path that takes a POST of the body and nothing else, one that is read, a request with much to read.
POST, BODY, READ, LARGE = {
    "serve": (b"/v1/classify", b'{"model": "lora", "input": "good"}', b"/v1/models",
              b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(MUCH) + MUCH),
    "ui": (b"/api/2.0/mlflow/runs/search", b'{"experiment_ids": ["0"]}', b"/api/overview",
           b"GET " + os.environ.get("LARGE", "/").encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"),
}[os.environ.get("HOSTILE", "serve")]
EMPTY = 400 if POST.startswith(b"/v1") else 200  # no body: no question, or one without fields
ALLOWED = "POST, OPTIONS" if POST.startswith(b"/v1") else "GET, HEAD, POST, OPTIONS"  # by a name that begins so, any may
HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"5\r\n" + BODY[:5] + b"\r\n%x;x=y\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\nX: trailer\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"


def connect():
    return socket.create_connection(("127.0.0.1", PORT), timeout=60)


class Reader:
    def __init__(self, s):
        self.file = s.makefile("rb")

    def answer(self, method=b"GET"):
        """Status, headers, body; None: the connection ended."""
        line = self.file.readline()
        if not line:
            return None
        assert line.startswith(b"HTTP/1.1 "), line
        status, headers = int(line.split()[1]), {}
        while True:
            line = self.file.readline().rstrip(b"\r\n")
            if not line:
                break
            name, value = line.split(b":", 1)
            headers[name.lower().decode()] = value.strip().decode()
        if status == 100 or method == b"HEAD":
            return status, headers, b""
        return status, headers, self.file.read(int(headers["content-length"]))


def post(headers, body, path=POST):
    return b"POST " + path + b" HTTP/1.1\r\n" + HOST + JSON + headers + b"\r\n" + body


def get(path, headers=HOST, version=b"HTTP/1.1", method=b"GET"):
    return method + b" " + path + b" " + version + b"\r\n" + headers + b"\r\n"


# What is sent; the statuses that come; "on": the connection takes another request, "end": it is closed.
FORMS = {
    "plain": (post(LENGTH, BODY), [200], "on"),
    "chunked": (post(CHUNKED, CHUNKS), [200], "on"),
    "chunks of no number": (post(CHUNKED, b"zz\r\n" + BODY), [400], "end"),
    "a chunk without end": (post(CHUNKED, b"ffffffffffffffffff\r\n" + BODY), [413], "end"),
    "HTTP/1.0": (get(b"/health", version=b"HTTP/1.0"), [200], "end"),
    "HTTP/1.0 kept": (get(b"/health", HOST + b"Connection: Keep-Alive\r\n", b"HTTP/1.0"), [200], "on"),
    "HTTP/1.0 no host": (get(b"/health", b"", b"HTTP/1.0"), [403], "end"),
    "HTTP/1.1 no host": (get(b"/health", b""), [403], "on"),
    "HTTP/2.0": (get(b"/health", version=b"HTTP/2.0"), [505], "end"),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505], "end"),
    "no version": (b"GET /health\r\n\r\n", [400], "end"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [], "end"),
    "an empty line first": (b"\r\n" + HEALTH, [200], "on"),
    "asked to close": (get(b"/health", HOST + b"Connection: close\r\n"), [200], "end"),
    "Expect": (post(LENGTH + b"Expect: 100-continue\r\n", BODY), [100, 200], "on"),
    "Expect for too much": (post(b"Content-Length: 50000000\r\nExpect: 100-continue\r\n", b""), [413], "end"),
    "too much": (post(b"Content-Length: 50000000\r\n", BODY), [413], "end"),
    "no length": (post(b"", b""), [EMPTY], "on"),
    "length 0": (post(b"Content-Length: 0\r\n", b""), [EMPTY], "on"),
    "two lengths": (post(b"Content-Length: 4\r\n" + LENGTH, BODY + HEALTH), [400], "end"),
    "a length and chunks": (post(LENGTH + CHUNKED, CHUNKS + HEALTH), [400], "end"),
    "chunks and a length": (post(CHUNKED + b"Content-Length: 4\r\n", CHUNKS + HEALTH), [400], "end"),
    "two encodings": (post(CHUNKED + b"Transfer-Encoding: identity\r\n", CHUNKS), [400], "end"),
    "another encoding": (post(b"Transfer-Encoding: gzip\r\n", BODY), [400], "end"),
    "an encoding behind a blank": (post(b"Transfer-Encoding : chunked\r\n" + LENGTH, CHUNKS), [400], "end"),
    "length below 0": (post(b"Content-Length: -4\r\n", BODY), [400], None),
    "length with a sign": (post(b"Content-Length: +34\r\n", BODY), [400], None),
    "length and letters": (post(b"Content-Length: 34abc\r\n", BODY), [400], None),
    "length above all": (post(b"Content-Length: 99999999999999999999999\r\n", BODY), [413], None),
    "two hosts": (get(READ, HOST + b"Host: elsewhere.example\r\n"), [400], "end"),
    "a host with a port": (get(READ, b"Host: LOCALHOST:80\r\n"), [200], "on"),
    "a host of another number": (get(READ, b"Host: 127.0.0.2:80\r\n"), [200], "on"),
    "a host that begins with a number": (get(READ, b"Host: 127.0.0.1.elsewhere.example\r\n"), [403], "on"),
    "a host with a name": (get(READ, b"Host: localhost:80@elsewhere.example\r\n"), [403], "on"),
    "a host below another": (get(READ, b"Host: localhost.elsewhere.example\r\n"), [403], "on"),
    "HEAD": (get(b"/health", method=b"HEAD"), [200], "on"),
    "OPTIONS": (get(POST, method=b"OPTIONS"), [200], "on"),
    "OPTIONS nowhere": (get(b"/nowhere", method=b"OPTIONS"), [404], "on"),
    "unknown method": (get(POST, method=b"BREW"), [405], "on"),
    "TRACE": (get(b"/health", method=b"TRACE"), [405], "on"),
    "CONNECT": (get(b"127.0.0.1:80", method=b"CONNECT"), [404], "on"),
    "a path upwards": (get(b"/../../etc/passwd"), [404], "on"),
    "a path cut by NUL": (get(b"/health%00x"), [404], "on"),
    "a path with lines": (get(b"/nowhere%0d%0aSet-Cookie:x"), [404], "on"),
    "a path of bytes": (get(b"/\xff\xfe\x1b[31m"), [404], "on"),
    "a path of another host": (get(b"http://elsewhere.example/health"), [404], "on"),
    "a path that is long": (get(b"/" + b"a" * 40000), [414], "end"),
    "a query": (get(b"/health?a=b&c=%zz#f"), [200], "on"),
    "a long header": (get(b"/health", HOST + b"X: " + b"a" * 40000 + b"\r\n"), [431], "end"),
    "many headers": (get(b"/health", HOST + b"".join(b"X%d: y\r\n" % i for i in range(5000))), [431], "end"),
    "a header without colon": (get(b"/health", HOST + b"nonsense\r\n"), [400], "end"),
    "three at once": (HEALTH + post(LENGTH, BODY) + get(b"/nowhere"), [200, 200, 404], "on"),
    "an upgrade": (get(b"/health", HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n"), [200], "on"),
}


def try_form(name, sent, statuses, then):
    s = connect()
    reader, method = Reader(s), sent.split(b" ", 1)[0]
    s.sendall(sent)
    for want in statuses:
        got = reader.answer(method)
        assert got and got[0] == want, f"{name}: {got}, and not {want}"
        status, headers, body = got
        if status >= 400 and headers.get("content-type") == "application/json":
            answer = json.loads(body)
            error = answer.get("error", answer)
            assert error["message"] and "\x1b" not in error["message"] and (error.get("error_code") or error["code"] == status), error
        if status == 405:
            assert "OPTIONS" in headers["allow"], headers
        if method == b"OPTIONS" and status == 200:
            assert headers["allow"] == ALLOWED, headers
    if then == "on":
        s.sendall(HEALTH)
        got = reader.answer()
        assert got and got[0] == 200, f"{name}: no more requests are taken: {got}"
    elif then == "end":
        try:
            assert reader.answer() is None, f"{name}: it goes on"
        except ConnectionResetError:
            pass
    s.close()


def forms():
    for name, form in FORMS.items():
        try_form(name, *form)
        s = connect()  # in pieces, each a byte, but for the long ones
        if len(form[0]) < 300 and form[2] == "on":
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(form[0])):
                s.sendall(form[0][i:i + 1])
            got = Reader(s).answer(form[0].split(b" ", 1)[0])
            assert got[0] == form[1][0], f"{name}, byte by byte: {got}"
        s.close()


def ask(s, reader, sent=HEALTH):
    s.sendall(sent)
    got = reader.answer()
    assert got and got[0] == 200, got


def flood(count):
    held = []
    for i in range(count):
        s = connect()
        s.sendall(b"POST " + POST + b" HTTP/1.1\r\nHo")
        held.append(s)
        if i % 500 == 0:
            other = connect()
            ask(other, Reader(other), post(LENGTH, BODY))
            other.close()
    newest = held[-1]
    ask(newest, Reader(newest), b"st: localhost\r\n" + JSON + LENGTH + b"\r\n" + BODY)


def many(count):
    held = [connect() for _ in range(count)]
    readers = [Reader(s) for s in held]
    for _ in range(2):
        for s, r in zip(held, readers):
            ask(s, r)
        for s in held:
            s.sendall(post(LENGTH, BODY))
        for r in readers:
            assert r.answer()[0] == 200


def unread(count):
    held = []
    for _ in range(count):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(60)
        s.connect(("127.0.0.1", PORT))
        s.sendall(LARGE)
        held.append(s)
    other = connect()
    reader = Reader(other)
    ask(other, reader)
    for s in held[::2]:
        s.close()
    ask(other, reader, post(LENGTH, BODY))
    for s in held[1::2]:  # who does read it gets all of it
        got = Reader(s).answer()[2]
        assert len(json.loads(got)["data"]) == 1000 if LARGE.startswith(b"POST") else len(got) > 1 << 20


want = 12000
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (want if hard == resource.RLIM_INFINITY else min(want, hard), hard))
{"forms": forms, "flood": flood, "many": many, "unread": unread}[sys.argv[1]](*map(int, sys.argv[3:]))
