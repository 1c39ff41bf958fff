"""A connection from a bridge to its broker: TCP or TLS, made without waiting. It knows no MQTT."""

import socket
import ssl
import threading
from collections.abc import Callable

from fieldconf_microagent.settings import split_url

_PATIENCE_S = 10.0
_BLOCK = 16384


class Connection:
    """One connection, from being made to its end.

    Args:
        url: ``mqtt://host:port``, or ``mqtts://host:port`` with a certificate that OpenSSL trusts
            (the environment variable SSL_CERT_FILE names others than those of the system).
        changed: called in another thread once it stands or has failed.

    Attributes:
        state: "connecting", "open", "failed" or "closed".
        problem: why it failed.
    """

    def __init__(self, url: str, changed: Callable[[], None]) -> None:
        self.state = "connecting"
        self.problem = ""
        self.socket: socket.socket | None = None
        self._unsent = b""
        self._lock = threading.Lock()
        threading.Thread(
            target=self._make, args=(url, changed), name="bridge-connect", daemon=True
        ).start()

    def _make(self, url: str, changed: Callable[[], None]) -> None:
        made: socket.socket | None = None
        problem = ""
        try:
            host, port, tls = split_url(url)
            made = socket.create_connection((host, port), _PATIENCE_S)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls:
                context = ssl.create_default_context()
                made = context.wrap_socket(made, server_hostname=host)
            made.setblocking(False)
        except (OSError, ValueError) as error:
            problem = str(error)
            if made is not None:
                made.close()
        self._made(None if problem else made, problem)
        changed()

    def _made(self, made: socket.socket | None, problem: str) -> None:
        with self._lock:
            if self.state == "closed":
                if made is not None:
                    made.close()
                return
            self.socket, self.problem = made, problem
            self.state = "failed" if made is None else "open"

    def close(self) -> None:
        """Let it go, whatever it is doing."""
        with self._lock:
            self.state = "closed"
            if self.socket is not None:
                self.socket.close()
                self.socket = None

    def read(self, most: int) -> bytes | None:
        """Return what has come, nothing at the end, None if there is nothing yet."""
        assert self.socket is not None
        try:
            return self.socket.recv(min(most, _BLOCK))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""

    def has_more(self) -> bool:
        """Tell whether TLS has read more than was asked for, which no `select` shows."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def write(self, data: bytes) -> bool:
        """Send bytes, or what is left of former ones; tell whether all are on their way.

        Nothing may be given before that is so. What cannot be sent is dropped: `read` tells why.
        """
        assert self.socket is not None
        self._unsent = self._unsent or bytes(data)
        try:
            # TLS wants to be given the same bytes again.
            while self._unsent:
                self._unsent = self._unsent[self.socket.send(self._unsent) :]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self._unsent = b""
        return not self._unsent

    @property
    def is_full(self) -> bool:
        """Whether the network has not yet taken everything."""
        return bool(self._unsent)
