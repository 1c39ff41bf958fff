"""The console: a web page that is a client of the REST interface, and nothing more.

Plain HTML, CSS and ES modules, served as they are: there is no build step, and nothing is fetched
from anywhere else. This module only knows which files there are; `rest.pages` serves them.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class File:
    """One file, ready to be sent."""

    body: bytes
    type: str
    tag: str


def files() -> dict[str, File]:
    """Return all files of the console by their path: a table, so that no other path leads out."""
    return dict(_files(resources.files(__name__), ""))


def _files(folder: Any, prefix: str) -> Iterator[tuple[str, File]]:
    for one in folder.iterdir():
        suffix = "." + one.name.rpartition(".")[2]
        if one.is_dir():
            yield from _files(one, f"{prefix}{one.name}/")
        elif suffix in TYPES:
            body = one.read_bytes()
            tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            yield prefix + one.name, File(body, TYPES[suffix], tag)
