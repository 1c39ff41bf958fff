"""What differs between CPython and MicroPython, under one name each.

This is the only shared module that knows which Python it runs on. What stands on its own here is
for MicroPython; the same names for CPython come from `compat_cpython`, which a board never loads.
Nothing in here knows what an agent is.
"""

import binascii
import hashlib
import os
import sys

MICROPYTHON: bool = sys.implementation.name == "micropython"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, Callable

if MICROPYTHON:
    import gc
    import io
    from time import ticks_diff as ticks_diff  # type: ignore
    from time import ticks_ms as ticks_ms  # type: ignore

    from micropython import const as const  # type: ignore

    def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
        """Return the HMAC (RFC 2104) of the parts, one after the other."""
        if len(key) > 64:
            key = hashlib.sha256(key).digest()
        padded = key + bytes(64 - len(key))
        inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded))
        for part in parts:
            inner.update(part)
        outer = hashlib.sha256(bytes(b ^ 0x5C for b in padded))
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

    def mem_free() -> int:
        """Return how many bytes are free: of the heap on a board, of the machine elsewhere."""
        gc.collect()
        return int(gc.mem_free())  # type: ignore

    def platform_info() -> str:
        """Return machine and interpreter in one line."""
        version = ".".join(str(n) for n in sys.implementation.version[:3])
        machine = getattr(sys.implementation, "_machine", "")
        return "%s %s, MicroPython %s" % (sys.platform, machine, version)

    def hardware_id() -> bytes:
        """Return what the chip itself is called; nothing if it does not say."""
        try:
            import machine  # type: ignore

            return bytes(machine.unique_id())
        except (ImportError, AttributeError):
            return b""

    def inflated(source: "BinaryIO") -> "Callable[[], bytes]":
        """Return a function that gives the next inflated bytes, none at the end."""
        import deflate  # type: ignore

        stream = deflate.DeflateIO(source, deflate.RAW, 10)

        def read() -> bytes:
            try:
                return bytes(stream.read(512))
            except (OSError, EOFError) as error:
                raise ValueError("cannot inflate: " + repr(error))

        return read

else:
    # A star, since a board carries the name of every single import in its flash.
    from .compat_cpython import *  # noqa: F403


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


def inflate(source: "BinaryIO", write: "Callable[[bytes], object]", most: int) -> int:
    """Inflate raw DEFLATE (window 2**10) piece by piece; return how many bytes came out.

    Never more than `most` bytes are written; what follows the end of the stream is not looked at.

    Raises:
        ValueError: the source is broken, ends early, or holds more than `most` bytes.
    """
    read = inflated(source)
    count = 0
    while True:
        piece = read()
        if not piece:
            return count
        count += len(piece)
        if count > most:
            raise ValueError("cannot inflate: more than %d bytes come out" % most)
        write(piece)


def _first_of(paths: "tuple[str, ...]") -> bytes:
    for path in paths:
        try:
            content = read_file(path).strip()
        except OSError:
            continue
        if content:
            return content
    return b""


def hardware_mark() -> str:
    """Return a stable name of this machine: two nodes with one identity differ in it.

    It is a digest: the machine id of a Linux system is not meant to be shown around.
    """
    mark = _first_of(("/etc/machine-id", "/var/lib/dbus/machine-id")) or hardware_id()
    return hex(hashlib.sha256(b"fieldconf" + mark).digest()[:8])


def run_mark() -> str:
    """Return what stays the same until this system starts anew.

    On Linux the kernel's boot id and the start time of process 1, which differs in a restarted
    container. Elsewhere, boards first of all, it is new with every call.
    """
    try:
        boot = read_file("/proc/sys/kernel/random/boot_id").strip().decode()
        # The name in parentheses may hold blanks; the field after it is the third.
        fields = read_file("/proc/1/stat").rpartition(b")")[2].split()
        return boot + "-" + fields[19].decode()
    except (OSError, IndexError):
        return hex(random_bytes(8))
