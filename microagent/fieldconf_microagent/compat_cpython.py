"""The CPython half of `compat`, which describes these names. A board does not need this file."""

import hmac
import os
import shutil
import socket
import sys
import time
import traceback
import zlib
from collections.abc import Callable
from typing import BinaryIO

__all__ = [
    "const",
    "error_text",
    "exists",
    "hardware_id",
    "hmac_sha256",
    "inflated",
    "makedirs",
    "mem_free",
    "platform_info",
    "receive",
    "remove_tree",
    "replace",
    "same_bytes",
    "sync_file",
    "ticks_diff",
    "ticks_ms",
    "transmit",
    "unload",
]


def const(value: int) -> int:
    """Return `value`; MicroPython's compiler folds it into the code instead."""
    return value


def ticks_ms() -> int:
    """Return milliseconds of a counter that only `ticks_diff` can compare."""
    return time.monotonic_ns() // 1_000_000


def ticks_diff(end: int, start: int) -> int:
    """Return `end - start`; on boards the counter wraps and a plain minus is wrong."""
    return end - start


def hmac_sha256(key: bytes, *parts: bytes) -> bytes:
    """Return the HMAC (RFC 2104) of the parts, one after the other."""
    if len(parts) == 1:
        return hmac.digest(key, parts[0], "sha256")
    mac = hmac.new(key, digestmod="sha256")
    for part in parts:
        mac.update(part)
    return mac.digest()


def same_bytes(a: bytes, b: bytes) -> bool:
    """Tell whether both are equal, in a time that does not depend on where they differ."""
    return hmac.compare_digest(a, b)


def sync_file(file: BinaryIO) -> None:
    """Bring what was written to `file` onto the disk, as far as this system can."""
    file.flush()
    os.fsync(file.fileno())


def replace(old: str, new: str) -> None:
    """Rename `old` to `new`, which it replaces in one step that outlives a power cut."""
    os.replace(old, new)
    # Without this the file is whole but may bear its old name after a power cut.
    folder = os.open(os.path.dirname(new) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def exists(path: str) -> bool:
    """Tell whether there is a file or folder of that name."""
    return os.path.exists(path)


def makedirs(path: str) -> None:
    """Make the folder and those above it; one that is there already is fine."""
    os.makedirs(path, exist_ok=True)


def remove_tree(path: str) -> None:
    """Delete a file, or a folder with all that is in it; nothing there is fine."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def receive(socket: socket.socket, room: memoryview) -> int | None:
    """Read from a non-blocking socket; return the count, 0 at its end, None if it must wait."""
    try:
        return socket.recv_into(room)
    except BlockingIOError:
        return None


def transmit(socket: socket.socket, data: bytearray) -> int | None:
    """Write to a non-blocking socket; return how many bytes it took, None if it must wait."""
    try:
        return socket.send(data)
    except BlockingIOError:
        return None


def error_text(error: BaseException) -> str:
    """Return the traceback of an error; its last line is type and message."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def mem_free() -> int:
    """Return how many bytes are free: of the heap on a board, of the machine elsewhere."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


def platform_info() -> str:
    """Return machine and interpreter in one line."""
    system = os.uname()
    version = "{}.{}.{}".format(*sys.version_info[:3])
    return f"{system.sysname.lower()} {system.machine}, CPython {version}"


def hardware_id() -> bytes:
    """Return the address of a network card."""
    # Imported here, since few systems need it.
    import uuid

    return uuid.getnode().to_bytes(6, "big")


def inflated(source: BinaryIO) -> Callable[[], bytes]:
    """Return a function that gives the next inflated bytes, none at the end."""
    stream = zlib.decompressobj(-10)

    def read() -> bytes:
        try:
            while not stream.eof:
                fed = stream.unconsumed_tail or source.read(512)
                piece = stream.decompress(fed, 512)
                if piece:
                    return piece
                if not fed and not stream.eof:
                    raise ValueError("cannot inflate: the data ends early")
        except zlib.error as error:
            raise ValueError(f"cannot inflate: {error}")
        return b""

    return read


def unload(*names: str) -> None:
    """Keep the modules: there is memory enough."""
