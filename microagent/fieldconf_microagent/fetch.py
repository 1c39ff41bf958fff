"""Fetches recipes piece by piece; the agent's side. Touches nothing but files below its folder.

Knows neither topics nor clocks: `on_put` and `tick` are told the time in milliseconds, and `take`
hands out what to publish on `get` and which recipes are complete or in trouble. Below the folder:

    recipes/<digest>/     the files of a recipe
    recipes/<digest>.ok   its manifest: the mark that every file is there and right
    parts/<digest>        a manifest, piece list or blob on its way

What keeps it safe when power fails at any moment: a file gets its name only when its SHA-256
agreed; the mark comes last and goes first; whatever lies in `parts` or in an unmarked recipe is
checked anew before it counts. So there is no bitmap to save: the piece list tells which
pieces of a blob are there, at the price of reading them once.
"""

import io
import os

from . import codec, compat, manifest
from .compat import const
from .compat_rare import inflate

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, BinaryIO

FIRST_PAUSE = const(2000)
LONGEST_PAUSE = const(60000)
LONGEST_REST = const(300000)
# Another recipe gets its turn when this one has been waited for that long.
PATIENCE = const(16000)
# Pieces between two syncs: what a power cut may cost, against wear of the flash.
SYNC_EVERY = const(16)
_BLOCK = const(1024)
_NO_SPACE = const(28)
# What is known of a piece.
_ABSENT = const(0)
_ASKED = const(1)
_HERE = const(2)


class FetchError(ValueError):
    """What arrived contradicts the manifest."""


