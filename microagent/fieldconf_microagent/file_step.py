"""What the process of a `file` step runs: the instructions, one after the other (CPython only).

They come on standard input, marshalled, filled in by `installer_file`. What is done is printed. A
file that is put somewhere is complete before it bears its name, so whoever reads there sees the old
one or the new one. The first instruction that fails ends the step.
"""

import errno
import hashlib
import marshal
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from . import file_places
from .file_places import Place, PlaceError, reached

_PART = ".part"
_OLD = ".old"
_PIECE = 1 << 16
#: A server that says nothing for so long has gone; the step's own time limit counts as well.
_SILENCE_S = 60


class Todo(NamedTuple):
    """One instruction, filled in: fields as in `file_instructions.Instruction`."""

    place: str
    action: str
    source: str
    to: str
    sha256: str


class Workplace(NamedTuple):
    """Where a step may read and write."""

    data_dir: str
    recipe_dir: str
    roots: Sequence[str]

    def writable(self) -> list[str]:
        return [self.data_dir, *self.roots]

    def target(self, path: str) -> str:
        """Return an absolute path; a relative one lies in the data folder."""
        return os.path.join(self.data_dir, path)


def main() -> int:
    """Carry out what standard input tells and return the exit status."""
    told, data_dir, recipe_dir, roots = marshal.load(sys.stdin.buffer)
    where = Workplace(data_dir, recipe_dir, roots)
    for each in told:
        todo = Todo(*each)
        try:
            print(_ACTIONS[todo.action](todo, where), flush=True)
        except (PlaceError, ValueError) as error:
            return _failed(todo, str(error))
        except OSError as error:
            return _failed(todo, f"{error.strerror or error}: {error.filename or todo.to}")
    return 0


def _failed(todo: Todo, why: str) -> int:
    print(f"{todo.place}: {why}", flush=True)
    return 1


def _download(todo: Todo, where: Workplace) -> str:
    if not todo.source.startswith(("http://", "https://")):
        raise ValueError(f"cannot download {todo.source!r}: expected http://… or https://…")
    with reached(_named(todo, where), where.writable(), make=True) as to:
        part = to.beside(_PART)
        part.delete()
        try:
            digest = _fetched(todo.source, part)
            if todo.sha256 not in ("", digest):
                raise ValueError(
                    f"what {todo.source} sends is not what was meant: "
                    f"its sha256 is {digest}, expected {todo.sha256}"
                )
            _put(part, to)
        finally:
            part.delete()
    return f"downloaded {todo.source} to {to.path}, sha256={digest}"


def _fetched(url: str, part: Place) -> str:
    """Write what an address sends, and return its digest."""
    # Slow to import, and most steps do without.
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.request import urlopen

    digest = hashlib.sha256()
    try:
        with urlopen(url, timeout=_SILENCE_S) as answer:
            expected = answer.length
            with open(part.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                while piece := answer.read(_PIECE):
                    digest.update(piece)
                    file.write(piece)
                size = file.tell()
                file.flush()
                os.fsync(file.fileno())
    except (HTTPException, URLError, TimeoutError) as error:
        raise ValueError(f"cannot download {url}: {error}") from error
    if expected not in (None, size):
        raise ValueError(f"cannot download {url}: it ended after {size} of {expected} bytes")
    return digest.hexdigest()


def _copy(todo: Todo, where: Workplace) -> str:
    source = os.path.join(where.recipe_dir, todo.source)
    with reached(source, [where.recipe_dir, *where.writable()]) as origin:
        path = _put_copy(origin, todo, where)
    return f"copied {source} to {path}"


def _put_copy(origin: Place, todo: Todo, where: Workplace) -> str:
    with reached(_named(todo, where), where.writable(), make=True) as to:
        if (os.path.normpath(to.path) + "/").startswith(os.path.normpath(origin.path) + "/"):
            raise PlaceError(f"refused {to.path}: it cannot be copied into itself")
        part = to.beside(_PART)
        part.delete()
        try:
            file_places.copy(origin, part)
            _put(part, to)
        finally:
            part.delete()
        return to.path


def _move(todo: Todo, where: Workplace) -> str:
    source = where.target(todo.source)
    with reached(source, where.writable()) as origin:
        if origin.kind() is None:
            raise FileNotFoundError(errno.ENOENT, "there is no such file or folder", source)
        try:
            with reached(_named(todo, where), where.writable(), make=True) as to:
                _put(origin, to)
                path = to.path
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # On another disk: complete there first, then gone here.
            path = _put_copy(origin, todo, where)
            origin.delete()
    return f"moved {source} to {path}"


def _delete(todo: Todo, where: Workplace) -> str:
    path = where.target(todo.to)
    try:
        with reached(path, where.writable()) as place:
            place.delete()
    except FileNotFoundError:
        pass  # nor is the folder that it would be in
    return f"deleted {path}"


def _put(ready: Place, to: Place) -> None:
    """Give what is complete its name; a folder that bears it goes once it is replaced."""
    if to.kind() != "folder":
        ready.rename(to)
        return
    if ready.kind() != "folder":
        raise PlaceError(f"refused {to.path}: a folder is there; name the file, or end it with /")
    old = to.beside(_OLD)
    old.delete()
    to.rename(old)
    ready.rename(to)
    old.delete()


def _named(todo: Todo, where: Workplace) -> str:
    """Return where to put it; in a folder, ``conf/``, it keeps its name."""
    to = where.target(todo.to)
    source = todo.source.partition("?")[0] if todo.action == "download" else todo.source
    return to + os.path.basename(source.rstrip("/")) if to.endswith("/") else to


#: action: what carries it out and says what it did.
_ACTIONS = {"download": _download, "copy": _copy, "move": _move, "delete": _delete}

if __name__ == "__main__":
    sys.exit(main())
