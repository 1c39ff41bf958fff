"""A cable between an agent and its broker that tests can cut, at a chosen byte if need be."""

import socket
import threading
from urllib.parse import urlsplit

_BLOCK = 1024


class Relay:
    """Forwards connections to the broker at `url`; `relay.url` leads through it.

    Attributes:
        down: bytes that came from the broker so far.
        cuts: how often a connection was broken by `cut_after`.
    """

    def __init__(self, url):
        parts = urlsplit(url)
        self._broker = (parts.hostname, parts.port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"{parts.scheme}://127.0.0.1:{self._server.getsockname()[1]}"
        self.down = self.cuts = 0
        self._cut_at = None
        self._refuses = False
        self._ends = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, refuse=False):
        """Break every connection; with `refuse` none lasts until `mend`."""
        with self._lock:
            self._refuses = refuse
            ends, self._ends = self._ends, set()
        for end in ends:
            _close(end)

    def cut_after(self, count):
        """Break the connection once, when `count` more bytes have come from the broker."""
        self._cut_at = self.down + count

    def mend(self):
        self._refuses = False

    def close(self):
        _close(self._server)
        self.cut(refuse=True)

    def _accept(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._broker)
            except OSError:
                _close(near)
                continue
            with self._lock:
                refused = self._refuses
                if not refused:
                    self._ends |= {near, far}
            if refused:
                _close(near)
                _close(far)
                continue
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source, sink, counts):
        try:
            while data := source.recv(_BLOCK):
                if counts:
                    self.down += len(data)
                    if self._cut_at is not None and self.down >= self._cut_at:
                        self._cut_at = None
                        self.cuts += 1
                        break
                sink.sendall(data)
        except OSError:
            pass
        _close(source)
        _close(sink)


def _close(end):
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
