"""mosquitto on this box, with a generated configuration, looked after by the coordinator.

Every node has a password of its own, and may write only what is its own. mosquitto outlives a
coordinator that was killed: agents go on trading exports, and the next coordinator adopts it.
"""

import base64
import hashlib
import os
import secrets
import shutil
import signal
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from fieldconf_microagent import compat
from fieldconf_targets import processes

from .supervised import BrokerError, SupervisedBroker

_USER = "coordinator"
_FILE = "mosquitto.conf"
# Stretching helps weak passwords. These have 256 bits, and 10,000 nodes that log in have to wait.
_ROUNDS = 1

_CONFIG = """\
# Written by fieldconf at every start: changes are lost.
listener {port} 127.0.0.1
{outer}set_tcp_nodelay true
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/access
persistence true
persistence_location {folder}/
autosave_interval 60
message_size_limit 2097152
max_inflight_messages 1000
max_queued_messages 100000
log_dest stderr
log_type error
log_type warning
"""

# %u is the user a client logged in as, which for an agent is its node id.
_ACCESS = """\
# Written by fieldconf at every start: changes are lost.
user {user}
topic readwrite {domain}/#

pattern read {domain}/%u/+
pattern write {domain}/%u/have
pattern write {domain}/%u/live
pattern write {domain}/%u/pulse
pattern write {domain}/%u/did
pattern write {domain}/%u/get
pattern write {domain}/%u/log
pattern write {domain}/+/ask
pattern read {domain}/+/live
pattern read {domain}/x/+/+/+
pattern write {domain}/x/+/+/%u
"""


@dataclass(frozen=True)
class Outer:
    """Where mosquitto listens for boards and other machines, besides 127.0.0.1.

    Attributes:
        host: address of an interface, or 0.0.0.0 for all.
        certificate, key: files in PEM, for TLS; None: without.
    """

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    @property
    def url(self) -> str:
        """Where they reach it: by the address that leads out of this box, if it is any."""
        host = own_address() if self.host in ("0.0.0.0", "::") else self.host
        return f"mqtt{'s' if self.certificate else ''}://{host}:{self.port}"

    def lines(self) -> str:
        """Return its part of the configuration."""
        found = f"listener {self.port} {self.host}\n"
        if self.certificate is not None and self.key is not None:
            found += f"certfile {self.certificate.absolute()}\nkeyfile {self.key.absolute()}\n"
        return found


class Mosquitto(SupervisedBroker):
    """Supervises mosquitto."""

    name = "mosquitto"

    def __init__(self, folder: Path, domain: str = "fc", outer: Outer | None = None) -> None:
        super().__init__(folder.absolute())
        self._outer = outer
        if outer is not None:
            self.outer = outer.url
        self._domain = domain
        self._program = program()
        self._adopted: tuple[int, int] | None = processes.read_pid_file(self.folder / "pid")
        self.login = (_USER, self._own_password())
        # Digest of the password file.
        self._written = b""

    def password(self, key: bytes) -> str:
        return compat.hex(compat.hmac_sha256(key, b"mqtt password"))

    def admit(self, logins: Iterable[tuple[str, str]]) -> None:
        assert self.login is not None
        digest = self._write("passwords", (_line(*one) for one in chain(logins, [self.login])))
        if digest != self._written:
            self._written = digest
            self._reload()

    def start(self) -> None:
        # One that is found running was told something else, perhaps.
        if self._adopted is not None and self._config().encode() != self._read(_FILE):
            self.stop()
        super().start()

    def is_running(self) -> bool:
        if self._adopted is not None and processes.is_alive(*self._adopted):
            return True
        return super().is_running()

    def stop(self) -> None:
        if self._adopted is not None and processes.is_alive(*self._adopted):
            processes.end([self._adopted[0]])
        self._adopted = None
        super().stop()

    def _command(self) -> list[str]:
        if not self._written:
            self.admit(())
        self._write("access", [_ACCESS.format(user=_USER, domain=self._domain)])
        self._write(_FILE, [self._config()])
        return [self._program, "-c", str(self.folder / _FILE)]

    def _config(self) -> str:
        outer = "" if self._outer is None else self._outer.lines()
        config = _CONFIG.format(port=self.port, folder=self.folder, outer=outer)
        # As root it would become the user "mosquitto", who cannot read the folder.
        return config + "user root\n" if os.geteuid() == 0 else config

    def _spawn(self) -> None:
        super()._spawn()
        assert self._process is not None
        processes.write_pid_file(self.folder / "pid", self._process.pid)

    def _reload(self) -> None:
        if self._adopted is not None and processes.is_alive(*self._adopted):
            os.kill(self._adopted[0], signal.SIGHUP)
        elif self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGHUP)

    def _own_password(self) -> str:
        file = self.folder / "coordinator.password"
        if not file.exists():
            self._write(file.name, [secrets.token_hex(32)])
        return file.read_text()

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return b""

    def _write(self, name: str, lines: Iterable[str]) -> bytes:
        """Write a file that only we may read, and return a digest of it."""
        new, digest = self.folder / (name + ".new"), hashlib.sha256()
        with open(new, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            for line in map(str.encode, lines):
                digest.update(line)
                file.write(line)
        os.replace(new, self.folder / name)
        return digest.digest()


def _line(user: str, password: str) -> str:
    """Return a line of the password file, always the same one for a login."""
    # No two passwords are alike, so neither are their salts.
    salt = hashlib.sha256(b"salt " + password.encode()).digest()[:12]
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    parts = base64.b64encode(salt).decode(), base64.b64encode(digest).decode()
    return f"{user}:$7${_ROUNDS}${parts[0]}${parts[1]}\n"


def own_address() -> str:
    """Return the address of this box as others see it; 127.0.0.1 where there are no others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks which way it would go.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def program() -> str:
    """Return where mosquitto is.

    Raises:
        BrokerError: it is not installed.
    """
    # Debian puts it where only root looks.
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise BrokerError(
            "mosquitto is not installed. Install it (Debian, Ubuntu: apt install mosquitto), "
            "or leave --mosquitto out to use the embedded broker"
        )
    return found
