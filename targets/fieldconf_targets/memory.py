"""The target ``memory``: real agents in threads of this process, whose steps are only written down.

For tries, rehearsals and tests: core, link and messages are those of every agent, but no script
runs and nothing is kept on disk. When this process ends, its machines are gone.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fieldconf_microagent import compat, settings
from fieldconf_microagent.assembling import BOOT, assemble
from fieldconf_microagent.host import Host
from fieldconf_microagent.link_paho import PahoLink
from fieldconf_microagent.main_cpython import about, make_link

from . import registry
from .api import ABSENT, DEAD, RUNNING, Machine, Order, Setting, Target, TargetError, values

_PATIENCE_S = 10.0
_STEPS_KEPT = 1000


class MemoryTarget(Target):
    """Runs each node's agent in a thread of this process."""

    handler = registry.MEMORY
    settings = (
        # No step runs, so it stands in for nodes with any of them.
        Setting(
            "installers",
            str,
            "script, python, logger, puppet, ansible, file, command",
            "names of installers, with commas",
        ),
    )

    def __init__(self, fleet: str, folder: Path) -> None:
        super().__init__(fleet, folder)
        self._nodes: dict[str, MemoryNode] = {}
        self._lock = threading.Lock()

    @classmethod
    def offers(cls, properties: Mapping[str, str]) -> Mapping[str, str]:
        chosen = values(cls, properties)["installers"].split(",")
        return {name.strip(): "" for name in chosen}

    def create(self, order: Order) -> Machine:
        installers = tuple(self.offers(order.properties))
        with self._lock:
            node = self._nodes.get(order.node)
            if node is None or not node.is_running():
                store = MemoryStore() if node is None else node.store
                try:
                    self._nodes[order.node] = MemoryNode(order, installers, store)
                except (OSError, settings.SettingsError) as error:
                    raise TargetError(f"cannot start an agent for {order.path}: {error}") from error
            return Machine(order.node, order.path, RUNNING)

    def state(self, node: str) -> str:
        with self._lock:
            known = self._nodes.get(node)
        if known is None:
            return ABSENT
        return RUNNING if known.is_running() else DEAD

    def destroy(self, node: str, force: bool = False) -> None:
        with self._lock:
            known = self._nodes.pop(node, None)
        if known is not None and not known.end():
            raise TargetError(f"cannot end the agent of {known.path}: its thread does not stop")

    def list(self) -> Sequence[Machine]:
        with self._lock:
            known = sorted(self._nodes.items())
        return [Machine(name, node.path, self.state(name)) for name, node in known]

    def steps(self, node: str) -> Sequence[tuple[str, str]]:
        """Return ``(path, step)`` of the latest steps of a node, in order."""
        return tuple(self._nodes[node].runner.steps)

    def kill_node(self, node: str) -> None:
        """End a node as a power cut would: no goodbye, and nothing that it began goes on."""
        with self._lock:
            self._nodes[node].kill()

    def close(self) -> None:
        for machine in self.list():
            self.destroy(machine.node)


class MemoryNode:
    """One agent with its thread."""

    def __init__(self, order: Order, installers: tuple[str, ...], store: "MemoryStore") -> None:
        self.path = order.path
        self.store = store
        known = settings.checked(dict(order.home))
        clock = compat.Clock()
        self._link = make_link(known)
        self.runner = WrittenSteps(self._link.wake)
        agent = assemble(
            known,
            store,
            # Its instances live and die with its thread: every start is that of a new machine.
            compat.hex(compat.random_bytes(8)),
            clock.now_ms(),
            compat.random_below,
            installers=list(installers),
            info=about(installers),
            parallel=8,
        )
        self._host = MemoryHost(
            agent,
            self._link,
            self.runner,
            NoRecipes(),
            store,
            clock.now_ms,
            lambda level, text: None,
            lambda: None,
            compat.random_below,
        )
        self._thread = threading.Thread(target=self._host.run, name=order.node, daemon=True)
        self._thread.start()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> bool:
        """Stop the agent politely; tell whether its thread has ended."""
        self._host.stop()
        self._thread.join(_PATIENCE_S)
        return not self._thread.is_alive()

    def kill(self) -> None:
        self._host.killed = True
        self.end()


class MemoryHost(Host):
    """A host that can die without a word."""

    killed = False
    link: PahoLink

    def _leave(self) -> None:
        if self.killed:
            self.link.abandon()
        else:
            super()._leave()


class MemoryStore:
    """Keeps what `store.Store` keeps, in memory.

    The boot number begins with the time: it has to be higher than in any process before.
    """

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {BOOT: b"%d" % (time.time_ns() // 1_000_000)}

    def load(self, name: str) -> bytes | None:
        return self._kept.get(name)

    def save(self, name: str, data: bytes) -> None:
        self._kept[name] = data

    write = save

    def sync(self, name: str) -> None: ...

    def load_written(self, name: str) -> bytes | None:
        return None

    def remove(self, name: str) -> None:
        self._kept.pop(name, None)


class WrittenSteps:
    """A runner whose steps succeed at once; what it was asked to do stands in `steps`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.steps: deque[tuple[str, str]] = deque(maxlen=_STEPS_KEPT)
        self._wake = wake
        self._ended: list[tuple[str, str, str]] = []

    def start(self, request: dict[str, Any]) -> None:
        # Like a recipe that has no check.
        absent = request["step"] == "check"
        if not absent:
            self.steps.append((request["path"], request["step"]))
        self._ended.append((request["path"], "absent" if absent else "done", ""))
        self._wake()

    def poll(self) -> list[tuple[str, str, str]]:
        ended, self._ended = self._ended, []
        return ended

    def logs(self) -> list[tuple[str, str, bytes]]:
        return []

    def cancel(self, path: str) -> None: ...

    def forget(self, path: str) -> None: ...

    def busy(self) -> int:
        return len(self._ended)

    def close(self) -> None: ...


class NoRecipes:
    """A fetcher that needs nothing, since no script will run."""

    def want(self, now: int, digests: Iterable[bytes]) -> None: ...

    def has(self, digest: bytes) -> bool:
        return True

    def folder(self, digest: bytes) -> str:
        return ""

    def link(self, now: int, up: bool) -> None: ...

    def on_put(self, now: int, digest: bytes, index: int, total: int, data: bytes) -> None: ...

    def tick(self, now: int) -> None: ...

    def next_wake(self) -> int | None:
        return None

    def take(self) -> tuple[list[bytes], list[tuple[bytes, str | None]]]:
        return [], []

    def collect(self, keep: Iterable[bytes]) -> None: ...
