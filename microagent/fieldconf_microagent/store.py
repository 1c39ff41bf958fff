"""A folder of small files, each of which is always whole: the old content or the new.

A file is written beside the old one, synced, and renamed over it. What a cut left half written
ends in ``.new`` and is deleted at the next start; what is written but not synced ends in
``.written``. Nothing is known here about what is kept.
"""

import os

from . import compat

_NEW = ".new"
_WRITTEN = ".written"


class Store:
    """Named byte strings in one folder. Names are file names chosen by the agent, never received.

    ``OSError`` passes through (a full disk, say); the old content is still there then.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder + "/"
        compat.makedirs(folder)
        for name in os.listdir(folder):
            if name.endswith(_NEW):
                compat.remove_tree(self._folder + name)

    def load(self, name: str) -> "bytes | None":
        """Return what was saved last under this name, or None."""
        path = self._folder + name
        return compat.read_file(path) if compat.exists(path) else None

    def save(self, name: str, data: bytes) -> None:
        """Keep `data` under this name; when this returns it outlives a power cut."""
        self.write(name, data)
        self.sync(name)

    def write(self, name: str, data: bytes) -> None:
        """Write `data` so that it outlives this process; `sync` makes the rest of `save`.

        That takes a tenth of the time, and is enough for what a restart of the system voids.
        """
        path = self._folder + name
        with open(path + _NEW, "wb") as file:
            file.write(data)
        os.rename(path + _NEW, path + _WRITTEN)

    def sync(self, name: str) -> None:
        """Make what was written last under this name outlive a power cut."""
        path = self._folder + name
        with open(path + _WRITTEN, "r+b") as file:
            compat.sync_file(file)
        compat.replace(path + _WRITTEN, path)

    def load_written(self, name: str) -> "bytes | None":
        """Return what was written and never synced, or None.

        It is whole only if the system has not been restarted since.
        """
        path = self._folder + name + _WRITTEN
        return compat.read_file(path) if compat.exists(path) else None

    def remove(self, name: str) -> None:
        """Forget what is kept under this name; nothing there is fine."""
        compat.remove_tree(self._folder + name + _WRITTEN)
        compat.remove_tree(self._folder + name)
