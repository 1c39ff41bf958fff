"""Recipes on the coordinator: packs them once, keeps them by digest, answers `get`.

No sockets and no clock: the service hands in `get` payloads and publishes what comes back, at the
pace of a `TokenBucket`. Below the store's folder `manifests/<digest>` and `things/<digest>` hold
what their name says; a manifest is written last, so that all it names is there.
"""

import os
import zlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fieldconf_microagent import codec, compat, manifest

WINDOW = -10
MOST_PIECES = 64
MOST_BYTES = 4 << 20
OPEN_FILES = 32
INDEXED_MANIFESTS = 64
MAX_GET = 512


class RecipeError(ValueError):
    """A recipe cannot be packed; the text names the file and what to do."""


@dataclass(frozen=True)
class Packed:
    """A recipe as it is stored and sent. `things` are its blobs and piece lists by SHA-256."""

    digest: bytes
    manifest: bytes
    things: dict[bytes, bytes]


def pack(component: str, installer: str, files: Iterable[tuple[str, int, bytes]]) -> Packed:
    """Pack the files (path, mode, content) of a recipe; the same input gives the same bytes.

    The template's version is no part of it: what did not change keeps its digest, and runs on.

    Raises:
        RecipeError: agents would refuse it, for instance for one of its paths.
    """
    things: dict[bytes, bytes] = {}
    entries = [_entry(*file, things) for file in sorted(files)]
    total = sum(entry[3] for entry in entries)
    needs = {"installer": installer}
    packed = codec.pack([manifest.FORMAT, component, "", 0, total, needs, entries])
    try:
        manifest.parse(packed)
    except manifest.ManifestError as error:
        raise RecipeError(f"cannot pack the recipe of {component}: {error}") from error
    return Packed(sha256(packed).digest(), packed, things)


def _entry(path: str, mode: int, content: bytes, things: dict[bytes, bytes]) -> list[Any]:
    deflate = zlib.compressobj(9, zlib.DEFLATED, WINDOW)
    blob = deflate.compress(content) + deflate.flush()
    digest = sha256(blob).digest()
    things[digest] = blob
    piece = manifest.piece_size(len(blob))
    list_digest = None
    if len(blob) > piece:
        starts = range(0, len(blob), piece)
        hashes = b"".join(sha256(blob[at : at + piece]).digest() for at in starts)
        list_digest = sha256(hashes).digest()
        things[list_digest] = hashes
    # Only what a recipe can depend on: a digest must not follow the umask of who packed it.
    mode = 0o755 if mode & 0o111 else 0o644
    raw = sha256(content).digest()
    return [path, mode, raw, len(content), digest, len(blob), piece, list_digest]


