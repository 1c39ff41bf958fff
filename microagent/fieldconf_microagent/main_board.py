"""Runs the agent on MicroPython: a board, or the `micropython` command with a folder.

The folder holds what it does on a machine (`main_cpython`), but for lock and pid file: nobody else
runs here. Modules that are needed now and then are loaded when they are, and let go afterwards.
"""

import gc

from . import compat
from .host import Host, assemble
from .link_mqtt import MqttLink
from .messages import FORMAT
from .runner_inline import InlineRunner
from .store import Store
from .version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .fetch import Fetcher

INSTALLERS = ("logger", "python")

# A collection every so many bytes keeps together what stays. Without, it lies scattered all over
# the heap when the first piece of 4 KiB wants to be held in one block.
_COLLECT_EVERY = 2048


def main(folder: str) -> int:
    """Run the agent of this folder; return the exit status when it is told to go."""
    if hasattr(gc, "threshold"):
        gc.threshold(_COLLECT_EVERY)
    from . import settings

    host = make_host(folder, settings.read(folder + "/settings.json"))
    compat.unload("settings", "compat_rare")
    gc.collect()
    _log("info", host.run())
    return 0


def make_host(folder: str, known: "dict[str, Any]") -> "Host":
    """Return the agent with all its parts."""
    data = folder + "/data"
    clock = compat.Clock()
    link = MqttLink(
        known["broker"],
        known["node"],
        known["keepalive"],
        known["user"] or None,
        known["password"] or None,
    )
    runner = InlineRunner(data, link.wake)
    fetcher = Recipes(folder)

    def wipe() -> None:
        fetcher.want(clock.now_ms(), [])
        fetcher.collect([])
        compat.remove_tree(data)

    store = Store(folder + "/state")
    agent = assemble(
        known,
        store,
        # Always new: whatever ran, ran in this process.
        compat.hex(compat.random_bytes(8)),
        clock.now_ms(),
        compat.random_below,
        installers=list(INSTALLERS),
        info=_about(),
        parallel=1,
    )
    return Host(agent, link, runner, fetcher, store, clock.now_ms, _log, wipe, compat.random_below)


class Recipes:
    """Stands for a `fetch.Fetcher`, which is in memory only while a recipe is to be had."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._fetcher: "Fetcher | None" = None
        self._wanted: "list[bytes]" = []
        self._up = False

    def want(self, now: int, digests: "list[bytes]") -> None:
        if self._fetcher is None:
            gc.collect()
            from .fetch import Fetcher

            # A window of two 4 KiB pieces: more would have to be held at once.
            self._fetcher = Fetcher(self._root, 2)
            self._fetcher.link(now, self._up)
        self._wanted = digests
        self._fetcher.want(now, digests)

    def has(self, digest: bytes) -> bool:
        return digest in self._wanted if self._fetcher is None else self._fetcher.has(digest)

    def folder(self, digest: bytes) -> str:
        return self._root + "/recipes/" + compat.hex(digest)

    def link(self, now: int, up: bool) -> None:
        self._up = up
        if self._fetcher:
            self._fetcher.link(now, up)

    def collect(self, keep: "list[bytes]") -> None:
        if self._fetcher:
            self._fetcher.collect(keep)

    def take(self) -> "tuple[list[bytes], list[tuple[bytes, str | None]]]":
        if self._fetcher is None:
            return [], []
        taken = self._fetcher.take()
        if all(self._fetcher.has(digest) for digest in self._wanted):
            self._fetcher = None
            compat.unload("fetch", "manifest", "compat_rare")
            gc.collect()
        return taken

    def next_wake(self) -> "int | None":
        return self._fetcher.next_wake() if self._fetcher else None

    def tick(self, now: int) -> None:
        if self._fetcher:
            self._fetcher.tick(now)

    def on_put(self, now: int, digest: bytes, index: int, total: int, data: bytes) -> None:
        if self._fetcher:
            self._fetcher.on_put(now, digest, index, total, data)


def _about() -> "dict[str, Any]":
    from . import compat_rare

    return {
        "py": compat_rare.platform_info(),
        "agent": VERSION,
        "mem": compat_rare.mem_free(),
        "inst": list(INSTALLERS),
        "fmt": [FORMAT],
        "hw": compat_rare.hardware_mark(),
    }


def _log(level: str, text: str) -> None:
    print(level + ": " + text)
