"""The web server: GET / answers who it is, and a number from the data service, as JSON.

Where the data service is stands in data.json, which the agent renders anew before each update. It
is read for each request, so there is nothing left to do for an update script.
"""

import json
import os
import socketserver
import urllib.request
from http.server import BaseHTTPRequestHandler

PATH = os.environ["FIELDCONF_INSTANCE_PATH"]
DATA_FILE = os.environ["FIELDCONF_RENDERED_DIR"] + "/data.json"

# No proxy: the data service is one of us.
fetch = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def visit():
    with open(DATA_FILE) as file:
        service = json.load(file)[0]
    with fetch(f"http://{service['address']}/next", timeout=5) as answer:
        return {"web": PATH, "data": service["path"], "visit": int(answer.read())}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/health":
            self.answer(200, {"web": PATH})
            return
        try:
            self.answer(200, visit())
        except OSError as error:
            self.answer(503, {"web": PATH, "error": f"no answer from the data service: {error}"})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Keep the log short."""


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


Server((os.environ["ip"], int(os.environ["port"])), Handler).serve_forever()
