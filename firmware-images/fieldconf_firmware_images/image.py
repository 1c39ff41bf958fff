"""What is put onto one board, in every form in which it may be written there."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from .boards import Board


@dataclass(frozen=True)
class Image:
    """All that a node's board gets.

    Attributes:
        board: the kind of board.
        node: whose identity is inside.
        files: path below the root of the board's file system, such as ``lib/x.mpy`` → content.
        filesystem: these files as the content of the partition; None where the board's file
            system cannot be made elsewhere.
        parts: (offset in the flash, bytes), in ascending order: firmware, where it was given, and
            the file system.
        merged: one file that can be flashed in one go: from the start of the flash for esptool, or
            UF2; None where there is no such thing.
        packed: what `fieldconf image` writes: `merged`, else the best there is.
        notes: lines for people: what to do with it.
    """

    board: Board
    node: str
    files: Mapping[str, bytes]
    filesystem: bytes | None
    parts: tuple[tuple[int, bytes], ...]
    merged: bytes | None
    packed: bytes
    notes: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Return the hash of `packed`, in hexadecimal digits."""
        return hashlib.sha256(self.packed).hexdigest()
