"""The body of a request: bounded, decoded, or streamed to a file.

Whatever is refused, the rest of the body is read and forgotten, within bounds: a client that is
still sending would not see the answer otherwise.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .envelope import Refusal

_PIECE = 64 << 10
_MOST_FORGOTTEN = 64 << 20


class Body:
    """The body of the request of `environ`."""

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._input = environ["wsgi.input"]
        chunked = environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
        declared = environ.get("CONTENT_LENGTH") or "0"
        self._left: int | None = None if chunked else max(0, int(declared))
        self.declared = self._left
        self.type = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        self.encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()

    @property
    def is_empty(self) -> bool:
        """Tell whether there is none."""
        return self.declared == 0

    def json(self, limit: int) -> Any:
        """Return the decoded body.

        Raises:
            Refusal: it is too large, of another type, or not JSON in UTF-8.
        """
        self._expect(("application/json",))
        raw = b"".join(self._pieces(limit))
        try:
            return json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        except UnicodeDecodeError as error:
            raise Refusal(
                400, "bad-utf8", f"the body is not UTF-8: byte {error.start}", "/"
            ) from error
        except (ValueError, RecursionError) as error:
            said = str(error) if isinstance(error, ValueError) else "nested too deeply"
            raise Refusal(400, "bad-json", f"the body is not JSON: {said}", "/") from error

    def save(self, folder: Path, limit: int, types: tuple[str, ...]) -> Path:
        """Write the body to a new file in `folder` and return its path.

        Raises:
            Refusal: it is too large, empty, or of another type; no file is left.
            OSError: it cannot be written; no file is left.
        """
        self._expect(types)
        handle, name = tempfile.mkstemp(dir=folder)
        path = Path(name)
        try:
            # The end of what is small reaches the disk only when the file is closed.
            with open(handle, "wb") as file:
                for piece in self._pieces(limit):
                    file.write(piece)
        except BaseException:
            path.unlink()
            raise
        return path

    def forget(self) -> None:
        """Read what is left, within bounds."""
        try:
            for _ in self._read(_MOST_FORGOTTEN):
                pass
        except Exception:  # the client is gone, or its chunks are odd: nothing is lost
            return

    def _expect(self, types: tuple[str, ...]) -> None:
        if self.encoding not in ("", "identity"):
            raise Refusal(
                415, "bad-type", f"cannot read the encoding {self.encoding!r}", "Content-Encoding"
            )
        if self.type not in types:
            said = f"not {self.type!r}" if self.type else "and none is named"
            hint = f"send Content-Type: {types[0]}"
            expected = " or ".join(types)
            raise Refusal(415, "bad-type", f"expected {expected}, {said}", "Content-Type", hint)

    def _pieces(self, limit: int) -> Iterator[bytes]:
        if self._left is not None and self._left > limit:
            raise _too_large(limit)
        size = 0
        for piece in self._read(limit + 1):
            size += len(piece)
            if size > limit:
                raise _too_large(limit)
            yield piece

    def _read(self, most: int) -> Iterator[bytes]:
        while most > 0 and self._left != 0:
            piece = self._input.read(min(_PIECE, most, self._left or _PIECE))
            if not piece:
                self._left = 0
                return
            most -= len(piece)
            if self._left is not None:
                self._left -= len(piece)
            yield piece


def _too_large(limit: int) -> Refusal:
    shown = f"{limit >> 20} MiB"
    return Refusal(413, "too-large", f"the body has more than {shown}", "/", f"at most {shown}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
