"""Uploaded archives: whatever it is, it becomes a ZIP that `fieldconf_dsl.files` opens safely.

A tar is a stranger's as much as a ZIP: it is read as a stream, only files and folders are taken,
and what it unpacks to is counted while it unpacks. Names are checked where ZIPs are.
"""

import gzip
import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fieldconf_dsl.files import MAX_ALL, MAX_FILE, MAX_FILES

from .envelope import Refusal

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP = b"\x1f\x8b"
# Headers and padding of that many files come on top of what they hold.
_MOST_UNPACKED = MAX_ALL + MAX_FILES * 2048
_PIECE = 64 << 10


@contextmanager
def as_zip(path: Path) -> Iterator[Path]:
    """Give the path of a ZIP with the content of an archive: itself, or one that goes afterwards.

    Raises:
        Refusal: it is neither a ZIP nor a tar, or must not be used.
    """
    with open(path, "rb") as file:
        start = file.read(4)
    if start in _ZIP:
        yield path
        return
    made = path.with_suffix(".zip")
    try:
        with open(path, "rb") as file:
            try:
                _convert(_unpacked(file, start), made)
            except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
                raise _refused(f"the archive cannot be read: {error}") from error
        yield made
    finally:
        made.unlink(missing_ok=True)


def _unpacked(file: IO[bytes], start: bytes) -> IO[bytes]:
    if start.startswith(_GZIP):
        return io.BufferedReader(_Bounded(gzip.GzipFile(fileobj=file)))
    return file


class _Bounded(io.RawIOBase):
    """Reads a stream, and refuses to unpack without end."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = _MOST_UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self._stream.read(len(buffer))
        self._left -= len(piece)
        if self._left < 0:
            raise _refused(f"it unpacks to more than {MAX_ALL >> 20} MiB")
        buffer[: len(piece)] = piece
        return len(piece)


def _convert(stream: IO[bytes], made: Path) -> None:
    count = size = 0
    with (
        tarfile.open(fileobj=stream, mode="r|") as tar,
        zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as target,
    ):
        for member in tar:
            count += 1
            size += member.size
            if count > MAX_FILES:
                raise _refused(f"it holds more than {MAX_FILES:,} files")
            if size > MAX_ALL:
                raise _refused(f"it unpacks to more than {MAX_ALL >> 20} MiB")
            _add(tar, member, target)
    if not count:
        raise _refused("the archive is empty, or it is neither a ZIP nor a tar")


def _add(tar: tarfile.TarFile, member: tarfile.TarInfo, target: zipfile.ZipFile) -> None:
    name = member.name.removeprefix("./")
    if name in (".", ""):
        return
    if not (member.isreg() or member.isdir()):
        raise _refused(f"{name[:80]!r} is a link or a device")
    if member.size > MAX_FILE:
        raise _refused(f"{name[:80]!r} has more than {MAX_FILE >> 20} MiB")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise _refused(f"the name {name[:80]!r} is not UTF-8") from error
    if "\0" in name:
        raise _refused(f"the name {name[:80]!r} holds a NUL")
    info = zipfile.ZipInfo(name + "/" if member.isdir() else name)
    info.external_attr = ((0o755 if member.mode & 0o111 else 0o644) | 0o100000) << 16
    if member.isdir():
        info.external_attr = 0o040755 << 16
        target.writestr(info, b"")
        return
    content = tar.extractfile(member)
    assert content is not None
    with target.open(info, "w") as file:
        while piece := content.read(_PIECE):
            file.write(piece)


def _refused(message: str) -> Refusal:
    return Refusal(
        422, "bad-archive", message, "/", "send a ZIP, tar or tar.gz of the template's folder"
    )
