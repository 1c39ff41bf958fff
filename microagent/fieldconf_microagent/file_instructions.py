"""Reads `instructions.properties`, the recipe of the installer `file`. Text in, instructions out.

    # <step>.<position>.<action> = …
    deploy.1.download = https://example.org/app.war sha256=<64 hex digits> -> app.war
    deploy.2.copy     = files/app.conf -> ${FIELDCONF_DATA_DIR}/conf/app.conf
    update.1.copy     = ${FIELDCONF_RENDERED_DIR}/app.conf -> conf/app.conf
    undeploy.1.delete = app.war

The instructions of a step are carried out by position, a number of any size; those of one position
in the order of the file. `move` and `copy` of one word put the last download, that was given no
place of its own, there.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from .recipe import STEPS

FILE = "instructions.properties"

#: Where a download goes that is given no place; `move` and `copy` of one word take it from there.
DOWNLOADED = "roboconf_tmp_file"

_KEY = re.compile(r"([^.\s]+)\.([^.\s]+)\.([^.\s]+)")
_ARROW = "->"
_SHA256 = re.compile(r"sha256[=:]([0-9a-fA-F]{64})")
_URL = re.compile(r"https?://\S+|\$\{[^}]*\}\S*")


class Instruction(NamedTuple):
    """One thing to do; ``${NAME}`` is not filled in yet.

    Attributes:
        place: where in the file it stands, for messages: ``deploy.1.copy``.
        action: download, copy, move or delete.
        source: an address, or a path; "" for delete.
        to: the path that is written or deleted.
        sha256: of a download, or "".
    """

    place: str
    action: str
    source: str
    to: str
    sha256: str = ""


def parsed(text: str) -> dict[str, list[Instruction]]:
    """Return the instructions of each step, in order.

    Raises:
        ValueError: a line is not understood; the message tells which and why.
    """
    found: dict[str, list[tuple[int, Instruction]]] = {}
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line[0] in "#!":
            continue
        try:
            key, value = _split(line)
            if key in seen:
                raise ValueError(f"{key} stands twice")
            seen.add(key)
            step, position, instruction = _instruction(key, value)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        found.setdefault(step, []).append((position, instruction))
    for each in found.values():
        each.sort(key=lambda pair: pair[0])
    return {step: [pair[1] for pair in each] for step, each in found.items()}


def _split(line: str) -> tuple[str, str]:
    match = re.fullmatch(r"([^=:\s]+)\s*[=:]\s*(.*)", line)
    if match is None:
        raise ValueError(f"expected <step>.<position>.<action> = …, not {line!r}")
    return match[1], match[2]


def _instruction(key: str, value: str) -> tuple[str, int, Instruction]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise ValueError(f"expected <step>.<position>.<action>, not {key!r}")
    step, position, action = match.groups()
    if step not in STEPS:
        raise ValueError(f"{step!r} is no step; steps are {', '.join(STEPS)}")
    if not position.isascii() or not position.isdigit():
        raise ValueError(f"the position {position!r} is no number")
    if action not in _ACTIONS:
        raise ValueError(f"unknown action {action!r}; actions are {', '.join(_ACTIONS)}")
    if not value:
        raise ValueError(f"{key} says nothing")
    return step, int(position), _ACTIONS[action](key, action, value)


def _download(key: str, action: str, value: str) -> Instruction:
    what, _, to = (part.strip() for part in value.partition(_ARROW))
    url, *options = what.split() or [""]
    digests = [_SHA256.fullmatch(option) for option in options]
    if not _URL.fullmatch(url):
        raise ValueError(f"{key}: expected an address, http://… or https://…, not {url!r}")
    if len(digests) > 1 or None in digests:
        raise ValueError(f"{key}: expected sha256=<64 hex digits>, not {' '.join(options)!r}")
    digest = digests[0][1].lower() if digests and digests[0] else ""
    return Instruction(key, action, url, to or DOWNLOADED, digest)


def _two(key: str, action: str, value: str) -> Instruction:
    source, arrow, to = (part.strip() for part in value.partition(_ARROW))
    if not arrow:
        # From the data folder, whatever the action; see `file_step`.
        return Instruction(key, action, "${FIELDCONF_DATA_DIR}/" + DOWNLOADED, source)
    if not source or not to:
        raise ValueError(f"{key}: expected FROM -> TO, not {value!r}")
    return Instruction(key, action, source, to)


def _delete(key: str, action: str, value: str) -> Instruction:
    return Instruction(key, action, "", value)


#: action: what reads its value.
_ACTIONS: dict[str, Callable[[str, str, str], Instruction]] = {
    "download": _download,
    "copy": _two,
    "move": _two,
    "delete": _delete,
}
