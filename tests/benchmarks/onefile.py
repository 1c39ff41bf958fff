"""How long one changed file of a recipe takes to 1 and to 20 nodes, its `upgrade` script included.

Everything is real: ``fieldconf up --mosquitto``, agents as processes, and scripts that install the
file and say so. *Script has run* is the time from the request until the last node's script has
written its byte into a FIFO; *done* until the coordinator has every node's report; *command* is
``fieldconf deploy DIR`` from its start to its end, which is what a peer's command compares with.
Beside it, in the same run, pyinfra does the like over ssh where `peers` can install it.
"""

import os
import select
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack

import peers
from bench import Table, Unavailable, ask, goal, is_ready, running, until
from templates import write

from fieldconf_targets.local import LocalTarget

GOALS = {1: 0.1, 20: 0.5}
_CLI = [sys.executable, "-c", "from fieldconf_coordinator.cli.main import main; main()"]
_GRAPH = """\
VM {
    installer: target;
    children: Web;
}
Web {
    installer: script;
    exports: ip, port = 80;
}
"""
_INSTANCES = """\
instance of VM {{
    name: vm;{count}
    instance of Web {{
        name: web;
    }}
}}
"""
_SCRIPT = '#!/bin/sh\ncp "$FIELDCONF_FILES_DIR/page" "$FIELDCONF_DATA_DIR/page" && printf u > {}\n'


def run(folder, quick):
    """Measure and return the tables."""
    times = 3 if quick else 10
    table = Table("onefile: one changed file, its script included (s)", *_COLUMNS)
    medians = {}
    for count in GOALS:
        place = folder / str(count)
        place.mkdir()
        for what, seconds in _measure(place, count, times).items():
            _row(table, f"fieldconf, {what}", count, seconds)
            medians[what, count] = statistics.median(seconds)
    try:
        for count in GOALS:
            found = peers.pyinfra(folder / "peers", count, max(2, times // 3))
            _row(table, "pyinfra over ssh, command", count, found)
            ratio = statistics.median(found) / medians["command", count]
            table.note(f"{count}: pyinfra takes {ratio:.1f} times as long as our command.")
    except Unavailable as error:
        table.note(f"pyinfra: left out, {error}.")
    for count, most in GOALS.items():
        verdict = goal(medians["done", count], most)
        table.note(f"Goal for {count}: done ≤ {most:g} s: {verdict}.")
    return [table]


_COLUMNS = ("what", "nodes", "times", "median", "slowest")


def _row(table, what, count, seconds):
    median = statistics.median(seconds)
    table.add(what, count, len(seconds), f"{median:.3f}", f"{max(seconds):.3f}")


def _measure(folder, count, times):
    data = folder / "data"
    fifo = _fifo(folder / "fifo")
    with ExitStack() as stack:
        stack.callback(os.close, fifo)
        command = [*_CLI, "up", "--mosquitto", "--data", data]
        stack.enter_context(running(command, folder / "up.log"))
        stack.callback(_end_nodes, data)
        until(lambda: is_ready(data))
        _until_done(data, ask(data, "deploy", path=str(_template(folder, count, 0)), name="one"))
        found = {"script has run": [], "done": [], "command": []}
        for number in range(1, times + 1):
            template = _template(folder, count, number)
            began = time.perf_counter()
            answer = ask(data, "deploy", path=str(template), name="one")
            _await_bytes(fifo, count)
            found["script has run"].append(time.perf_counter() - began)
            _until_done(data, answer)
            found["done"].append(time.perf_counter() - began)
            time.sleep(0.3)
        for number in range(1, times + 1):
            template = _template(folder, count, -number)
            began = time.perf_counter()
            command = [*_CLI, "deploy", str(template), "--name", "one", "--data", str(data)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            found["command"].append(time.perf_counter() - began)
            _await_bytes(fifo, count)
            time.sleep(0.3)
    return found


def _fifo(path):
    os.mkfifo(path)
    return os.open(path, os.O_RDWR)


def _template(folder, count, number):
    """Write the template, with the page that has this number."""
    # No update or stop: whoever has an `upgrade` is not stopped.
    files = {
        "scripts/start.sh": "#!/bin/sh\n",
        "scripts/upgrade.sh": _SCRIPT.format(folder / "fifo"),
        "files/page": f"page {number}\n",
    }
    instances = _INSTANCES.format(count=f"\n    count: {count};" if count > 1 else "")
    return write(folder / "template", _GRAPH, instances, {"Web": files})


def _await_bytes(fifo, count):
    """Wait until `count` scripts have written their byte."""
    while count:
        if not select.select([fifo], [], [], 30)[0]:
            raise RuntimeError(f"{count} scripts did not run")
        count -= len(os.read(fifo, count))


def _until_done(data, answer):
    until(lambda: ask(data, "change", id=answer["change"])["outcome"] == "done", 60)


def _end_nodes(data):
    """End the agents, which would outlive the coordinator."""
    target = LocalTarget("", data / "nodes/local")
    for tag in (data / "nodes/local").glob("*/tag.json"):
        target.destroy(tag.parent.name, force=True)
