"""The link to the broker on CPython: paho-mqtt, driven by the caller's own thread.

paho's thread is not used: handing a message from thread to thread costs more than the message.
`poll` waits for the socket and for `wake`, lets paho work, and returns what happened. Only the
attempt to connect runs in a thread of its own, since it may take long.

Contract of a link (`link_mqtt` fulfils it too): after `connect`, `poll` returns events:

* ``("up",)``: the broker has accepted the connection
* ``("down", reason)``: it ended, or the attempt failed; only now `connect` may be called again.
  The reason begins with the broker's URL
* ``("subscribed",)``: one call of `subscribe` is acknowledged
* ``("message", topic, payload)``
* ``("long", topic, size)``: a message was dropped, since it is longer than `max_payload`
* ``("acked", token)``: the QoS-1 publish that returned this token has arrived at the broker

What was not acknowledged when a connection ended is forgotten: its author knows better by then.
A connection's session is clean, and messages above `max_payload` are dropped.
"""

import select
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from .settings import split_url

_CONNECT_S = 10.0
# paho has to look at its keepalive now and then, messages or not.
_LONGEST_WAIT_MS = 1000
_MOST_EVENTS = 256
_CHUNK = 1 << 16

Event = tuple[Any, ...]


class BufferedSocket(socket.socket):
    """A socket for a client that reads byte by byte and writes packet by packet.

    Reads are taken from what came with one call of the system. Writes between `hold` and `release`
    go out together, which are the acknowledgements of a burst of messages. This halves what a
    burst costs here, and the broker saves as much. Not for TLS, which has buffers of its own.
    """

    # Set before any instance is made: the constructor of a socket takes no more.
    _came = b""
    _at = 0
    _held = b""
    _holding = False

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if self._at == len(self._came):
            self._came, self._at = super().recv(_CHUNK), 0
        data = self._came[self._at : self._at + size]
        self._at += len(data)
        return data

    def send(self, data: Any, flags: int = 0, /) -> int:
        if self._holding or self._held:
            self._held += bytes(data)
            return len(data)
        return super().send(data)

    def pending(self) -> int:
        """Return how many bytes are here already, which no poll tells of."""
        return len(self._came) - self._at

    def hold(self) -> None:
        """Keep what is sent from now on until `release`."""
        self._holding = True

    def release(self) -> None:
        """Send what was kept, as far as that goes."""
        self._holding = False
        if self._held:
            try:
                self._held = self._held[super().send(self._held) :]
            except BlockingIOError:
                pass
            except OSError:
                self._held = b""  # the next read tells why

    def is_full(self) -> bool:
        """Tell whether something that was released could not be sent yet."""
        return bool(self._held)


class _Client(mqtt.Client):
    """paho's client over a buffered socket."""

    def _create_socket(self) -> Any:
        made = super()._create_socket()
        if type(made) is not socket.socket:
            return made
        return BufferedSocket(made.family, made.type, made.proto, made.detach())


