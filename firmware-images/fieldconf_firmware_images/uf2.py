"""Reads and writes UF2: flash content in blocks of 512 bytes, each with its own address.

A chip's boot loader shows itself as a drive and takes such a file when it is copied there. It knows
that it has all when it saw every number once, so all blocks of a family are counted through.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import ImageError

SIZE = 512
PAYLOAD = 256
_START = 0x0A324655
_START_2 = 0x9E5D5157
_END = 0x0AB16F30
_NOT_FLASH = 0x0001
_HAS_FAMILY = 0x2000
_HEAD = struct.Struct("<8I")


@dataclass(frozen=True)
class _Block:
    """One block; the names are those of its head."""

    index: int
    whole: bytes
    flags: int
    address: int
    size: int
    number: int
    total: int
    family: int


@dataclass(frozen=True)
class Firmware:
    """What a UF2 file holds for one family of chips.

    Attributes:
        pages: address → 256 bytes, in ascending order.
        others: blocks for other families, as they are; chips ignore those that they do not know.
    """

    pages: dict[int, bytes]
    others: bytes

    @property
    def end(self) -> int:
        """Return the address after the last page."""
        return max(self.pages) + PAYLOAD

    @property
    def start(self) -> int:
        """Return the address of the first page."""
        return min(self.pages)

    @property
    def content(self) -> bytes:
        """Return what lies from start to end; gaps are empty flash."""
        content = bytearray(b"\xff" * (self.end - self.start))
        for address, page in self.pages.items():
            at = address - self.start
            content[at : at + PAYLOAD] = page
        return bytes(content)


def parse(content: bytes, family: int, flash: range, name: str) -> Firmware:
    """Return what a file holds for a family.

    Args:
        content: of the file.
        family: number of the family of chips.
        flash: addresses that it may use.
        name: of the file, for messages.

    Raises:
        ImageError: it is no UF2 file, it is cut short, too long, or for other chips.
    """
    if len(content) % SIZE or not content:
        raise ImageError(f"{name} is no UF2 file, or cut short: its size is no multiple of 512")
    blocks = [_block(content[at : at + SIZE], at // SIZE, name) for at in _starts(content)]
    own = [one for one in blocks if one.family == family and not one.flags & _NOT_FLASH]
    if not own:
        named = ", ".join(f"0x{one:08x}" for one in sorted({one.family for one in blocks}))
        raise ImageError(f"{name} is for other chips: it has family {named}, not 0x{family:08x}")
    for one in own:
        _check(one, flash, name)
    numbers, total = {one.number for one in own}, max(one.total for one in own)
    if {one.total for one in own} != {total} or len(numbers) != total or max(numbers) >= total:
        raise ImageError(f"{name} is not complete: it has {len(numbers)} of {total} blocks")
    pages = {one.address: one.whole[_HEAD.size : _HEAD.size + PAYLOAD] for one in own}
    known = {one.index for one in own}
    others = b"".join(one.whole for one in blocks if one.index not in known)
    return Firmware(dict(sorted(pages.items())), others)


def write(pages: dict[int, bytes], family: int, others: bytes = b"") -> bytes:
    """Return a UF2 file with these pages, in the order of their addresses.

    Args:
        pages: address → 256 bytes.
        family: number of the family of chips.
        others: complete blocks for other families, which go first.
    """
    blocks = [others]
    for number, (address, content) in enumerate(sorted(pages.items())):
        head = _HEAD.pack(
            _START, _START_2, _HAS_FAMILY, address, PAYLOAD, number, len(pages), family
        )
        filled = (head + content).ljust(SIZE - 4, b"\0")
        blocks.append(filled + struct.pack("<I", _END))
    return b"".join(blocks)


def split(content: bytes, address: int) -> dict[int, bytes]:
    """Return content that starts at an address in pages."""
    return dict(_pages(content, address))


def _pages(content: bytes, address: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(content), PAYLOAD):
        yield address + start, content[start : start + PAYLOAD].ljust(PAYLOAD, b"\xff")


def _starts(content: bytes) -> range:
    return range(0, len(content), SIZE)


def _block(whole: bytes, index: int, name: str) -> _Block:
    start, start_2, flags, address, size, number, total, family = _HEAD.unpack_from(whole)
    (end,) = struct.unpack_from("<I", whole, SIZE - 4)
    if (start, start_2, end) != (_START, _START_2, _END):
        raise ImageError(f"{name} is no UF2 file, or damaged: block {index} has a wrong mark")
    if not flags & _HAS_FAMILY:
        family = 0
    return _Block(index, whole, flags, address, size, number, total, family)


def _check(block: _Block, flash: range, name: str) -> None:
    """Check that a block goes to a page of the flash."""
    if block.size != PAYLOAD or block.address % PAYLOAD:
        raise ImageError(f"{name} is damaged: block {block.index} does not fill a page of 256")
    if block.address not in flash or block.address + PAYLOAD > flash.stop:
        raise ImageError(
            f"{name} is too long, or for another board: block {block.index} goes to "
            f"{block.address:#x}; there are {flash.start:#x} to {flash.stop:#x} for firmware"
        )
