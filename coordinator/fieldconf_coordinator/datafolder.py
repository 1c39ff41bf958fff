"""The data folder of a coordinator: made for its owner alone, and held by one process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderError(Exception):
    """The folder cannot be used; the message says why."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder; it is made if need be.

    Raises:
        FolderError: it cannot be made, or another coordinator holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise FolderError(f"cannot use the data folder {folder}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 32, 0).decode().strip() or "unknown"
            raise FolderError(
                f"cannot use the data folder {folder}: a coordinator, process {pid}, has it; "
                "stop that one, or choose another folder with --data"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        # What is written stays: it means nothing once the lock is gone.
        os.close(lock)
