"""What is known of each kind of board: chip, flash, file system, MicroPython, how to flash it.

A board is one TOML file. Those that come with Fieldconf lie in ``firmware-images/boards``; a file
of one's own is used by its path. Which keys there are says `board_schema`. This module does not say
how an image is built nor how it gets onto the board.
"""

import sys
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    from importlib.resources.abc import Traversable

    import tomllib
else:
    from importlib.abc import Traversable

    import tomli as tomllib

from . import board_schema
from .board_schema import BoardError


@dataclass(frozen=True)
class FileSystem:
    """Where the board keeps files.

    Attributes:
        kind: one of `board_schema.FILE_SYSTEMS`; "posix" is a folder.
        offset: where it starts in the flash, in bytes; None where only the board itself knows.
        size: bytes; None where only the board itself knows.
        reserved: bytes between its end and the end of the flash.
        fixed: it does not grow with the flash.
        block_size, read_size, prog_size, lookahead_size: LittleFS' parameters, as the port of
            MicroPython mounts it.
    """

    kind: str
    offset: int | None
    size: int | None
    reserved: int
    fixed: bool
    block_size: int
    read_size: int
    prog_size: int
    lookahead_size: int

    @property
    def cache_size(self) -> int:
        """Return what MicroPython makes of the other parameters; longer files are not inlined."""
        return min(self.block_size, 4 * max(self.read_size, self.prog_size))


@dataclass(frozen=True)
class RomFs:
    """Where firmware looks for modules that run in place, and take no memory for their code.

    Attributes:
        offset: where it starts in the flash, in bytes.
        size: bytes.
    """

    offset: int
    size: int


@dataclass(frozen=True)
class MicroPython:
    """The release that images are built for, and its firmware file.

    Attributes:
        version: as in "1.28.0".
        url: the page where the file is offered.
        file: its name there; None where Fieldconf does not write firmware.
        sha256: of this file, 64 hexadecimal digits; None where it is not known.
        offset: where the file starts in the flash.
        chip_id: the number of the chip in the headers of ESP images.
        base: address at which the flash appears; UF2 files count from there.
        family: the family of chips in UF2 files.
    """

    version: str
    url: str
    file: str | None
    sha256: str | None
    offset: int
    chip_id: int | None
    base: int
    family: int | None


@dataclass(frozen=True)
class Flashing:
    """How an image gets onto the board.

    Attributes:
        method: one of `board_schema.METHODS`.
        baud: speed of the serial line while esptool writes, or of the REPL.
        drive: name of the drive as which the board's boot loader shows (UF2).
    """

    method: str
    baud: int
    drive: str | None


@dataclass(frozen=True)
class Board:
    """One kind of board.

    Attributes:
        name: of its file, without ".toml": what users type.
        title: what people call it.
        chip: as esptool calls it, or the maker's name.
        mcu: the processor, for readers.
        arch: for ``mpy-cross -march``, or None.
        network: which of `board_schema.NETWORKS` it has.
        flash_size: of the whole flash, in bytes; None where it does not matter.
        romfs: None where the firmware has none, or only the firmware or the board itself knows.
    """

    name: str
    title: str
    chip: str
    mcu: str
    arch: str | None
    network: tuple[str, ...]
    flash_size: int | None
    filesystem: FileSystem
    romfs: RomFs | None
    micropython: MicroPython | None
    flashing: Flashing

    def with_flash_size(self, size: int) -> "Board":
        """Return the same kind of board with another flash; its file system fills what is left.

        Raises:
            BoardError: the place of the file system does not depend on the flash.
        """
        if size == self.flash_size:
            return self
        if self.filesystem.fixed or self.filesystem.offset is None:
            raise BoardError(f"{self.name} has one size of flash only; leave out the size")
        rest = size - self.filesystem.offset - self.filesystem.reserved
        if size % self.filesystem.block_size:
            raise BoardError(f"{self.name}: no flash has {size} bytes; write 16MB, for example")
        if rest < 2 * self.filesystem.block_size:
            raise BoardError(f"{self.name}: a flash of {size} bytes has no room for files")
        return replace(self, flash_size=size, filesystem=replace(self.filesystem, size=rest))


def _folder() -> Traversable:
    """Return where the descriptions lie: a package of their own, or in a checkout beside us."""
    beside = Path(__file__).parents[1]
    if beside.name == "firmware-images":
        return beside / "boards"
    return resources.files("fieldconf_boards")


def names() -> list[str]:
    """Return the boards that come with Fieldconf."""
    found = (file.name for file in _folder().iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def load(name: str) -> Board:
    """Return a board that comes with Fieldconf, or the one in a file (a path ending in .toml).

    Raises:
        BoardError: there is none, or its description is refused.
    """
    if name.endswith(".toml"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BoardError(f"cannot read the board {name}: {error}") from error
        return parse(text, Path(name).stem, name)
    if name not in names():
        raise BoardError(f"there is no board {name!r}; known are {', '.join(names())}")
    file = f"{name}.toml"
    text = _folder().joinpath(file).read_text(encoding="utf-8")
    return parse(text, name, f"boards/{file}")


def parse(text: str, name: str, file: str) -> Board:
    """Return the board that a TOML text describes.

    Args:
        text: the description.
        name: of the board.
        file: for messages.

    Raises:
        BoardError: names `file` and the key, and says what was expected.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BoardError(f"{file}: not TOML: {error}") from error
    values = board_schema.checked(tables, file)
    return _board(values, name, file)


def _board(values: dict[str, Any], name: str, file: str) -> Board:
    def part(table: str) -> dict[str, Any]:
        head = table + "."
        return {k.removeprefix(head): v for k, v in values.items() if k.startswith(head)}

    micropython = MicroPython(**part("micropython")) if values["micropython.version"] else None
    top = {key: value for key, value in values.items() if "." not in key}
    top["network"] = tuple(top["network"])
    return Board(
        name=name,
        flash_size=values["flash.size"],
        filesystem=_file_system(part("filesystem"), values["flash.size"], file),
        romfs=_romfs(part("romfs"), values["filesystem.offset"], values["flashing.method"], file),
        micropython=micropython,
        flashing=Flashing(**part("flashing")),
        **top,
    )


def _file_system(values: dict[str, Any], flash: int | None, file: str) -> FileSystem:
    offset, size = values["offset"], values["size"]
    fixed = size is not None
    if size is None and flash is not None and offset is not None:
        size = flash - offset - values["reserved"]
    if size is not None:
        if size <= 0 or size % values["block_size"]:
            raise BoardError(
                f"{file}: filesystem.size: expected whole blocks of {values['block_size']} bytes, "
                f"found {size}"
            )
        if flash is not None and offset is not None and offset + size > flash:
            raise BoardError(f"{file}: filesystem.size: expected an end within flash.size")
    return FileSystem(**{**values, "size": size, "fixed": fixed})


def _romfs(values: dict[str, Any], end: int | None, method: str, file: str) -> RomFs | None:
    """Return the ROMFS. It ends where files begin, so that both can be written as one piece."""
    if values["size"] is None:
        return None
    found = RomFs(**values)
    key = f"{file}: romfs.size: expected"
    if method not in board_schema.WHOLE_FLASH:
        raise BoardError(f"{key} none, since this board is asked for it, found {found.size:#x}")
    if found.offset + found.size != end or not found.size:
        there = found.offset + found.size
        raise BoardError(f"{key} an end at filesystem.offset, {end:#x}, found {there:#x}")
    return found
