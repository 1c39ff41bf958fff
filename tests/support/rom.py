"""The part of a board's flash that is seen as memory: modules in its ROMFS run in place.

``python rom.py FILE [OPTION…] SCRIPT [ARGUMENT…]`` runs MicroPython with FILE as that part, and
hands the script two more arguments: its address and its size. This works with the interpreter from
PyPI, which is a library of this process, so that it sees the memory to which the file is mapped;
what it writes there is in the file.
"""

import ctypes
import mmap
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

#: A script: firmware with a ROMFS.
FIRMWARE = Path(__file__).with_name("rom_firmware.py")
#: How another script gets at the file system.
MOUNT = """\
import sys, uctypes, vfs
vfs.mount(vfs.VfsRom(uctypes.bytearray_at(int(sys.argv[-2]), int(sys.argv[-1]))), "/rom")
sys.path.insert(0, "/rom")
"""


def need():
    """Skip a test where MicroPython does not see this memory."""
    import pytest

    if not find_spec("micropython_unix"):
        pytest.skip("needs the interpreter from PyPI: pip install 'fieldconf[test]' brings it")


def write(file, folder):
    """Make a ROMFS of what is in a folder."""
    from fieldconf_firmware_images import romfs_image

    paths = (path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    file.write_bytes(romfs_image.pack(files))
    return file


def command(file, *arguments):
    """Return the command that runs MicroPython with this file."""
    return list(map(str, [sys.executable, __file__, file, *arguments]))


def main(file, *arguments):
    import micropython_unix

    # Ctrl-C is for MicroPython.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with open(file, "r+b") as opened:
        memory = mmap.mmap(opened.fileno(), 0)
    first = ctypes.c_char.from_buffer(memory)
    place = [str(ctypes.addressof(first)), str(len(memory))]
    sys.exit(micropython_unix.run_main(["micropython", *arguments, *place]))


if __name__ == "__main__":
    main(*sys.argv[1:])
