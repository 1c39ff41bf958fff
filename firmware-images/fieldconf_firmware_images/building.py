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

from . import about, agent_files, esp, linux, littlefs_image, uf2
from . import firmware as firmwares
from .boards import Board
from .errors import ImageError
from .firmware import Firmware
from .image import Image

_Settings = Mapping[str, Any]


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
    board, rows, parts = _fitted(order)
    where = board.filesystem
    assert where.offset is not None and where.size
    content = littlefs_image.pack(order.files, where, where.size)
    parts.append((where.offset, content))
    merged = esp.merge(parts) if order.firmware else None
    place = 0 if merged else where.offset
    return Image(
        board=board,
        node=order.node,
        files=order.files,
        filesystem=content,
        parts=tuple(parts),
        merged=merged,
        packed=merged or content,
        contents=(*rows, *_rows(order, content, board)),
        usage=f"esptool --chip {board.chip} write-flash {place:#x} OUT",
    )


def _fitted(order: _Order) -> tuple[Board, list[about.Row], list[tuple[int, bytes]]]:
    """Return the board with the file system of its firmware, what is told of that, and its part."""
    board, given = order.board, order.firmware
    if given is None:
        return board, [], []
    offset, size = esp.file_system(given.content, board, given.name)
    version = firmwares.version(given.content, given.name)
    board = replace(board, filesystem=replace(board.filesystem, offset=offset, size=size))
    assert board.micropython
    part = board.micropython.offset, esp.adapted(given.content, board)
    return board, [about.firmware(given, version)], [part]


def _for_uf2(order: _Order) -> Image:
    release, where = order.board.micropython, order.board.filesystem
    assert release and release.family and where.offset is not None and where.size
    content = littlefs_image.pack(order.files, where, where.size)
    pages = uf2.split(content, release.base + where.offset)
    rows, parts, others = [], [(where.offset, content)], b""
    if order.firmware:
        name = order.firmware.name
        room = range(release.base, release.base + where.offset)
        held = uf2.parse(order.firmware.content, release.family, room, name)
        rows.append(about.firmware(order.firmware, firmwares.version(held.content, name)))
        parts.insert(0, (held.start - release.base, held.content))
        pages.update(held.pages)
        others = held.others
    merged = uf2.write(pages, release.family, others)
    drive = order.board.flashing.drive
    return Image(
        board=order.board,
        node=order.node,
        files=order.files,
        filesystem=content,
        parts=tuple(parts),
        merged=merged,
        packed=merged,
        contents=(*rows, *_rows(order, content, order.board)),
        usage=f"hold BOOTSEL while plugging it in, and copy OUT to the drive {drive}",
    )


def _rows(order: _Order, content: bytes, board: Board) -> list[about.Row]:
    return [
        about.partition(order.files, content, board.filesystem),
        about.settings(order.settings),
        about.network(order.settings),
    ]


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
