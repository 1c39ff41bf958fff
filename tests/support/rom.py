"""The part of a board's flash that is seen as memory: modules in its ROMFS run in place.

``python rom.py FILE [OPTION…] SCRIPT [ARGUMENT…]`` runs MicroPython with FILE as that part, and
hands the script two more arguments: its address and its size. This works with the interpreter from
PyPI, which is a library of this process, so that it sees the memory to which the file is mapped;
what it writes there is in the file.
"""

import ctypes
import functools
import mmap
import signal
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

#: Scripts: firmware that writes its ROMFS, too; such that only starts what is in its flash.
FIRMWARE = Path(__file__).with_name("rom_firmware.py")
BOOT = FIRMWARE.with_name("rom_boot.py")
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


@functools.cache
def _boot_code():
    """Return what `BOOT` needs behind a ROMFS."""
    from fieldconf_firmware_images import romfs_image
    from support import interpreters

    source = FIRMWARE.with_name("flash_file.py")
    compiler = interpreters.find("mpy-cross")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "load.mpy"
        subprocess.run([compiler, "-O3", "-s", "load", "-o", out, source], check=True)
        return romfs_image.pack({out.name: out.read_bytes()})


def command(file, *arguments):
    """Return the command that runs MicroPython with this file."""
    return list(map(str, [sys.executable, __file__, file, *arguments]))


def boot(folder, board, content, *options):
    """Return the command that boots a board from `content`: its ROMFS, and its LittleFS behind it.

    Both become files of the folder: ``rom`` and ``flash``.
    """
    size, files = board.romfs.size, board.filesystem
    (folder / "rom").write_bytes(content[:size] + _boot_code())
    (folder / "flash").write_bytes(content[size:])
    flash = f"{folder / 'flash'} {files.read_size} {files.prog_size} {size}"
    return command(folder / "rom", *options, BOOT, flash)


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
