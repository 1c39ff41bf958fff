"""Lends a serial line to a person: both ends of ``fieldconf console``.

Whoever has the port open, a bridge, lends the line over a socket of this box (in the abstract name
space of Linux, so no file is left): bytes go to the board and come from it. Each end makes sure
that the other one is of the same user, or root. The agent is asked to leave first, and is started
again when the person hangs up: the board is reset by software, as with Ctrl-D at its prompt.
"""

import hashlib
import logging
import os
import socket
import struct
import time

from fieldconf_microagent.serial_frames import CONNECTING, OPEN, Line

ASK_EVERY_S = 0.3
RESTART_S = 5.0
_LONGEST_RESTART_S = 300.0
_PS1 = b">>> "
PATIENCE_S = 3.0
# Return, Ctrl-C twice, Ctrl-B: whatever a prompt is in the middle of, it is a plain one after this.
_PROMPT = b"\r\x03\x03\x02"
RESTART = b"\r\x03\x03\x02\r\x04"

_log = logging.getLogger(__name__)


def _address(path: str) -> bytes:
    """Return where the line of a port of this name is lent."""
    return b"\0fieldconf-line-" + hashlib.sha256(path.encode()).hexdigest()[:32].encode()


def is_trusted(end: socket.socket) -> bool:
    """Tell whether the process at the other end is of this user, or root."""
    found = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", found)[1] in (0, os.geteuid())


def ask(path: str) -> socket.socket | None:
    """Ask whoever bridges a port for its line; None if nobody does."""
    for name in sorted({os.path.abspath(path), os.path.realpath(path)}):
        end = socket.socket(socket.AF_UNIX)
        try:
            end.connect(_address(name))
            if is_trusted(end):
                return end
        except OSError:
            pass
        end.close()
    return None


class Revival:
    """Restarts an agent that has ended and left its board at the prompt, with growing pauses."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at_s: float | None = None
        self.pause_s = RESTART_S

    def heard(self, now_s: float, text: bytes, line: Line) -> None:
        """Take in what a board printed last."""
        if text.endswith(_PS1):
            line.reset()
            self._at_s = now_s + self.pause_s

    def turn(self, now_s: float, line: Line, is_lent: bool) -> bytes:
        """Return what is to be written to the board."""
        if is_lent or line.stream:
            self._at_s = None
            if line.state == OPEN:
                self.pause_s = RESTART_S
        elif self._at_s is not None and now_s >= self._at_s:
            self._at_s = None
            self.pause_s = min(self.pause_s * 2, _LONGEST_RESTART_S)
            _log.info("%s: the board is at its prompt; its agent is restarted", self._path)
            return RESTART
        return b""

    @property
    def is_due(self) -> bool:
        """Whether the board will be restarted unless its agent shows up."""
        return self._at_s is not None


class Lender:
    """The bridge's side: one person at a time.

    Attributes:
        is_busy: somebody has the line, or waits for it.
        is_asking: the agent was asked to leave and has not answered yet.
        is_lent: somebody has the line.
    """

    def __init__(self, path: str) -> None:
        self.is_busy = self.is_asking = self.is_lent = False
        self._person: socket.socket | None = None
        self._begun_s = self._asked_s = 0.0
        self._typed = b""
        self._servers: dict[str, socket.socket] = {}
        self.listen(path)

    def listen(self, path: str) -> None:
        """Let the line be asked for by this name of the port, and by that of its device."""
        for name in {os.path.abspath(path), os.path.realpath(path)} - set(self._servers):
            server = socket.socket(socket.AF_UNIX)
            try:
                server.bind(_address(name))
                server.listen(2)
                server.setblocking(False)
            except OSError as error:
                _log.warning("cannot lend %s to `fieldconf console`: %s", name, error)
                server.close()
            else:
                self._servers[name] = server

    def leave(self, path: str) -> None:
        """Give up the name of the device: another one may be called so next."""
        for name in set(self._servers) - {os.path.abspath(path)}:
            self._servers.pop(name).close()

    def adopt(self, person: socket.socket) -> None:
        """Lend the line to whoever is at the other end of this socket."""
        person.setblocking(False)
        self._person = person
        self.is_busy = self.is_asking = True
        self._begun_s = time.monotonic()
        self._asked_s = 0.0

    def fds(self) -> list[int]:
        """Return what to wait for."""
        ends = [*self._servers.values(), self._person]
        return [end.fileno() for end in ends if end is not None]

    def serve(self, ready: dict[int, int]) -> None:
        """Take in who comes, what is typed, and who goes."""
        for server in self._servers.values():
            if server.fileno() in ready:
                self._welcome(server)
        if self._person is not None and self._person.fileno() in ready:
            try:
                typed = self._person.recv(1024)
            except BlockingIOError:
                return
            except OSError:
                typed = b""
            self._typed += typed
            if not typed:
                self._person.close()
                self._person = None

    def _welcome(self, server: socket.socket) -> None:
        try:
            person, _ = server.accept()
        except OSError:
            return
        if self._person is None and is_trusted(person):
            self.adopt(person)
        else:
            if is_trusted(person):
                person.send(b"[somebody else has the line]\r\n")
            person.close()

    def turn(self, line: Line) -> bytes:
        """Return what is to be written to the board beside frames."""
        if not self.is_busy:
            return b""
        if line.state == CONNECTING and self.is_lent:
            self.hang_up("the agent runs again")
            self.is_busy = self.is_lent = False
            return b""
        if self._person is None:
            return self._return(line)
        if self.is_asking:
            return self._ask(line)
        typed, self._typed = self._typed, b""
        return typed

    def _ask(self, line: Line) -> bytes:
        now_s = time.monotonic()
        if line.repl:
            self.show(b"[the agent has left: this is the board's prompt]\r\n")
        elif now_s - self._begun_s > PATIENCE_S:
            self.show(b"[no agent answers: this is the bare line]\r\n")
        else:
            if now_s - self._asked_s > ASK_EVERY_S:
                self._asked_s = now_s
                line.tell_repl()
            return b""
        self.is_asking = False
        self.is_lent = True
        line.repl = False
        return _PROMPT

    def _return(self, line: Line) -> bytes:
        """Start the agent again; one that was asked to leave may still do so: ask to the end."""
        if self.is_asking:
            asked = self._ask(line)
            if self.is_asking:
                return asked
        self.is_busy = self.is_lent = False
        self._typed = b""
        return RESTART

    def show(self, data: bytes) -> None:
        """Pass on what the board prints; a person who does not read it misses it."""
        if self._person is not None and data:
            try:
                self._person.send(data)
            except OSError:
                pass

    def hang_up(self, why: str) -> None:
        """Send the person away."""
        self.show(f"\r\n[{why}]\r\n".encode())
        if self._person is not None:
            self._person.close()
            self._person = None
        self.is_busy = self.is_asking = self.is_lent = False
        self._typed = b""

    def close(self) -> None:
        """Lend nothing any more."""
        self.hang_up("the bridge ends")
        for server in self._servers.values():
            server.close()