class _Thing:
    """A manifest (`file` is None), piece list or blob on its way.

    Of a manifest no size is known before its first piece.
    """

    def __init__(
        self, digest: bytes, size: int, piece: int, file: "manifest.File | None", path: str
    ) -> None:
        self.digest = digest
        self.size = size
        self.piece = piece
        self.file = file
        self.path = path
        self.list_path = ""
        self.marks = bytearray(manifest.pieces(size, piece) or 1)
        self.open: "BinaryIO | None" = None
        self.unsynced = 0

    def count(self, mark: int) -> int:
        """Return how many pieces have this mark."""
        return self.marks.count(bytes((mark,)))

    def close(self) -> None:
        if self.open:
            self.open.close()
            self.open = None

    def write(self, index: int, data: bytes) -> None:
        if not self.open:
            self.open = open(self.path, "r+b" if compat.exists(self.path) else "wb")
        self.open.seek(index * self.piece)
        self.open.write(data)
        self.unsynced += 1
        if self.unsynced == SYNC_EVERY:
            self.sync()

    def sync(self) -> None:
        if self.open:
            compat.sync_file(self.open)
        self.unsynced = 0

    def request(self, most: int) -> "tuple[bytes, int]":
        """Return the message that asks for up to `most` absent pieces, and for how many."""
        first = self.marks.find(b"\0")
        bitmap = bytearray()
        count = 0
        for index in range(max(first, 0), len(self.marks)):
            if count < most and self.marks[index] == _ABSENT:
                bit = index - first
                bitmap.extend(bytes(bit // 8 + 1 - len(bitmap)))
                bitmap[bit // 8] |= 1 << bit % 8
                self.marks[index] = _ASKED
                count += 1
        return codec.pack([self.digest, first, bytes(bitmap), count]), count

    def fits(self, index: int, total: int, data: bytes) -> bool:
        """Tell whether a piece can be one of this thing's, and learn its size from the first."""
        least = (len(self.marks) - 1) * self.piece
        if not self.size and least < total <= manifest.MAX_MANIFEST:
            self.size = total
            self.marks.extend(bytes(manifest.pieces(total, self.piece) - len(self.marks)))
        if total != self.size or not 0 <= index < len(self.marks):
            return False
        return len(data) == min(self.piece, total - index * self.piece)

    def is_genuine(self, index: int, data: bytes) -> bool:
        digest = compat.sha256(data).digest()
        if len(self.marks) == 1:
            return bool(digest == self.digest)
        if self.list_path:
            with open(self.list_path, "rb") as hashes:
                hashes.seek(32 * index)
                return bool(digest == hashes.read(32))
        # Checked as a whole, so it comes in order: a half of it is then its first half.
        return self.count(_HERE) == index


class Fetcher:
    """Brings the wanted recipes below `root`, one after the other, for ever if need be.

    Attributes:
        wrong: how many pieces were not what they should be.
    """

    def __init__(self, root: str, window: int = 8) -> None:
        self.wrong = 0
        self._recipes = root + "/recipes"
        self._parts = root + "/parts"
        self._window = window
        self._now = 0
        self._up = False
        self._wanted: "list[bytes]" = []
        self._gets: "list[bytes]" = []
        self._news: "list[tuple[bytes, str | None]]" = []
        # digest → (not before, how long it rested)
        self._resting: "dict[bytes, tuple[int, int]]" = {}
        self._things: "dict[bytes, _Thing]" = {}
        self._current: "bytes | None" = None
        self._left: "tuple[bytes | None, int]" = (None, 0)
        self._files: "list[manifest.File] | None" = None
        self._forget()
        compat.makedirs(self._recipes)
        compat.makedirs(self._parts)
        self._complete: "set[bytes]" = set()
        for name in os.listdir(self._recipes):
            if name.endswith(".ok"):
                digest = _digest_of(self._recipes + "/" + name)
                if name == compat.hex(digest) + ".ok":
                    self._complete.add(digest)

    def want(self, now: int, digests: "Iterable[bytes]") -> None:
        """Fetch these, in this order, and nothing else; what is under way and not wanted stops."""
        self._now = now
        self._wanted = []
        for digest in digests:
            if digest not in self._wanted:
                self._wanted.append(digest)
        self._resting = {d: self._resting[d] for d in self._resting if d in self._wanted}
        if self._current not in self._wanted:
            self._forget()
        self._more = True

    def has(self, digest: bytes) -> bool:
        """Tell whether the recipe is complete."""
        return digest in self._complete

    def folder(self, digest: bytes) -> str:
        """Return the folder of a recipe, whether or not it is complete."""
        return self._recipes + "/" + compat.hex(digest)

    def link(self, now: int, up: bool) -> None:
        """Take note that the broker is connected, or no longer."""
        self._now = now
        self._up = up
        self._pause = FIRST_PAUSE
        self._heard = self._since = now
        self._unask()
        if not up:
            self._guarded(self._sync)
        self._ask()

    def retry(self, now: int) -> None:
        """Try those that failed again without waiting."""
        self._now = now
        self._resting = {}
        self._more = True

    def leave(self) -> "tuple[Any, ...]":
        """Let go of every file, and return what another fetcher has to know to `go_on`."""
        left = (self._wanted, self._resting, self._current, self._since)
        self._guarded(self._sync)
        self._forget()
        return left

    def go_on(self, left: "tuple[Any, ...]") -> None:
        """Be as patient, after `want`, as the fetcher that has left."""
        self._wanted, self._resting, self._left = left[0], left[1], left[2:]

    def collect(self, keep: "Iterable[bytes]") -> None:
        """Delete recipes, complete or not, that are neither in `keep` nor wanted."""
        kept = set(keep) | set(self._wanted)
        names = {compat.hex(digest) for digest in kept}
        try:
            # The mark goes before its folder.
            for digest in self._complete - kept:
                self._complete.discard(digest)
                compat.remove_tree(self.folder(digest) + ".ok")
            for name in os.listdir(self._recipes):
                if name[:64] not in names:
                    compat.remove_tree(self._recipes + "/" + name)
            if not self._missing():
                for name in os.listdir(self._parts):
                    compat.remove_tree(self._parts + "/" + name)
        except OSError:
            # Nothing wrong is left behind; the next time gets it.
            pass

    def take(self) -> "tuple[list[bytes], list[tuple[bytes, str | None]]]":
        """Return what to publish on `get`, and which recipes are complete (None) or failed (why).

        What failed is tried again by itself, after a pause that grows to five minutes.
        """
        taken = self._gets, self._news
        self._gets, self._news = [], []
        return taken

    def next_wake(self) -> "int | None":
        """Return when `tick` is to be called, None for not before something happens."""
        if self._more:
            return self._now
        if self._current is None:
            return min((until for until, _ in self._resting.values()), default=None)
        return self._heard + self._pause if self._up and self._count(_ASKED) else None

    def tick(self, now: int) -> None:
        """Do what is due: look at one file, or ask again for what did not come."""
        self._now = now
        if self._more or self._current is None:
            self._guarded(self._advance)
        if self._count(_ASKED) and now >= self._heard + self._pause:
            self._time_out()
        self._ask()

    def on_put(self, now: int, digest: bytes, index: int, total: int, data: bytes) -> None:
        """Take one piece."""
        self._now = now
        # A board sees bytes in the buffer they came in, since there is no room for copies.
        kinds = [type(part) for part in (index, total, digest, data)]
        if kinds[:2] != [int, int] or not {bytes, memoryview}.issuperset(kinds[2:]):
            self.wrong += 1
            return
        # Even a late or doubled one tells that a slow link is still at work on what was asked.
        self._heard = now
        thing = self._things.get(bytes(digest))
        if thing:
            self._guarded(lambda: self._piece(thing, index, total, data))
            self._ask()

    # What is asked for

    def _count(self, mark: int) -> int:
        return sum(thing.count(mark) for thing in self._things.values())

    def _ask(self) -> None:
        asked = self._count(_ASKED)
        # Half a window at once: a message for every piece would cost more.
        if not self._up or 2 * asked > self._window:
            return
        if not asked:
            self._heard = self._now
        for thing in self._things.values():
            if asked < self._window and thing.count(_ABSENT):
                message, count = thing.request(self._window - asked)
                self._gets.append(message)
                asked += count

    def _unask(self) -> None:
        for thing in self._things.values():
            for index, mark in enumerate(thing.marks):
                if mark == _ASKED:
                    thing.marks[index] = _ABSENT

    def _time_out(self) -> None:
        self._unask()
        self._heard = self._now
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        # By the clock as well: one that goes on where another left has short pauses again.
        waited = max(self._pause, (self._now - self._since) // 2)
        if waited > PATIENCE and self._current:
            self._news.append((self._current, "waiting for the coordinator to send the recipe"))
            if len(self._missing()) > 1:
                self._wanted.remove(self._current)
                self._wanted.append(self._current)
                self._forget()

    def _progress(self) -> None:
        # A slow link makes long gaps; asking within them would make it slower.
        self._pause = min(max(FIRST_PAUSE, 3 * (self._now - self._since)), LONGEST_PAUSE)
        self._since = self._now
        self._more = True

    # What came

    def _piece(self, thing: _Thing, index: int, total: int, data: bytes) -> None:
        if not thing.fits(index, total, data):
            self.wrong += 1
            if not thing.file:
                thing.close()
                compat.remove_tree(thing.path)
                raise FetchError("the manifest does not come in one size")
        elif thing.marks[index] != _HERE:
            if not thing.is_genuine(index, data):
                self.wrong += 1
                return
            single = len(thing.marks) == 1
            if not (single and self._is_blob(thing)):
                thing.write(index, data)
            thing.marks[index] = _HERE
            self._progress()
            if not thing.count(_ABSENT) and not thing.count(_ASKED):
                thing.close()
                self._finish(thing, io.BytesIO(data) if single else None)

    def _is_blob(self, thing: _Thing) -> bool:
        return thing.file is not None and thing.digest == thing.file.blob

    def _finish(self, thing: _Thing, source: "BinaryIO | None") -> None:
        del self._things[thing.digest]
        if thing.file and self._is_blob(thing):
            with source or open(thing.path, "rb") as blob:
                done = self._install(thing.file, blob, inflate)
            compat.remove_tree(thing.path)
            if thing.list_path:
                compat.remove_tree(thing.list_path)
            if not done:
                raise FetchError("%s is not what the manifest says" % thing.file.path)
        elif _digest_of(thing.path) != thing.digest:
            self.wrong += 1
            compat.remove_tree(thing.path)
            raise FetchError("the manifest or a piece list came damaged")
        elif thing.file:
            self._start(thing.file)

    def _install(
        self,
        file: manifest.File,
        source: "BinaryIO",
        pump: "Callable[[BinaryIO, Callable[[bytes], object], int], int]",
    ) -> bool:
        """Make the file from `source`; False, and nothing done, if that is something else."""
        new = self._parts + "/new"
        digest = compat.sha256()
        with open(new, "wb") as out:

            def write(data: bytes) -> None:
                out.write(data)
                digest.update(data)

            try:
                count = pump(source, write, file.size)
            except ValueError:
                return False
            if count != file.size or digest.digest() != file.raw:
                return False
            compat.sync_file(out)
        if hasattr(os, "chmod"):
            os.chmod(new, 0o755 if file.mode & 0o111 else 0o644)
        target = self._target(file)
        compat.makedirs(target.rpartition("/")[0])
        compat.replace(new, target)
        self._donors[file.raw] = target
        return True

    # The way through a recipe

    def _advance(self) -> None:
        """Go one step on; `_more` tells whether another can follow at once."""
        if self._current is None:
            self._more = self._begin()
        elif self._files is None:
            self._more = self._read_manifest(self._current)
        elif self._next < len(self._files):
            waiting = self._count(_ABSENT) + self._count(_ASKED)
            self._more = waiting < self._window and self._look(self._files[self._next])
        elif self._things:
            self._more = False
        else:
            self._mark(self._current)

    def _missing(self) -> "list[bytes]":
        return [digest for digest in self._wanted if digest not in self._complete]

    def _begin(self) -> bool:
        for digest in self._missing():
            if self._resting.get(digest, (0, 0))[0] <= self._now:
                self._current = digest
                self._since = self._left[1] if digest == self._left[0] else self._now
                self._left = (None, 0)
                return True
        return False

    def _read_manifest(self, digest: bytes) -> bool:
        if self._things:
            return False
        path = self._part(digest)
        if _digest_of(path) != digest:
            self._start_whole(_Thing(digest, 0, manifest.PIECE, None, path))
            return False
        files = manifest.parse(compat.read_file(path)).files
        self._find_donors({file.raw for file in files})
        self._files = files
        compat.makedirs(self.folder(digest))
        return True

    def _find_donors(self, wanted: "set[bytes]") -> None:
        for other in self._complete:
            folder = self.folder(other)
            try:
                files = manifest.parse(compat.read_file(folder + ".ok")).files
            except (OSError, ValueError):
                # Somebody was at it; what it held is fetched.
                continue
            for file in files:
                if file.raw in wanted:
                    self._donors[file.raw] = folder + "/" + file.path

    def _look(self, file: manifest.File) -> bool:
        """Take the file from this node or start to fetch it; False if that has to wait."""
        if _digest_of(self._target(file)) == file.raw:
            self._donors[file.raw] = self._target(file)
        elif not self._copy(file):
            large = any(thing.file and thing.file.hashes for thing in self._things.values())
            # The same blob comes once; of large ones one at a time, which is one open file.
            if file.blob in self._things or (large and file.hashes):
                return False
            self._start(file)
        self._next += 1
        return True

    def _copy(self, file: manifest.File) -> bool:
        donor = self._donors.get(file.raw)
        if not donor or not compat.exists(donor):
            return False
        with open(donor, "rb") as source:
            return self._install(file, source, _copy)

    def _start(self, file: manifest.File) -> None:
        """Fetch the blob, but before a large one the list of its pieces' hashes."""
        thing = _Thing(file.blob, file.blob_size, file.piece, file, self._part(file.blob))
        if file.hashes:
            thing.list_path = self._part(file.hashes)
            if _digest_of(thing.list_path) != file.hashes:
                size = 32 * len(thing.marks)
                path = thing.list_path
                self._start_whole(_Thing(file.hashes, size, manifest.PIECE, file, path))
                return
            self._resume(thing)
        self._things[thing.digest] = thing
        if not thing.count(_ABSENT):
            self._finish(thing, None)

    def _start_whole(self, thing: _Thing) -> None:
        """Fetch what has no list, after as much of it as is there already."""
        if compat.exists(thing.path):
            here = max(compat.size(thing.path) - 1, 0) // thing.piece
            if thing.size:
                here = min(here, len(thing.marks) - 1)
            thing.marks = bytearray(b"\2" * here) + bytearray(max(len(thing.marks) - here, 1))
        self._things[thing.digest] = thing

    def _resume(self, thing: _Thing) -> None:
        """Find out which pieces of a blob are there."""
        if not compat.exists(thing.path):
            return
        with open(thing.path, "rb") as blob, open(thing.list_path, "rb") as hashes:
            for index in range(len(thing.marks)):
                data = blob.read(thing.piece)
                if data and compat.sha256(data).digest() == hashes.read(32):
                    thing.marks[index] = _HERE

    def _mark(self, digest: bytes) -> None:
        """Call the recipe complete: its manifest moves beside its folder."""
        path = self._part(digest)
        with open(path, "r+b") as file:
            compat.sync_file(file)
        compat.replace(path, self.folder(digest) + ".ok")
        self._complete.add(digest)
        self._resting.pop(digest, None)
        self._news.append((digest, None))
        self._forget()

    # Failure

    def _guarded(self, act: "Callable[[], object]") -> None:
        """Do it; what goes wrong with disk, memory or content lets the recipe rest a while."""
        try:
            act()
        except (OSError, ValueError, MemoryError) as error:
            digest = self._current
            self._forget()
            if digest is not None:
                rest = self._resting.get(digest, (0, 0))[1]
                rest = min(max(FIRST_PAUSE, 2 * rest), LONGEST_REST)
                self._resting[digest] = (self._now + rest, rest)
                full = isinstance(error, OSError) and error.errno == _NO_SPACE
                text = "the disk is full" if full else str(error) or "the memory is full"
                self._news.append((digest, text))

    def _forget(self) -> None:
        """Leave the present recipe as it is on disk."""
        for thing in self._things.values():
            try:
                thing.close()
            except OSError:
                # Its pieces are checked when it is taken up again.
                pass
        self._things = {}
        self._current = None
        self._files = None
        self._next = 0
        self._donors: "dict[bytes, str]" = {}
        self._more = True
        self._pause = FIRST_PAUSE
        self._heard = self._since = self._now

    def _sync(self) -> None:
        for thing in self._things.values():
            thing.sync()

    # Names on disk

    def _part(self, digest: bytes) -> str:
        return self._parts + "/" + compat.hex(digest)

    def _target(self, file: manifest.File) -> str:
        return self.folder(self._current or b"") + "/" + str(file.path)


def _copy(source: "BinaryIO", write: "Callable[[bytes], object]", most: int) -> int:
    count = 0
    while count <= most:
        data = source.read(_BLOCK)
        if not data:
            break
        count += len(data)
        write(data)
    return count


def _digest_of(path: str) -> bytes:
    """Return the SHA-256 of a file, no bytes if there is none."""
    if not compat.exists(path):
        return b""
    digest = compat.sha256()
    with open(path, "rb") as source:
        _copy(source, digest.update, manifest.MAX_TOTAL)
    return bytes(digest.digest())
