"""What the benchmarks share: a broker and agents of their own, a coordinator by hand, tables.

Everything that is started lies in a folder that the benchmark gives, and ends with it.
"""

import json
import math
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PARTS = ("coordinator", "microagent", "dsl", "targets", "firmware-images")
SOURCES = [str(ROOT / part) for part in _PARTS]
# This working copy is measured, in processes that are started too, whatever is installed.
sys.path[:0] = [*SOURCES, str(ROOT / "tests/benchmarks"), str(ROOT / "tests")]
os.environ["PYTHONPATH"] = os.pathsep.join(SOURCES)

from fieldconf_coordinator.cli.client import local  # noqa: E402
from fieldconf_coordinator.cli.remote import Remote  # noqa: E402
from fieldconf_coordinator.errors import RequestError  # noqa: E402
from fieldconf_coordinator.service import recipes  # noqa: E402
from fieldconf_microagent import codec, envelope, topics  # noqa: E402
from fieldconf_microagent.link_paho import PahoLink  # noqa: E402

DOMAIN = "fc"
APP = "k3v9x2ab"
KEY = bytes(32)
STARTED = "deployed-started"

_MOSQUITTO = """\
listener {port} 127.0.0.1
set_tcp_nodelay true
allow_anonymous true
persistence false
max_inflight_messages 1000
max_queued_messages 100000
log_type error
"""


class Unavailable(Exception):
    """Something that a benchmark needs is not there; the text says what."""


