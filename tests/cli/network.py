"""What tests/cli/network.bats talks to, on 127.0.0.1; the port is printed once it listens.

network.py hub FOLDER CERTIFICATE   the folder's files over TLS (certificate and key in one file)
network.py proxy LOG [STATUS]       a proxy, plain and CONNECT: a line per request; STATUS: it answers that to all
"""
import http.client
import http.server
import select
import socket
import ssl
import sys
import urllib.parse


class Hub(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args):
        super().__init__(*args, directory=sys.argv[2])


class Proxy(http.server.BaseHTTPRequestHandler):
    def noted(self):
        with open(sys.argv[2], "a") as log:
            token = "token" if self.headers.get("Authorization") else "-"
            log.write(f"{self.command} {self.path} {token}\n")
        if len(sys.argv) > 3:
            self.send_error(int(sys.argv[3]))
        return len(sys.argv) > 3

    def do_CONNECT(self):
        if self.noted():
            return
        host, port = self.path.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as far:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: far, far: self.connection}
            while True:
                for near in select.select(list(ends), [], [])[0]:
                    data = near.recv(65536)
                    if not data:
                        return
                    ends[near].sendall(data)

    def do_GET(self):
        if self.noted():
            return
        url = urllib.parse.urlsplit(self.path)
        far = http.client.HTTPConnection(url.hostname, url.port)
        far.request("GET", url.path + ("?" + url.query if url.query else ""))
        answer = far.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class TlsServer(http.server.ThreadingHTTPServer):
    context = None

    def get_request(self):
        near, address = super().get_request()
        return self.context.wrap_socket(near, server_side=True, do_handshake_on_connect=False), address


if sys.argv[1] == "hub":
    server = TlsServer(("127.0.0.1", 0), Hub)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(sys.argv[3])
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
print(server.server_port, flush=True)
server.serve_forever()
