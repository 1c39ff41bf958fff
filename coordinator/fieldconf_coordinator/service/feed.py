"""Hands on what changed to one watcher, at a pace that leaves the loop its time.

Everything here happens in the service's thread. The watcher is called with

``("begin", [{"event": 311}])``
    forget all rows: those of everything there is follow; events follow from the one after this.
``("rows", [row, …])``
    see `news`.
``("complete", [])``
    since "begin", the rows of everything there is were handed on.
``("events", [event, …])``
    new lines of the history.
``("logs", [{"at", "application", "path", "step", "text"}, …])``
    output of scripts.
"""

import time
from collections.abc import Callable
from typing import Any

from ..core.news import News
from ..errors import StoreError
from .store import Store

Deliver = Callable[[str, list[dict[str, Any]]], None]

_NODES_AT_ONCE = 200
_PARTS_AT_ONCE = 200
_PAUSE_MS = 50
_LONGEST_PAUSE_MS = 1000
# At most a tenth of the loop's time goes into rows; half of it while somebody waits for the first.
_SHARE = 10


class Feed:
    """Knows what was handed on already."""

    def __init__(self) -> None:
        self._deliver: Deliver | None = None
        self._at = 0
        self._event = 0
        self._is_complete = False
        #: There are new lines in the history.
        self.has_events = False
        self._logs: list[dict[str, Any]] = []

    def begin(self, deliver: Deliver, news: News, store: Store) -> None:
        """Hand everything to `deliver` from now on: all there is at first, then what changes."""
        self._deliver = deliver
        self._event = store.last_event()
        self.restart(news)

    def restart(self, news: News) -> None:
        """Hand on everything anew: the core was made anew."""
        if self._deliver is not None:
            self._is_complete = False
            self._deliver("begin", [{"event": self._event}])
            news.begin()

    def end(self, news: News) -> None:
        """Hand on nothing any more."""
        self._deliver = None
        self._logs = []
        news.end()

    def next_wake(self, news: News) -> int | None:
        """Return when `turn` has something to do, or None."""
        waits = news.waiting or self.has_events or self._logs or not self._is_complete
        return self._at if self._deliver is not None and waits else None

    def log(self, application: str, path: str, step: str, data: bytes) -> None:
        """Hand on what a script printed; what is too much at once is left out."""
        if self._deliver is not None and len(self._logs) < _PARTS_AT_ONCE:
            text = data.decode("utf-8", "replace")
            part = {"at": time.time_ns() // 1_000_000, "application": application}
            self._logs.append({**part, "path": path, "step": step, "text": text})

    def turn(self, now: int, news: News, store: Store) -> None:
        """Hand on what changed, if it is time."""
        if self._deliver is None or now < self._at:
            return
        # What comes alone is handed on at once; only what follows soon has to wait.
        began = time.monotonic()
        if news.waiting or self.has_events or self._logs:
            self._hand_on(now, news, store)
            took_ms = int((time.monotonic() - began) * 1000)
            if self._is_complete:
                self._at = now + min(max(_PAUSE_MS, _SHARE * took_ms), _LONGEST_PAUSE_MS)
            else:
                self._at = now + took_ms
        if not self._is_complete and not news.waiting:
            self._is_complete = True
            self._deliver("complete", [])

    def _hand_on(self, now: int, news: News, store: Store) -> None:
        assert self._deliver is not None
        if self.has_events:
            self._events(store)
        if self._logs:
            self._deliver("logs", self._logs)
            self._logs = []
        if news.waiting:
            rows = news.take(now, _NODES_AT_ONCE)
            if rows:
                self._deliver("rows", rows)

    def _events(self, store: Store) -> None:
        assert self._deliver is not None
        self.has_events = False
        try:
            found = store.events(after=self._event)
        except StoreError:
            return  # the history can wait until the disk is well again
        if found:
            self._event = found[-1]["id"]
            self._deliver("events", found)
