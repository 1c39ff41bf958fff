"""Pieces of recipes on their way to nodes, at a bounded rate.

The nodes own the pace: they ask for few pieces at a time. What is bounded here is what all of them
together take of the line.
"""

from collections import deque
from collections.abc import Collection
from typing import Protocol

from fieldconf_microagent import envelope, topics

from .recipes import RecipeStore, TokenBucket

_BYTES_PER_S = 32 << 20
_BURST = 4 << 20
_MOST_WAITING = 64 << 20


class Publisher(Protocol):
    """What can send a message."""

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> None: ...


class Serving:
    """A queue of pieces."""

    def __init__(self, recipes: RecipeStore, domain: str) -> None:
        self._recipes = recipes
        self._domain = domain
        self._bucket = TokenBucket(_BYTES_PER_S, _BURST)
        self._pieces: deque[tuple[str, bytes]] = deque()
        self._bytes = 0
        self._at = 0

    def add(self, node: str, key: bytes, get: bytes, allowed: Collection[bytes]) -> None:
        """Queue what a node asks for, as far as it may have it; too much at once is dropped."""
        for piece in self._recipes.answer(get, allowed):
            if self._bytes < _MOST_WAITING:
                sealed = envelope.seal(key, node, "put", piece)
                self._pieces.append((topics.put(self._domain, node), sealed))
                self._bytes += len(sealed)

    def send(self, now: int, link: Publisher) -> None:
        """Send as much as the rate allows."""
        while self._pieces:
            topic, payload = self._pieces[0]
            wait_ms = self._bucket.wait(now, len(payload))
            if wait_ms:
                self._at = now + wait_ms
                return
            self._pieces.popleft()
            self._bytes -= len(payload)
            link.publish(topic, payload, 0, False)

    def next_wake(self) -> int | None:
        """Return when `send` can go on, None when nothing waits."""
        return self._at if self._pieces else None
