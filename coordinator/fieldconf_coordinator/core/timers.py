"""What is due when: one time for each key, monotonic, in ms."""

import heapq
from collections.abc import Hashable, Iterator


class Timers:
    """Keys and when they are due. Setting a key again replaces its time."""

    def __init__(self) -> None:
        self._at: dict[Hashable, int] = {}
        self._heap: list[tuple[int, int, Hashable]] = []
        self._count = 0

    def set(self, key: Hashable, at: int) -> None:
        """Have `key` due at `at`, whatever was set before."""
        if self._at.get(key) != at:
            self._at[key] = at
            self._count += 1
            heapq.heappush(self._heap, (at, self._count, key))

    def set_earliest(self, key: Hashable, at: int) -> None:
        """Have `key` due at `at` unless it is due earlier."""
        if at < self._at.get(key, at + 1):
            self.set(key, at)

    def clear(self, key: Hashable) -> None:
        """Forget `key`."""
        self._at.pop(key, None)

    def next(self) -> int | None:
        """Return when the first key is due."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> Iterator[Hashable]:
        """Yield and forget the keys that are due, those set meanwhile included."""
        while True:
            at = self.next()
            if at is None or at > now:
                return
            key = heapq.heappop(self._heap)[2]
            del self._at[key]
            yield key
