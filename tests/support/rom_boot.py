"""Runs under MicroPython: boots a board from its two images.

Behind the board's ROMFS lies another one, with `flash_file` as the compiled module ``load``: its
code takes no memory, as in firmware; its names none, either. Arguments: "FILE READ_SIZE PROG_SIZE
SIZE", the board's LittleFS and the size of its ROMFS, as one word; and what `rom` says.
"""

import sys

import uctypes
import vfs

args = sys.argv[1].rsplit(" ", 3)
start, end, index = int(sys.argv[2]), int(sys.argv[3]), int(args[3])
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(start, index)), "/rom")
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(start + index, end - index)), "/x")
sys.path[:] = ["/x"]
import load  # noqa: E402

sys.path[:] = ["", ".frozen", "/rom", "/rom/lib", "/lib"]
load.run(*args[:3])
