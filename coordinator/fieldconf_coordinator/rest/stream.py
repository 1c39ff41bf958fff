"""The stream: what changed, as server-sent events, to hundreds of listeners from one thread.

A listener is a connection that the HTTP server has handed over. One thread encodes each message
once and writes it to all; a listener that does not keep up is dropped, never waited for.

* The hub holds the latest row of everything, so a new listener gets its snapshot without a question
  to the core, and a row that did not change is not sent.
* A message's id is ``<epoch>-<number>``; the epoch changes when the hub begins anew. Whoever comes
  back with an id of this epoch gets what it missed, as long as that is still kept; anyone else gets
  a snapshot. History is replayed from the store by the third part, the id of the latest event.
* The rows are kept, and the core is asked for them, only while somebody listens.
"""

import json
import logging
import secrets
import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ..errors import RequestError
from .envelope import Raw, Refusal

if TYPE_CHECKING:
    from ..service.service import Service
    from .routes import Call

TYPE = "text/event-stream"

MOST_LISTENERS = 1000
#: What one listener may lag behind; a snapshot comes on top, from bytes that all share.
MOST_WAITING = 4 << 20
_STUCK_S = 30.0
_BEAT_S = 15.0
_LINGER_S = 30.0
_KEPT = 5000
_KEPT_BYTES = 8 << 20
_ROWS_IN_PART = 500
_REPLAYED = 1000

# After how many ms a browser tries again.
_HEAD = b"retry: 2000\n\n"

_log = logging.getLogger(__name__)


@dataclass
class Message:
    """One event of the stream, encoded."""

    number: int
    data: bytes
    application: str | None = None  # of what rows or output it holds
    is_instances: bool = False
    is_log: bool = False


@dataclass
class Listener:
    """One connection.

    Attributes:
        allowed: tells whether whoever listens still may.
        waiting: what is to be sent.
        size: bytes in `waiting`, without snapshots.
        stuck: since when nothing could be written.
    """

    connection: Any
    allowed: Callable[[], bool]
    application: str | None
    instances: bool
    logs: bool
    last_id: str
    waiting: deque[memoryview] = field(default_factory=deque)
    size: int = 0
    free: int = 0
    stuck: float | None = None
    is_ready: bool = False

    def wants(self, message: Message) -> bool:
        """Tell whether the message is for this listener."""
        if message.is_log and not self.logs:
            return False
        if message.is_instances and not self.instances:
            return False
        if self.application is None or not (message.is_log or message.is_instances):
            return True
        return message.application == self.application


