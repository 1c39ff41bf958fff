"""What differs between CPython and MicroPython, under one name each.

This is the only shared module that knows which Python it runs on. What stands on its own here is
for MicroPython; the same names for CPython come from `compat_cpython`, which a board never loads.
What is needed now and then only is in `compat_rare`. Nothing in here knows what an agent is.
"""

import binascii
import hashlib
import os
import sys

MICROPYTHON: bool = sys.implementation.name == "micropython"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO

if MICROPYTHON:
    import io
    from time import ticks_diff as ticks_diff  # type: ignore
    from time import ticks_ms as ticks_ms  # type: ignore

    from micropython import const as const  # type: ignore

    def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
        """Return the HMAC (RFC 2104) of the parts, one after the other."""
        if len(key) > 64:
            key = hashlib.sha256(key).digest()
        padded = bytearray(key + bytes(64 - len(key)))
        for index in range(64):
            padded[index] ^= 0x36
        inner = hashlib.sha256(padded)
        for part in parts:
            inner.update(part)
        for index in range(64):
            padded[index] ^= 0x36 ^ 0x5C
        outer = hashlib.sha256(padded)
        outer.update(inner.digest())
        return outer.digest()

    def same_bytes(a: bytes, b: bytes) -> bool:
        """Tell whether both are equal, in a time that does not depend on where they differ."""
        different = len(a) ^ len(b)
        for x, y in zip(a, b):
            different |= x ^ y
        return not different

    def sync_file(file: "BinaryIO") -> None:
        """Bring what was written to `file` onto the disk, as far as this system can."""
        file.flush()
        if hasattr(os, "sync"):
            os.sync()

    def replace(old: str, new: str) -> None:
        """Rename `old` to `new`, which it replaces in one step (LittleFS, POSIX)."""
        os.rename(old, new)

    def exists(path: str) -> bool:
        """Tell whether there is a file or folder of that name."""
        try:
            os.stat(path)
        except OSError:
            return False
        return True

    def makedirs(path: str) -> None:
        """Make the folder and those above it; one that is there already is fine."""
        if path and not exists(path):
            makedirs(path.rpartition("/")[0])
            os.mkdir(path)

    def remove_tree(path: str) -> None:
        """Delete a file, or a folder with all that is in it; nothing there is fine."""
        if not exists(path):
            return
        if not os.stat(path)[0] & 0x4000:
            os.remove(path)
            return
        for entry in list(os.ilistdir(path)):  # type: ignore
            inner = path + "/" + entry[0]
            # A link to a folder is not one: what it points to stays.
            if entry[1] == 0x4000:
                remove_tree(inner)
            else:
                os.remove(inner)
        os.rmdir(path)

    def receive(socket: "Any", room: memoryview) -> "int | None":
        """Read from a non-blocking socket; return the count, 0 at its end, None if it must wait."""
        count: "int | None" = socket.readinto(room)
        return count

    def transmit(socket: "Any", data: bytearray) -> "int | None":
        """Write to a non-blocking socket; return how many bytes it took, None if it must wait."""
        count: "int | None" = socket.write(data)
        return count

    def error_text(error: BaseException) -> str:
        """Return the traceback of an error; its last line is type and message."""
        out = io.StringIO()
        sys.print_exception(error, out)  # type: ignore
        return out.getvalue()

    def unload(*names: str) -> None:
        """Let go of modules of this package until they are imported again, to save memory."""
        package = sys.modules[__name__.rpartition(".")[0]]
        for name in names:
            if sys.modules.pop(package.__name__ + "." + name, None) is not None:
                delattr(package, name)

else:
    # Stars, since a board carries the name of every single import in its flash.
    from .compat_cpython import *  # noqa: F403
    from .compat_rare import *  # noqa: F403


class Clock:
    """Milliseconds since the clock was made; they never wrap, go back, or follow the time of day.

    Must be read at least every few days, since the counter below it wraps on boards.
    """

    def __init__(self) -> None:
        self._last: int = ticks_ms()
        self._now = 0

    def now_ms(self) -> int:
        ticks = ticks_ms()
        self._now += ticks_diff(ticks, self._last)
        self._last = ticks
        return self._now


def random_bytes(count: int) -> bytes:
    """Return `count` bytes nobody can foresee."""
    return os.urandom(count)


def random_below(limit: int) -> int:
    """Return an integer from 0 to `limit` - 1; `limit` is at most 2**32."""
    return int.from_bytes(os.urandom(6), "big") % limit


def sha256(data: bytes = b"") -> "Any":
    """Return a SHA-256 object with `update` and `digest`; use `hex` for its text."""
    return hashlib.sha256(data)


def hex(data: bytes) -> str:
    """Return the bytes as lower-case hexadecimal digits."""
    return binascii.hexlify(data).decode()


def size(path: str) -> int:
    """Return how long the file is, in bytes."""
    return os.stat(path)[6]


def read_file(path: str) -> bytes:
    """Return all bytes of a file."""
    with open(path, "rb") as file:
        return file.read()
