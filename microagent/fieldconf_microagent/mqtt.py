"""An MQTT 3.1.1 client for boards: QoS 0 and 1, a will, clean sessions. Nothing waits in here.

The caller connects, then calls `poll` again and again and acts on the events it returns:

* ``("connected",)``: the broker has accepted the connection. Subscribe and publish from now on
* ``("message", topic, payload, retained)``: `payload` is a bytearray that is the caller's own
* ``("acked", id)``, ``("subscribed", id)``, ``("unsubscribed", id)``, ``("refused", id)``: the
  broker has taken the publish, subscribe, unsubscribe with this id, or refused to subscribe
* ``("skipped", topic, length)``: a packet longer than `max_packet`, or than memory allows
* ``("streamed", topic, length)``: one of that kind whose payload a `sink` has taken in pieces
* ``("closed", reason)``: the connection is gone and nothing that was under way will be answered

Rules: one write per packet; packet ids wrap and never collide; no length that the broker claims
is allocated before it was checked; a received message of QoS 1 is acknowledged by the `poll` after
the one that handed it over; a broker that says nothing is given up after 1.25 keepalives.

There is no memory of earlier connections: the caller says again what it has to say.

Where the bytes go is the caller's choice: a host with its TCP port, or a *door* with the port 0. A
door has `connect`, which begins to connect and returns ``(stream, poller)``: a stream as `compat`
reads and writes it (`readinto` and `write` that return None when they must wait, `close`), and what
tells when it is ready, as `select.poll` does. `stream_tls` and `serial_line` have such doors.
"""

import select

from . import compat
from .compat import Clock, const, receive, transmit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CONNACK = const(0x20)
_PUBLISH = const(0x30)
_PUBACK = const(0x40)
_SUBACK = const(0x90)
_UNSUBACK = const(0xB0)
_PINGRESP = const(0xD0)

_MOST_IN_FLIGHT = const(16)
# Holds topic and packet id of a packet that is skipped, so that it can be acknowledged.
_SKIP = const(256)

_ACKS = {_PUBACK: "acked", _SUBACK: "subscribed", _UNSUBACK: "unsubscribed"}


class MqttError(Exception):
    """The broker broke the protocol, or the caller did; the message says how."""


