"""What files ask of a board that is to hold them; boards that cannot are refused, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from .board_files import Facts
from .flash_errors import FlashError


@dataclass(frozen=True)
class Needs:
    """What files ask of a board; a plain transfer asks nothing.

    Attributes:
        heap: free memory without them, in bytes.
        files: they import each other from folders, and write files that they rename.
        version: of MicroPython, at least.
    """

    heap: int = 0
    files: bool = False
    version: tuple[int, ...] = ()


# With less free memory, an agent that does not run in place may not start.
_ROOMY_HEAP = 48 * 1024
#: Of the agent; the heap is that of design 16, on a board of 32 bits.
AGENT = Needs(heap=24 * 1024, files=True, version=(1, 20))


def check(facts: Facts, files: Mapping[str, bytes], needs: Needs) -> None:
    """Refuse a board that cannot run the files, before anything is written."""
    if needs.files and not (facts.has_stat and facts.has_rename):
        raise FlashError(
            f"this board cannot hold the agent: {facts.text} has {_kib(facts.heap)} of free "
            "memory and a file system without folders",
            f"the agent needs {_kib(needs.heap)} and MicroPython {_version(needs.version)} or "
            "later: take another board, or one with a newer MicroPython",
            kind="too-small",
        )
    if needs.version and (facts.name != "micropython" or facts.version < needs.version):
        raise FlashError(
            f"this board runs {facts.text}, the agent needs MicroPython "
            f"{_version(needs.version)} or later",
            "flash a newer MicroPython from micropython.org first, or a whole image with --board",
            kind="wrong-board",
        )
    if facts.heap < needs.heap:
        raise FlashError(
            f"this board has too little memory: {facts.text} has {_kib(facts.heap)} free, "
            f"the agent needs {_kib(needs.heap)}",
            "take a board with more memory",
            kind="too-small",
        )
    for path, content in sorted(files.items()):
        # A compiled file begins with "M" and its version; the board's is in the low byte.
        if path.endswith(".mpy") and content[1] != facts.mpy & 0xFF:
            raise FlashError(
                f"{path} is compiled for version {content[1]} of compiled files, {facts.text} "
                f"takes {facts.mpy & 0xFF or 'none'}",
                "make the image for the board's MicroPython, or flash the MicroPython that the "
                "image is for",
                kind="wrong-board",
            )


def check_room(facts: Facts, files: Mapping[str, bytes], differ: Mapping[str, int]) -> None:
    """Refuse a board whose file system is too small, as far as it says its size."""
    block = facts.block
    if not block:
        return

    def blocks(size: int) -> int:
        return -(-size // block) * block

    # Each new file is there beside the old one for a while; main.py goes first.
    grows = sum(blocks(len(files[path])) - blocks(size) for path, size in differ.items())
    needed = max(grows, 0) + max(blocks(len(files[path])) for path in differ or files)
    if needed > facts.free:
        raise FlashError(
            f"the files do not fit: {_kib(needed)} more are needed, the board has "
            f"{_kib(facts.free)} left",
            "remove files from the board, or make its file system anew with a full image",
            kind="too-small",
        )


def why_not_in_place(facts: Facts, rom: int, needed: int, has_others: bool) -> str:
    """Return why the agent cannot run from a board's ROMFS, if that is worth a word.

    Args:
        facts: of the board.
        rom: bytes that its ROMFS has; 0 where there is none.
        needed: bytes that the agent takes there.
        has_others: files of somebody else lie there.
    """
    if not rom and facts.heap < _ROOMY_HEAP:
        return (
            f"its MicroPython has no ROMFS to run the agent from, and {_kib(facts.heap)} of memory "
            "may be too few without: flash a MicroPython with ROMFS, if there is one for this board"
        )
    if 0 < rom < needed:
        return (
            f"its ROMFS has {rom:,} bytes, and the agent {needed:,}: so it is among the files, "
            "where it takes more memory"
        )
    if has_others:
        return (
            "its ROMFS holds somebody else's files, which stay: so the agent is among the files, "
            "where it takes more memory; if nobody needs them, have 'mpremote romfs deploy' put "
            "an empty folder there first"
        )
    return ""


def _version(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _kib(size: int) -> str:
    return f"{size / 1024:.0f} KB"
