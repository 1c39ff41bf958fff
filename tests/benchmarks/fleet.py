"""How long a fleet takes from nothing to all started, and what the coordinator needs for it.

The coordinator is the real service in a process of its own, with its store, and with mosquitto as
``fieldconf up --mosquitto`` runs it, passwords and access lists included. The agents are real cores
in two `swarm` processes. The application: one node whose instance exports an address, and n nodes
with an instance each, which all import it or do not; no scripts. When all do, mosquitto has n
subscribers to one topic, and compares each new one with all that it has.

*Deploy* is the time from the request of `deploy` until the coordinator says that the change is
done, so it includes giving out ids and keys, the store's commits, n connections with n logins, n
wants, n haves. *Start* is the same for all instances stopped before, on connected agents.
"""

import os
import time
from contextlib import ExitStack
from pathlib import Path

import bench
from bench import ROOT, STARTED, Table, ask, goal, is_ready, memory_kb, until
from templates import write

GOALS = {1000: 1.0, 10000: 5.0}
MEMORY_MB = 64
_SWARMS = 2
PATIENCE = 60
# What a coordinator, its mosquitto and 2 swarms need beside one file for each node.
_SPARE_FILES = 200

_GRAPH = """\
VM {{
    installer: target;
    children: Config, App;
}}
Config {{
    installer: script;
    exports: ip, port = 8000;
}}
App {{
    installer: script;
    exports: ip;{imports}
}}
"""
_IMPORTS = "\n    imports: Config.ip, Config.port;"
_INSTANCES = """\
instance of VM {{
    name: hub;
    instance of Config {{
        name: config;
    }}
}}
instance of VM {{
    name: vm;
    count: {count};
    instance of App {{
        name: app;
    }}
}}
"""


def run(folder, quick):
    """Measure and return the tables."""
    limit = bench.raise_file_limit()
    time_table = Table("fleet: from nothing to all started (s)", *_TIMES)
    memory_table = Table("fleet: memory and processor time", *_NEEDS)
    for count, imports in _QUICK if quick else _FULL:
        if count + _SPARE_FILES > limit:
            time_table.note(f"{count} nodes: left out, only {limit} open files are allowed.")
            continue
        place = folder / f"{count}{imports}"
        place.mkdir()
        _measure(place, count, imports, time_table, memory_table)
    time_table.note("Goals, for deploy: 1,000 nodes ≤ 1 s, 10,000 nodes ≤ 5 s.")
    memory_table.note(
        f"Goal: coordinator ≤ {MEMORY_MB} MB resident with 10,000 nodes. Processor time is of the "
        "deployment; swarms are the load, not the product, but share the cores with it."
    )
    return [time_table, memory_table]


#: How many nodes, and whether all of them import from one.
_QUICK = ((100, False), (1000, False))
_FULL = ((1000, False), (1000, True), (10000, False), (10000, True))
_TIMES = ("nodes", "import from one", "deploy", "goal", "stop all", "start all")
_NEEDS = (
    "nodes",
    "import from one",
    "idle MB",
    "with nodes MB",
    "peak MB",
    "mosquitto MB",
    "coordinator s",
    "mosquitto s",
    "swarms s",
)


def template(folder, count, imports):
    """Write the application with `count` nodes beside the hub."""
    graph = _GRAPH.format(imports=_IMPORTS if imports else "")
    return write(folder, graph, _INSTANCES.format(count=count), {"Config": {}, "App": {}}, "fleet")


def _measure(folder, count, imports, time_table, memory_table):
    with ExitStack() as stack:
        sockets = [folder / f"swarm{number}" for number in range(_SWARMS)]
        python, here = bench.sys.executable, ROOT / "tests/benchmarks"
        swarms = [
            stack.enter_context(
                bench.running([python, here / "swarm.py", path], folder / "swarm.log")
            )
            for path in sockets
        ]
        until(lambda: all(path.exists() for path in sockets))
        data = folder / "data"
        command = [python, here / "swarm_target.py", data, *sockets]
        coordinator = stack.enter_context(bench.running(command, folder / "up.log"))
        until(lambda: is_ready(data))
        broker = int((data / "broker/pid").read_text().split()[0])
        watched = [[coordinator.pid], [broker], [swarm.pid for swarm in swarms]]
        idle, before = memory_kb(coordinator.pid)[0], [_cpu_s(pids) for pids in watched]
        deployed = _change(
            data, "deploy", path=str(template(folder / "template", count, imports)), name="fleet"
        )
        used = [_cpu_s(pids) - b for pids, b in zip(watched, before, strict=True)]
        needs = [idle, memory_kb(coordinator.pid)[0], _peak_kb(coordinator.pid)]
        needs.append(memory_kb(broker)[0])
        stopped = _change(data, "wish", app="fleet", path=None, wish="deployed-stopped")
        started = _change(data, "wish", app="fleet", path=None, wish=STARTED)
    first = (f"{count:,}", "all" if imports else "none")
    memory_table.add(*first, *[f"{kb / 1024:.0f}" for kb in needs], *[f"{s:.2f}" for s in used])
    most = GOALS.get(count)
    verdict = f"≤ {most:g}: {goal(deployed, most)}" if most else "–"
    time_table.add(*first, f"{deployed:.2f}", verdict, f"{stopped:.2f}", f"{started:.2f}")


def _change(data, request, **arguments):
    """Ask for a change and return how long it took until the coordinator calls it done."""
    began = time.time()
    change = ask(data, request, **arguments)["change"]
    while True:
        # Seldom: each look costs the coordinator some ms, and the change knows when it ended.
        time.sleep(0.1)
        told = ask(data, "events", app="fleet")
        ended = [one for one in told if one["text"].endswith(": done") and one["at"] > began * 1e3]
        if ended:
            return ask(data, "change", id=change)["ended"] / 1000 - began
        if time.time() > began + PATIENCE:
            raise RuntimeError(f"{request} is not done after 60 s: {_left(data, change)}")


def _left(data, change):
    steps = [step for step in ask(data, "change", id=change)["steps"] if not step["done"]]
    return f"{len(steps)} left, such as {steps[:2]}"


def _cpu_s(pids):
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _peak_kb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
