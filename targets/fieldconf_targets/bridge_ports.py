"""Serial ports of this box (Linux): opening them, finding a board again, telling who holds one."""

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

SPEED = 115200


class PortError(Exception):
    """The port cannot be had; the message says why and what to do.

    Attributes:
        is_taken: another process has it.
    """

    def __init__(self, text: str, is_taken: bool = False) -> None:
        super().__init__(text)
        self.is_taken = is_taken


def comports() -> Iterable[Any]:
    """Return the serial ports of this box with what is known of their USB devices."""
    try:
        from serial.tools.list_ports import comports as found
    except ImportError as error:
        raise _not_installed() from error
    return list(found())


def _not_installed() -> PortError:
    return PortError(
        "serial ports need pyserial: .venv/bin/pip install '.[boards]' in the folder of Fieldconf"
    )


class Port:
    """The port at `path`, or wherever the board is that was found there.

    Args:
        path: such as ``/dev/ttyACM0``, or a link to it; ``/dev/ttyUSB0@9600`` runs at 9,600 bits a
            second, which only matters for boards behind a real UART.
        ports: what `comports` returns.
    """

    def __init__(self, path: str, ports: Callable[[], Iterable[Any]] = comports) -> None:
        self.path, _, speed = path.partition("@")
        self._speed = int(speed) if speed.isdigit() else SPEED
        self._ports = ports
        self._board: tuple[Any, ...] | None = None

    def open(self) -> Any:
        """Return an open port that reads and writes without waiting (see `os.read`), for us alone.

        Raises:
            PortError: it is not there, or not for us.
        """
        try:
            import serial
        except ImportError as error:
            raise _not_installed() from error
        place = self._place()
        try:
            port = serial.Serial(place, self._speed, timeout=0, exclusive=True)
        except (OSError, ValueError) as error:
            raise self._explained(place, error) from error
        self._board = self._board_at(place) or self._board
        return port

    def _place(self) -> str:
        """Return the path; or, if nothing is there, where the board is that was there before."""
        if os.path.exists(self.path) or self._board is None:
            return self.path
        for port in self._ports():
            if _board(port) == self._board:
                return str(port.device)
        return self.path

    def _board_at(self, place: str) -> tuple[Any, ...] | None:
        real = os.path.realpath(place)
        for port in self._ports():
            if os.path.realpath(port.device) == real:
                return _board(port)
        return None

    def _explained(self, place: str, error: Exception) -> PortError:
        number = getattr(error, "errno", None)
        if number == errno.ENOENT:
            return PortError(f"{place} is not there: is the board plugged in?")
        if number in (errno.EACCES, errno.EPERM):
            group = _group(place)
            return PortError(
                f"no permission to use {place}: add yourself to the group {group!r} "
                f"(sudo usermod -aG {group} $USER), then log in again"
            )
        if number in (errno.EAGAIN, errno.EBUSY):
            return PortError(f"{place} is in use{by_whom(place)}", is_taken=True)
        return PortError(f"cannot open {place}: {error}")


def _board(port: Any) -> tuple[Any, ...] | None:
    """Return what tells a USB device from all others; None if it has no number of its own."""
    return (port.vid, port.pid, port.serial_number) if port.serial_number else None


def _group(place: str) -> str:
    import grp

    try:
        return grp.getgrgid(os.stat(place).st_gid).gr_name
    except (OSError, KeyError):
        return "dialout"


def by_whom(place: str) -> str:
    """Return who has a device open, as the end of a sentence; empty if that cannot be seen."""
    real = os.path.realpath(place)
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.path.realpath(fd) == real for fd in (process / "fd").iterdir()):
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                found.append(f"process {process.name} ({command})")
        except OSError:
            continue
    more = [f"{len(found) - 3} more"] if len(found) > 3 else []
    return " by " + " and ".join([*found[:3], *more]) if found else ""
