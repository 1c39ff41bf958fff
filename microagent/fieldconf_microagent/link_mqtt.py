"""The link to the broker with our own client: boards, and wherever paho is not installed.

Fulfils the contract that stands in `link_paho`, but `wake` only shortens the next `poll`, since on
a board nothing runs beside the agent's loop. What the client has no room for waits in line, up to
a bound.
"""

import select

from .mqtt import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CONNECT_MS = 10000
# The agent has one slot per document; what can pile up is the log, which may get lost.
_LONGEST_LINE = 64
_SHORT_MS = 5


class MqttLink:
    """A connection to the broker at `url`: ``mqtt://gateway:1883``, or ``serial:``."""

    def __init__(
        self,
        url: str,
        client_id: str,
        keepalive_s: int = 60,
        user: "str | None" = None,
        password: "str | None" = None,
        ca_file: "str | None" = None,
        max_payload: int = 16384,
    ) -> None:
        # Only now: boards let go of the settings' module after the start.
        from .settings import split_url

        host, port, tls = split_url(url)
        self._idle: "Any" = select.poll()
        if tls:
            door: "Any" = _tls_door(url, host, port, ca_file)
        elif not port:
            # A board without a network. The line is served all the time, connected or not.
            from .serial_line import SerialLine

            door = self._idle = SerialLine(url)
        else:
            door = host
        port = 0 if tls else port
        self._url = url
        self._client_of = (door, port, client_id, keepalive_s, user, password)
        self._max_payload = max_payload
        #: On a board that has one, what tells the address of its network interface.
        self.interface: "Any" = None
        self._client: "Client | None" = None
        self._up = self._woken = False
        self._token = 0
        self._line: "list[tuple[int, tuple[str, bytes, int, bool]]]" = []
        self._tokens: "dict[int, int]" = {}
        self._subscribes: "set[int]" = set()

    def connect(self, will: "tuple[str, bytes]") -> None:
        self._up = False
        self._line = []
        self._tokens = {}
        self._subscribes = set()
        self._client = Client(*self._client_of, (will[0], will[1], 1, True), self._max_payload)
        self._client.connect(CONNECT_MS)

    def subscribe(self, topics: "list[str]") -> None:
        if self._client is not None and self._up:
            self._subscribes.add(self._client.subscribe([(topic, 1) for topic in topics]))

    def unsubscribe(self, topics: "list[str]") -> None:
        if self._client is not None and self._up:
            self._client.unsubscribe(list(topics))

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        if not self._up or (not qos and len(self._line) >= _LONGEST_LINE):
            return 0
        self._token += 1
        self._line.append((self._token, (topic, payload, qos, retain)))
        self._send()
        return self._token

    def address(self) -> "str | None":
        if self.interface:
            address: "str | None" = self.interface.address()
            return address
        sock: "Any" = self._client.socket if self._client else None
        # Boards do not tell the address of a socket.
        return str(sock.getsockname()[0]) if hasattr(sock, "getsockname") else None

    def wake(self) -> None:
        self._woken = True

    def poll(self, timeout_ms: int) -> "list[tuple[Any, ...]]":
        if self._woken:
            # Not 0: a recipe that takes its time asks for the next turn in every turn.
            timeout_ms = min(timeout_ms, _SHORT_MS)
            self._woken = False
        client = self._client
        if client is None:
            self._idle.poll(timeout_ms)
            return []
        events: "list[tuple[Any, ...]]" = []
        for event in client.poll(timeout_ms):
            found = self._event(event)
            if found is not None:
                events.append(found)
        self._send()
        return events

    def drain(self, timeout_ms: int) -> None:
        while self._line and self._up and timeout_ms > 0:
            self.poll(10)
            timeout_ms -= 10

    def disconnect(self) -> None:
        client, self._client, self._up = self._client, None, False
        if client is not None:
            client.disconnect()

    def close(self) -> None:
        self.disconnect()

    def _send(self) -> None:
        client = self._client
        while self._line and client is not None and client.has_room():
            token, message = self._line.pop(0)
            number = client.publish(*message)
            if number is not None:
                self._tokens[number] = token

    def _event(self, event: "tuple[Any, ...]") -> "tuple[Any, ...] | None":
        kind = event[0]
        if kind == "message":
            return event[:3]
        if kind == "acked":
            token = self._tokens.pop(event[1], None)
            return None if token is None else ("acked", token)
        if kind == "subscribed" or (kind == "refused" and event[1] in self._subscribes):
            self._subscribes.discard(event[1])
            return ("subscribed",)
        if kind == "connected":
            self._up = True
            return ("up",)
        if kind == "closed":
            self._client = None
            self._up = False
            return ("down", self._url + ": " + event[1])
        if kind == "skipped":
            return ("long", event[1], event[2])
        return None


def _tls_door(url: str, host: str, port: int, ca_file: "str | None") -> "Any":
    try:
        from .stream_tls import TlsDoor
    except ImportError:
        raise ValueError("cannot connect to %s: this link does not speak TLS here" % url)
    if not ca_file:
        raise ValueError("cannot connect to %s: the settings name no 'ca' to know it by" % url)
    return TlsDoor(host, port, ca_file)
