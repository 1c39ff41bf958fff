"""Runs under MicroPython (see `rom`), and stands in for firmware with a ROMFS.

MicroPython for the desktop mounts a ROMFS, but has no part of a flash for it: `vfs.rom_ioctl`,
which erases and writes that part, is made here of the memory that `rom` maps, with the ways of
flash. As firmware does, this mounts at /rom what is valid there, and puts it onto the path.

Arguments, before address and size: ``files`` or ``blocks`` (is the ROMFS given as memory, or as a
device of blocks, as on the RP2), and ``main.py`` if that is to run; the board's files are in the
current folder.
"""

import sys

import uctypes
import vfs

BLOCK = 4096
way, place, size = sys.argv[1], int(sys.argv[-2]), int(sys.argv[-1])
flash = uctypes.bytearray_at(place, size)


def erase(start, length):
    # Whole blocks, wherever the length ends.
    for at in range(start, start + length, BLOCK):
        flash[at : at + BLOCK] = b"\xff" * BLOCK
    return 4


def program(start, content, unit):
    """Bits of flash are only ever taken away."""
    if start % unit or len(content) % unit:
        return -22
    for at, byte in enumerate(content, start):
        flash[at] &= byte
    return 0


class Blocks(bytearray):
    """Its own bytes are what is read, as a class of Python cannot lend others'."""

    def ioctl(self, request, argument):
        if request == 4:
            return size // BLOCK
        if request == 5:
            return BLOCK
        if request == 6:
            erase(argument * BLOCK, BLOCK)
            self[argument * BLOCK : (argument + 1) * BLOCK] = b"\xff" * BLOCK
            return 0

    def writeblocks(self, number, content, offset):
        at = number * BLOCK + offset
        assert program(at, content, 256) == 0
        self[at : at + len(content)] = content


segment = Blocks(flash) if way == "blocks" else memoryview(flash)


def rom_ioctl(request, number=0, *rest):
    if request == 1:
        return 1
    if number:
        return -22
    if request == 2:
        return segment
    if request == 3 and way != "blocks":
        return erase(0, rest[0])
    if request == 4 and way != "blocks":
        return program(*rest, 4)
    return -22


class Vfs:
    """What `import vfs` gives: a module that is built in takes no more names."""


for name in dir(vfs):
    if not name.startswith("__"):
        setattr(Vfs, name, getattr(vfs, name))
Vfs.rom_ioctl = rom_ioctl
sys.modules["vfs"] = Vfs

sys.path[:] = ["", ".frozen"]
try:
    vfs.mount(vfs.VfsRom(flash), "/rom")
    sys.path.extend(["/rom", "/rom/lib"])
except OSError:
    pass  # nothing valid is there
sys.path.append("lib")
if sys.argv[2] == "main.py":
    with open("main.py") as main:
        exec(main.read(), {"__name__": "__main__"})
