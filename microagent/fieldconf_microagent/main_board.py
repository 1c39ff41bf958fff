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

    from .agent import Agent
    from .board import Board
    from .fetch import Fetcher
    from .host import Host
    from .runner_inline import InlineRunner

#: Exit status when the settings are refused.
REFUSED = 2

# A collection every so many bytes keeps together what stays. Without, it lies scattered all over
# the heap when the first piece of 4 KiB wants to be held in one block.
_COLLECT_EVERY = 2048
# A full disk or a full memory may have room again.
_AGAIN_MS = 60000


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

    made = startup.assembled(folder, _log)
    compat.unload("assembling", "startup", "settings", "compat_rare")
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


class Bed:
    """Where the agent's core sleeps: what it knows is kept in two byte strings, its code is gone.

    Args:
        settings: those of the core.
        random_below: n → a random integer from 0 to n - 1.
    """

    def __init__(self, settings: "dict[str, Any]", random_below: "Callable[[int], int]") -> None:
        self._settings = settings
        self._random_below = random_below
        self._kept = (b"", b"")

    def lay(self, agent: "Agent") -> None:
        """Keep what this core knows; the caller lets go of it."""
        from . import napping

        self._kept = napping.asleep(agent)
        compat.unload("napping", "agent")

    def wake(self, now: int) -> "Agent":
        """Return the core as it was."""
        gc.collect()
        from . import napping

        agent = napping.woken(self._settings, self._kept, now, self._random_below)
        self._kept = (b"", b"")
        compat.unload("napping")
        return agent


class Recipes:
    """Stands for a `fetch.Fetcher`, which is in memory only while a recipe is to be had.

    Both it and the core would be too much for a small board: it works while the core sleeps, and
    goes on from what is on the disk.
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._fetcher: "Fetcher | None" = None
        self._wanted: "list[bytes]" = []
        # digest → what the core was told of it
        self._told: "dict[bytes, str | None]" = {}
        # What a fetcher that was let go of leaves to the next one.
        self._left: "tuple[Any, ...] | None" = None
        self._up = self._pending = self._tells = False
        self._rests = True
        # Why the fetcher could not even begin, until that is told; and when it tries again.
        self._failed = ""
        self._again_at = 0

    def want(self, now: int, digests: "list[bytes]") -> None:
        self._wanted = digests
        self._told = {}
        self._left = None
        self._pending = True
        self._again_at = 0

    def wipe(self) -> None:
        """Leave nothing of any recipe or instance on the disk."""
        compat.remove_tree(self._root + "/recipes")
        compat.remove_tree(self._root + "/parts")
        compat.remove_tree(self._root + "/data")

    def has(self, digest: bytes) -> bool:
        return digest in self._told and self._told[digest] is None

    def folder(self, digest: bytes) -> str:
        return self._root + "/recipes/" + compat.hex(digest)

    def link(self, now: int, up: bool) -> None:
        self._up = up
        self._left = None
        if self._fetcher:
            self._fetcher.link(now, up)

    def collect(self, keep: "list[bytes]") -> None:
        """Done with `want`, since nothing else is kept."""

    def rest(self, rests: bool) -> None:
        """Let go of everything in memory, or go on."""
        self._rests = rests
        if rests and not self._tells:
            # A core that is woken by something else may forget a problem: tell it once more.
            self._told = {d: None for d in self._told if self._told[d] is None}
        if rests and self._fetcher:
            self._left = self._fetcher.leave()
            self._let_go()
            self._pending = True

    def take(self) -> "tuple[list[bytes], list[tuple[bytes, str | None]]]":
        self._tells = False
        gets, news = self._fetcher.take() if self._fetcher else ([], [])
        for digest in self._wanted:
            if self._failed:
                news.append((digest, self._failed))
            elif self._fetcher and self._fetcher.has(digest):
                news.append((digest, None))
        self._failed = ""
        fresh = []
        for digest, problem in news:
            # The core is woken for what it does not know only.
            if self._told.get(digest, "") != problem:
                self._told[digest] = problem
                fresh.append((digest, problem))
        self._tells = bool(fresh)
        if self._fetcher and all(self.has(digest) for digest in self._wanted):
            self._let_go()
        return gets, fresh

    def next_wake(self) -> "int | None":
        if self._pending:
            return None if self._rests else self._again_at
        return self._fetcher.next_wake() if self._fetcher else None

    def tick(self, now: int) -> None:
        if self._pending:
            try:
                self._begin(now)
            except (OSError, MemoryError) as error:
                self._let_go()
                self._failed = str(error) or "the memory is full"
                self._again_at = now + _AGAIN_MS
        elif self._fetcher:
            self._fetcher.tick(now)

    def _begin(self, now: int) -> None:
        gc.collect()
        from .fetch import Fetcher

        # A window of two 4 KiB pieces: more would have to be held at once.
        self._fetcher = fetcher = Fetcher(self._root, 2)
        fetcher.link(now, self._up)
        fetcher.want(now, self._wanted)
        if self._left:
            fetcher.go_on(self._left)
        fetcher.collect(self._wanted)
        self._pending = False

    def on_put(self, now: int, digest: bytes, index: int, total: int, data: bytes) -> None:
        if self._fetcher:
            self._fetcher.on_put(now, digest, index, total, data)

    def _let_go(self) -> None:
        self._fetcher = None
        compat.unload("fetch", "manifest", "compat_rare")
        gc.collect()


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
