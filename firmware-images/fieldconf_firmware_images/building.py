"""Builds the image of one node for one kind of board; the same input gives the same bytes.

Nothing is read from disk but the agent, nothing is written, nothing downloaded: firmware and
settings come from the caller.
"""

import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fieldconf_microagent.version import VERSION

from . import agent_files, esp, linux, littlefs_image, uf2
from . import firmware as firmwares
from .boards import Board
from .errors import ImageError
from .firmware import Firmware
from .image import Image

_Settings = Mapping[str, Any]


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
    if board.network == ("none",) and not _is_serial(settings):
        raise ImageError(
            f"{board.title} has no network: it speaks over its serial line, which the gateway "
            "bridges; give it the broker serial:"
        )
    files = agent_files.for_board(settings, board.filesystem.kind == "posix")
    make = _MAKERS.get(board.flashing.method, _as_files)
    return make(board, settings, files, firmware)


def _for_esptool(
    board: Board, settings: _Settings, files: dict[str, bytes], firmware: Firmware | None
) -> Image:
    assert board.filesystem.offset is not None and board.filesystem.size
    offset, size = board.filesystem.offset, board.filesystem.size
    rows = []
    if firmware:
        offset, size = esp.file_system(firmware.content, board, firmware.name)
        found = firmwares.version(firmware.content, firmware.name)
        board = replace(board, filesystem=replace(board.filesystem, offset=offset, size=size))
        rows.append(_about_firmware(firmware, found))
    content = littlefs_image.pack(files, board.filesystem, size)
    rows += [_about_files(board, files, content), *_about_settings(settings)]
    parts: list[tuple[int, bytes]] = [(offset, content)]
    if firmware and board.micropython:
        parts.insert(0, (board.micropython.offset, esp.adapted(firmware.content, board)))
    merged = esp.merge(parts) if firmware else None
    place = 0 if merged else offset
    return Image(
        board=board,
        node=str(settings["node"]),
        files=files,
        filesystem=content,
        parts=tuple(parts),
        merged=merged,
        packed=merged or content,
        contents=tuple(rows),
        usage=f"esptool --chip {board.chip} write-flash {place:#x} OUT",
    )


def _for_uf2(
    board: Board, settings: _Settings, files: dict[str, bytes], firmware: Firmware | None
) -> Image:
    release, where = board.micropython, board.filesystem
    assert release and release.family and where.offset is not None and where.size
    content = littlefs_image.pack(files, where, where.size)
    pages = uf2.split(content, release.base + where.offset)
    rows, parts, others = [], [(where.offset, content)], b""
    if firmware:
        room = range(release.base, release.base + where.offset)
        held = uf2.parse(firmware.content, release.family, room, firmware.name)
        rows.append(_about_firmware(firmware, firmwares.version(held.content, firmware.name)))
        others = held.others
        parts.insert(0, (held.start - release.base, held.content))
        pages.update(held.pages)
    rows += [_about_files(board, files, content), *_about_settings(settings)]
    merged = uf2.write(pages, release.family, others)
    drive = board.flashing.drive
    return Image(
        board=board,
        node=str(settings["node"]),
        files=files,
        filesystem=content,
        parts=tuple(parts),
        merged=merged,
        packed=merged,
        contents=tuple(rows),
        usage=f"hold BOOTSEL while plugging it in, and copy OUT to the drive {drive}",
    )


def _as_files(
    board: Board, settings: _Settings, files: dict[str, bytes], firmware: Firmware | None
) -> Image:
    if firmware:
        raise ImageError(f"{board.name} takes no firmware from here: leave out --firmware")
    usage, about = "tar -xf OUT, then copy the files onto the board", _about_settings(settings)
    if board.filesystem.kind == "posix":
        usage, about = "tar -xf OUT -C FOLDER, then in FOLDER: micropython main.py", about[:1]
    return Image(
        board=board,
        node=str(settings["node"]),
        files=files,
        filesystem=None,
        parts=(),
        merged=None,
        packed=_tar(files),
        contents=(("files", _count(files)), *about),
        usage=usage,
    )


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
        filesystem=None,
        parts=(),
        merged=None,
        packed=linux.user_data(node, content.decode(), package),
        contents=(("package", f"pip install {package}"), *_about_settings(settings)[:1]),
        usage="give OUT to the machine as cloud-init's user data",
    )


_MAKERS: dict[str, Callable[[Board, _Settings, dict[str, bytes], Firmware | None], Image]] = {
    "esptool": _for_esptool,
    "uf2": _for_uf2,
}


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


def _about_firmware(firmware: Firmware, version: str) -> tuple[str, str]:
    known = "as expected" if firmware.trusted else "which nobody vouches for; --sha256 checks it"
    return (
        "firmware",
        f"MicroPython {version}, {len(firmware.content):,} bytes from {firmware.name}, "
        f"SHA-256 {firmware.sha256}, {known}",
    )


def _about_files(board: Board, files: Mapping[str, bytes], content: bytes) -> tuple[str, str]:
    used = littlefs_image.used_bytes(content, board.filesystem)
    return (
        "files",
        f"{_count(files)}; they take {used:,} of the {len(content):,} bytes at "
        f"{board.filesystem.offset:#x}, {len(content) - used:,} are free",
    )


def _count(files: Mapping[str, bytes]) -> str:
    total = sum(map(len, files.values()))
    return f"agent {VERSION} and what starts it, {len(files)} with {total:,} bytes"


def _about_settings(settings: _Settings) -> list[tuple[str, str]]:
    """Return what the settings say, without secrets: who it is, and which network it uses."""
    parts = [
        f"broker {settings.get('broker')}",
        f"key with fingerprint {agent_files.fingerprint(settings)}",
    ]
    if settings.get("fleet"):
        parts.insert(0, f"fleet {settings['fleet']}")
    return [("settings", ", ".join(parts)), ("network", _network(settings))]


def _network(settings: _Settings) -> str:
    if _is_serial(settings):
        return "none; it speaks over a serial line, which 'fieldconf bridge' leads to the broker"
    if settings.get("wifi"):
        return "Wi-Fi " + ", ".join(str(one[0]) for one in settings["wifi"])
    if settings.get("lan") is not None:
        return "Ethernet"
    return 'none is named; for Wi-Fi the settings need "wifi": [[NAME, PASSWORD]]'


def _is_serial(settings: _Settings) -> bool:
    return str(settings.get("broker")).startswith("serial:")
