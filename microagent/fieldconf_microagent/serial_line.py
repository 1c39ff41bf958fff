"""The board's end of a serial line: stands for a socket and its poller, so `mqtt` speaks over it.

``serial:`` is the line that the board's prompt is on (USB, or its first UART); ``serial:1`` and
``serial:1:9600`` are a UART of its own, at 115,200 or another number of bits a second.

The prompt stays reachable. While the agent runs, Ctrl-C is off, since that byte may be part of a
frame; the line is given back, and the agent ends, when the gateway asks for it (``fieldconf
console``), or when a person or a tool sends Ctrl-C twice, or Return and Ctrl-C: no frame begins
like this. What is printed goes out between the frames, and the gateway logs it.
"""

import select
import sys

from .compat import Clock, const, random_bytes
from .serial_frames import CONNECTING, OPEN, Line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLOCK = const(256)
# Nobody pauses for so long in the middle of a frame.
_QUIET_MS = const(200)
_CLOSE_MS = const(1000)
# Ctrl-B, too, which tools send along.
_TYPED = b"\r\n\2\3"


class SerialLine:
    """A line that carries one connection after the other.

    Args:
        url: ``serial:…``, see above.
        port: ``(input, output, bytes to read at once)``, for other ports than a board's.
    """

    def __init__(self, url: str, port: "Any" = None) -> None:
        self._input, self._output, count = port or _open(url[7:])
        self._has_prompt = url == "serial:"
        self._room = memoryview(bytearray(count))
        self._line = Line()
        self._clock = Clock()
        self._heard_ms = 0
        self._is_used = False
        self._wanted = 0
        poller: "Any" = select.poll()
        poller.register(self._input, select.POLLIN)
        # Boards have one that takes no memory.
        self._ready: "Any" = getattr(poller, "ipoll", poller.poll)

    # -- as a socket

    def connect(self) -> "tuple[SerialLine, SerialLine]":
        """Ask the gateway for a connection to the broker; there is room once it stands."""
        self._is_used = True
        self._line.connect(int.from_bytes(random_bytes(4), "big") | 1)
        return self, self

    def readinto(self, room: memoryview) -> "int | None":
        """Return the count of bytes put into `room`, 0 at the end, None if there are none yet."""
        if self._line.received:
            data = self._line.take(len(room))
            room[: len(data)] = data
            return len(data)
        return None if self._line.state in (CONNECTING, OPEN) else 0

    def write(self, data: bytes) -> "int | None":
        """Return how many bytes were taken, None if there is no room."""
        if self._line.state not in (CONNECTING, OPEN):
            raise OSError("the gateway has ended the connection")
        count = self._line.send(data)
        self._speak()
        return count or None

    def close(self) -> None:
        """End the connection, behind what was written if the gateway answers in time."""
        self._is_used = False
        if self._line.state == OPEN:
            self._line.close()
            until = self._clock.now_ms() + _CLOSE_MS
            while not self._line.is_idle() and self._clock.now_ms() < until:
                self.poll(20)
            if self._line.is_idle():
                self._line.forget()
        self._line.reset()
        self._speak()

    # -- as a poller of itself

    def modify(self, _: "Any", wanted: int) -> None:
        """Say what `poll` is to wait for."""
        self._wanted = wanted

    def poll(self, timeout_ms: int) -> "list[tuple[SerialLine, int]]":
        """Serve the line until there is something to read or, if wanted, room to write.

        Raises:
            KeyboardInterrupt: the line was asked for.
        """
        until = self._clock.now_ms() + timeout_ms
        while True:
            self._listen()
            self._speak()
            flags = self._flags() & self._wanted
            if flags:
                return [(self, flags)]
            now = self._clock.now_ms()
            left = until - now
            if left <= 0:
                return []
            wake = self._line.next_wake()
            if wake is not None:
                left = min(left, max(wake - now, 1))
            if self._line.rest:
                left = min(left, _QUIET_MS)
            for _ in self._ready(left):
                break

    def _flags(self) -> int:
        if not self._is_used:
            return 0
        flags = select.POLLOUT if self._line.room() else 0
        if self._line.received or self._line.state not in (CONNECTING, OPEN):
            flags |= select.POLLIN
        return flags

    def _listen(self) -> None:
        now = self._clock.now_ms()
        heard = bytearray()
        while len(heard) < _BLOCK:
            for _ in self._ready(0):
                count = self._input.readinto(self._room)
                if not count:
                    raise OSError("the serial line is gone")
                heard.extend(self._room[:count])
                break
            else:
                break
        if heard:
            self._heard_ms = now
            self._line.feed(now, bytes(heard))
        if self._has_prompt and (self._line.repl or self._is_typed(now)):
            self._give_back()

    def _is_typed(self, now: int) -> bool:
        """Tell whether somebody types at the agent; drop half a frame after which nothing came."""
        rest = self._line.rest
        if not rest or now - self._heard_ms < _QUIET_MS:
            return False
        if rest.strip(_TYPED):
            self._line.rest = b""
            return False
        return len(rest) > 1 and b"\3" in rest

    def _give_back(self) -> None:
        self._line.reset()
        self._line.tell_repl()
        # A second copy: nothing is said again after this.
        self._line.tell_repl()
        self._speak()
        raise KeyboardInterrupt

    def _speak(self) -> None:
        data = self._line.output(self._clock.now_ms())
        if data:
            self._output.write(data)


def _open(place: str) -> "tuple[Any, Any, int]":
    if place:
        from machine import UART  # type: ignore

        number, _, speed = place.partition(":")
        uart = UART(int(number), int(speed or 115200))
        return uart, uart, 64
    from micropython import kbd_intr  # type: ignore

    kbd_intr(-1)
    # A byte at a time: boards wait until all that was asked for has come.
    return sys.stdin.buffer, sys.stdout.buffer, 1
