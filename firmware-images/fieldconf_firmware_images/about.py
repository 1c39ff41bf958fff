"""What an image tells people of itself, in rows of (what, about it); never a secret."""

from collections.abc import Mapping
from typing import Any

from fieldconf_microagent.version import VERSION

from . import agent_files, littlefs_image
from .boards import FileSystem, RomFs
from .firmware import Firmware

Row = tuple[str, str]


def firmware(found: Firmware, version: str) -> Row:
    """Tell which MicroPython it is, and whether somebody vouches for the file."""
    known = "as expected" if found.trusted else "which nobody vouches for; --sha256 checks it"
    return (
        "firmware",
        f"MicroPython {version}, {len(found.content):,} bytes from {found.name}, "
        f"SHA-256 {found.sha256}, {known}",
    )


def files(held: Mapping[str, bytes]) -> Row:
    """Tell what is put onto the board."""
    agent = f"agent {VERSION} and " if agent_files.in_place(held) else ""
    total = sum(map(len, held.values()))
    return "files", f"{agent}what starts it, {len(held)} with {total:,} bytes"


def romfs(held: Mapping[str, bytes], content: bytes, where: RomFs, is_sure: bool) -> Row:
    """Tell what runs in place, how much room there is, and whether the firmware was looked at."""
    text = (
        f"agent {VERSION}, {len(held)} modules that run in place; they take {len(content):,} of "
        f"the {where.size:,} bytes at {where.offset:#x}"
    )
    return "romfs", text if is_sure else text + "; the board's MicroPython has to be one with ROMFS"


def partition(held: Mapping[str, bytes], content: bytes, where: FileSystem) -> Row:
    """Tell what is put onto the board, and how much room is left there."""
    used = littlefs_image.used_bytes(content, where)
    what, text = files(held)
    return (
        what,
        f"{text}; they take {used:,} of the {len(content):,} bytes at {where.offset:#x}, "
        f"{len(content) - used:,} are free",
    )


def settings(known: Mapping[str, Any]) -> Row:
    """Tell who the node is."""
    urls = agent_files.brokers(known)
    parts = [
        f"broker{'s' * (len(urls) > 1)} {', '.join(urls)}",
        f"key with fingerprint {agent_files.fingerprint(known)}",
    ]
    if known.get("fleet"):
        parts.insert(0, f"fleet {known['fleet']}")
    return "settings", ", ".join(parts)


def network(known: Mapping[str, Any]) -> Row:
    """Tell how a board gets to the broker."""
    if agent_files.is_serial(known):
        text = "none; it speaks over a serial line, which 'fieldconf bridge' leads to the broker"
    elif known.get("wifi"):
        text = "Wi-Fi " + ", ".join(str(one[0]) for one in known["wifi"])
    elif known.get("lan") is not None:
        text = "Ethernet"
    else:
        text = 'none is named; for Wi-Fi the settings need "wifi": [[NAME, PASSWORD]]'
    return "network", text
