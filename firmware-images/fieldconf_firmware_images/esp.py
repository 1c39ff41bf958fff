"""Reads firmware for Espressif's chips, finds where its file system is, and puts both together.

MicroPython's files for these chips hold boot loader, partition table and program at the places that
they have in the flash. What is checked here tells a wrong or a damaged file from a good one;
`esptool` understands the same formats in full.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from .boards import Board, RomFs
from .errors import ImageError

_TABLE_AT = 0x8000
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC = b"\xaaP"
_MD5_MAGIC = b"\xeb\xeb"
_APP, _DATA = 0, 1
_IMAGE_MAGIC = 0xE9
_HEAD_SIZE = 24
_HEAD_SIZE_8266 = 8
#: The memory from which programs of the ESP8266 start.
_RAM_8266 = range(0x40100000, 0x40110000)
#: What stands for a size of flash in its headers.
_SIZES_8266 = {0x200000: 3, 0x400000: 4, 0x800000: 8, 0x1000000: 9}


@dataclass(frozen=True)
class Partition:
    """One line of a partition table; places and sizes in bytes."""

    name: str
    kind: int
    subtype: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """Return the place after it."""
        return self.offset + self.size


def file_system(firmware: bytes, board: Board, name: str) -> tuple[int, int]:
    """Check firmware, and return offset and size of the partition where it keeps files.

    Args:
        firmware: content of the file.
        board: what it is for.
        name: of the file, for messages.

    Raises:
        ImageError: it is not for this chip, damaged, or has no place for files.
    """
    assert board.micropython and board.flash_size and board.filesystem.size
    if board.chip == "esp8266":
        if board.flash_size not in _SIZES_8266:
            sizes = ", ".join(f"{size >> 20} MiB" for size in _SIZES_8266)
            raise ImageError(f"the flash of the ESP8266 has {sizes}")
        _check_8266(firmware, name)
        place = (board.filesystem.offset or 0, board.filesystem.size)
    else:
        check_image(firmware, 0, board, name)
        table = partitions(firmware, board.micropython.offset, name)
        app = next((one for one in table if one.kind == _APP), None)
        if app is None:
            raise ImageError(f"{name} has no program in its partition table")
        check_image(firmware, app.offset - board.micropython.offset, board, name)
        place = _place(table, board, name)
    if board.micropython.offset + len(firmware) > place[0]:
        raise ImageError(f"{name} is too long: it ends after the file system's start")
    return place


def romfs(firmware: bytes, board: Board, name: str) -> RomFs | None:
    """Return where firmware that is good (`file_system`) has its ROMFS; None if it has no place.

    Raises:
        ImageError: it is too long.
    """
    assert board.micropython
    start = board.micropython.offset
    found = board.romfs
    if board.chip != "esp8266":
        table = partitions(firmware, start, name)
        own = [one for one in table if one.name == "romfs" and one.kind == _DATA]
        found = RomFs(own[0].offset, own[0].size) if own else None
    if found and start + len(firmware) > found.offset:
        raise ImageError(f"{name} is too long: it ends after the start of its ROMFS")
    return found


def adapted(firmware: bytes, board: Board) -> bytes:
    """Return firmware as it is written to a board: told the size of the flash, where it matters.

    The ESP8266 believes what the header says, and has its file system end there. The others ask
    the flash.
    """
    if board.chip != "esp8266":
        return firmware
    sizes = firmware[3] & 0x0F | _SIZES_8266[board.flash_size or 0] << 4
    return firmware[:3] + bytes([sizes]) + firmware[4:]


def merge(parts: Sequence[tuple[int, bytes]]) -> bytes:
    """Return the content of the flash from its start to the end of the last part."""
    content = bytearray(b"\xff" * max(offset + len(part) for offset, part in parts))
    for offset, part in parts:
        content[offset : offset + len(part)] = part
    return bytes(content)


def partitions(firmware: bytes, start: int, name: str) -> list[Partition]:
    """Return the partition table in a file whose first byte goes to `start` in the flash.

    Raises:
        ImageError: there is none, or it is damaged.
    """
    at = _TABLE_AT - start
    found: list[Partition] = []
    while firmware[at : at + 2] == _ENTRY_MAGIC and len(firmware) >= at + _ENTRY.size:
        _, kind, subtype, offset, size, label, _ = _ENTRY.unpack_from(firmware, at)
        text = label.rstrip(b"\0").decode("ascii", "replace")
        found.append(Partition(text, kind, subtype, offset, size))
        at += _ENTRY.size
    if not found:
        raise ImageError(
            f"{name} has no partition table; take the file that starts with the boot loader, "
            "not the one for updates (.app-bin)"
        )
    if firmware[at : at + 2] == _MD5_MAGIC:
        body = firmware[_TABLE_AT - start : at]
        if hashlib.md5(body, usedforsecurity=False).digest() != firmware[at + 16 : at + 32]:
            raise ImageError(f"{name} is damaged: its partition table does not match its checksum")
    return found


def check_image(firmware: bytes, at: int, board: Board, name: str) -> None:
    """Check one program in a file: that it is whole, and for the board's chip.

    Raises:
        ImageError: it is not.
    """
    assert board.micropython
    head = firmware[max(at, 0) : at + _HEAD_SIZE]
    if len(head) < _HEAD_SIZE or head[0] != _IMAGE_MAGIC:
        raise ImageError(f"{name} is no firmware for {board.title}: there is no program at {at:#x}")
    (chip,) = struct.unpack_from("<H", head, 12)
    if chip != board.micropython.chip_id:
        raise ImageError(
            f"{name} is for another chip: number {chip}, and {board.chip} is number "
            f"{board.micropython.chip_id}; is {board.name} the board that you have?"
        )
    end = _segments_end(firmware, at + _HEAD_SIZE, head[1], name)
    if head[23] and hashlib.sha256(firmware[at:end]).digest() != firmware[end : end + 32]:
        raise ImageError(f"{name} is damaged: the program at {at:#x} does not match its checksum")


def _segments_end(firmware: bytes, at: int, count: int, name: str) -> int:
    """Return where a program ends, but for its hash."""
    for _ in range(count):
        if at + 8 > len(firmware):
            raise ImageError(f"{name} is cut short")
        at += 8 + struct.unpack_from("<I", firmware, at + 4)[0]
    # One byte of checksum, so that the whole is a multiple of 16.
    end = at // 16 * 16 + 16
    if end > len(firmware):
        raise ImageError(f"{name} is cut short")
    return end


def _check_8266(firmware: bytes, name: str) -> None:
    head = firmware[:_HEAD_SIZE_8266]
    good = len(head) == _HEAD_SIZE_8266 and head[0] == _IMAGE_MAGIC
    if not good or struct.unpack_from("<I", head, 4)[0] not in _RAM_8266:
        raise ImageError(f"{name} is no firmware for the ESP8266")
    _segments_end(firmware, _HEAD_SIZE_8266, head[1], name)


def _place(table: list[Partition], board: Board, name: str) -> tuple[int, int]:
    """Return where MicroPython has its file system: in "vfs", else behind all partitions."""
    assert board.flash_size
    if any(one.name == "ffat" for one in table):
        raise ImageError(f"{name} keeps its files in a FAT partition; take one with 'vfs', or none")
    vfs = next((one for one in table if one.name == "vfs" and one.kind == _DATA), None)
    start = vfs.offset if vfs else max(one.end for one in table)
    end = vfs.end if vfs else board.flash_size
    block = board.filesystem.block_size
    if start % block or end % block:
        raise ImageError(f"{name} is damaged: its partitions do not begin with blocks of the flash")
    if end > board.flash_size or end - start < 2 * block:
        raise ImageError(
            f"{name} is for more flash than the {board.flash_size:,} bytes of {board.name}; "
            "give the size that yours has: --flash-size"
        )
    return start, end - start
