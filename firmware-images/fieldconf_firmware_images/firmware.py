"""Finds the MicroPython firmware that the user brought, and tells whether it is the expected one.

Nothing is downloaded: whoever wants firmware on a board gets it from its makers, gives its path or
puts it into the cache folder.
"""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from .boards import Board
from .errors import ImageError

_VERSION = re.compile(rb"\bv(\d+)\.(\d+)(?:\.\d+)?[-\w.]* on \d{4}-\d\d-\d\d")
#: A function that only firmware with ROMFS has; names of functions stand in it as they are.
_ROM_IOCTL = b"rom_ioctl"
#: The agent's compiled modules, and its source, are understood since then.
_OLDEST = (1, 20)


@dataclass(frozen=True)
class Firmware:
    """A firmware file.

    Attributes:
        name: of the file.
        content: what is in it.
        sha256: of that.
        trusted: its hash is the one that was expected.
    """

    name: str
    content: bytes
    sha256: str
    trusted: bool


def cache_folder() -> Path:
    """Return where firmware is looked for when no path is given."""
    own = os.environ.get("FIELDCONF_CACHE")
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fieldconf"


def find(board: Board) -> Path:
    """Return the path of the board's firmware in the cache folder.

    Raises:
        ImageError: it is not there; the message says where it can be had.
    """
    release = board.micropython
    assert release and release.file
    path = cache_folder() / release.file
    if not path.is_file():
        expected = f"Its SHA-256 is {release.sha256}. " if release.sha256 else ""
        raise ImageError(
            f"there is no firmware for {board.title} yet. Get {release.file} from {release.url} "
            f"and put it into {path.parent}, or give its path with --firmware. {expected}"
            "For the files alone, without firmware: --files-only"
        )
    return path


def read(path: Path, board: Board, sha256: str | None = None) -> Firmware:
    """Read a firmware file and compare its hash with the expected one.

    Args:
        path: of the file.
        board: what it is for; its description may know the hash.
        sha256: the hash that the user trusts; goes before the description's.

    Raises:
        ImageError: it cannot be read, or has another hash.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read the firmware {path}: {error.strerror}") from error
    release = board.micropython
    assert release
    digest = hashlib.sha256(content).hexdigest()
    expected = sha256.lower() if sha256 else None
    if expected is None and path.name == release.file:
        expected = release.sha256
    if expected and digest != expected:
        raise ImageError(
            f"{path} is not the expected firmware, or it is damaged: its SHA-256 is {digest}, "
            f"expected {expected}. Get it again from {release.url}; if you trust this one, say so "
            f"with --sha256 {digest}"
        )
    return Firmware(path.name, content, digest, digest in (expected, release.sha256))


def version(content: bytes, name: str) -> str:
    """Return which MicroPython is in firmware, as in "v1.28.0 on 2026-04-06".

    Raises:
        ImageError: it is no MicroPython, or too old for the agent.
    """
    found = _VERSION.search(content)
    if found is None:
        raise ImageError(f"{name} is no MicroPython: it does not say its version")
    text = found.group().decode()
    if (int(found.group(1)), int(found.group(2))) < _OLDEST:
        raise ImageError(f"{name} is too old: {text}; the agent needs v1.20 or newer")
    return text


def has_romfs(content: bytes) -> bool:
    """Tell whether the MicroPython in firmware mounts a ROMFS."""
    return _ROM_IOCTL in content
