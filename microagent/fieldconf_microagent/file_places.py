"""Places in the file system that the installer `file` may touch; anything else is refused.

A place lies below a *root*, one of a few folders that are given. It is reached folder by folder
without following a link, each opened relative to the one before: what another process swaps
meanwhile cannot lead out of the root. `..` is refused as a word.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator, Sequence

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class PlaceError(Exception):
    """A path is not to be touched; the message says which and why."""


class Place:
    """A name in an open folder.

    Attributes:
        path: as people know it.
        folder: descriptor of the folder that it lies in.
        name: in that folder.
    """

    def __init__(self, path: str, folder: int, name: str) -> None:
        self.path = path
        self.folder = folder
        self.name = name

    def kind(self) -> "str | None":
        """Return "file", "folder", or None where there is nothing.

        Raises:
            PlaceError: it is a link, or something else that is neither.
        """
        try:
            mode = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISREG(mode):
            return "file"
        if stat.S_ISDIR(mode):
            return "folder"
        raise PlaceError(f"refused {self.path}: it is a link or no plain file")

    def beside(self, ending: str) -> "Place":
        """Return a place in the same folder, for what is not complete yet."""
        return Place(self.path + ending, self.folder, f".{self.name}{ending}")

    def open(self, flags: int, mode: int = 0o666) -> int:
        """Open the file itself, never what a link points to."""
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self.name, flags, mode, dir_fd=self.folder)

    def rename(self, to: "Place") -> None:
        os.rename(self.name, to.name, src_dir_fd=self.folder, dst_dir_fd=to.folder)

    def delete(self) -> None:
        """Delete the file or the folder with all in it; nothing there is fine."""
        kind = self.kind()
        if kind == "file":
            os.unlink(self.name, dir_fd=self.folder)
        elif kind == "folder":
            _empty(self)
            os.rmdir(self.name, dir_fd=self.folder)


@contextlib.contextmanager
def reached(path: str, roots: Sequence[str], make: bool = False) -> Iterator[Place]:
    """Open the folder that `path` lies in, and give the place.

    Args:
        path: absolute.
        roots: the folders, absolute, below which it must lie.
        make: make the folders above it that are missing, those of the root excepted.

    Raises:
        PlaceError: it lies in none of them, or a link leads there.
        OSError: a folder above it is missing, or cannot be opened.
    """
    root, parts = _below(path, roots)
    # The root itself may be reached through links: whoever set it up chose it.
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            inner = _opened(folder, part, path, make)
            os.close(folder)
            folder = inner
        yield Place(path, folder, parts[-1])
    finally:
        os.close(folder)


def _below(path: str, roots: Sequence[str]) -> tuple[str, list[str]]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in path:
        raise PlaceError(f"refused {path}: a path must not contain ..")
    # The innermost root counts: the fewer folders are walked, the fewer can be wrong.
    for root in sorted(roots, key=len, reverse=True):
        above = [part for part in root.split("/") if part]
        if parts[: len(above)] == above and len(parts) > len(above):
            return root, parts[len(above) :]
    raise PlaceError(
        f"refused {path}: it is in none of the folders that are allowed: {', '.join(roots)}"
    )


def _opened(folder: int, part: str, path: str, make: bool) -> int:
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, dir_fd=folder)
    try:
        return os.open(part, _FOLDER, dir_fd=folder)
    except NotADirectoryError:
        raise PlaceError(f"refused {path}: {part} is a link or no folder") from None


def _empty(place: Place) -> None:
    """Delete all that is in a folder; links in it are deleted, never followed."""
    walk = os.fwalk(place.name, topdown=False, follow_symlinks=False, dir_fd=place.folder)
    for _, folders, files, fd in walk:
        for name in files:
            os.unlink(name, dir_fd=fd)
        for name in folders:
            if stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=fd)
            else:
                os.rmdir(name, dir_fd=fd)


def copy(source: Place, to: Place) -> None:
    """Copy a file or folder to a place where there is nothing; links are refused."""
    kind = source.kind()
    if kind is None:
        raise FileNotFoundError(f"there is no {source.path}")
    if kind == "file":
        _copy_file(source, to)
    else:
        os.mkdir(to.name, dir_fd=to.folder)
        with _inside(source) as inside, _inside(to) as target:
            for name in sorted(os.listdir(inside)):
                copy(
                    Place(f"{source.path}/{name}", inside, name),
                    Place(f"{to.path}/{name}", target, name),
                )


@contextlib.contextmanager
def _inside(place: Place) -> Iterator[int]:
    folder = os.open(place.name, _FOLDER, dir_fd=place.folder)
    try:
        yield folder
    finally:
        os.close(folder)


def _copy_file(source: Place, to: Place) -> None:
    with open(source.open(os.O_RDONLY), "rb") as read:
        mode = os.fstat(read.fileno()).st_mode & 0o777
        with open(to.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as write:
            shutil.copyfileobj(read, write, 1 << 20)
            write.flush()
            os.fsync(write.fileno())
