"""Runs under MicroPython: a file as the flash in which a board has its file system.

Firmware does this in C. So that it takes hardly more memory here, all names are such that
MicroPython knows them already.
"""

import os

import vfs
from micropython import const

_BLOCK = const(4096)
_ERASED = const(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")


class partition:
    def __init__(self, path):
        self.count = os.stat(path)[6] // _BLOCK
        self.file = open(path, "r+b")

    def readblocks(self, index, buffer, off=0):
        self.file.seek(index * _BLOCK + off)
        self.file.readinto(buffer)

    def writeblocks(self, index, buffer, off=0):
        self.file.seek(index * _BLOCK + off)
        self.file.write(buffer)

    def ioctl(self, request, index):
        if request == 4:
            return self.count
        if request == 5:
            return _BLOCK
        if request == 6:
            self.file.seek(index * _BLOCK)
            for _ in range(_BLOCK // 16):
                self.file.write(_ERASED)
        return 0


def run(path, read, write):
    """Mount the file as a board's only file system, and run its main.py.

    The file system reads and writes at least so many bytes.
    """
    file = vfs.VfsLfs2(partition(path), readsize=int(read), progsize=int(write))
    vfs.umount("/")
    vfs.mount(file, "/")
    os.chdir("/")
    with open("main.py") as file:
        code = compile(file.read(), "main.py", "exec")
    exec(code, {"__name__": "__main__"})
