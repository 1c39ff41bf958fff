"""The flash of a board: a read-only file system whose modules run in place, outside the heap.

``python rom.py FOLDER [OPTION…] main.py`` runs MicroPython with FOLDER as ROMFS, which `main.py`
mounts (`MOUNT`). This works with the interpreter from PyPI, which is a library of this process, so
that it sees the memory which the file system is put into. Boards get the same image with
``mpremote romfs deploy FOLDER``.
"""

import ctypes
import sys
from pathlib import Path

_VERBATIM = 2
_FOLDER = 4
_FILE = 5
_IMAGE = 0x14A6B1

#: How `main.py` gets at the file system.
MOUNT = """\
import sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(int(sys.argv[1]), int(sys.argv[2]))), "/rom")
sys.path.insert(0, "/rom")
"""


def image(folder):
    """Return a ROMFS that holds what is in a folder."""
    return _record(_IMAGE, _entries(folder))


def _entries(folder):
    return b"".join(_entry(path) for path in sorted(folder.iterdir()))


def _entry(path):
    name = _number(len(path.name)) + path.name.encode()
    if path.is_dir():
        return _record(_FOLDER, name + _entries(path))
    return _record(_FILE, name + _record(_VERBATIM, path.read_bytes()))


def _record(kind, payload):
    return _number(kind) + _number(len(payload)) + payload


def _number(value):
    """Return seven bits a byte, the high ones first; all but the last are marked."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.insert(0, value & 0x7F | 0x80)
    return bytes(found)


def main(folder, *arguments):
    import micropython_unix

    data = image(Path(folder))
    memory = ctypes.create_string_buffer(data, len(data))
    place = [str(ctypes.addressof(memory)), str(len(data))]
    micropython_unix.run_main(["micropython", *arguments, *place])


if __name__ == "__main__":
    main(*sys.argv[1:])
