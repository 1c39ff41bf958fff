"""The data service: counts visits, and remembers the count in the instance's data folder.

GET /next answers the next number, GET /health just answers.
"""

import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

COUNT_FILE = os.environ["FIELDCONF_DATA_DIR"] + "/count"

lock = threading.Lock()


def next_number():
    with lock:
        try:
            with open(COUNT_FILE) as file:
                number = int(file.read()) + 1
        except FileNotFoundError:
            number = 1
        # The old file or the new one, never half of it.
        with open(COUNT_FILE + ".new", "w") as file:
            file.write(str(number))
        os.replace(COUNT_FILE + ".new", COUNT_FILE)
    return number


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = {"/next": lambda: str(next_number()), "/health": lambda: "well"}.get(self.path)
        if answer is None:
            self.send_error(404)
            return
        body = answer().encode()
        self.send_response(200)
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
