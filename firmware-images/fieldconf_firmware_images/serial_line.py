"""A serial port as a `raw_repl.Line`: pyserial, and what its errors mean to a person.

pyserial comes with the extra ``boards`` and is imported when a line is opened.
"""

import select
import socket
from types import TracebackType
from typing import Any, Protocol

from . import ports
from .flash_errors import LineLost
from .needs import module
from .raw_repl import Line

BAUD = 115200
# A board that takes no bytes for so long does not read.
_WRITE_S = 10.0


class OpenLine(Line, Protocol):
    """A line that somebody holds, to be closed with ``with``."""

    def __enter__(self) -> "OpenLine":
        """Return itself."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give it back."""


class SerialLine:
    """The line behind a serial port, which nobody else may open meanwhile.

    Raises:
        FlashError: the port cannot be opened; the reason and what to do.
    """

    def __init__(self, port: str, baud: int = BAUD) -> None:
        serial = module("serial", "pyserial")
        self._lost = (serial.SerialException, OSError)
        self.port = port
        ports.check(port)
        try:
            self._serial: Any = serial.serial_for_url(
                port, baud, exclusive=True, write_timeout=_WRITE_S
            )
        except self._lost as error:
            raise ports.not_opened(port, error) from error

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._serial.write(data)
        except self._lost as error:
            raise self._gone() from error

    def read(self, patience_s: float) -> bytes:
        """Return what has come; b"" after so long without a byte."""
        try:
            waiting = self._serial.in_waiting
            if not waiting and patience_s:
                self._serial.timeout = patience_s
                first: bytes = self._serial.read(1)
                return first + bytes(self._serial.read(self._serial.in_waiting)) if first else b""
            return bytes(self._serial.read(waiting)) if waiting else b""
        # pyserial trips over its own closed file when a port vanishes under it.
        except (*self._lost, TypeError) as error:
            raise self._gone() from error

    def close(self) -> None:
        """Give the port back."""
        try:
            self._serial.close()
        except self._lost:
            pass

    def __enter__(self) -> "SerialLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _gone(self) -> LineLost:
        return gone(self.port)


class LentLine:
    """A line that whoever has the port open lends over a socket."""

    def __init__(self, end: socket.socket, port: str) -> None:
        self._end = end
        self.port = port
        end.settimeout(_WRITE_S)

    def write(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            self._end.sendall(data)
        except OSError as error:
            raise gone(self.port) from error

    def read(self, patience_s: float) -> bytes:
        """Return what has come; b"" after so long without a byte."""
        try:
            if not select.select([self._end], [], [], patience_s)[0]:
                return b""
            data = self._end.recv(65536)
        except OSError as error:
            raise gone(self.port) from error
        if not data:
            raise gone(self.port)
        return data

    def __enter__(self) -> "LentLine":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end.close()


def gone(port: str) -> LineLost:
    """Return the error for a port that vanished or stopped taking bytes."""
    return LineLost(
        f"the board at {port} is gone: the cable was pulled, or it lost power",
        "plug it in again and run the same command: it goes on where it stopped",
    )
