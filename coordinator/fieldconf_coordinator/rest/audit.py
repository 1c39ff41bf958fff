"""The audit log: who changed what, in a file to which lines are only ever added.

Every line is JSON and holds the hash of the line before, so a line that was changed, taken out or
put in between is found (`verify`). Before something is changed, a line says who wants what; after
it, a second one says what came of it. Both are on the disk before the answer is sent: nothing is
changed that is not in the log, and where the log cannot be written, nothing is changed.

What the chain cannot show is that its end was cut off. `verify` tells the last hash, to be noted
down elsewhere by those who need that.

Bodies are logged without what is secret. Nothing here reads headers.
"""

import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .envelope import Refusal

if TYPE_CHECKING:
    from .routes import Call

FILE = "audit.jsonl"
_SECRET = frozenset(("password", "token", "new_password"))
_LONGEST = 4000
_FIRST = "0" * 64


@dataclass(frozen=True)
class Verdict:
    """What `verify` found.

    Attributes:
        lines: how many are sound.
        last: hash of the last sound line.
        problem: what is wrong, naming the line; "" if nothing is.
    """

    lines: int
    last: str
    problem: str = ""


def verify(path: Path) -> Verdict:
    """Go through the log and return how far it can be trusted.

    Raises:
        OSError: it cannot be read.
    """
    last, count = _FIRST, 0
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            entry = _parsed(line)
            if entry is None:
                return Verdict(count, last, f"line {number} is no entry of the log")
            if entry.get("previous") != last:
                said = (
                    f"line {number} does not follow the one before: a line was changed or is gone"
                )
                return Verdict(count, last, said)
            if entry.get("hash") != _hash(entry):
                return Verdict(count, last, f"line {number} was changed after it was written")
            if entry.get("number") != number:
                return Verdict(count, last, f"line {number} has the number {entry.get('number')}")
            last, count = entry["hash"], number
    return Verdict(count, last)


class Audit:
    """Adds lines.

    Raises:
        OSError: the file cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = threading.Lock()
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._number, self._last = self._end()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def begin(self, call: "Call") -> int:
        """Note what somebody is about to do and return the line's number.

        Raises:
            Refusal: it cannot be written, so nothing may be done.
        """
        return self._add(
            {
                "who": call.who.name,
                "role": call.who.role,
                "via": call.who.via,
                "from": call.client,
                "method": call.method,
                "path": call.path,
                "query": dict(call.query),
                "body": _shown(call.body),
            }
        )

    def end(self, number: int, status: int) -> None:
        """Note what came of it."""
        self._add({"of": number, "status": status})

    def note(self, what: str) -> None:
        """Note something that nobody asked for through the interface."""
        self._add({"who": "coordinator", "what": what})

    def _add(self, entry: dict[str, Any]) -> int:
        with self._lock:
            number = self._number + 1
            at = time.time_ns() // 1_000_000
            whole = {"number": number, "at": at, **entry, "previous": self._last}
            whole["hash"] = _hash(whole)
            size = os.fstat(self._file).st_size
            try:
                _write(self._file, _canonical(whole) + b"\n")
                os.fsync(self._file)
            except OSError as error:
                # Half a line would break the chain for good.
                os.ftruncate(self._file, size)
                raise Refusal(
                    507,
                    "disk",
                    f"cannot write {self.path}: {error.strerror}",
                    hint="nothing has changed; make room on the disk and ask again",
                ) from error
            self._number, self._last = number, whole["hash"]
            return number

    def _end(self) -> tuple[int, str]:
        """Return number and hash of the last line; what a power cut left of a line is cut off."""
        size = os.fstat(self._file).st_size
        with open(self.path, "rb") as file:
            file.seek(max(0, size - (64 << 10)))
            tail = file.read()
        whole, _, rest = tail.rpartition(b"\n")
        if rest:
            os.ftruncate(self._file, size - len(rest))
        if not whole:
            return 0, _FIRST
        entry = _parsed(whole.rpartition(b"\n")[2])
        if entry is None or not isinstance(entry.get("number"), int):
            # The chain goes on from what is there; `verify` names the damaged line.
            with open(self.path, "rb") as file:
                return sum(1 for _ in file), _FIRST
        return entry["number"], str(entry.get("hash"))


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _canonical(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()


def _hash(entry: dict[str, Any]) -> str:
    without = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(_canonical(without)).hexdigest()


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _shown(body: Any) -> Any:
    """Return a body as it may be kept: without secrets, and not endless."""
    if isinstance(body, dict):
        body = {name: "…" if name in _SECRET else value for name, value in body.items()}
    text = json.dumps(body)
    return body if len(text) <= _LONGEST else text[:_LONGEST] + "…"
