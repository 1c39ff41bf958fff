"""Runs the agent on MicroPython: a board, or the `micropython` command with a folder.

The folder holds what it does on a machine (`main_cpython`), but for lock and pid file: nobody else
runs here. Modules that are needed now and then are loaded when they are, and let go afterwards.
"""

import gc

from . import compat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .board import Board
    from .fetch import Fetcher
    from .host import Host
    from .runner_inline import InlineRunner

#: Exit status when the settings are refused.
REFUSED = 2

# A collection every so many bytes keeps together what stays. Without, it lies scattered all over
# the heap when the first piece of 4 KiB wants to be held in one block.
_COLLECT_EVERY = 2048


def main(folder: str) -> int:
    """Run the agent of this folder; return the exit status when it is told to go."""
    if hasattr(gc, "threshold"):
        gc.threshold(_COLLECT_EVERY)
    while True:
        try:
            host, board = _assembled(folder)
        except ValueError as error:
            _log("error", str(error))
            return REFUSED
        gc.collect()
        if not _run(host, board).startswith("restart"):
            return 0


def _assembled(folder: str) -> "tuple[Host, Board | None]":
    """Return the agent and what tends its board.

    A function of its own: while anything refers to `startup`, it stays in memory.
    """
    from . import startup

    made = startup.assembled(folder, Recipes(folder), Steps, _log)
    compat.unload("startup", "settings", "compat_rare")
    return made


def _run(host: "Host", board: "Board | None") -> str:
    """Run until the agent ends; return why. A board does not return when it shall restart."""
    if board is None:
        reason = host.run()
        _log("info", reason)
        return reason
    try:
        reason = host.run(board.tend)
        _log("info", reason)
        if reason.startswith("restart"):
            board.restart()
    except Exception as error:
        _log("error", compat.error_text(error))
        board.restart()
    finally:
        # Also when somebody asks for the REPL.
        board.release()
    return ""


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

    def wipe(self) -> None:
        """Leave nothing of any recipe or instance on the disk."""
        self.want(0, [])
        self.collect([])
        compat.remove_tree(self._root + "/data")

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


class Steps:
    """Stands for a `runner_inline.InlineRunner`, which is in memory only while it has to do."""

    def __init__(self, root: str, wake: "Callable[[], object]") -> None:
        self._arguments = (root, wake)
        # What recipes keep in memory: it outlives the runner.
        self._kept: "tuple[dict[str, Any], dict[str, str]]" = ({}, {})
        self._runner: "InlineRunner | None" = None

    def start(self, request: "dict[str, Any]") -> None:
        self._loaded().start(request)

    def cancel(self, path: str) -> None:
        if self._runner:
            self._runner.cancel(path)

    def poll(self) -> "list[tuple[str, str, str]]":
        runner = self._runner
        if runner is None:
            return []
        if runner.is_idle():
            runner.close()
            self._runner = runner = None
            compat.unload("runner_inline", "recipe", "inline_async")
            gc.collect()
            return []
        return runner.poll()

    def logs(self) -> "list[tuple[str, str, bytes]]":
        return self._runner.logs() if self._runner else []

    def busy(self) -> int:
        return self._runner.busy() if self._runner else 0

    def next_wake(self) -> "int | None":
        return self._runner.next_wake() if self._runner else None

    def forget(self, path: str) -> None:
        self._loaded().forget(path)

    def close(self) -> None:
        if self._runner:
            self._runner.close()

    def _loaded(self) -> "InlineRunner":
        if self._runner is None:
            gc.collect()
            from .runner_inline import InlineRunner

            self._runner = InlineRunner(*self._arguments, self._kept)
        return self._runner


def _log(level: str, text: str) -> None:
    print(level + ": " + text)
