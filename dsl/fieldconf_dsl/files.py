"""The files of a template, in a folder or in a ZIP: names, modes, contents, all bounded.

With `loader`, `check` and `puppet` the only module that opens files. What comes in a ZIP is a
stranger's: absolute paths, `..`, links, encryption, and more or larger files than the bounds allow
are refused before anything is used.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .errors import Place, Problem, problem, quoted
from .model import RecipeFile

MAX_FILES = 10_000
MAX_FILE = 64 * 1024 * 1024
MAX_ALL = 256 * 1024 * 1024
MAX_SOURCE = 16 * 1024 * 1024

#: Left by tools beside what the author wrote.
_SKIPPED = (".git", ".svn", ".hg", "__pycache__", "__MACOSX")


@dataclass
class Tree:
    """The files of a template by their paths, with slashes; `problems` refuse it whole."""

    root: str
    files: dict[str, RecipeFile] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)

    def read(self, path: str) -> bytes | None:
        """Return the content of `path`, None where there is no such file."""
        found = self.files.get(path)
        return None if found is None else found.read()

    def has_folder(self, path: str) -> bool:
        return path in self.folders

    def below(self, folder: str) -> Iterator[tuple[str, RecipeFile]]:
        """Yield (path below `folder`, file), in the order of the paths."""
        start = f"{folder}/"
        for path in sorted(self.files):
            if path.startswith(start):
                yield path[len(start) :], self.files[path]

    def _add(self, path: str, file: RecipeFile) -> None:
        self.files[path] = file
        self._add_folder(path.rpartition("/")[0])

    def _add_folder(self, path: str) -> None:
        while path and path not in self.folders:
            self.folders.add(path)
            path = path.rpartition("/")[0]

    def _refuse(self, code: str, what: str) -> None:
        self.problems.append(problem(code, Place(), what))


def _mode(bits: int) -> int:
    return 0o755 if bits & 0o111 else 0o644


# Folders -------------------------------------------------------------------------------------


def open_folder(root: Path) -> Tree:
    """Return the files below `root`; they are read when they are asked for.

    A link to a file of the template is that file; any other link is refused.
    """
    tree = Tree(str(root))
    real_root = root.resolve()
    size = 0

    def unreadable(error: OSError) -> None:
        name = Path(error.filename).relative_to(root).as_posix()
        tree._refuse("P_IO_ERROR", f"{quoted(name)}: {error.strerror}; let it be read")

    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED)
        here = Path(folder)
        for name in folders:
            if (here / name).is_symlink():
                tree._refuse("FC_UNSAFE_PATH", quoted((here / name).relative_to(root).as_posix()))
            else:
                tree._add_folder((here / name).relative_to(root).as_posix())
        for name in sorted(names):
            size += _add_file(tree, root, real_root, here / name)
        if len(tree.files) > MAX_FILES or size > MAX_ALL:
            what = (
                f"the template has more than {MAX_FILES:,} files or {MAX_ALL >> 20} MiB; "
                "leave out what is no recipe"
            )
            tree._refuse("FC_LIMIT_EXCEEDED", what)
            break
    return tree


def _add_file(tree: Tree, root: Path, real_root: Path, path: Path) -> int:
    """Add one file and return its size."""
    name = path.relative_to(root).as_posix()
    real = path.resolve()
    if path.is_symlink() and not real.is_relative_to(real_root):
        tree._refuse("FC_UNSAFE_PATH", quoted(name))
        return 0
    try:
        info = real.stat()
    except OSError:
        return 0
    if not stat.S_ISREG(info.st_mode):
        return 0
    if info.st_size > MAX_FILE:
        what = f"{quoted(name)} has more than {MAX_FILE >> 20} MiB; let the recipe fetch it"
        tree._refuse("FC_LIMIT_EXCEEDED", what)
    tree._add(name, RecipeFile(name, _mode(info.st_mode), functools.partial(_read_file, real)))
    return info.st_size


def refuse_special(path: Path) -> None:
    """Refuse what is neither a file nor a folder: who reads a pipe may wait for ever.

    Raises:
        OSError: it is such, or there is nothing.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError(errno.EINVAL, "it is no file but a pipe, a socket or a device", str(path))


def _read_file(path: Path) -> bytes:
    with open(path, "rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise OSError(f"{path} has more than {MAX_FILE >> 20} MiB")
    return content


# ZIP files -----------------------------------------------------------------------------------


class _Refused(Exception):
    """The ZIP file must not be used."""


def open_zip(path: Path) -> Tree:
    """Return the files of a ZIP, unpacked in memory; one folder around all of them is left out."""
    tree = Tree(str(path))
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if _is_wanted(info)]
            _check_members(members)
            contents = {info.filename: _unpack(archive, info) for info in members}
    except (_Refused, zipfile.BadZipFile, OSError, RuntimeError, EOFError, ValueError) as error:
        tree._refuse("PROJ_EXTRACT_ZIP", str(error))
        return tree
    except Exception as error:  # zlib.error and lzma.LZMAError have no common base
        tree._refuse("PROJ_EXTRACT_ZIP", str(error))
        return tree
    around = _folder_around(list(contents))
    for info in members:
        name = info.filename[len(around) :]
        if info.is_dir():
            tree._add_folder(name.rstrip("/"))
        elif name:
            read = functools.partial(bytes, contents[info.filename])
            tree._add(name, RecipeFile(name, _mode(info.external_attr >> 16), read))
    return tree


def _is_wanted(info: zipfile.ZipInfo) -> bool:
    return not any(part in _SKIPPED for part in info.filename.split("/"))


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_FILES:
        raise _Refused(f"it holds more than {MAX_FILES:,} files")
    if sum(info.file_size for info in members) > MAX_ALL:
        raise _Refused(f"it unpacks to more than {MAX_ALL >> 20} MiB")
    seen: set[str] = set()
    for info in members:
        name = info.filename
        parts = name.rstrip("/").split("/")
        if "\\" in name or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
            raise _Refused(f"the path {quoted(name)} leads out of it")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _Refused(f"{quoted(name)} is a link or a device")
        if info.flag_bits & 1:
            raise _Refused(f"{quoted(name)} is encrypted")
        if info.file_size > MAX_FILE:
            raise _Refused(f"{quoted(name)} has more than {MAX_FILE >> 20} MiB")
        if name in seen:
            raise _Refused(f"it holds {quoted(name)} twice")
        seen.add(name)


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Return the content; zipfile unpacks no more than the size that was checked before."""
    return b"" if info.is_dir() else archive.read(info)


def _folder_around(names: list[str]) -> str:
    """Return the one folder around all files, with its slash; "" where there is none."""
    tops = {name.partition("/")[0] for name in names}
    if len(tops) == 1 and not tops & {"descriptor", "graph", "instances"}:
        top = next(iter(tops))
        if all(name.startswith(f"{top}/") for name in names):
            return f"{top}/"
    return ""
