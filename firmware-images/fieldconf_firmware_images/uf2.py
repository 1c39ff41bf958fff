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
    pages: dict[int, bytes] = {}
    numbers: set[int] = set()
    totals: set[int] = set()
    found: set[int] = set()
    others = []
    for index in range(0, len(content), SIZE):
        block = content[index : index + SIZE]
        flags, address, size, number, total, own = _block(block, index // SIZE, name)
        found.add(own)
        if own != family or flags & _NOT_FLASH:
            others.append(block)
            continue
        if size != PAYLOAD or address % PAYLOAD:
            raise ImageError(f"{name}: block {index // SIZE} is not 256 bytes on a page of 256")
        if address not in flash or address + size > flash.stop:
            raise ImageError(
                f"{name} is too long, or for another board: block {index // SIZE} goes to "
                f"{address:#x}; there are {flash.start:#x} to {flash.stop:#x} for firmware"
            )
        pages[address] = block[_HEAD.size : _HEAD.size + size]
        numbers.add(number)
        totals.add(total)
    if not pages:
        named = ", ".join(f"0x{one:08x}" for one in sorted(found))
        raise ImageError(f"{name} is for other chips: it has family {named}, not 0x{family:08x}")
    if len(totals) != 1 or len(numbers) != max(totals) or max(numbers) >= max(totals):
        raise ImageError(f"{name} is not complete: it has {len(numbers)} of {max(totals)} blocks")
    return Firmware(dict(sorted(pages.items())), b"".join(others))


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


def _block(block: bytes, index: int, name: str) -> tuple[int, int, int, int, int, int]:
    start, start_2, flags, address, size, number, total, family = _HEAD.unpack_from(block)
    (end,) = struct.unpack_from("<I", block, SIZE - 4)
    if (start, start_2, end) != (_START, _START_2, _END):
        raise ImageError(f"{name} is no UF2 file, or damaged: block {index} has a wrong mark")
    return flags, address, size, number, total, family if flags & _HAS_FAMILY else 0
