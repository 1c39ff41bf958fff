"""What scripts printed lately: bounded, in memory, for people."""

import time
from collections import deque
from collections.abc import Collection
from typing import Any

_BYTES = 64 << 10
_INSTANCES = 20_000


class Output:
    """The end of what one instance printed."""

    def __init__(self) -> None:
        self._parts: deque[tuple[int, str, bytes]] = deque()
        self._size = 0

    def add(self, step: str, data: bytes) -> None:
        self._parts.append((time.time_ns(), step, data))
        self._size += len(data)
        while self._size > _BYTES and len(self._parts) > 1:
            self._size -= len(self._parts.popleft()[2])

    def parts(self, path: str) -> list[tuple[int, str, str, bytes]]:
        return [(at, path, step, data) for at, step, data in self._parts]


class Outputs:
    """What all instances printed."""

    def __init__(self) -> None:
        self._outputs: dict[tuple[str, str], Output] = {}

    def add(self, node: str, path: str, step: str, data: bytes) -> None:
        """Note what a step printed; an empty path means the agent itself."""
        if (node, path) not in self._outputs and len(self._outputs) >= _INSTANCES:
            del self._outputs[next(iter(self._outputs))]
        self._outputs.setdefault((node, path), Output()).add(step, data)

    def of(self, nodes: Collection[str], path: str | None) -> list[dict[str, Any]]:
        """Return what was printed on these nodes, by one instance or all, oldest first."""
        found = [
            part
            for (node, known), output in self._outputs.items()
            if node in nodes and path in (None, known)
            for part in output.parts(known)
        ]
        return [
            {
                "at": at // 1_000_000,
                "path": path,
                "step": step,
                "text": data.decode(errors="replace"),
            }
            for at, path, step, data in sorted(found)
        ]

    def forget(self, node: str) -> None:
        """Drop what a node printed."""
        for key in [key for key in self._outputs if key[0] == node]:
            del self._outputs[key]
