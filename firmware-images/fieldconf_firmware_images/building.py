"""Builds the image of one node for one kind of board; the same input gives the same bytes.

Nothing is read from disk but the agent, nothing is written, nothing downloaded: firmware and
settings come from the caller.
"""

import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from fieldconf_microagent.version import VERSION

from . import about, agent_files, esp, linux, littlefs_image, romfs_image, uf2
from . import firmware as firmwares
from .boards import Board, RomFs
from .errors import ImageError
from .firmware import Firmware
from .image import Image

_Settings = Mapping[str, Any]
_Part = tuple[int, bytes]


@dataclass(frozen=True)
class _Order:
    """What is put together; `files` are for the board's file system."""

    board: Board
    settings: _Settings
    files: Mapping[str, bytes]
    firmware: Firmware | None

    @property
    def node(self) -> str:
        return str(self.settings["node"])


def build(
    board: Board,
    settings: _Settings,
    firmware: Firmware | None = None,
    package: str = f"fieldconf=={VERSION}",
) -> Image:
    """Return the image of the node that the settings name.

    Args:
        board: the kind of board.
        settings: as `fieldconf_microagent.settings` reads them, the key in hexadecimal digits.
        firmware: MicroPython for the board; without, the image holds the files alone.
        package: what pip installs on a machine with Linux.

    Raises:
        ImageError: the settings or the firmware are refused, or something does not fit.
    """
    if board.flashing.method == "none":
        return _for_linux(board, settings, package)
    if board.network == ("none",) and not agent_files.is_serial(settings):
        raise ImageError(
            f"{board.title} has no network: it speaks over its serial line, which the gateway "
            "bridges; give it the broker serial:"
        )
    files = agent_files.for_board(settings, board.filesystem.kind == "posix")
    make = _MAKERS.get(board.flashing.method, _as_files)
    return make(_Order(board, settings, files, firmware))


def _for_esptool(order: _Order) -> Image:
    order, rows, parts = _fitted(order)
    made = _flash(order)
    parts += made.parts
    merged = esp.merge(parts) if order.firmware else None
    place = 0 if merged else parts[0][0]
    return Image(
        board=order.board,
        node=order.node,
        files=order.files,
        filesystem=made.filesystem,
        romfs=made.romfs,
        parts=tuple(parts),
        merged=merged,
        packed=merged or esp.merge([(offset - place, part) for offset, part in parts]),
        contents=(*rows, *made.rows, *_rows(order)),
        usage=f"esptool --chip {order.board.chip} write-flash {place:#x} OUT",
    )


def _fitted(order: _Order) -> tuple[_Order, list[about.Row], list[_Part]]:
    """Return the order with the places that its firmware has, what is told of it, and its part."""
    board, given = order.board, order.firmware
    if given is None:
        return order, [], []
    offset, size = esp.file_system(given.content, board, given.name)
    row = about.firmware(given, firmwares.version(given.content, given.name))
    has_romfs = _check_romfs(given.content, order)
    romfs = esp.romfs(given.content, board, given.name) if has_romfs else None
    files = replace(board.filesystem, offset=offset, size=size)
    board = replace(board, filesystem=files, romfs=romfs)
    assert board.micropython
    part = board.micropython.offset, esp.adapted(given.content, board)
    return replace(order, board=board), [row], [part]


def _for_uf2(order: _Order) -> Image:
    release, where = order.board.micropython, order.board.filesystem
    assert release and release.family and where.offset is not None and where.size
    made = _flash(order)
    rows, parts, others = made.rows, made.parts, b""
    pages: dict[int, bytes] = {}
    for offset, content in parts:
        pages.update(uf2.split(content, release.base + offset))
    if order.firmware:
        name = order.firmware.name
        room = range(release.base, release.base + parts[0][0])
        held = uf2.parse(order.firmware.content, release.family, room, name)
        _check_romfs(held.content, order)
        rows.insert(0, about.firmware(order.firmware, firmwares.version(held.content, name)))
        parts.insert(0, (held.start - release.base, held.content))
        pages.update(held.pages)
        others = held.others
    merged = uf2.write(pages, release.family, others)
    drive = order.board.flashing.drive
    return Image(
        board=order.board,
        node=order.node,
        files=order.files,
        filesystem=made.filesystem,
        romfs=made.romfs,
        parts=tuple(parts),
        merged=merged,
        packed=merged,
        contents=(*rows, *_rows(order)),
        usage=f"hold BOOTSEL while plugging it in, and copy OUT to the drive {drive}",
    )


