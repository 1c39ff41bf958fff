"""The load balancer: passes each GET on to the next web server of backends.json.

The list is read at the start and on SIGHUP. A web server that cannot be reached is passed over:
between its end and the moment when we are told of it, nobody needs to notice.

GET /backends shows the list, GET /health just answers.
"""

import http.client
import itertools
import json
import os
import signal
import socketserver
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler

BACKENDS_FILE = os.environ["FIELDCONF_RENDERED_DIR"] + "/backends.json"

# No proxy: the web servers are ours.
fetch = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
turn = itertools.count()
backends = []


def read_backends(*_):
    global backends
    with open(BACKENDS_FILE) as file:
        backends = json.load(file)


def in_turn():
    """Return all web servers, beginning with another one each time."""
    known = backends
    first = next(turn) % len(known) if known else 0
    return known[first:] + known[:first]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        own = {"/health": lambda: "well", "/backends": lambda: json.dumps(backends)}.get(self.path)
        if own is not None:
            self.answer(200, own().encode())
            return
        for backend in in_turn():
            try:
                with fetch(f"http://{backend['address']}{self.path}", timeout=10) as answer:
                    self.answer(answer.status, answer.read(), backend["path"])
                return
            except urllib.error.HTTPError as error:
                self.answer(error.code, error.read(), backend["path"])
                return
            except (OSError, http.client.HTTPException) as error:
                print(backend["path"], error, flush=True)
        self.answer(502, b"no web server answers\n")

    def answer(self, status, body, backend=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if backend is not None:
            self.send_header("X-Backend", backend)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the log short."""


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


read_backends()
signal.signal(signal.SIGHUP, read_backends)
Server((os.environ["ip"], int(os.environ["port"])), Handler).serve_forever()
