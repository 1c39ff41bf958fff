"""Makes the content of a LittleFS partition from files; the same files give the same bytes."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from . import needs
from .boards import FileSystem
from .errors import ImageError

#: Every MicroPython reads it; newer ones raise it to 2.1 when they write.
_DISK_VERSION = 0x00020000


def pack(files: Mapping[str, bytes], filesystem: FileSystem, size: int) -> bytes:
    """Return the content of a partition of `size` bytes.

    Raises:
        ImageError: the files do not fit, or littlefs-python is not installed.
    """
    littlefs = needs.module("littlefs", "littlefs-python")
    disk = _open(littlefs, filesystem, size, _DISK_VERSION)
    disk.format()
    disk.mount()
    try:
        for path, content in sorted(files.items()):
            _write(disk, path, content)
    except littlefs.LittleFSError as error:
        if error.code != littlefs.LittleFSError.Error.LFS_ERR_NOSPC:
            raise ImageError(f"cannot make the file system: {error}") from error
        needed = sum(map(len, files.values()))
        raise ImageError(
            f"the files do not fit: {len(files)} of them with {needed:,} bytes, and the board's "
            f"file system has {size:,} bytes in blocks of {filesystem.block_size:,}"
        ) from error
    disk.unmount()
    return bytes(disk.context.buffer)


def unpack(content: bytes, filesystem: FileSystem) -> dict[str, bytes]:
    """Return the files in a partition.

    Raises:
        ImageError: it holds no file system, or a broken one.
    """
    littlefs = needs.module("littlefs", "littlefs-python")
    disk = _open(littlefs, filesystem, len(content))
    disk.context.buffer[:] = content
    try:
        disk.mount()
        names = [f"{top}/{name}" for top, _, inside in disk.walk("/") for name in inside]
        return {name.lstrip("/"): _read(disk, name) for name in sorted(names)}
    except littlefs.LittleFSError as error:
        raise ImageError(f"there is no LittleFS file system, or it is broken: {error}") from error


def used_bytes(content: bytes, filesystem: FileSystem) -> int:
    """Return how much of a partition is in use, in whole blocks."""
    littlefs = needs.module("littlefs", "littlefs-python")
    disk = _open(littlefs, filesystem, len(content))
    disk.context.buffer[:] = content
    disk.mount()
    return int(disk.used_block_count) * filesystem.block_size


def _open(littlefs: Any, filesystem: FileSystem, size: int, disk_version: int = 0) -> Any:
    # What is written into the pages of metadata depends on the cache: it has to be the board's.
    return littlefs.LittleFS(
        mount=False,
        block_size=filesystem.block_size,
        block_count=size // filesystem.block_size,
        read_size=filesystem.read_size,
        prog_size=filesystem.prog_size,
        cache_size=filesystem.cache_size,
        lookahead_size=filesystem.lookahead_size,
        disk_version=disk_version,
    )


def _write(disk: Any, path: str, content: bytes) -> None:
    disk.makedirs(str(PurePosixPath(path).parent), exist_ok=True)
    with disk.open(path, "wb") as file:
        file.write(content)


def _read(disk: Any, path: str) -> bytes:
    with disk.open(path, "rb") as file:
        return bytes(file.read())