class Hub:
    """Everybody who listens."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._inbox: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._listeners: dict[int, Listener] = {}
        self._rows: dict[tuple[str, ...], bytes] = {}
        self._kept: deque[Message] = deque()
        self._kept_bytes = 0
        self._number = 0
        self._event = 0
        self._epoch = ""
        self._is_complete = self._is_watching = False
        self._parts: dict[tuple[str | None, bool], tuple[int, list[bytes]]] = {}
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._beat_at = self._empty_since = 0.0
        self._closing = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)
        self._thread.start()

    # -- called from other threads

    @property
    def listeners(self) -> int:
        """Return how many listen."""
        return len(self._listeners)

    def join(self, call: "Call") -> Raw:
        """Have the connection of `call` handed over once the head of the answer was sent."""
        if len(self._listeners) >= MOST_LISTENERS:
            raise Refusal(
                503, "too-many-listeners", "too many listen already", hint="try again later"
            )
        listener = Listener(
            None,
            call.still_allowed,
            call.query.get("application"),
            call.query.get("instances", True),
            call.query.get("logs", False),
            call.headers.get("last-event-id", ""),
        )
        return Raw(_HEAD, TYPE, take_over=lambda connection: self._take(listener, connection))

    def close(self) -> None:
        """Let all go."""
        self._put("close", None)
        self._thread.join(5)

    def _take(self, listener: Listener, connection: Any) -> None:
        listener.connection = connection
        self._put("join", listener)

    def _deliver(self, kind: str, rows: list[dict[str, Any]]) -> None:
        self._put(kind, rows)

    def _put(self, kind: str, what: Any) -> None:
        self._inbox.put((kind, what))
        try:
            self._wake_in.send(b"!")
        except (BlockingIOError, OSError):
            pass  # it is awake already, or gone

    # -- the thread

    def _run(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except RequestError as error:
                if error.code != "stopped":
                    _log.warning("the stream stumbled: %s", error)
            except Exception:
                # One bad message must not end the stream of all.
                _log.exception("the stream stumbled")

    def _turn(self) -> None:
        for key, events in self._selector.select(1.0):
            if key.data is None:
                self._drain()
            else:
                self._on_socket(key.data, events)
        self._take_in()
        now = time.monotonic()
        if now >= self._beat_at:
            self._beat_at = now + _BEAT_S
            self._beat(now)
        if self._is_watching and not self._listeners and now > self._empty_since + _LINGER_S:
            self._sleep()

    def _drain(self) -> None:
        try:
            while self._wake_out.recv(4096):
                pass
        except BlockingIOError:
            pass

    def _take_in(self) -> None:
        handlers: dict[str, Callable[[Any], None]] = {
            "join": self._on_join,
            "begin": self._on_begin,
            "rows": self._on_rows,
            "complete": self._on_complete,
            "events": self._on_events,
            "logs": self._on_logs,
            "close": self._on_close,
        }
        while True:
            try:
                kind, what = self._inbox.get_nowait()
            except Empty:
                return
            handlers[kind](what)

    # -- listeners come and go

    def _on_join(self, listener: Listener) -> None:
        sock = listener.connection.socket
        sock.setblocking(False)
        self._listeners[sock.fileno()] = listener
        self._selector.register(sock, selectors.EVENT_READ, listener)
        if not self._is_watching:
            self._is_watching = True
            self._service.call(_begin, {"deliver": self._deliver})
        elif self._is_complete:
            self._welcome(listener)

    def _drop(self, listener: Listener) -> None:
        sock = listener.connection.socket
        if self._listeners.pop(sock.fileno(), None) is None:
            return
        self._selector.unregister(sock)
        listener.waiting.clear()
        listener.connection.let_go()
        if not self._listeners:
            self._empty_since = time.monotonic()

    def _on_close(self, _: Any) -> None:
        self._closing = True
        for listener in list(self._listeners.values()):
            self._drop(listener)

    def _sleep(self) -> None:
        """Nobody listens: let go of the rows."""
        self._is_watching = self._is_complete = False
        self._rows, self._parts = {}, {}
        self._kept.clear()
        self._kept_bytes = 0
        self._epoch = ""
        self._service.call(_end, {})

    def _beat(self, now: float) -> None:
        for listener in list(self._listeners.values()):
            stuck = listener.stuck is not None and now > listener.stuck + _STUCK_S
            if stuck or not listener.allowed():
                self.dropped += stuck
                self._drop(listener)
            elif not listener.waiting:
                self._send(listener, b": here\n\n")

    # -- what the core hands on

    def _on_begin(self, rows: list[dict[str, Any]]) -> None:
        self._rows, self._parts = {}, {}
        self._kept.clear()
        self._kept_bytes = 0
        self._epoch = secrets.token_hex(4)
        self._event = rows[0]["event"]
        self._is_complete = False
        for listener in self._listeners.values():
            listener.is_ready = False

    def _on_rows(self, rows: list[dict[str, Any]]) -> None:
        groups: dict[str | None, list[bytes]] = {}
        for row in rows:
            encoded = _encoded(row)
            if self._note(row, encoded):
                of = row["application"] if row["kind"] == "instance" else None
                groups.setdefault(of, []).append(encoded)
        if self._is_complete:
            for application, changed in groups.items():
                body = b'{"rows":[' + b",".join(changed) + b"]}"
                self._tell("state", body, application, is_instances=application is not None)

    def _note(self, row: dict[str, Any], encoded: bytes) -> bool:
        """Keep the row; tell whether it is news."""
        key = _key(row)
        if row.get("gone"):
            if row["kind"] == "application":
                for other in [k for k in self._rows if k[:2] == ("instance", row["name"])]:
                    del self._rows[other]
            return self._rows.pop(key, None) is not None
        if self._rows.get(key) == encoded:
            return False
        self._rows[key] = encoded
        return True

    def _on_complete(self, _: Any) -> None:
        self._is_complete = True
        for listener in list(self._listeners.values()):
            if not listener.is_ready:
                self._welcome(listener)

    def _on_events(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            self._event = event["id"]
            if self._is_complete:
                self._tell("event", _encoded(event))

    def _on_logs(self, parts: list[dict[str, Any]]) -> None:
        for part in parts:
            if self._is_complete:
                self._tell("log", _encoded(part), part["application"], is_log=True)

    def _tell(
        self,
        kind: str,
        body: bytes,
        application: str | None = None,
        is_instances: bool = False,
        is_log: bool = False,
    ) -> None:
        self._number += 1
        data = self._framed(kind, body, self._number)
        message = Message(self._number, data, application, is_instances, is_log)
        self._kept.append(message)
        self._kept_bytes += len(data)
        while len(self._kept) > _KEPT or self._kept_bytes > _KEPT_BYTES:
            self._kept_bytes -= len(self._kept.popleft().data)
        for listener in list(self._listeners.values()):
            if listener.is_ready and listener.wants(message):
                self._send(listener, data)

    def _framed(self, kind: str, body: bytes, number: int) -> bytes:
        head = f"id: {self._epoch}-{number}-{self._event}\nevent: {kind}\ndata: "
        return head.encode() + body + b"\n\n"

    # -- the beginning of a stream

    def _welcome(self, listener: Listener) -> None:
        listener.is_ready = True
        epoch, number, event = _parsed(listener.last_id)
        if self._is_kept(epoch, number):
            for message in self._kept:
                if message.number > number and listener.wants(message):
                    self._send(listener, message.data)
            return
        if event is not None and event < self._event:
            for one in self._service.call(_history, {"after": event}):
                if one["id"] <= self._event:
                    # Without an id: the snapshot that follows has one.
                    self._send(listener, b"event: event\ndata: " + _encoded(one) + b"\n\n")
        for part in self._snapshot(listener.application, listener.instances):
            self._send(listener, part, is_free=True)

    def _is_kept(self, epoch: str, number: int) -> bool:
        if not epoch or epoch != self._epoch or number > self._number:
            return False
        return number == self._number or (bool(self._kept) and self._kept[0].number <= number + 1)

    def _snapshot(self, application: str | None, instances: bool) -> list[bytes]:
        """Return the snapshot, encoded once for all who join before something changes."""
        key = (application, instances)
        kept = self._parts.get(key)
        if kept is None or kept[0] != self._number:
            if len(self._parts) > 20:
                self._parts.clear()
            self._parts[key] = kept = (self._number, list(self._encode(application, instances)))
        return kept[1]

    def _encode(self, application: str | None, instances: bool) -> Iterator[bytes]:
        rows = [
            row
            for key, row in self._rows.items()
            if key[0] != "instance" or (instances and application in (None, key[1]))
        ]
        parts = max(1, -(-len(rows) // _ROWS_IN_PART))
        for place in range(parts):
            some = rows[place * _ROWS_IN_PART : (place + 1) * _ROWS_IN_PART]
            head = f'{{"part":{place + 1},"parts":{parts},"rows":['.encode()
            yield self._framed("snapshot", head + b",".join(some) + b"]}", self._number)

    # -- sockets

    def _send(self, listener: Listener, data: bytes, is_free: bool = False) -> None:
        listener.waiting.append(memoryview(data))
        listener.size += len(data)
        listener.free += len(data) if is_free else 0
        if listener.size - listener.free > MOST_WAITING:
            self.dropped += 1
            self._drop(listener)
        elif len(listener.waiting) == 1:
            self._write(listener)

    def _on_socket(self, listener: Listener, events: int) -> None:
        if events & selectors.EVENT_READ and self._is_gone(listener):
            self._drop(listener)
        elif listener.waiting:
            self._write(listener)

    def _is_gone(self, listener: Listener) -> bool:
        """Read and forget what a listener says; tell whether it has left."""
        try:
            return not listener.connection.socket.recv(4096)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            return True

    def _write(self, listener: Listener) -> None:
        sock = listener.connection.socket
        try:
            while listener.waiting:
                sent = sock.send(listener.waiting[0])
                listener.size -= sent
                listener.free = max(0, min(listener.free, listener.size))
                listener.stuck = None
                if sent == len(listener.waiting[0]):
                    listener.waiting.popleft()
                else:
                    listener.waiting[0] = listener.waiting[0][sent:]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            listener.stuck = listener.stuck or time.monotonic()
        except OSError:
            self._drop(listener)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if listener.waiting else 0)
        if self._selector.get_key(sock).events != wanted:
            self._selector.modify(sock, wanted, listener)


def _begin(service: "Service", now: int, asked: dict[str, Any]) -> None:
    service.feed.begin(asked["deliver"], service.fleet.news, service.store)


def _end(service: "Service", now: int, asked: dict[str, Any]) -> None:
    service.feed.end(service.fleet.news)


def _history(service: "Service", now: int, asked: dict[str, Any]) -> list[dict[str, Any]]:
    return service.store.events(after=asked["after"], most=_REPLAYED)


def _key(row: dict[str, Any]) -> tuple[str, ...]:
    kind = row["kind"]
    if kind == "instance":
        return (kind, row["application"], row["path"])
    return (kind, row["name"] if kind == "application" else row["id"])


def _encoded(row: dict[str, Any]) -> bytes:
    # ASCII only: nothing in a row can look like the end of a line, for any client.
    return json.dumps(row, separators=(",", ":")).encode()


def _parsed(last_id: str) -> tuple[str, int, int | None]:
    """Return epoch, number and event of an id that a listener came back with."""
    epoch, _, rest = last_id.partition("-")
    number, _, event = rest.partition("-")
    if not (number.isdecimal() and event.isdecimal() and len(last_id) < 60):
        return "", 0, None
    return epoch, int(number), int(event)
