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


class ManifestError(ValueError):
    """The manifest is refused; the text says what is wrong with it."""


class Manifest:
    """A checked manifest. `files` holds `File` tuples, `needs` what it requires of a node."""

    def __init__(self, head: "list[object]", files: "list[File]") -> None:
        _, self.component, self.version, self.sequence, self.size, self.needs = head
        self.files = files


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
        raise ManifestError("the manifest cannot be read: " + str(error))
    if not isinstance(parts, list) or not parts or parts[0] != FORMAT:
        raise ManifestError("the manifest has a format that this agent does not read")
    if len(parts) < 7 or not _are(parts, (int, str, str, int, int, dict, list)):
        raise ManifestError("the manifest lacks something")
    if len(parts[6]) > MAX_FILES:
        raise ManifestError("the recipe has more than %d files" % MAX_FILES)
    files = [_file(entry) for entry in parts[6]]
    _check_tree(files)
    if parts[4] > MAX_TOTAL or parts[4] != sum(file.size for file in files):
        raise ManifestError("the sizes in the manifest do not add up, or are too large")
    return Manifest(parts[:6], files)


def _are(values: "list[object]", kinds: "tuple[type, ...]") -> bool:
    # Not isinstance: on CPython a bool would pass for an int.
    return all(type(value) is kind for value, kind in zip(values, kinds))


def _file(entry: "list[object]") -> File:
    if type(entry) is not list or not _are(entry, (str, int, bytes, int, bytes, int, int)):
        raise ManifestError("a file of the manifest lacks something")
    if len(entry) < 8:
        raise ManifestError("a file of the manifest lacks something")
    file = File(*entry[:8])
    if not is_safe(file.path):
        raise ManifestError("the path %r is not allowed in a recipe" % file.path)
    digests = [file.raw, file.blob]
    if file.blob_size > file.piece:
        digests.append(file.hashes)
    elif file.hashes is not None:
        raise ManifestError("%s: a list for a single piece" % file.path)
    if not all(type(digest) is bytes and len(digest) == 32 for digest in digests):
        raise ManifestError("%s: a digest is not SHA-256" % file.path)
    # DEFLATE with this window makes a file that does not compress longer by 1/430.
    most = file.size + file.size // 256 + 64
    if not (0 <= file.size <= MAX_FILE and 0 < file.blob_size <= most):
        raise ManifestError("%s: a size is not allowed" % file.path)
    if file.piece != piece_size(file.blob_size):
        raise ManifestError("%s: the piece size is not that of the rule" % file.path)
    return file


def is_safe(path: str) -> bool:
    """Tell whether `path` names a file below a recipe's folder, on every system."""
    if not 0 < len(path.encode()) <= MAX_PATH or "\\" in path or min(path) < " ":
        return False
    # An empty part is a slash too many, one at the start among them: an absolute path.
    return not any(part in ("", ".", "..") for part in path.split("/"))


def _check_tree(files: "list[File]") -> None:
    paths = {file.path for file in files}
    if len(paths) != len(files):
        raise ManifestError("a path is there twice")
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder:
            if folder in paths:
                raise ManifestError("%s is a file and a folder" % folder)
            folder = folder.rpartition("/")[0]
