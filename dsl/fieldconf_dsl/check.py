"""What `fieldconf check` and `fieldconf fmt` do; the commands themselves are elsewhere."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from . import errors
from .build import build_graph
from .errors import Place, Problem, has_severe, in_order, problem
from .files import refuse_special
from .loader import gather, load_template, read_source
from .puppet import judge_syntax
from .syntax import GRAPH
from .validate import validate_graph, warn_of_cycles
from .writer import CannotFormat, format_text


def check_paths(paths: Iterable[str | Path]) -> tuple[list[Problem], list[str]]:
    """Return all problems of `paths`, and a sentence for each path that could not be checked.

    A path is a template's folder or ZIP, a `.graph` (checked up to the graph that it builds) or
    `.instances` (checked by itself).
    """
    problems: list[Problem] = []
    could_not_run: list[str] = []
    for path in map(Path, paths):
        try:
            problems += _check_path(path)
        except OSError as error:
            meant = meant_path(path)
            could_not_run.append(f"cannot read {path}: {error.strerror or error}{meant}")
        except NotOurs as error:
            could_not_run.append(str(error))
    return in_order(problems), could_not_run


def meant_path(path: Path) -> str:
    """Return which template or file may have been meant, as the end of a sentence, or nothing."""
    above = next((up for up in path.absolute().parents if (up / "descriptor").is_dir()), None)
    try:
        if path.is_dir() and above is None:
            below = [one for one in path.iterdir() if (one / "descriptor").is_dir()]
            above = below[0].absolute() if len(below) == 1 else None
        if path.exists():
            return f" (did you mean {os.path.relpath(above)}?)" if above is not None else ""
        beside = sorted(os.listdir(path.parent))
    except OSError:
        return ""
    return errors.meant(path.name, beside)[len(errors.quoted(path.name)) :]


class NotOurs(ValueError):
    """A path that is neither a template nor a file of the language."""


def _check_path(path: Path) -> list[Problem]:
    if path.is_dir() or path.suffix.lower() == ".zip":
        loaded = load_template(path)
        return [*loaded.problems, *judge_syntax(loaded.manifests)]
    if path.suffix == ".graph":
        return _check_graph(path)
    if path.suffix == ".instances":
        refuse_special(path)
        return read_source(path.read_bytes(), str(path)).problems
    path.stat()
    raise NotOurs(f"cannot check {path}: expected a folder, a .zip, a .graph or an .instances")


def _check_graph(path: Path) -> list[Problem]:
    folder = path.parent

    def read(name: str) -> bytes | None:
        file = folder / name
        try:
            return file.read_bytes() if stat.S_ISREG(file.stat().st_mode) else None
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None

    refuse_special(path)
    gathered = gather(path.name, read, GRAPH)

    def shown(found: Problem) -> Problem:
        return replace(
            found, file=str(folder / found.file) if found.file != path.name else str(path)
        )

    problems = gathered.problems
    if not has_severe(problems):
        built = build_graph(gathered.usable)
        problems += built.problems
        if built.graph is not None:
            found = validate_graph(built.graph, built.places, path.name)
            problems += found
            if not has_severe(found):
                problems += warn_of_cycles(built.graph, built.places)
    return [shown(found) for found in in_order(problems)]


def format_paths(paths: Iterable[str | Path], check_only: bool = False) -> list[tuple[str, bool]]:
    """Bring files into the canonical form and return (path, whether it changed or would).

    Args:
        paths: files, and folders whose `.graph` and `.instances` are meant.
        check_only: write nothing.

    Raises:
        CannotFormat: the grammar of some files is wrong; nothing has been written.
        OSError: a file cannot be read, and nothing has been written; or one cannot be written.
    """
    problems: list[Problem] = []
    results: list[tuple[Path, bytes, bytes]] = []
    for path in (file for given in map(Path, paths) for file in _sources(given)):
        refuse_special(path)
        before = path.read_bytes()
        try:
            text = before.decode("utf-8-sig")
            results.append((path, before, format_text(text, str(path)).encode()))
        except UnicodeDecodeError:
            problems.append(
                problem("P_IO_ERROR", Place(str(path)), "it is no UTF-8; save it as UTF-8")
            )
        except CannotFormat as error:
            problems += error.problems
    if problems:
        raise CannotFormat(problems)
    for path, before, after in results:
        if before != after and not check_only:
            _replace(path, after)
    return [(str(path), before != after) for path, before, after in results]


def _sources(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(p for p in path.rglob("*") if p.suffix in (".graph", ".instances"))


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file first: a full disk must not cost the author's text."""
    path = path.resolve()  # A link stays one.
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_bytes(content)
        shutil.copymode(path, beside)
        os.replace(beside, path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
