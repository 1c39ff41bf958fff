"""What differs between CPython and MicroPython and is needed at the start or for recipes only.

A board loads this when it needs it and lets go of it afterwards; on CPython `compat` has the same
names. Nothing in here knows what an agent is.
"""

import hashlib
import sys

from . import compat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO, Callable

__all__ = ["hardware_mark", "inflate", "mem_free", "platform_info", "run_mark"]

if compat.MICROPYTHON:
    import gc

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
    from .compat_cpython import hardware_id, inflated, mem_free, platform_info


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
            content = compat.read_file(path).strip()
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
    return compat.hex(hashlib.sha256(b"fieldconf" + mark).digest()[:8])


def run_mark() -> str:
    """Return what stays the same until this system starts anew.

    On Linux the kernel's boot id and the start time of process 1, which differs in a restarted
    container. Elsewhere, boards first of all, it is new with every call.
    """
    try:
        boot = compat.read_file("/proc/sys/kernel/random/boot_id").strip().decode()
        # The name in parentheses may hold blanks; the field after it is the third.
        fields = compat.read_file("/proc/1/stat").rpartition(b")")[2].split()
        return boot + "-" + fields[19].decode()
    except (OSError, IndexError):
        return compat.hex(compat.random_bytes(8))
