"""Makes a ROMFS from files: what MicroPython mounts at /rom, and runs modules from in place.

An image is records within records, each its kind, its length, and so much content; kinds and
lengths are written in groups of seven bits. The same files give the same bytes: no times, sorted
names. An image may be written as it is, or with anything behind it.
"""

from collections.abc import Mapping
from typing import Any

#: The kind of the outermost record, whose bytes every image begins with.
_IMAGE = 0x14A6B1
_VERBATIM, _FOLDER, _FILE = 2, 4, 5


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return an image with these files, {path below its root: content}."""
    content = _entries(_tree(files))
    kind, length = _number(_IMAGE), _number(len(content))
    # Some flash is written in pairs of bytes: a leading zero does no harm to a number.
    padding = b"\x80" * (len(kind + length + content) % 2)
    return kind + padding + length + content


def _tree(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return {name: content, or what is in the folder}."""
    top: dict[str, Any] = {}
    for path, content in files.items():
        *folders, name = path.split("/")
        inside = top
        for folder in folders:
            inside = inside.setdefault(folder, {})
        inside[name] = content
    return top


def _entries(folder: Mapping[str, Any]) -> bytes:
    return b"".join(_entry(name.encode(), inside) for name, inside in sorted(folder.items()))


def _entry(name: bytes, inside: Any) -> bytes:
    head = _number(len(name)) + name
    if isinstance(inside, bytes):
        return _record(_FILE, head + _record(_VERBATIM, inside))
    return _record(_FOLDER, head + _entries(inside))


def _record(kind: int, content: bytes) -> bytes:
    return _number(kind) + _number(len(content)) + content


def _number(value: int) -> bytes:
    """Return seven bits a byte, the high ones first; all but the last are marked."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.insert(0, value & 0x7F | 0x80)
    return bytes(found)