class PahoLink:
    """A connection to the broker at `url`, such as ``mqtt://gateway:1883`` or ``mqtts://…``."""

    def __init__(
        self,
        url: str,
        client_id: str,
        keepalive_s: int = 60,
        user: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        max_payload: int = 1 << 20,
    ) -> None:
        self._url = url
        self._host, self._port, self._tls = split_url(url)
        self._client_id = client_id
        self._keepalive_s = keepalive_s
        self._login = (user, password)
        self._ca_file = ca_file
        self._max_payload = max_payload
        self._client: mqtt.Client | None = None
        self._attempt: threading.Thread | None = None
        self._failure: str | None = None
        self._tried = False
        self._accepted_by = 0.0
        self._up = False
        self._events: list[Event] = []
        self._unacked: set[int] = set()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)

    def connect(self, will: tuple[str, bytes] | None) -> None:
        """Begin to connect; the broker publishes `will` (topic, payload), retained, when we die."""
        client = self._new_client()
        if will is not None:
            client.will_set(will[0], will[1], qos=1, retain=True)
        self._client, self._up, self._failure, self._tried = client, False, None, False
        self._unacked.clear()
        self._attempt = threading.Thread(target=self._try, args=(client,), daemon=True)
        self._attempt.start()

    def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for all these topics with QoS 1; one ``("subscribed",)`` answers."""
        if self._client is not None and self._up:
            self._client.subscribe([(topic, 1) for topic in topics])

    def unsubscribe(self, topics: Sequence[str]) -> None:
        """Ask for no more of these topics."""
        if self._client is not None and self._up:
            self._client.unsubscribe(list(topics))

    def publish(self, topic: str, payload: bytes, qos: int, retain: bool) -> int:
        """Send a message and return its token; while there is no connection it is lost."""
        if self._client is None or not self._up:
            return 0
        token = self._client.publish(topic, payload, qos, retain).mid
        if qos:
            self._unacked.add(token)
        return token

    def address(self) -> str | None:
        """Return the address of ours from which the broker is reached."""
        sock = self._client.socket() if self._client is not None and self._up else None
        return str(sock.getsockname()[0]) if isinstance(sock, socket.socket) else None

    def wake(self) -> None:
        """Let `poll` return at once; may be called from any thread."""
        try:
            self._waker.send(b"\0")
        except OSError:
            pass  # full: it will wake anyway; closed: nobody waits

    def poll(self, timeout_ms: int) -> list[Event]:
        """Wait until something happens, at most `timeout_ms`, and return the events."""
        if not self._events:
            self._wait(timeout_ms)
            self._work()
        events, self._events = self._events, []
        return events

    def drain(self, timeout_ms: int) -> None:
        """Wait until everything published so far has left this process."""
        deadline = time.monotonic() + timeout_ms / 1000
        while self._client is not None and _wants_to_write(self._client):
            if time.monotonic() > deadline:
                return
            self._wait(10)
            self._work()

    def disconnect(self) -> None:
        """End the connection cleanly: the broker forgets the will. No ``("down", …)`` follows."""
        client, up = self._client, self._up
        self._client, self._up, self._events = None, False, []
        if client is not None and up:
            client.disconnect()

    def abandon(self) -> None:
        """Cut the connection without a word, as a power cut would, and let go of everything."""
        client, self._client = self._client, None
        if client is not None and (sock := client.socket()) is not None:
            sock.close()
        self.close()

    def close(self) -> None:
        """Disconnect and let go of everything; the link cannot be used afterwards."""
        self.disconnect()
        self._woken.close()
        self._waker.close()

    def _new_client(self) -> mqtt.Client:
        client = _Client(
            CallbackAPIVersion.VERSION2, self._client_id, clean_session=True, userdata=self
        )
        # The agent has its own slots, one message each; paho's limit would only queue them twice.
        client.max_inflight_messages_set(0)
        client.connect_timeout = _CONNECT_S
        user, password = self._login
        if user is not None:
            client.username_pw_set(user, password)
        if self._tls:
            client.tls_set_context(ssl.create_default_context(cafile=self._ca_file))
        client.on_socket_open = _without_delay
        client.on_connect = _on_connect
        client.on_message = _on_message
        client.on_subscribe = _on_subscribe
        client.on_publish = _on_publish
        return client

    def _try(self, client: mqtt.Client) -> None:
        try:
            client.connect(self._host, self._port, self._keepalive_s)
        except (OSError, ValueError) as error:
            # The number of an error says nothing to people.
            said = error.strerror if isinstance(error, OSError) else None
            self._failure = said or str(error) or type(error).__name__
        # Not the end of the thread, which comes a moment after the wake.
        self._tried = True
        self.wake()

    def _wait(self, timeout_ms: int) -> None:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        client = self._client
        if client is not None and self._attempt is None and (sock := client.socket()) is not None:
            if isinstance(sock, ssl.SSLSocket | BufferedSocket) and sock.pending():
                timeout_ms = 0
            write = select.POLLOUT if _wants_to_write(client) else 0
            poller.register(sock.fileno(), select.POLLIN | write)
        poller.poll(max(0, min(timeout_ms, _LONGEST_WAIT_MS)))
        try:
            self._woken.recv(4096)
        except BlockingIOError:
            pass

    def _work(self) -> None:
        client = self._client
        if client is None:
            return
        if self._attempt is not None:
            if not self._tried:
                return
            self._attempt.join()
            self._attempt = None
            self._accepted_by = time.monotonic() + _CONNECT_S
            if self._failure is not None:
                return self._down(self._failure)
        for work in (self._read, client.loop_write, client.loop_misc):
            code = work()
            if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return self._down(self._failure or mqtt.error_string(code))
        if self._failure is not None:
            self._down(self._failure)
        elif not self._up and time.monotonic() > self._accepted_by:
            self._down("the broker did not answer")

    def _read(self) -> MQTTErrorCode:
        """Read packet by packet while that brings events, so that a burst is one answer."""
        code, known = MQTTErrorCode.MQTT_ERR_SUCCESS, -1
        sock = self._client.socket() if self._client is not None else None
        if isinstance(sock, BufferedSocket):
            sock.hold()
        while self._client is not None and known < len(self._events) < _MOST_EVENTS and not code:
            known = len(self._events)
            code = self._client.loop_read()
        if isinstance(sock, BufferedSocket):
            sock.release()
        return code

    def _down(self, reason: str) -> None:
        client, self._client, self._up = self._client, None, False
        self._events.append(("down", f"{self._url}: {reason}"))
        if client is not None and (sock := client.socket()) is not None:
            sock.close()


def _wants_to_write(client: mqtt.Client) -> bool:
    sock = client.socket()
    return client.want_write() or (isinstance(sock, BufferedSocket) and sock.is_full())


def _without_delay(client: mqtt.Client, link: PahoLink, sock: Any) -> None:
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _on_connect(client: mqtt.Client, link: PahoLink, flags: Any, code: Any, more: Any) -> None:
    if code.is_failure:
        link._failure = f"the broker refuses the connection: {code}"
    else:
        link._up = True
        link._events.append(("up",))


def _on_message(client: mqtt.Client, link: PahoLink, message: mqtt.MQTTMessage) -> None:
    if len(message.payload) > link._max_payload:
        link._events.append(("long", message.topic, len(message.payload)))
    else:
        link._events.append(("message", message.topic, message.payload))


def _on_subscribe(client: mqtt.Client, link: PahoLink, mid: int, codes: Any, more: Any) -> None:
    link._events.append(("subscribed",))


def _on_publish(client: mqtt.Client, link: PahoLink, mid: int, code: Any, more: Any) -> None:
    # paho reports a message of QoS 0 as well, once it is sent.
    if mid in link._unacked:
        link._unacked.discard(mid)
        link._events.append(("acked", mid))
