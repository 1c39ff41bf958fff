"""Target calls on threads: they may be slow, and the service's loop must not be.

All bookkeeping happens in the service's thread, which calls `begin` and `results`; the threads only
make the calls. The calls of one node are made one after the other, in order.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from fieldconf_targets import registry
from fieldconf_targets.api import DEAD, RUNNING, Order, Target, TargetError

_THREADS = 8

#: (node, outcome, detail), as `Fleet.on_target` takes them.
Result = tuple[str, str, str]

_log = logging.getLogger(__name__)


class Workers:
    """Makes the calls.

    Args:
        fleet: the fleet's id.
        folder: where each target gets a folder of its own.
        home: node, settings of a call → the agent's settings.
        wake: called, in any thread, when there are results.
    """

    def __init__(
        self,
        fleet: str,
        folder: Path,
        home: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
        wake: Callable[[], None],
    ) -> None:
        self._fleet = fleet
        self._folder = folder
        self._home = home
        self._wake = wake
        self._targets: dict[str, Target] = {}
        self._making = threading.Lock()
        self._queues: dict[str, deque[Callable[[], Result | None]]] = {}
        self._ended: SimpleQueue[tuple[str, Result | None]] = SimpleQueue()
        self._found: SimpleQueue[Result] = SimpleQueue()
        self._looking: set[str] = set()
        self._dead: dict[str, set[str]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="target")

    def target(self, handler: str) -> Target:
        """Return the target of this handler.

        Raises:
            TargetError: there is none.
        """
        # Two threads that make the first two nodes must not make a target each.
        with self._making:
            if handler not in self._targets:
                made = registry.target_class(handler)(self._fleet, self._folder / handler)
                self._targets[handler] = made
            return self._targets[handler]

    def begin(self, kind: str, node: str, settings: Mapping[str, Any]) -> None:
        """Make a call (`kind` is that of the effect) after the earlier ones of this node."""
        queue = self._queues.setdefault(node, deque())
        queue.append(lambda: self._call(kind, node, settings))
        if len(queue) == 1:
            self._threads.submit(self._run, node, queue[0])

    def look(self) -> None:
        """Have every target in use say which of its machines have died; they are reported once.

        A machine counts as dead when it was so twice in a row: one that is just being made again,
        or has ended for good reasons a moment ago, is none.
        """
        for handler, target in list(self._targets.items()):
            if handler not in self._looking:
                self._looking.add(handler)
                self._threads.submit(self._look, handler, target)

    def results(self) -> list[Result]:
        """Return what ended since the last call."""
        found: list[Result] = []
        while not self._found.empty():
            found.append(self._found.get())
        while True:
            try:
                node, result = self._ended.get_nowait()
            except Empty:
                return found
            queue = self._queues[node]
            queue.popleft()
            if queue:
                self._threads.submit(self._run, node, queue[0])
            else:
                del self._queues[node]
            if result is not None:
                found.append(result)

    def close(self) -> None:
        """Wait for the calls that run, forget the others, and let go of the targets."""
        self._threads.shutdown(cancel_futures=True)
        for target in self._targets.values():
            target.close()

    def _look(self, handler: str, target: Target) -> None:
        try:
            dead = {machine.node for machine in target.list() if machine.state == DEAD}
        except Exception:  # a target is a plug-in: it must not take a thread with it
            _log.exception("cannot list the machines of target %s", handler)
            dead = set()
        for node in sorted(dead & self._dead.get(handler, set())):
            self._found.put((node, "missing", "its machine has died"))
        self._dead[handler] = dead
        self._looking.discard(handler)
        if dead:
            self._wake()

    def _run(self, node: str, call: Callable[[], Result | None]) -> None:
        try:
            result = call()
        except TargetError as error:
            result = (node, "failed", str(error))
        except Exception as error:  # a target is a plug-in: it must not take a thread with it
            _log.exception("the target of %s failed", node)
            result = (node, "failed", f"{type(error).__name__}: {error}")
        self._ended.put((node, result))
        self._wake()

    def _call(self, kind: str, node: str, settings: Mapping[str, Any]) -> Result | None:
        target = self.target(settings["target"])
        if kind == "create":
            home = self._home(node, settings)
            target.create(Order(node, settings["path"], home, settings["data"]))
            return (node, "created", "")
        if kind == "destroy":
            target.destroy(node, force=True)
            return (node, "destroyed", "")
        if kind == "disown":
            target.disown(node)
            return None
        state = target.state(node)
        return None if state == RUNNING else (node, "missing", f"its machine is {state}")