class RecipeStore:
    """Keeps packed recipes in a folder and serves their pieces.

    Attributes:
        refused: how many `get` messages were malformed, or for what their node may not have.
        damaged: how often a stored thing no longer had its digest; it is not served.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.refused = 0
        self.damaged = 0
        self._manifests = Path(folder) / "manifests"
        self._things = Path(folder) / "things"
        self._manifests.mkdir(parents=True, exist_ok=True)
        self._things.mkdir(exist_ok=True)
        # Both in the order of their last use.
        self._open: OrderedDict[bytes, int] = OrderedDict()
        self._index: OrderedDict[bytes, dict[bytes, int]] = OrderedDict()

    def add(self, packed: Packed) -> bytes:
        """Keep the recipe and return its digest; it is on disk when this returns.

        Raises:
            OSError: it is not kept; what was kept before still is.
        """
        for digest, content in packed.things.items():
            _write(self._things / digest.hex(), content)
        _write(self._manifests / packed.digest.hex(), packed.manifest)
        return packed.digest

    def has(self, digest: bytes) -> bool:
        """Tell whether the recipe is kept."""
        return (self._manifests / digest.hex()).exists()

    def manifest_of(self, digest: bytes) -> manifest.Manifest:
        """Return the manifest of a recipe that is kept.

        Raises:
            KeyError: it is not kept.
        """
        try:
            return manifest.parse((self._manifests / digest.hex()).read_bytes())
        except (OSError, manifest.ManifestError):
            raise KeyError(digest) from None

    def answer(self, get: bytes, allowed: Iterable[bytes]) -> list[bytes]:
        """Return the `put` payloads that a `get` payload asks for, none if it is refused.

        Args:
            get: what a node sent.
            allowed: the digests of the manifests that this node's want names.
        """
        try:
            digest, first, bitmap, most = _read_get(get)
            piece = self._piece_of(digest, allowed)
            file = self._opened(digest)
        except (ValueError, KeyError, OSError):
            self.refused += 1
            return []
        total = os.fstat(file).st_size
        most = min(most, MOST_PIECES, max(1, MOST_BYTES // piece))
        last = manifest.pieces(total, piece) - 1
        wanted = [first + bit for bit in range(8 * len(bitmap)) if bitmap[bit // 8] >> bit % 8 & 1]
        # Who asks beyond the end has a wrong size in mind; any piece tells the right one.
        indices = [index for index in wanted if index <= last] or [last]
        return [
            codec.pack([digest, index, total, os.pread(file, piece, index * piece)])
            for index in indices[:most]
        ]

    def collect(self, keep: Iterable[bytes]) -> None:
        """Delete every recipe that is not in `keep`, and what only such recipes hold."""
        kept = set(keep)
        needed: set[bytes] = set()
        for path in self._manifests.iterdir():
            digest = _digest_of_name(path.name)
            if digest in kept:
                needed.update(self._reachable(digest))
            else:
                self._index.pop(digest, None)
                self._close(digest)
                path.unlink()
        for path in self._things.iterdir():
            digest = _digest_of_name(path.name)
            if digest not in needed:
                self._close(digest)
                path.unlink()

    def close(self) -> None:
        """Close all files."""
        for digest in list(self._open):
            self._close(digest)

    def _piece_of(self, digest: bytes, allowed: Iterable[bytes]) -> int:
        """Return the piece size of a thing that one of the recipes holds, else raise KeyError."""
        for recipe in allowed:
            if digest == recipe:
                return int(manifest.PIECE)
            try:
                return self._reachable(recipe)[digest]
            except KeyError:
                continue
        raise KeyError(digest)

    def _reachable(self, recipe: bytes) -> dict[bytes, int]:
        """Return the digests of all things of a recipe with their piece sizes."""
        if recipe not in self._index:
            pieces: dict[bytes, int] = {}
            for file in self.manifest_of(recipe).files:
                pieces[file.blob] = file.piece
                if file.hashes:
                    pieces[file.hashes] = manifest.PIECE
            self._index[recipe] = pieces
            if len(self._index) > INDEXED_MANIFESTS:
                self._index.popitem(last=False)
        self._index.move_to_end(recipe)
        return self._index[recipe]

    def _opened(self, digest: bytes) -> int:
        if digest not in self._open:
            path = self._things / digest.hex()
            if not path.exists():
                path = self._manifests / digest.hex()
            file = os.open(path, os.O_RDONLY)
            if not _is_intact(file, digest):
                os.close(file)
                self.damaged += 1
                raise KeyError(digest)
            self._open[digest] = file
            if len(self._open) > OPEN_FILES:
                self._close(next(iter(self._open)))
        self._open.move_to_end(digest)
        return self._open[digest]

    def _close(self, digest: bytes) -> None:
        file = self._open.pop(digest, None)
        if file is not None:
            os.close(file)


class TokenBucket:
    """Caps a rate: bytes may go while there are tokens, which come back with time.

    Args:
        bytes_per_s: the rate in the long run.
        burst: how many bytes may go at once after a silence.
    """

    def __init__(self, bytes_per_s: int, burst: int) -> None:
        self._rate = bytes_per_s
        self._burst = burst
        self._level = float(burst)
        self._at: int | None = None

    def wait(self, now: int, size: int) -> int:
        """Take `size` tokens and return 0, or take none and return in how many ms to ask again.

        More than a burst goes when the bucket is full, and is paid for afterwards.
        """
        if self._at is not None:
            gained = max(0, now - self._at) * self._rate / 1000
            self._level = min(self._burst, self._level + gained)
        self._at = now
        missing = min(size, self._burst) - self._level
        if missing <= 0:
            self._level -= size
            return 0
        return int(missing * 1000 / self._rate) + 1


def _read_get(get: bytes) -> tuple[bytes, int, bytes, int]:
    parts = codec.unpack(get, MAX_GET, 2, 16)
    if type(parts) is not list or len(parts) < 4:
        raise ValueError("a get has four parts")
    digest, first, bitmap, most = parts[:4]
    if type(digest) is not bytes or len(digest) != 32 or type(first) is not int or first < 0:
        raise ValueError("a get names a digest and a first piece")
    if type(bitmap) is not bytes or not any(bitmap) or type(most) is not int or most < 1:
        raise ValueError("a get says which pieces and how many")
    return digest, first, bitmap, most


def _write(path: Path, content: bytes) -> None:
    """Write a file that is named by its digest, unless it is there already."""
    if path.exists() and path.read_bytes() == content:
        return
    new = path.with_suffix(".new")
    with open(new, "wb") as file:
        file.write(content)
        compat.sync_file(file)
    compat.replace(str(new), str(path))


def _is_intact(file: int, digest: bytes) -> bool:
    found = sha256()
    at = 0
    while data := os.pread(file, 1 << 18, at):
        found.update(data)
        at += len(data)
    return found.digest() == digest


def _digest_of_name(name: str) -> bytes:
    try:
        return bytes.fromhex(name)
    except ValueError:
        # What a crash left behind.
        return b""
