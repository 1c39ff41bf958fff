"""What happened lately, and what scripts printed: bounded, in memory, for people."""

import time
from collections import deque
from collections.abc import Collection
from typing import Any

_EVENTS = 1000
_BYTES = 64 << 10
_INSTANCES = 20_000


class Output:
    """The end of what one instance printed."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, str, bytes]] = deque()
        self._size = 0

    def add(self, step: str, data: bytes) -> None:
        self._parts.append((_now_ms(), step, data))
        self._size += len(data)
        while self._size > _BYTES and len(self._parts) > 1:
            self._size -= len(self._parts.popleft()[2])

    def parts(self, path: str) -> list[dict[str, Any]]:
        return [
            {"at": at, "path": path, "step": step, "text": data.decode("utf-8", "replace")}
            for at, step, data in self._parts
        ]


class History:
    """Keeps both.

    Attributes:
        connected: whether the broker can be reached.
    """

    def __init__(self) -> None:
        self.connected = False
        self._events: deque[dict[str, Any]] = deque(maxlen=_EVENTS)
        self._output: dict[tuple[str, str], Output] = {}

    def add_event(self, kind: str, app: str, path: str, node: str, text: str) -> None:
        """Note an event."""
        self._events.append(
            {
                "at": _now_ms(),
                "kind": kind,
                "application": app,
                "path": path,
                "node": node,
                "text": text,
            }
        )

    def events(self, app: str | None = None) -> list[dict[str, Any]]:
        """Return the events, oldest first; of one application, or all."""
        return [event for event in self._events if app in (None, event["application"])]

    def add_output(self, node: str, path: str, step: str, data: bytes) -> None:
        """Note what a step printed; an empty path means the agent itself."""
        if (node, path) not in self._output and len(self._output) >= _INSTANCES:
            del self._output[next(iter(self._output))]
        self._output.setdefault((node, path), Output()).add(step, data)

    def output(self, nodes: Collection[str], path: str | None) -> list[dict[str, Any]]:
        """Return what was printed on these nodes, by one instance or all, oldest first."""
        found = [
            part
            for (node, known), output in self._output.items()
            if node in nodes and path in (None, known)
            for part in output.parts(known)
        ]
        return sorted(found, key=lambda part: part["at"])

    def forget(self, node: str) -> None:
        """Drop what a node printed."""
        for key in [key for key in self._output if key[0] == node]:
            del self._output[key]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
