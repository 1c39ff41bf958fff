"""How many requests a second the REST interface answers with 10,000 instances, and its stream.

The coordinator is the real service, served over HTTP, with mosquitto; its 5,000 nodes with two
instances each are real agent cores in `swarm` processes, idle while requests are measured. Requests
come over connections that are kept, one after the other on each; the client is one process, which
shares the cores with the rest. The floor is ``/healthz``: the same server, without an answer of the
core's thread and without data.

*Stream*: listeners are connected and have their snapshots; then one instance is stopped or started.
Measured is the time from the request until the row of the instance has reached the last listener.
"""

import json
import selectors
import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit
from urllib.request import urlopen

import bench
from bench import ROOT, STARTED, Table, ask, is_ready, memory_kb, percentile, until
from fleet import template

_SWARMS = 2
_LISTENERS = 200
_CHANGES = 40
_BASE = "/api/v1"
_APP = _BASE + "/applications/fleet"
_READS = (
    ("/healthz: the floor", "/healthz"),
    ("status", "/api/v1/status"),
    ("applications", "/api/v1/applications"),
    ("one instance", _APP + "/instances{path}"),
    ("100 instances", _APP + "/instances?limit=100"),
    ("a state among all", _APP + "/instances?limit=100&state=deployed-stopped"),
    ("why", _APP + "/why?path={path}"),
    ("100 nodes", "/api/v1/nodes?limit=100"),
    ("100 events", "/api/v1/events?limit=100"),
    ("metrics", "/metrics"),
)


def run(folder, quick):
    """Measure and return the tables."""
    bench.raise_file_limit()
    nodes, seconds = (500, 1.0) if quick else (5000, 3.0)
    with ExitStack() as stack:
        process, url, data = _coordinator(stack, folder)
        idle = memory_kb(process.pid)[0]
        path = _deploy(url, data, folder, nodes)
        full = memory_kb(process.pid)[0]
        reads = _reads(url, path, nodes, seconds)
        busy = memory_kb(process.pid)[0]
        stream, listening = _stream(url, path, process.pid, data)
    memory = Table("rest: memory of the coordinator (MB resident)", "when", "MB")
    for when, kb in (
        ("served, no node", idle),
        (f"{2 * nodes:,} instances", full),
        ("after all requests", busy),
        (f"{_LISTENERS} listeners", listening),
    ):
        memory.add(when, f"{kb / 1024:.0f}")
    return [reads, stream, memory]


def _coordinator(stack, folder):
    sockets = [folder / f"swarm{number}" for number in range(_SWARMS)]
    python, here = bench.sys.executable, ROOT / "tests/benchmarks"
    for path in sockets:
        stack.enter_context(bench.running([python, here / "swarm.py", path], folder / "swarm.log"))
    until(lambda: all(path.exists() for path in sockets))
    data = folder / "data"
    command = [python, here / "rest_served.py", data, *sockets]
    process = stack.enter_context(bench.running(command, folder / "up.log"))
    until(lambda: is_ready(data))
    until(lambda: (data / "endpoint.json").exists())
    return process, json.loads((data / "endpoint.json").read_text())["url"], data


def _deploy(url, data, folder, nodes):
    """Deploy and return the path of one of the instances."""
    made = template(folder / "template", nodes, False)
    ask(data, "deploy", path=str(made), name="fleet")
    until(lambda: _get(url, "/changes?limit=1")[0]["outcome"] == "done", pause_s=0.5)
    some = _get(url, f"{_APP.removeprefix(_BASE)}/instances?limit=10")
    return next(one["path"] for one in some if one["component"] == "App")


def _get(url, path):
    with urlopen(url + _BASE + path) as answer:
        return json.load(answer)["data"]


# -- requests


def _reads(url, instance, nodes, seconds):
    table = Table(
        f"rest: requests with {2 * nodes:,} instances",
        "what",
        "bytes",
        "r/s, 16 connections",
        "p99 ms",
        "r/s, 1 connection",
        "median ms",
        "floor ÷ r/s",
    )
    floor = None
    for what, path in _READS:
        path = path.format(path=instance)
        many, size = _load(url, path, 16, seconds)
        one, _ = _load(url, path, 1, seconds / 2)
        rate = len(many) / seconds
        floor = floor or rate
        table.add(
            what,
            f"{size:,}",
            f"{rate:,.0f}",
            f"{percentile(many, 0.99) * 1000:.1f}",
            f"{len(one) / (seconds / 2):,.0f}",
            f"{percentile(one, 0.5) * 1000:.2f}",
            f"{floor / rate:.1f}",
        )
    return table


