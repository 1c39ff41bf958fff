"""Bridges a board without a network: its stream over a serial port becomes a connection.

Rules:

* It leads to the broker that was configured, whatever the board says.
* The connection lives as long as the stream does. When the board closes or resets, or the port
  vanishes, it is closed without a word, and the broker sends the board's will. When the broker
  closes it, the board is told. Silence is left to the keepalive of MQTT, which this does not read.
* A port that vanished is opened again when it is back; until then it is tried with growing pauses.
* What the board prints goes to the log.
* `bridge_console` lends the line to a person; meanwhile there is no connection.
* A board that is at its prompt though nobody has the line is restarted, since its agent has ended,
  by a fault of its own or because noise looked like Ctrl-C; with growing pauses.
"""

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fieldconf_microagent.serial_frames import CONNECTING, ENDED, OPEN, Line

from .bridge_broker import Connection
from .bridge_console import Lender, Revival
from .bridge_ports import Port, PortError, comports
from .bridge_text import Lines, Sorter

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0
_QUIET_MS = 200
_LONGEST_WAIT_MS = 1000
_BLOCK = 4096

_log = logging.getLogger(__name__)


class Bridge:
    """Serves one port until it is stopped.

    Args:
        port: the port, or its path.
        broker: URL of the broker; None only lends the line.

    Attributes:
        lender: lends the line to people on this box.
        is_attached: whether the port is open.
        connections: how many connections to the broker were begun.
    """

    def __init__(self, port: Port | str, broker: str | None) -> None:
        self._port = Port(port) if isinstance(port, str) else port
        self._broker = broker
        self._open: Any = None
        self._open_at_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._told = ""
        self._bell, self._button = socket.socketpair()
        self._bell.setblocking(False)
        self._button.setblocking(False)
        self._stopping = self._politely = False
        self._lines = Lines()
        self._connection: Connection | None = None
        self._stream = 0
        self._revival = Revival(self._port.path)
        self.connections = 0
        self._begin()
        self.lender = Lender(self._port.path)

    def _begin(self) -> None:
        self.line = Line(True)
        self._sorter = Sorter()
        self._unsent = b""
        self._heard_s = 0.0

    # -- from outside

    def run(self) -> None:
        """Serve until `stop` is called."""
        try:
            while not self._stopping or (self._politely and self._is_lent()):
                self.turn()
        finally:
            self.close()

    def stop(self, politely: bool = False) -> None:
        """Let `run` end soon, or `politely` once whoever has the line gave it back.

        May be called from another thread or a signal handler.
        """
        self._politely = politely
        self._stopping = True
        self._wake()

    def close(self) -> None:
        """Let go of everything; not needed after `run`."""
        self._lose("the bridge ends")
        self.lender.close()
        self._bell.close()
        self._button.close()

    def _is_lent(self) -> bool:
        return self._open is not None and bool(self.lender.is_busy or self._unsent)

    @property
    def is_attached(self) -> bool:
        return self._open is not None

    def _wake(self) -> None:
        try:
            self._button.send(b"w")
        except OSError:
            pass

    # -- one turn

    def turn(self) -> None:
        """Wait for something to happen, and do all that follows from it."""
        if self._open is None and time.monotonic() >= self._open_at_s:
            self._try()
        ready = self._wait()
        try:
            if self._open is not None and ready.get(self._open.fd, 0) & ~select.POLLOUT:
                self._hear()
            self._lend(ready)
            if not self.lender.is_busy:
                self._tend_connection()
            self._speak()
        except OSError as error:
            self._lose(str(error))

    def _wait(self) -> dict[int, int]:
        poller = select.poll()
        poller.register(self._bell, select.POLLIN)
        for fd in self.lender.fds():
            poller.register(fd, select.POLLIN)
        if self._open is not None:
            flags = select.POLLIN | (select.POLLOUT if self._unsent else 0)
            poller.register(self._open.fd, flags)
        connection = self._connection
        if connection is not None and connection.socket is not None:
            flags = select.POLLIN if self.line.room() else 0
            flags |= select.POLLOUT if connection.is_full else 0
            # An end that nobody can do anything about yet would ring all the time.
            if flags:
                poller.register(connection.socket, flags)
        ready = dict(poller.poll(self._wait_ms()))
        if self._bell.fileno() in ready:
            self._bell.recv(_BLOCK)
        return ready

    def _wait_ms(self) -> int:
        if self._open is None:
            left_s = self._open_at_s - time.monotonic()
            return max(0, min(int(left_s * 1000) + 1, _LONGEST_WAIT_MS))
        if self._connection is not None and self.line.room() and self._connection.has_more():
            return 0
        wait_ms = _LONGEST_WAIT_MS
        wake = self.line.next_wake()
        if wake is not None and not self._unsent:
            wait_ms = min(wait_ms, max(0, wake - _now_ms()))
        if self._sorter.is_waiting() or self.lender.is_asking:
            wait_ms = min(wait_ms, _QUIET_MS)
        return wait_ms

    # -- the port

    def _try(self) -> None:
        try:
            self.attach()
        except PortError as error:
            self._tell_once(str(error))
            self._open_at_s = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)

    def attach(self) -> None:
        """Open the port, which `run` does by itself, again and again if need be.

        Raises:
            PortError: it cannot be had now.
        """
        self._open = self._port.open()
        self._begin()
        self.lender.listen(self._open.name)
        # A board that still has a stream with a bridge that is gone.
        self.line.hello()
        self._unsent = self.line.output(_now_ms())
        self._pause_s = _FIRST_PAUSE_S
        self._tell_once(f"{self._port.path} is open")

    def _lose(self, reason: str) -> None:
        """Give up the port: everything that came over it is void."""
        self._drop_connection()
        self.lender.hang_up("the port is gone")
        self.lender.leave(self._port.path)
        if self._open is not None:
            self._tell_once(f"{self._port.path} is closed: {reason}")
            self._open.close()
            self._open = None
        self._open_at_s = time.monotonic() + self._pause_s

    def _tell_once(self, text: str) -> None:
        if text != self._told:
            self._told = text
            _log.info("%s", text)

    def _hear(self) -> None:
        try:
            data = os.read(self._open.fd, _BLOCK)
        except BlockingIOError:
            return
        if not data:
            raise OSError("unplugged")
        self._heard_s = time.monotonic()
        if self.lender.is_lent:
            # As it comes, text or not: a prompt, an echo, or what a tool asked the prompt for.
            self.lender.show(data)
            self.line.feed(_now_ms(), data)
            return
        texts, rest = self._sorter.feed(data)
        for text in texts:
            self._print(text)
        self.line.feed(_now_ms(), rest)

    def _speak(self) -> None:
        if self._open is None:
            return
        now_s = time.monotonic()
        if self._sorter.is_waiting() and now_s - self._heard_s > _QUIET_MS / 1000:
            text = self._sorter.pause()
            self._print(text, True)
            self._revival.heard(now_s, text, self.line)
        self._unsent = self._unsent or self.line.output(_now_ms())
        if self._unsent:
            try:
                self._unsent = self._unsent[os.write(self._open.fd, self._unsent) :]
            except BlockingIOError:
                pass

    def _print(self, text: bytes, is_over: bool = False) -> None:
        if self.lender.is_busy:
            if not self.lender.is_lent:
                self.lender.show(text)
            return
        for line in self._lines.feed(time.monotonic(), text, is_over):
            _log.info("%s says: %s", self._port.path, line)

    # -- lending the line

    def _lend(self, ready: dict[int, int]) -> None:
        was_busy = self.lender.is_busy
        self.lender.serve(ready)
        if self._open is None:
            self.lender.hang_up(self._told)
            return
        if self.lender.is_busy and not was_busy:
            self._drop_connection()
            self.line.reset()
        self._unsent += self.lender.turn(self.line)
        self._unsent += self._revival.turn(time.monotonic(), self.line, self.lender.is_busy)

    # -- the connection

    def _tend_connection(self) -> None:
        """Let there be a connection for the stream there is, and none for another."""
        if self._connection is not None and self._stream != self.line.stream:
            self._drop_connection()
        if self.line.state == CONNECTING and self._connection is None:
            self._connect()
        if self._connection is not None:
            if self._connection.state == "failed":
                self._tell_once(f"cannot reach {self._broker}: {self._connection.problem}")
                self.line.reset()
                self._drop_connection()
            elif self._connection.state == "open":
                self._carry(self._connection)
            elif self.line.is_closed():
                self._drop_connection()
                self.line.forget()

    def _connect(self) -> None:
        if self._broker is None:
            self.line.reset()
            return
        self.connections += 1
        self._stream = self.line.stream
        self._connection = Connection(self._broker, self._wake)

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _carry(self, connection: Connection) -> None:
        if self.line.state == CONNECTING:
            self.line.accept()
            self._tell_once(f"{self._port.path}: the board is connected to {self._broker}")
        while connection.write(b"") and self.line.received:
            connection.write(bytes(self.line.take(_BLOCK)))
        if self.line.state == ENDED:
            if not self.line.received and not connection.is_full:
                self._drop_connection()
                self.line.forget()
            return
        room = self.line.room()
        data = connection.read(room) if room and self.line.state == OPEN else None
        if data:
            self.line.send(data)
        elif data is not None:
            self._tell_once(f"{self._port.path}: the broker has closed the connection")
            self.line.close()
            connection.close()


@contextmanager
def bridging(ports: Sequence[str], broker: str) -> Iterator[list[Bridge]]:
    """Bridge ports to a broker, each in a thread, while the context lasts.

    Raises:
        PortError: this box cannot use serial ports at all.
    """
    if ports:
        comports()
    bridges = [Bridge(port, broker) for port in ports]
    threads = [threading.Thread(target=one.run, name="bridge") for one in bridges]
    for thread in threads:
        thread.start()
    try:
        yield bridges
    finally:
        for one in bridges:
            one.stop()
        for thread in threads:
            thread.join()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
