"""Runs under MicroPython: boots a board from its two images.

It takes hardly more memory for that than firmware does: behind the board's ROMFS lies another one,
with the compiled `flash_file`. Arguments: FILE READ_SIZE PROG_SIZE of the board's LittleFS, the
size of its ROMFS, and what `rom` says.
"""

import sys

import uctypes
import vfs

files, place, size = int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(place, files)), "/rom")
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(place + files, size - files)), "/firmware")
sys.path[:] = ["/firmware"]
import flash_file  # noqa: E402

sys.path[:] = ["", ".frozen", "/rom", "/rom/lib", "/lib"]
flash_file.boot(*sys.argv[1:4])