class Table:
    """A table that prints itself; the first column is text, the others are right-aligned."""

    def __init__(self, title, *columns):
        self.title = title
        self.columns = columns
        self.rows = []
        self.notes = []

    def add(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def note(self, text):
        self.notes.append(text)

    def print(self):
        """Print it as Markdown, which people can read and docs/benchmarks.md can hold."""
        widths = [
            max(len(row[i]) for row in [list(self.columns), *self.rows])
            for i in range(len(self.columns))
        ]
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        print(f"\n### {self.title}\n")
        for row in [list(self.columns), rule, *self.rows]:
            first = row[0].ljust(widths[0])
            rest = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            print("| " + " | ".join([first, *rest]) + " |")
        for note in self.notes:
            print(f"\n{note}")
        sys.stdout.flush()


def percentile(values, share):
    """Return the smallest value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ms(seconds):
    return f"{seconds * 1000:.2f}"


def summary(seconds):
    """Return median, p99 and the largest, in ms, as cells."""
    return ms(statistics.median(seconds)), ms(percentile(seconds, 0.99)), ms(max(seconds))


def goal(value, most):
    """Say whether a figure keeps within its goal."""
    return "met" if value <= most else "missed"


def until(condition, patience_s=60.0, pause_s=0.002):
    """Return what `condition` answers as soon as that is true."""
    deadline = time.monotonic() + patience_s
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing happened within {patience_s:g} s")
        time.sleep(pause_s)
    return answer


def ask(data, request, /, **arguments):
    """Ask the coordinator of a data folder as the command line does."""
    remote = Remote.at(local(data))
    with remote.client:
        return getattr(remote, request)(**arguments)


def is_ready(data):
    """Tell whether a coordinator runs on a data folder and has found its broker."""
    try:
        return ask(data, "status")["broker"]["connected"]
    except RequestError:
        return False


def memory_kb(pid):
    """Return (resident, proportional, private) memory of a process in KiB."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0])
    return found["Rss"], found["Pss"], found["Private_Clean"] + found["Private_Dirty"]


def raise_file_limit():
    """Let this process and its children open as many files as they may; return how many."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def find(program):
    """Return the path of a program that lies beside this Python, on PATH or in sbin."""
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"]
    path = shutil.which(program, path=os.pathsep.join(places))
    if path is None:
        raise Unavailable(f"{program} is not installed")
    return path


@contextmanager
def mosquitto(folder):
    """Run a mosquitto of our own and yield its (port, process id)."""
    port = free_port()
    config = folder / "mosquitto.conf"
    # As root it would become the user "mosquitto", whom the folder is closed to.
    user = "user root\n" if os.geteuid() == 0 else ""
    config.write_text(_MOSQUITTO.format(port=port) + user)
    with running([find("mosquitto"), "-c", config], folder / "mosquitto.log") as process:
        until(lambda: _accepts(port), 10)
        yield port, process.pid


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def running(command, log, **more):
    """Run a process in the background and end it; its output goes into a file."""
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **more,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def write_settings(folder, node, port, **more):
    """Make the folder of an agent; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {
        "domain": DOMAIN,
        "node": node,
        "key": KEY.hex(),
        "enrolment": 1,
        "broker": f"mqtt://127.0.0.1:{port}",
        "reconnect": 1,
        "ip": "10.0.0.1",
        **more,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    return folder


def agent(folder, python=sys.executable, options=()):
    """Run the real agent of this folder as a process (a context that yields it)."""
    cwd = ROOT / "microagent"
    command = [python, *options, "-m", "fieldconf_microagent", "--dir", folder]
    return running(command, folder / "agent.log", cwd=cwd)


class Hand:
    """A coordinator by hand: sends wants, hands out recipes, listens to haves."""

    def __init__(self, port, folder):
        self.recipes = recipes.RecipeStore(folder / "recipes")
        self.link = PahoLink(f"mqtt://127.0.0.1:{port}", "hand")
        self.haves = {}
        self.allowed = set()
        self.versions = {}
        self.link.connect((f"{DOMAIN}/hand/live", b""))
        self._await("up")
        kinds = ("have", "get", "live")
        self.link.subscribe([f"{DOMAIN}/+/{kind}" for kind in kinds])
        self._await("subscribed")

    def recipe(self, component, files):
        """Keep a recipe ({name: text}, executable) and return its digest."""
        made = [(name, 0o755, text.encode()) for name, text in files.items()]
        digest = self.recipes.add(recipes.pack(component, "script", made))
        self.allowed.add(digest)
        return digest

    def want(self, node, **document):
        """Publish a want, its version one higher than the last."""
        self.versions[node] = version = self.versions.get(node, 0) + 1
        empty = {"app": APP, "name": "bench", "path": "/vm", "lost": 60000}
        empty.update({"v": version, "i": [], "up": [], "pub": [], "prov": {}}, **document)
        sealed = envelope.seal(KEY, node, "want", codec.pack(empty))
        self.link.publish(topics.want(DOMAIN, node), sealed, 1, True)

    def state(self, node, path):
        """Return the state of an instance as its node last told it."""
        return self.haves.get(node, {}).get("i", {}).get(path, {}).get("s")

    def turn(self, timeout_ms=100):
        """Handle what has arrived."""
        for event in self.link.poll(timeout_ms):
            if event[0] == "message":
                kind, node = topics.parse(DOMAIN, event[1])
                if kind == "get":
                    self._serve(node, event[2])
                elif kind == "have" and event[2]:
                    self.haves[node] = codec.unpack(
                        envelope.open_sealed(KEY, node, "have", event[2])
                    )

    def turn_until(self, condition, patience_s=60.0):
        deadline = time.monotonic() + patience_s
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing happened within {patience_s:g} s: {self.haves}")
            self.turn()

    def close(self):
        self.link.close()
        self.recipes.close()

    def _serve(self, node, get):
        for piece in self.recipes.answer(get, self.allowed):
            sealed = envelope.seal(KEY, node, "put", piece)
            self.link.publish(topics.put(DOMAIN, node), sealed, 0, False)

    def _await(self, kind):
        deadline = time.monotonic() + 10
        while not any(event[0] == kind for event in self.link.poll(100)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker did not answer: no {kind!r}")


def entry(path, component="VM", installer="target", **more):
    """Return an entry of a want."""
    return {"p": path, "c": component, "t": installer, "w": STARTED, "x": {}, "m": {}, **more}
