"""Brokers that the coordinator starts and looks after, and the one that somebody else runs.

One shape for all three: `start`, then `tend` now and then, `admit` whoever may log in, `stop`.
The port is chosen once and kept in the data folder, so that agents find a restarted broker again.
"""

import os
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path

from fieldconf_targets import processes

_PATIENCE_S = 10.0
_LONGEST_PAUSE_S = 60.0


class BrokerError(Exception):
    """The broker cannot be started; the message says why and what to do."""


class Broker:
    """A broker that somebody else runs, and what every broker offers to the service.

    Attributes:
        url: where agents and the coordinator reach it.
        outer: where boards and other machines do.
        login: the coordinator's own user and password, or None.
        notice: what a user should know about it, said at start; may be empty.
    """

    login: tuple[str, str] | None = None
    notice = ""

    def __init__(self, url: str) -> None:
        self.url = self.outer = url

    @property
    def label(self) -> str:
        """What people call it: two brokers of equal labels stand for each other."""
        return self.url

    def start(self) -> None:
        """Make sure that it runs.

        Raises:
            BrokerError: it does not.
        """

    def tend(self, now_s: float) -> str | None:
        """Start it again if it died; return a sentence for the log when something happened."""
        return None

    def password(self, key: bytes) -> str | None:
        """Return the password of the node with this key; None where nodes do not log in."""
        return None

    def admit(self, logins: Iterable[tuple[str, str]]) -> None:
        """Let exactly these nodes (id, password) log in, and the coordinator."""

    def stop(self) -> None:
        """End it; one that is not ours lives on."""


class SupervisedBroker(Broker, ABC):
    """A broker process of ours on 127.0.0.1, started again with growing pauses when it dies."""

    name = "broker"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = kept_port(folder / "port")
        super().__init__(f"mqtt://127.0.0.1:{self.port}")
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0
        self._started_s = 0.0
        self._again_s: float | None = None

    @property
    def label(self) -> str:
        return self.name

    @abstractmethod
    def _command(self) -> list[str]:
        """Write what the process needs and return its command line."""

    def start(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        if not self.is_running():
            self._wait_for_port(deadline)
            self._spawn()
        while not accepts(self.port):
            if not self.is_running():
                raise BrokerError(f"cannot start {self.name}: it ended at once{self._last_words()}")
            if time.monotonic() > deadline:
                self.stop()
                raise BrokerError(
                    f"cannot start {self.name}: no answer on port {self.port} after "
                    f"{_PATIENCE_S:.0f} s{self._last_words()}"
                )
            time.sleep(0.02)

    def is_running(self) -> bool:
        """Tell whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def tend(self, now_s: float) -> str | None:
        if self.is_running():
            return None
        if self._again_s is None:
            # One that lived for a while died of something else than the time before.
            self._deaths = 1 if now_s - self._started_s > _LONGEST_PAUSE_S else self._deaths + 1
            pause_s = min(2.0 ** (self._deaths - 1), _LONGEST_PAUSE_S)
            self._again_s = now_s + pause_s
            return f"{self.name} has ended; it is started again in {pause_s:.0f} s"
        if now_s < self._again_s:
            return None
        self._again_s, self._started_s = None, now_s
        try:
            self._spawn()
        except (OSError, BrokerError) as error:
            return f"cannot start {self.name}: {error}"
        return f"{self.name} was started again"

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        processes.end([process.pid])
        process.wait()
        if process.stdin is not None:
            process.stdin.close()

    def _spawn(self) -> None:
        command = self._command()
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                # An embedded broker ends when this pipe does, which even kill -9 brings about.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait_for_port(self, deadline: float) -> None:
        # The broker of a coordinator that was killed a moment ago may still be about to end.
        while not is_free(self.port):
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"cannot start {self.name}: port {self.port} is taken by another process. "
                    f"Free it, or delete {self.folder / 'port'} to use another one "
                    "(running agents then have to be deployed anew)"
                )
            time.sleep(0.05)

    def _last_words(self) -> str:
        try:
            lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return ":\n" + "\n".join(lines[-5:]) if lines else ""


def kept_port(file: Path) -> int:
    """Return the port that stands in the file; write a free one into it if there is none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = int(found.getsockname()[1])
        new = file.with_suffix(".new")
        new.write_text(f"{port}\n")
        os.replace(new, file)
        return port


def is_free(port: int) -> bool:
    """Tell whether a broker could listen on this port of 127.0.0.1."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def accepts(port: int) -> bool:
    """Tell whether something accepts connections on this port of 127.0.0.1."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
