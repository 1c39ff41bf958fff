"""Makes the ZIP that is uploaded of a template's folder: equal folders give equal bytes.

What belongs to a template, which links are followed and how large it may be is decided where
templates are read (`fieldconf_dsl.files`), so that nothing is sent that would be refused.
"""

import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from fieldconf_dsl.check import meant_path
from fieldconf_dsl.files import Tree, open_folder

from ..errors import RequestError

#: The most that a coordinator takes.
MOST = 64 << 20
_IN_MEMORY = 4 << 20
# The earliest date that a ZIP can tell.
_DATE = (1980, 1, 1, 0, 0, 0)


@contextmanager
def packed(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Give the ZIP of a template, a folder or a ZIP already, and its size.

    Raises:
        RequestError: it cannot be read, must not be used, or is too large.
    """
    if not path.exists():
        hint = "name the folder of a template, or a ZIP of it"
        text = f"there is no template at {path}{meant_path(path)}"
        raise RequestError("bad-template", text, hint)
    if path.is_dir() and not (path / "descriptor").is_dir() and meant_path(path):
        text = f"there is no folder descriptor/ in {path}{meant_path(path)}"
        raise RequestError("bad-template", text)
    try:
        with _opened(path) as file:
            size = file.seek(0, 2)
            if size > MOST:
                hint = "leave out what is no recipe, or let the recipe fetch it"
                text = f"cannot send {path}: packed it has more than {MOST >> 20} MiB"
                raise RequestError("too-large", text, hint)
            yield file, size
    except OSError as error:
        raise RequestError("bad-template", f"cannot read {path}: {error.strerror}") from error


def _opened(path: Path) -> IO[bytes]:
    if not path.is_dir():
        return open(path, "rb")
    tree = open_folder(path)
    if tree.problems:
        found = [{**problem.as_json(), "text": str(problem)} for problem in tree.problems]
        text = f"cannot deploy {path}: the template is refused"
        raise RequestError("bad-template", text, problems=found)
    file = tempfile.SpooledTemporaryFile(_IN_MEMORY)
    _pack(tree, file)
    return file


def _pack(tree: Tree, file: IO[bytes]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder in sorted(tree.folders):
            archive.writestr(_info(folder + "/", 0o040755), b"")
        for name in sorted(tree.files):
            found = tree.files[name]
            archive.writestr(_info(name, 0o100000 | found.mode), found.read())


def _info(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _DATE)
    info.create_system = 3
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
