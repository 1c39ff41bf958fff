"""The manifest of a recipe: which files it holds, and how they travel. Reads it; packs nothing.

``[1, component, version, sequence, raw size in all, requirements, files]`` in msgpack, a file being
``[path, mode, raw SHA-256, raw size, blob SHA-256, blob size, piece size, SHA-256 of the piece
list or nil]``. Every bound is checked here and nowhere else: who holds a `Manifest` may trust it.
"""

from collections import namedtuple

from . import codec
from .compat import const

FORMAT = const(1)
PIECE = const(4096)
MAX_PIECES = const(1024)
MAX_FILES = const(1000)
MAX_PATH = const(200)
MAX_MANIFEST = const(1 << 19)
MAX_FILE = const(1 << 28)
MAX_TOTAL = const(1 << 30)

File = namedtuple("File", ("path", "mode", "raw", "size", "blob", "blob_size", "piece", "hashes"))
Manifest = namedtuple("Manifest", ("component", "version", "sequence", "size", "needs", "files"))


class ManifestError(ValueError):
    """The manifest is refused; the text says what is wrong with it."""


def _need(is_so: bool, problem: str) -> None:
    if not is_so:
        raise ManifestError("manifest: " + problem)


def _are(values: "list[object]", kinds: "tuple[type, ...]") -> bool:
    # Not isinstance: on CPython a bool would pass for an int. What a newer format adds may follow.
    return type(values) is list and [type(value) for value in values[: len(kinds)]] == list(kinds)


def piece_size(size: int) -> int:
    """Return the piece size of a blob of `size` bytes: 4 KiB, doubled while it has too many."""
    piece: int = PIECE
    while size > piece * MAX_PIECES:
        piece *= 2
    return piece


def pieces(size: int, piece: int) -> int:
    """Return how many pieces a thing of `size` bytes comes in."""
    return (size + piece - 1) // piece


def parse(data: bytes) -> Manifest:
    """Return the manifest that `data` encodes.

    Raises:
        ManifestError: it is not one, or it exceeds a bound.
    """
    try:
        parts = codec.unpack(data, MAX_MANIFEST, 6, 16 * MAX_FILES)
    except codec.CodecError as error:
        raise ManifestError("manifest: " + str(error))
    _need(_are(parts, (int, str, str, int, int, dict, list)), "something is missing")
    _need(parts[0] == FORMAT, "this agent does not read its format")
    _need(len(parts[6]) <= MAX_FILES, "more than 1000 files")
    files = [_file(entry) for entry in parts[6]]
    _check_tree(files)
    total = sum(file.size for file in files)
    _need(parts[4] == total <= MAX_TOTAL, "the sizes do not add up, or are too large")
    return Manifest(*(parts[1:6] + [files]))


def _file(entry: "list[object]") -> File:
    _need(
        _are(entry, (str, int, bytes, int, bytes, int, int)) and len(entry) > 7,
        "something of a file is missing",
    )
    file = File(*entry[:8])
    path = file.path
    _need(is_safe(path), "the path %r is not allowed" % path)
    # DEFLATE with this window makes a file that does not compress longer by 1/430.
    most = file.size + file.size // 256 + 64
    _need(0 <= file.size <= MAX_FILE and 0 < file.blob_size <= most, path + ": size")
    _need(file.piece == piece_size(file.blob_size), path + ": piece size")
    hashes = file.hashes
    if file.blob_size <= file.piece:
        _need(hashes is None, path + ": a list for a single piece")
        hashes = file.blob
    lengths = [type(digest) is bytes and len(digest) for digest in (file.raw, file.blob, hashes)]
    _need(lengths == [32, 32, 32], path + ": a digest is not SHA-256")
    return file


def is_safe(path: str) -> bool:
    """Tell whether `path` names a file below a recipe's folder, on every system."""
    if not 0 < len(path.encode()) <= MAX_PATH or "\\" in path or min(path) < " ":
        return False
    # An empty part is a slash too many, one at the start among them: an absolute path.
    return not any(part in ("", ".", "..") for part in path.split("/"))


def _check_tree(files: "list[File]") -> None:
    paths = {file.path for file in files}
    _need(len(paths) == len(files), "a path is there twice")
    for path in paths:
        while path:
            path = path.rpartition("/")[0]
            _need(path not in paths, path + " is a file and a folder")
