"""How much memory the processes hold: agent on CPython, agent on MicroPython, coordinator.

Each after it has settled: the agents are connected and have one instance deployed and started, the
coordinator has no application. Their code is compiled beforehand, as pip does when it installs: a
process that has to compile keeps some of the memory that this took. *Resident* counts pages that
are shared with other processes in full, *proportional* counts each by its share, *private* not at
all.
"""

import compileall
import sys
import time
from contextlib import ExitStack

import bench
from bench import (
    STARTED,
    Hand,
    Table,
    Unavailable,
    agent,
    entry,
    is_ready,
    memory_kb,
    running,
    until,
)

_CLI = [sys.executable, "-c", "from fieldconf_coordinator.cli.main import main; main()"]
_SETTLE_S = 2
MP_MB = 3


def run(folder, quick):
    """Measure and return the tables."""
    for source in bench.SOURCES:
        compileall.compile_dir(source, quiet=2)
    table = Table("memory (MB)", "process", "resident", "proportional", "private", "goal")
    script = "script", {"scripts/start.sh": "#!/bin/sh\n"}
    recipe = "python", {"recipe.py": "def start(instance):\n    pass\n"}
    _row(table, "bare Python, for comparison", _bare(folder, sys.executable), "–")
    paho = _bare(folder, sys.executable, "import paho.mqtt.client")
    _row(table, "Python that has imported paho, for comparison", paho, "–")
    found = _agent(folder, "cpython", sys.executable, *script)
    _row(table, "agent, CPython with paho", found, 20)
    _added(table, "– what the agent adds to Python with paho", found, paho)
    try:
        micropython = bench.find("micropython")
        bare = _bare(folder, micropython)
        _row(table, "bare MicroPython, for comparison", bare, "–")
        found = _agent(folder, "micropython", micropython, *recipe)
        _row(table, "agent, MicroPython from PyPI", found, "–")
        _added(table, "– what the agent adds to the bare one", found, bare)
        table.note(
            "MicroPython from PyPI is a library that a Python process loads, so most of it is that "
            f"Python. Goal for MicroPython and agent: ≤ {MP_MB} MB."
        )
    except Unavailable as error:
        table.note(f"agent, MicroPython: left out, {error}.")
    for option in ("embedded broker", "mosquitto"):
        _row(table, f"coordinator, idle, {option}", _coordinator(folder, option), "–")
    table.note("Goals are for resident memory.")
    return [table]


def _row(table, what, kilobytes, most):
    cells = [f"{kb / 1024:.1f}" for kb in kilobytes]
    verdict = most if most == "–" else f"≤ {most}: {bench.goal(kilobytes[0] / 1024, most)}"
    table.add(what, *cells, verdict)


def _added(table, what, kilobytes, without):
    table.add(what, f"{(kilobytes[0] - without[0]) / 1024:.1f}", "–", "–", "–")


def _bare(folder, python, first="pass"):
    code = f"{first}; import time; time.sleep(60)"
    with running([python, "-c", code], folder / "log") as process:
        time.sleep(_SETTLE_S)
        return memory_kb(process.pid)


def _agent(folder, name, python, installer, files):
    """Return the memory of an agent that has one instance of this installer started."""
    place = folder / name
    place.mkdir()
    with ExitStack() as stack:
        port, _ = stack.enter_context(bench.mosquitto(place))
        process = stack.enter_context(agent(bench.write_settings(place / "n1", "n1", port), python))
        hand = Hand(port, place)
        stack.callback(hand.close)
        digest = hand.recipe("Web", files)
        hand.want("n1", i=[entry("/vm"), entry("/vm/web", "Web", installer, d=digest)])
        hand.turn_until(lambda: hand.state("n1", "/vm/web") == STARTED)
        time.sleep(_SETTLE_S)
        return memory_kb(process.pid)


def _coordinator(folder, option):
    data = folder / option
    more = ["--mosquitto"] if option == "mosquitto" else []
    with running([*_CLI, "up", *more, "--data", data], folder / "up.log") as process:
        until(lambda: is_ready(data))
        time.sleep(_SETTLE_S)
        return memory_kb(process.pid)
