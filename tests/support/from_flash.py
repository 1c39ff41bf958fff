"""Runs under MicroPython, as a board's firmware does: mounts its flash, then starts ``main.py``.

``micropython from_flash.py FILE READ_SIZE PROG_SIZE``: the flash is a file with the content of the
partition. What the agent writes goes there.
"""

import os
import sys

import vfs

BLOCK = 4096


class Flash:
    def __init__(self, path):
        self._blocks = os.stat(path)[6] // BLOCK
        self._file = open(path, "r+b")

    def readblocks(self, number, buffer, offset=0):
        self._file.seek(number * BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=0):
        self._file.seek(number * BLOCK + offset)
        self._file.write(buffer)

    def ioctl(self, request, argument):
        if request == 4:
            return self._blocks
        if request == 5:
            return BLOCK
        if request == 6:
            self.writeblocks(argument, b"\xff" * BLOCK)
        return 0


flash = Flash(sys.argv[1])
files = vfs.VfsLfs2(flash, readsize=int(sys.argv[2]), progsize=int(sys.argv[3]))
vfs.umount("/")
vfs.mount(files, "/")
os.chdir("/")
sys.path[:] = ["", ".frozen", "/lib"]
with open("main.py") as main:
    exec(main.read(), {"__name__": "__main__"})