def _load(url, path, connections, seconds):
    """Ask again and again; return how long each request took, and the size of an answer."""
    parts = urlsplit(url)
    request = f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = socket.create_connection((parts.hostname, parts.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(request)
        selector.register(connection, selectors.EVENT_READ, [time.perf_counter(), bytearray()])
    took, size = [], 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(0.1):
            key.data[1].extend(key.fileobj.recv(1 << 20))
            found = _whole(key.data[1])
            if found:
                now = time.perf_counter()
                took.append(now - key.data[0])
                size = found
                key.data[:] = [now, bytearray()]
                key.fileobj.sendall(request)
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    return took, size


def _whole(answer):
    """Return the size of the body if all of it is there."""
    head, mark, body = bytes(answer).partition(b"\r\n\r\n")
    if not mark:
        return None
    assert head.startswith(b"HTTP/1.1 200"), head
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return length if len(body) >= length else None


# -- the stream


def _stream(url, path, pid, data):
    table = Table("rest: the stream", "listeners", "snapshot MB", "first s", "all s", *_LAG)
    kb = 0
    for count in (1, _LISTENERS):
        listeners = Listeners(url, count)
        began = time.perf_counter()
        listeners.until(lambda each: each.snapshots > 0, 1)
        first = time.perf_counter() - began
        listeners.until(lambda each: each.snapshots > 0)
        every = time.perf_counter() - began
        size = max(each.size for each in listeners.all)
        lags = [_lag(data, path, listeners, number) for number in range(_CHANGES)]
        kb = memory_kb(pid)[0]
        listeners.close()
        cells = [f"{percentile(lags, share) * 1000:.0f}" for share in (0.5, 0.99)]
        table.add(count, f"{size / (1 << 20):.2f}", f"{first:.2f}", f"{every:.2f}", *cells)
        time.sleep(1)
    table.note("Rows are gathered for 50 ms, and for ten times as long as they took to make.")
    return table, kb


_LAG = ("change → all told, median ms", "p99 ms")


def _lag(data, path, listeners, number):
    """Return how long it takes until every listener knows that an instance was stopped."""
    wish = ("deployed-stopped", STARTED)[number % 2]
    for each in listeners.all:
        each.wanted = f'"path":"{path}","component":"App","state":"{wish}"'.encode()
        each.found = False
    began = time.perf_counter()
    ask(data, "wish", app="fleet", path=path, wish=wish)
    listeners.until(lambda each: each.found)
    return time.perf_counter() - began


class Listener:
    """One connection; looks at what comes and keeps nothing."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        request = f"GET /api/v1/stream HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
        self.socket.sendall(request.encode())
        self.wanted, self.found = b"", False
        self.snapshots = self.size = 0
        self._tail = b""

    def read(self):
        piece = self.socket.recv(1 << 20)
        if not piece:
            raise RuntimeError("a listener was dropped")
        self.size += len(piece) if not self.snapshots else 0
        lines = (self._tail + piece).split(b"\n")
        self._tail = lines.pop()
        for line in lines:
            if line.startswith(b'data: {"part":'):
                part, parts = line[14:].split(b",", 2)[:2]
                self.snapshots += part == parts.partition(b":")[2]
            elif self.wanted and self.wanted in line:
                self.found = True


class Listeners:
    """All connections."""

    def __init__(self, url, count):
        self.all = [Listener(url) for _ in range(count)]
        self._selector = selectors.DefaultSelector()
        for each in self.all:
            self._selector.register(each.socket, selectors.EVENT_READ, each)

    def until(self, condition, count=None):
        """Read until so many, or all, are as wanted."""
        deadline = time.monotonic() + 60
        while sum(map(condition, self.all)) < (count or len(self.all)):
            if time.monotonic() > deadline:
                raise RuntimeError("listeners were not told within 60 s")
            for key, _ in self._selector.select(1):
                key.data.read()

    def close(self):
        for each in self.all:
            each.socket.close()
