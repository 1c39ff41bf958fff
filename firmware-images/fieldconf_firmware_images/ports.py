"""Which serial ports there are, what hangs on them, and why one cannot be opened.

Finds ports and looks at them; whoever wants to talk opens a `serial_line.SerialLine`.
"""

import errno
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .flash_errors import FlashError
from .needs import module

AUTO = "auto"

_START_S = 0.2

# USB vendor, and product where it matters: what people call it, and whether a board may be there.
_KNOWN: dict[tuple[int, int | None], str] = {
    (0x303A, None): "ESP32 by its own USB",
    (0x10C4, 0xEA60): "CP210x adapter, as on many ESP32 boards",
    (0x1A86, None): "CH340 adapter, as on many ESP boards",
    (0x0403, None): "FTDI adapter",
    (0x2E8A, 0x0005): "Raspberry Pi Pico with MicroPython",
    (0x2E8A, None): "Raspberry Pi Pico",
    (0xF055, None): "board with MicroPython",
    (0x0D28, None): "micro:bit or another board with DAPLink",
    (0x239A, None): "Adafruit board",
    (0x2341, None): "Arduino board",
}


@dataclass(frozen=True)
class Port:
    """A serial port that something is plugged into.

    Attributes:
        name: what to open, as in ``/dev/ttyUSB0``.
        what: what it is, in words.
    """

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name} ({self.what})"


def found() -> list[Port]:
    """Return the serial ports on USB, by name; sockets soldered to the box are nobody's board."""
    list_ports = module("serial.tools.list_ports", "pyserial")
    return [
        Port(each.device, _what(each.vid, each.pid, each.description))
        for each in sorted(list_ports.comports(), key=lambda each: str(each.device))
        if each.vid is not None
    ]


def _what(vid: int, pid: int, description: str | None) -> str:
    known = _KNOWN.get((vid, pid)) or _KNOWN.get((vid, None))
    return known or description or f"USB {vid:04x}:{pid:04x}"


def chosen(port: str, candidates: Callable[[], Sequence[Port]] = found) -> str:
    """Return the port that is meant: the only one there is for ``auto``.

    Raises:
        FlashError: there is none, or there are several, which are listed.
    """
    if port != AUTO:
        return port
    there = candidates()
    if len(there) == 1:
        return there[0].name
    if not there:
        raise FlashError(
            "no board is plugged in: there is no serial port on USB",
            "plug one in; if it is, try another cable (many only charge) and another socket, "
            "or name its port",
            kind="no-port",
        )
    listed = "".join(f"\n  {each}" for each in there)
    raise FlashError(
        f"several boards are plugged in:{listed}", "name one instead of auto", kind="several-ports"
    )


# -- why a port cannot be opened

# Major number of /dev/null and its like, which many programs have open.
_MEMORY = 1
# Programs that are named of those that have a port open.
_NAMED = 3


def check(port: str, holders: "Callable[[str], list[str]] | None" = None) -> None:
    """Refuse a port that is missing, forbidden or in use, before anybody waits for its board.

    Raises:
        FlashError: with what to do about it.
    """
    if "://" in port:
        return
    if not os.path.exists(port):
        raise not_opened(port, FileNotFoundError(errno.ENOENT, "missing"))
    about = os.stat(port)
    if not stat.S_ISCHR(about.st_mode) or os.major(about.st_rdev) == _MEMORY:
        raise FlashError(f"{port} is no serial port", "see 'fieldconf flash auto'", kind="no-port")
    if not os.access(port, os.R_OK | os.W_OK):
        raise not_opened(port, PermissionError(errno.EACCES, "forbidden"))
    look = holders or held_by
    others = look(port)
    if others:
        # A process that another thread of ours starts holds what we hold until it runs its program.
        time.sleep(_START_S)
        others = look(port)
    if others:
        raise _busy(port, others)


def not_opened(port: str, error: BaseException) -> FlashError:
    """Return what to tell the person when opening `port` ended with `error`."""
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT or "No such file" in text:
        return FlashError(
            f"there is no port {port}", f"is the board plugged in? {_those_there()}", kind="no-port"
        )
    if number in (errno.EACCES, errno.EPERM) or "ermission denied" in text:
        return _forbidden(port)
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return _busy(port, held_by(port))
    return FlashError(f"cannot open {port}: {text}", "plug the board in anew", kind="no-port")


def _those_there() -> str:
    try:
        names = [str(port) for port in found()]
    except FlashError:
        return ""
    return f"These ports are there: {', '.join(names)}" if names else "No port is there"


def _forbidden(port: str) -> FlashError:
    group = _group_of(port)
    return FlashError(
        f"you may not open {port}: it belongs to the group {group}",
        f"sudo usermod -aG {group} $USER, then log out and in again",
        kind="no-permission",
    )


def _group_of(port: str) -> str:
    import grp

    number = os.stat(port).st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _busy(port: str, others: Sequence[str]) -> FlashError:
    more = [f"{len(others) - _NAMED} more"] if len(others) > _NAMED else []
    by = " and ".join([*others[:_NAMED], *more]) or "another program"
    hint = f"end {by if others else 'it (a serial monitor? a bridge?)'} and run it again"
    if any("ModemManager" in each for each in others):
        hint = "it looks for modems on new ports: wait half a minute and run it again"
    return FlashError(f"{port} is in use by {by}", hint, kind="busy")


def held_by(port: str, proc: Path = Path("/proc")) -> list[str]:
    """Return the other processes that hold `port` open, as in ``screen (process 4711)``.

    Processes of other people are seen by root alone.
    """
    device = os.path.realpath(port)
    holders = []
    for entry in sorted(proc.glob("[0-9]*")):
        if int(entry.name) != os.getpid() and _holds(entry, device):
            holders.append(f"{_name_of(entry)} (process {entry.name})")
    return holders


def _holds(process: Path, device: str) -> bool:
    try:
        return any(os.readlink(file) == device for file in (process / "fd").iterdir())
    except OSError:
        # It ended meanwhile, or is somebody else's.
        return False


def _name_of(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a program"
