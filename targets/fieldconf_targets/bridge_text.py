"""Tells what a board prints from the frames it sends, on one serial line. No I/O.

A frame stands between zero bytes, and its second byte is none that a text has: so text that ends
with a line, with a zero byte or with a pause is found while it comes, a traceback or a prompt too.
"""

_TEXT = bytes(n for n in range(256) if n >= 32 or n in b"\t\n\r\x08\x1b")
_LONGEST = 512


class Sorter:
    """Sorts what is read from a line into text and the rest."""

    def __init__(self) -> None:
        self._chunk = b""

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """Return pieces of text, and what is to be looked at for frames, zero bytes included."""
        texts: list[bytes] = []
        rest = b""
        chunks = (self._chunk + data).split(b"\0")
        self._chunk = chunks.pop()
        for chunk in chunks:
            if _is_text(chunk):
                texts.append(chunk)
            else:
                rest += chunk + b"\0"
        end = self._chunk.rfind(b"\n") + 1
        if end and _is_text(self._chunk[: max(end, 2)]):
            texts.append(self._chunk[:end])
            self._chunk = self._chunk[end:]
        if len(self._chunk) > _LONGEST:
            text = self.pause()
            texts += [text] if text else []
            rest, self._chunk = rest + self._chunk, b""
        return texts, rest

    def pause(self) -> bytes:
        """Return text that nothing followed for a while, such as a prompt."""
        chunk = self._chunk
        if not _is_text(chunk):
            return b""
        self._chunk = b""
        return chunk

    def is_waiting(self) -> bool:
        """Tell whether a pause would mean something."""
        return bool(self._chunk)


def _is_text(chunk: bytes) -> bool:
    # One byte alone may be the first of a frame.
    return len(chunk) > 1 and not chunk.translate(None, _TEXT)


class Lines:
    """Puts pieces of text together to lines for a log, not more than are worth reading.

    Args:
        most: lines in `every_s` seconds; others are counted and left out.
    """

    def __init__(self, most: int = 100, every_s: float = 10.0) -> None:
        self._most, self._every_s = most, every_s
        self._partial = b""
        self._count = 0
        self._until_s = 0.0

    def feed(self, now_s: float, text: bytes, is_over: bool = False) -> list[str]:
        """Return the lines that are whole now; with `is_over` the last one as it is."""
        *whole, self._partial = (self._partial + text).split(b"\n")
        if is_over or len(self._partial) > _LONGEST:
            whole.append(self._partial)
            self._partial = b""
        found = [line.decode(errors="replace").rstrip("\r") for line in whole if line.strip()]
        return self._bounded(now_s, found)

    def _bounded(self, now_s: float, lines: list[str]) -> list[str]:
        told = []
        if now_s >= self._until_s:
            if self._count > self._most:
                told.append(f"({self._count - self._most} lines left out)")
            self._until_s = now_s + self._every_s
            self._count = 0
        told += lines[: max(0, self._most - self._count)]
        self._count += len(lines)
        return told
