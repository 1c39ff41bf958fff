"""The way in for the command line: JSON lines over a Unix socket in the data folder.

One line asks (``{"do": "status", "app": "shop"}``), one line answers (``{"result": …}`` or
``{"error": {"code", "message", "hint", "problems"}}``). Only the owner of the data folder can open
the socket. What is asked is not understood here: `handle` is called, in the thread of the
connection. REST will take this place; nothing else should grow here.
"""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Handle = Callable[[str, dict[str, Any]], Any]

SOCKET = "control.sock"
LONGEST = 1 << 20
_LONGEST_NAME = 100


class RequestError(Exception):
    """A request was refused.

    Attributes:
        code: for programs.
        message: for people.
        hint: what to do, or "".
        problems: what is wrong with a template, one dictionary each.
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        problems: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.problems = problems or []


class ControlServer:
    """Listens in a thread; one more thread for every connection."""

    def __init__(self, folder: Path, handle: Handle) -> None:
        self._path = folder / SOCKET
        self._handle = handle
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        # Nobody can open it before its mode is set.
        mask = os.umask(0o177)
        try:
            with _short(self._path) as name:
                self._socket.bind(name)
        finally:
            os.umask(mask)
        self._socket.listen(16)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        # Closing alone would leave the thread in `accept`.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as lines:
            try:
                while line := lines.readline(LONGEST):
                    lines.write(json.dumps(self._answer(line)).encode() + b"\n")
                    lines.flush()
            except OSError:
                return  # whoever asked has gone

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            name = asked.pop("do")
        except (ValueError, KeyError, AttributeError, TypeError):
            return {"error": _told(RequestError("bad-request", "expected a line of JSON"))}
        try:
            return {"result": self._handle(name, asked)}
        except RequestError as error:
            return {"error": _told(error)}


def ask(folder: Path, request: str, /, **arguments: Any) -> Any:
    """Ask the coordinator of this data folder, and return its answer.

    Raises:
        RequestError: it refused; the code is ``not-running`` where there is no coordinator.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            with _short(folder / SOCKET) as address:
                connection.connect(address)
            with connection.makefile("rwb") as lines:
                lines.write(json.dumps({"do": request, **arguments}).encode() + b"\n")
                lines.flush()
                answer = lines.readline()
        except OSError:
            raise not_running(folder) from None
    if not answer:
        raise RequestError("stopped", "the coordinator stopped before it answered")
    told = json.loads(answer)
    if "error" in told:
        raise RequestError(**told["error"])
    return told["result"]


def not_running(folder: Path) -> RequestError:
    """Return the error that says that nobody listens."""
    return RequestError(
        "not-running",
        f"no coordinator runs on {folder}",
        "start one with 'fieldconf up', or name its folder with --data",
    )


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Give a path that fits into the some hundred bytes that a socket's name may have."""
    if len(os.fsencode(path)) < _LONGEST_NAME:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _told(error: RequestError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "problems": error.problems,
    }
