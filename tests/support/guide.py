"""What docs/guide.md shows: the files of its template, and the commands that it has one type."""

import re
import shlex
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
_BLOCK = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def text():
    return GUIDE.read_text(encoding="utf-8")


def blocks():
    return _BLOCK.findall(text())


def write(folder):
    """Write the template; a block's first line says in which file it stands."""
    for block in blocks():
        named = re.match(r"# (\S+/\S+)\n", block)
        if named:
            file = folder / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block, encoding="utf-8")
    return folder


def commands():
    """Return the words of each command line after `fieldconf`."""
    lines = [line for block in blocks() for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("fieldconf ")]
