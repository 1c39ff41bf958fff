"""How often somebody may ask: a bucket of tokens per client, and pauses after failed logins."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from .envelope import Refusal

_MOST_CLIENTS = 10_000
_FREE_FAILURES = 5
_LONGEST_PAUSE_S = 300
_FORGOTTEN_S = 3600.0


class Rate:
    """So many requests a second for each client, with a burst of twice as many."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request.

        Raises:
            Refusal: 429, with the time to wait.
        """
        now = self._clock()
        burst = 2 * self._per_s
        with self._lock:
            tokens, then = self._clients.pop(client, (burst, now))
            tokens = min(burst, tokens + (now - then) * self._per_s)
            self._clients[client] = (tokens - 1 if tokens >= 1 else tokens, now)
            if len(self._clients) > _MOST_CLIENTS:
                self._clients.popitem(last=False)
        if tokens < 1:
            raise _too_fast(1 + int((1 - tokens) / self._per_s), "you ask too often")


class Failures:
    """Failed logins: after some, everybody who fails has to wait, twice as long each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, *keys: str) -> None:
        """Refuse an attempt that comes too early.

        Raises:
            Refusal: 429, with the time to wait.
        """
        now = self._clock()
        with self._lock:
            wait = max(self._wait(key, now) for key in keys)
        if wait > 0:
            raise _too_fast(1 + int(wait), "too many failed logins")

    def note(self, *keys: str) -> None:
        """Count a failed attempt."""
        now = self._clock()
        with self._lock:
            for key in keys:
                count, then = self._known.pop(key, (0, now))
                count = 0 if now - then > _FORGOTTEN_S else count
                self._known[key] = (count + 1, now)
            while len(self._known) > _MOST_CLIENTS:
                self._known.popitem(last=False)

    def forget(self, *keys: str) -> None:
        """Begin anew after a login that worked."""
        with self._lock:
            for key in keys:
                self._known.pop(key, None)

    def _wait(self, key: str, now: float) -> float:
        count, then = self._known.get(key, (0, now))
        if count < _FREE_FAILURES:
            return 0.0
        pause = min(_LONGEST_PAUSE_S, 1 << min(count - _FREE_FAILURES + 1, 10))
        return then + pause - now


def _too_fast(wait_s: int, message: str) -> Refusal:
    return Refusal(
        429,
        "too-fast",
        message,
        hint=f"wait {wait_s} s",
        headers={"Retry-After": str(wait_s)},
    )