def text(value: "str | bytes") -> bytes:
    """Return a text as packets hold it: behind its length."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


class Client:
    """One connection after the other to one broker.

    Args:
        host: name or address of the broker, or a `serial_line.SerialLine`.
        port: its TCP port, 0 for a serial line.
        client_id: unique among all clients of the broker.
        keepalive_s: seconds, at least 1.
        user: sent with `password` where the broker asks for it.
        password: text or bytes.
        will: ``(topic, payload, qos, retain)``, or None.
        max_packet: bytes of a received packet that are kept at most.
        sink: asked with topic and length of a longer one; returns a function that takes the pieces
            of its payload, each only until it returns, or None. A piece too few tells of a cut.
    """

    def __init__(
        self,
        host: "Any",
        port: int,
        client_id: str,
        keepalive_s: int,
        user: "str | None" = None,
        password: "str | bytes | None" = None,
        will: "tuple[str, bytes, int, bool] | None" = None,
        max_packet: int = 16384,
        sink: "Callable[[str, int], Callable[[memoryview], object] | None] | None" = None,
    ) -> None:
        self._sink = sink
        self._receiver: "Callable[[memoryview], object] | None" = None
        self._address = (host, port)
        self._login = (client_id, user, password, will)
        self._keepalive_ms = keepalive_s * 1000
        self._max_packet = max_packet
        self._clock = Clock()
        self._id = 0
        self._attempt = 0
        self._events: "list[tuple[Any, ...]]" = []
        self._head = bytearray(5)
        self._ack = b""  # of the packet that is being read
        self.socket: "Any" = None
        self.is_connected = False

    def connect(self, timeout_ms: int = 10000) -> None:
        """Begin to connect; ``connected`` or ``closed`` follows, the latter after `timeout_ms`.

        Only the look-up of a host name may take a while.
        """
        # Only now: a board loads it for each attempt.
        from . import mqtt_opening

        self.close()
        self._out = mqtt_opening.hello(self._login, self._keepalive_ms // 1000)
        self._acks = bytearray()
        self._in_flight: "dict[int, int]" = {}
        self._next_packet()
        self._pinged = True
        self._sent_ms = self._received_ms = self._clock.now_ms()
        # Counts as silence of the broker, which ends with its first answer.
        self._patience_ms = timeout_ms
        try:
            if self._address[1]:
                self._poller = select.poll()
                self.socket = mqtt_opening.open_tcp(self._address, self._attempt)
                self._poller.register(self.socket, select.POLLOUT)
                self._attempt += 1
            else:
                self.socket, self._poller = self._address[0].connect()
        except OSError as error:
            self._lose(error)
        compat.unload("mqtt_opening")

    def has_room(self) -> bool:
        """Tell whether `publish` may be called now."""
        return self.is_connected and not self._out and len(self._in_flight) < _MOST_IN_FLIGHT

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> "int | None":
        """Send a message; return the packet id that ``acked`` will name, None for QoS 0.

        Raises:
            MqttError: too much is under way; ask `has_room` first.
        """
        if not self.has_room():
            raise MqttError("cannot publish now")
        head = _PUBLISH | qos << 1 | retain
        if not qos:
            self._send(head, text(topic), payload)
            return None
        number = self._new_id(_PUBACK)
        self._send(head, text(topic), number.to_bytes(2, "big"), payload)
        return number

    def subscribe(self, topics: "list[tuple[str, int]]") -> int:
        """Subscribe to pairs of topic and QoS; return the packet id."""
        number = self._new_id(_SUBACK)
        parts = [text(topic) + bytes((qos,)) for topic, qos in topics]
        self._send(0x82, number.to_bytes(2, "big"), *parts)
        return number

    def unsubscribe(self, topics: "list[str]") -> int:
        """Give subscriptions back; return the packet id."""
        number = self._new_id(_UNSUBACK)
        self._send(0xA2, number.to_bytes(2, "big"), *[text(topic) for topic in topics])
        return number

    def disconnect(self) -> None:
        """Take leave: the broker drops the will. No event follows."""
        if self.is_connected:
            self._send(0xE0)
        self.close()

    def close(self) -> None:
        """Drop the connection without a word: the broker sends the will. No event follows."""
        if self.socket:
            self.socket.close()
        self.socket = None
        self.is_connected = False
        self._events = []

    def poll(self, timeout_ms: int) -> "list[tuple[Any, ...]]":
        """Send and receive what is due; wait for it at most `timeout_ms`; return the events.

        There is at most one message among them: call again, without a pause, until the list is
        empty. Without a connection it returns at once.
        """
        try:
            if self.socket:
                if self._acks:
                    self._write(self._acks)
                    self._acks = bytearray()
                self._exchange(timeout_ms)
                self._watch()
        except (OSError, MqttError) as error:
            self._lose(error)
        except (ValueError, IndexError) as error:
            # TLS, which refuses a certificate in this way, or a packet that is none.
            self._lose(str(error) or "malformed packet")
        events, self._events = self._events, []
        return events

    def _lose(self, reason: "Any") -> None:
        events = self._events
        self.close()
        events.append(("closed", str(reason)))
        self._events = events

    def _new_id(self, awaited: int) -> int:
        while True:
            self._id = self._id % 65535 + 1
            if self._id not in self._in_flight:
                self._in_flight[self._id] = awaited
                return self._id

    def _send(self, kind: int, *parts: bytes) -> None:
        try:
            self._write(packet(kind, parts))
        except OSError as error:
            self._lose(error)

    def _write(self, packet: bytearray) -> None:
        if self._out:
            self._out.extend(packet)
        elif self.socket:
            self._out = packet
            self._flush()

    def _flush(self) -> None:
        count = transmit(self.socket, self._out)
        if count:
            self._sent_ms = self._clock.now_ms()
            self._out = self._out[count:]

    def _exchange(self, timeout_ms: int) -> None:
        wanted = select.POLLIN | select.POLLOUT if self._out else select.POLLIN
        self._poller.modify(self.socket, wanted)
        # Not longer than a quarter of the keepalive, or `_watch` would come too late.
        for ready in self._poller.poll(min(timeout_ms, self._keepalive_ms >> 2)):
            if self._out and ready[1] & select.POLLOUT:
                self._flush()
            if ready[1] & ~select.POLLOUT:
                while self._read_packet():
                    pass

    def _watch(self) -> None:
        """Ping a broker that was not heard or spoken to; give up one that stays silent."""
        now = self._clock.now_ms()
        silent = now - self._received_ms
        if silent > self._patience_ms:
            raise MqttError("no answer")
        due = self._keepalive_ms * 3 >> 2
        if not self._pinged and (silent > due or now - self._sent_ms > due):
            self._pinged = True
            self._send(0xC0)

    def _next_packet(self) -> None:
        self._piece = self._head
        self._at = 0
        # No packet is shorter, and no byte of the next one may be read.
        self._end = 2
        self._left = -1

    def _read_packet(self) -> bool:
        """Read on; tell whether there may be more to read before the caller has to act."""
        count = receive(self.socket, memoryview(self._piece)[self._at : self._end])
        if count is None:
            return False
        if not count:
            raise MqttError("closed by the broker")
        self._received_ms = self._clock.now_ms()
        self._pinged = not self.is_connected
        self._at += count
        if self._at < self._end:
            return True
        piece = self._piece
        if piece is self._head:
            return self._begin_body()
        if self._left < 0:
            self._next_packet()
            return self._handle(piece)
        self._skip()
        return True

    def _begin_body(self) -> bool:
        head, end = self._head, self._end
        if head[end - 1] & 0x80:
            self._end = end + 1
            if end == 5:
                raise MqttError("malformed length")
            return True
        length = 0
        while end > 1:
            end -= 1
            length = length << 7 | head[end] & 0x7F
        if not length:
            self._next_packet()
            return self._handle(head[:0])
        self._at = 0
        self._end = length
        try:
            if length > self._max_packet:
                raise MemoryError
            self._piece = bytearray(length)
        except MemoryError:
            self._piece = bytearray(_SKIP)
            self._left = length
            self._end = min(length, _SKIP)
        return True

    def _skip(self) -> None:
        """Pass over the next part of a packet that is too long, or hand it on."""
        start = 0
        if self._head[0]:
            if self._head[0] & 0xF0 != _PUBLISH:
                raise MqttError("packet too long")
            topic, start = self._open(self._piece)
            self._receiver = self._sink(topic, self._left - start) if self._sink else None
            self._told: "list[tuple[Any, ...]]" = [("streamed", topic, self._left)]
            if not self._receiver:
                # Nobody waits for the rest of it.
                self._acks.extend(self._ack)
                self._events.append(("skipped", topic, self._left))
                self._ack, self._told = b"", []
            self._head[0] = 0
        if self._receiver:
            self._receiver(memoryview(self._piece)[start : self._end])
        self._left -= self._end
        self._at = 0
        self._end = min(self._left, _SKIP)
        if not self._end:
            self._acks.extend(self._ack)
            self._events.extend(self._told)
            self._next_packet()

    def _open(self, body: bytearray) -> "tuple[str, int]":
        """Return the topic of a PUBLISH, and where its payload starts; note its acknowledgement."""
        start = 2 + (body[0] << 8 | body[1])
        topic = str(body[2:start], "utf-8")
        qos = self._head[0] >> 1 & 3
        self._ack = b""
        if qos:
            self._ack = bytes((_PUBACK, 2, body[start], body[start + 1]))
            start += 2
        if qos > 1 or start > len(body):
            raise MqttError("malformed message")
        return topic, start

    def _handle(self, body: bytearray) -> bool:
        """Turn a whole packet into an event; tell whether there is room for more of them."""
        kind = self._head[0] & 0xF0
        if kind == _PUBLISH:
            topic, start = self._open(body)
            self._acks.extend(self._ack)
            body[:start] = b""
            self._events.append(("message", topic, body, bool(self._head[0] & 1)))
            return False
        if kind == _CONNACK:
            if body[1]:
                raise MqttError("refused by the broker, code %d" % body[1])
            self.is_connected = True
            self._pinged = False
            self._patience_ms = self._keepalive_ms * 5 >> 2
            self._events.append(("connected",))
        elif kind in _ACKS:
            number = body[0] << 8 | body[1]
            if self._in_flight.get(number) == kind:
                del self._in_flight[number]
                refused = kind == _SUBACK and max(body[2:]) > 2
                self._events.append(("refused" if refused else _ACKS[kind], number))
        elif kind != _PINGRESP:
            raise MqttError("unexpected packet")
        return True


def packet(kind: int, parts: "tuple[bytes, ...]") -> bytearray:
    """Return a whole packet: what is written at once leaves in one segment."""
    length = sum([len(part) for part in parts])
    packet = bytearray((kind,))
    while length > 127:
        packet.append(length & 0x7F | 0x80)
        length >>= 7
    packet.append(length)
    for part in parts:
        packet.extend(part)
    return packet
