"""What is put onto one board, in every form in which it may be written there."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .boards import Board
from .errors import ImageError


@dataclass(frozen=True)
class Image:
    """All that a node's board gets.

    Attributes:
        board: the kind of board, with the size of flash that the image is for.
        node: whose identity is inside.
        files: path below the root of the board's file system, such as ``lib/x.mpy`` → content; of
            these the ROMFS holds some, where there is one.
        packed: what `fieldconf image` writes: `merged`, else the best there is.
        contents: (what, about it) for people; no secrets.
        usage: what to do with `packed`; ``OUT`` stands for its path.
        filesystem: the files as the content of the partition, but for those in the ROMFS; None
            where the board's file system cannot be made elsewhere.
        romfs: the modules that run in place, as the ROMFS has them; None where there is none.
        parts: (offset in the flash, bytes), in ascending order: firmware, where it was given,
            ROMFS, and file system.
        merged: one file that can be flashed in one go: from the start of the flash for esptool, or
            UF2; None where there is no such thing.
    """

    board: Board
    node: str
    files: Mapping[str, bytes]
    packed: bytes
    contents: tuple[tuple[str, str], ...]
    usage: str
    filesystem: bytes | None = None
    romfs: bytes | None = None
    parts: tuple[tuple[int, bytes], ...] = ()
    merged: bytes | None = None

    @property
    def sha256(self) -> str:
        """Return the hash of `packed`, in hexadecimal digits."""
        return hashlib.sha256(self.packed).hexdigest()

    def summary(self) -> list[str]:
        """Return lines for people: what is inside, sizes, the hash."""
        rows = [
            ("image", f"node {self.node} on {self.board.title}"),
            *self.contents,
            ("file", f"{len(self.packed):,} bytes, SHA-256 {self.sha256}"),
        ]
        return [f"{what:<12}{about}" for what, about in rows]


def save(image: Image, path: Path) -> None:
    """Write `packed` to a file that only its owner can read: it holds the node's key.

    A file that is there is replaced when all is written.

    Raises:
        ImageError: it cannot be written; what was there still is.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(image.packed)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as error:
        raise ImageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
