"""Runs under MicroPython: a file as the flash in which a board has its file system."""

import os

import vfs

BLOCK = 4096
EMPTY = b"\xff" * 32


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
            # To erase takes a board no memory.
            self._file.seek(argument * BLOCK)
            for _ in range(BLOCK // 32):
                self._file.write(EMPTY)
        return 0


def boot(path, read_size, prog_size):
    """Mount the file as a board's only file system, and run its main.py."""
    files = vfs.VfsLfs2(Flash(path), readsize=int(read_size), progsize=int(prog_size))
    vfs.umount("/")
    vfs.mount(files, "/")
    os.chdir("/")
    with open("main.py") as main:
        exec(main.read(), {"__name__": "__main__"})