@dataclass(frozen=True)
class _Content:
    """What the node adds to the flash of its board, in ascending order of places."""

    parts: list[_Part]
    rows: list[about.Row]
    filesystem: bytes
    romfs: bytes | None


def _flash(order: _Order) -> _Content:
    """Make the file system, and the ROMFS where the board has one."""
    where, romfs = order.board.filesystem, order.board.romfs
    assert where.offset is not None and where.size
    held, parts, rows, modules = dict(order.files), [], [], None
    if romfs:
        in_place = agent_files.in_place(held)
        held = {path: held[path] for path in held if path not in in_place}
        modules = _packed_modules(in_place, romfs)
        parts.append((romfs.offset, modules))
        rows.append(about.romfs(in_place, modules, romfs, order.firmware is not None))
    content = littlefs_image.pack(held, where, where.size)
    parts.append((where.offset, content))
    rows.append(about.partition(held, content, where))
    return _Content(parts, rows, content, modules)


def _packed_modules(files: Mapping[str, bytes], where: RomFs) -> bytes:
    content = romfs_image.pack(files)
    if len(content) > where.size:
        raise ImageError(
            f"the agent does not fit into the board's ROMFS: it has {len(content):,} bytes, and "
            f"there is room for {where.size:,}; take firmware with a larger ROMFS, or without one"
        )
    return content


def _check_romfs(content: bytes, order: _Order) -> bool:
    """Return whether firmware has a ROMFS.

    Raises:
        ImageError: it has none, though the agent of this board needs it.
    """
    board, given = order.board, order.firmware
    has = firmwares.has_romfs(content)
    if board.romfs and not has:
        assert board.micropython and given
        raise ImageError(
            f"{given.name} has no ROMFS, which the agent needs on {board.title}: get "
            f"{board.micropython.file} from {board.micropython.url}"
        )
    return has


def _rows(order: _Order) -> list[about.Row]:
    return [about.settings(order.settings), about.network(order.settings)]


def _as_files(order: _Order) -> Image:
    if order.firmware:
        raise ImageError(f"{order.board.name} takes no firmware from here: leave out --firmware")
    rows = [about.files(order.files), about.settings(order.settings)]
    if order.board.filesystem.kind == "posix":
        usage = "tar -xf OUT -C FOLDER, then in FOLDER: micropython main.py"
    else:
        usage = "tar -xf OUT and copy the files onto the board, or have 'fieldconf flash' do it"
        rows.append(about.network(order.settings))
    return Image(
        board=order.board,
        node=order.node,
        files=order.files,
        packed=_tar(order.files),
        contents=tuple(rows),
        usage=usage,
    )


_MAKERS: dict[str, Callable[[_Order], Image]] = {"esptool": _for_esptool, "uf2": _for_uf2}


def _for_linux(board: Board, settings: _Settings, package: str) -> Image:
    content = agent_files.settings_file(settings)
    node = str(settings["node"])
    files = {
        linux.FOLDER.lstrip("/") + "/settings.json": content,
        linux.UNIT.lstrip("/"): linux.service(node).encode(),
    }
    return Image(
        board=board,
        node=node,
        files=files,
        packed=linux.user_data(node, content.decode(), package),
        contents=(("package", f"pip install {package}"), about.settings(settings)),
        usage="give OUT to the machine as cloud-init's user data",
    )


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Return an archive without anything that depends on where and when it was made."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o600
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
