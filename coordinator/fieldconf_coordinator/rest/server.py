"""The HTTP server: cheroot with a fixed pool of threads, TLS where there is a certificate.

Streams take no thread: once its head is sent, the connection is taken out of the server's hands.
Neither do clients that have said nothing yet: cheroot would give each a thread at once, and would
wait in its only loop for the end of a TLS handshake, so that a few silent ones could stop it.
"""

import errno
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cheroot import errors, wsgi
from cheroot.server import HTTPConnection
from cheroot.ssl.builtin import BuiltinSSLAdapter

from ..service.service import Service
from . import pages
from .accounts import LOOPBACK
from .app import make_app
from .rest import Options, Rest
from .table import ROUTES

DEFAULT = ("127.0.0.1", 8700)
THREADS = 64
#: In the data folder: where the interface was served the last time.
PORT_FILE = "port"
_STREAM = socket.SOCK_STREAM
_TIMEOUT_S = 10
_BACKLOG = 256
_MOST_IDLE = 500
_LONGEST_HEAD = 64 << 10

_log = logging.getLogger(__name__)


class ListenError(Exception):
    """The interface cannot be served as asked."""


class Connection(HTTPConnection):
    """A connection that can be taken over when the server is done with it."""

    take_over: Callable[[Any], None] | None = None
    _is_greeted = False

    def communicate(self) -> bool:
        if not self._is_greeted and isinstance(self.socket, ssl.SSLSocket):
            self._is_greeted = True
            try:
                self.socket.do_handshake()
            except OSError as error:
                _log.debug("no TLS with %s: %s", self.remote_addr, error)
                return False
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def close(self) -> None:
        taker, self.take_over = self.take_over, None
        if taker is not None:
            taker(self)
        else:
            super().close()

    def let_go(self) -> None:
        """Close it for good."""
        try:
            super().close()
        except (OSError, errors.FatalSSLAlert):
            return  # the other side was faster


class HttpServer(wsgi.Server):
    """Gives a thread to a connection only when there is something to read."""

    def process_conn(self, conn: Any) -> None:
        if conn.last_used is None:
            # Comes back when it has said something.
            self._connections.put(conn)  # type: ignore[attr-defined]
        else:
            super().process_conn(conn)


class Adapter(BuiltinSSLAdapter):
    """Leaves the handshake to the thread that will talk to the client."""

    def wrap(self, sock: Any) -> tuple[ssl.SSLSocket, dict[str, Any]]:
        wrapped = self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


class Gateway(wsgi.Gateway_10):
    """Hands a connection over where the application asks for it."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ["fieldconf.take_over"] = self._take_over
        return environ

    def _take_over(self, taker: Callable[[Any], None]) -> None:
        # What follows has no length and is not chunked: it ends with the connection.
        self.req.response_protocol = "HTTP/1.0"
        self.req.close_connection = True
        self.req.conn.take_over = taker


class Server:
    """Serves a service.

    Args:
        service: does not run yet.
        host: name or address; anything but loopback needs accounts.
        port: 0 for any that is free.
        dev: whoever asks from this box is admin; only on loopback.
        certificate: PEM files of certificate chain and key, for TLS.
        per_s: requests a second for each client.

    Raises:
        ListenError: it cannot be served like that.
    """

    def __init__(
        self,
        service: Service,
        host: str,
        port: int,
        dev: bool = False,
        certificate: tuple[Path, Path] | None = None,
        per_s: float = Options.per_s,
    ) -> None:
        if dev and host not in LOOPBACK | {"localhost"}:
            raise ListenError(
                f"cannot serve {host} with --dev: it lets in everybody, so it is for loopback only"
            )
        self._server: Any = HttpServer((host, port), None, numthreads=THREADS, max=THREADS)
        self._server.keep_alive_conn_limit = _MOST_IDLE
        self._server.gateway = Gateway
        self._server.ConnectionClass = Connection
        self._server.timeout = _TIMEOUT_S
        self._server.request_queue_size = _BACKLOG
        self._server.max_request_header_size = _LONGEST_HEAD
        self._server.server_name = "fieldconf"
        self._server.error_log = _log_error  # type: ignore[method-assign,assignment]
        if certificate is not None:
            self._server.ssl_adapter = _adapter(*certificate)
        try:
            _as_daemons(self._server.prepare)
        except OSError as error:
            raise ListenError(f"cannot listen on {host}:{port}: {_reason(host, port)}") from error
        self.rest = Rest(service, Options(dev, certificate is not None, per_s))
        self._server.wsgi_app = make_app(self.rest, [*ROUTES, *pages.ROUTES])
        bound = self._server.bind_addr
        scheme = "https" if certificate is not None else "http"
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        self._certificate = "" if certificate is None else _first(certificate[0])
        self.url = f"{scheme}://{shown}:{bound[1]}"
        #: To log in with as long as there is no admin; new at every start until then.
        self.first_token: str | None = None
        self._thread = threading.Thread(target=self._serve, name="rest", daemon=True)

    def start(self) -> None:
        """Serve from now on."""
        if not self.rest.options.dev:
            self.first_token = self.rest.accounts.first_token()
        self.rest.audit.note("the coordinator starts")
        self.rest.write_endpoint(self._local_url(), self._certificate)
        self.rest.is_serving = True
        self._thread.start()

    def _local_url(self) -> str:
        """Return the address for programs of this box."""
        for everywhere, loopback in (("//0.0.0.0:", "//127.0.0.1:"), ("//[::]:", "//[::1]:")):
            if everywhere in self.url:
                return self.url.replace(everywhere, loopback)
        return self.url

    def close(self) -> None:
        """Serve no more."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join(10)
        self.rest.close()

    def _serve(self) -> None:
        self._server.serve()


@contextmanager
def serving(
    service: Service,
    listen: str | None,
    dev: bool = False,
    certificate: tuple[Path, Path] | None = None,
    per_s: float = Options.per_s,
) -> Iterator[Server]:
    """Serve a service that does not run yet, at ``host:port``, or where there is room with None.

    Where there is room: at the port of the last time, so that what people noted down stays true.

    Raises:
        ListenError: it cannot be served like that.
    """

    def make(host: str, port: int) -> Server:
        return Server(service, host, port, dev, certificate, per_s)

    if listen is not None:
        server = make(*_parsed(listen))
    else:
        server = _where_there_is_room(make, service.data / PORT_FILE)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _where_there_is_room(make: Callable[[str, int], Server], kept: Path) -> Server:
    """Return the server on the first port that is free, and keep that for the next time."""
    host, port = DEFAULT
    for each in (*_kept(kept), port, 0):
        try:
            server = make(host, each)
        except ListenError as error:
            if not isinstance(error.__cause__, OSError) or each == 0:
                raise
            continue
        kept.write_text(server.url.rpartition(":")[2] + "\n", encoding="utf-8")
        return server
    raise AssertionError("port 0 is always tried")


def _kept(file: Path) -> list[int]:
    """Return the port that stands in a file, if one does."""
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return []
    return [int(text)] if text.isascii() and text.isdecimal() and 0 < int(text) < 65536 else []


_REASONS = {
    errno.EADDRINUSE: "another program has that port; end it, or choose another port with --listen",
    errno.EACCES: "only root may use that port; choose one above 1023 with --listen",
    errno.EADDRNOTAVAIL: "this box has no such address; 0.0.0.0 stands for all that it has",
}


def _reason(host: str, port: int) -> str:
    """Return why nobody can listen there, and what to do; the server itself does not tell."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.bind(address)
    except socket.gaierror:
        return "nobody knows a box of this name; write an address of this box"
    except OSError as error:
        return _REASONS.get(error.errno or 0, str(error.strerror))
    return "another program had that port a moment ago; try again"


def certificate(chain: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Return both files, or None where there are none."""
    return (chain, key) if chain is not None and key is not None else None


def _parsed(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ListenError(f"cannot listen on {listen!r}: expected HOST:PORT, as 127.0.0.1:8700")
    return host, int(port)


def _adapter(certificate: Path, key: Path) -> Any:
    try:
        adapter = Adapter(str(certificate), str(key))
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"cannot use {certificate} and {key} for TLS: {error}") from error
    adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
    return adapter


def _as_daemons(start: Callable[[], None]) -> None:
    """Call what starts threads so that none of them keeps the process from ending.

    A signal may end `up` while they are being made, when nobody knows them yet. What a daemon
    starts is one, too.
    """
    failed: list[Exception] = []

    def run() -> None:
        try:
            start()
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="starter", daemon=True)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


def _first(chain: Path) -> str:
    """Return the server's own certificate, without those of authorities."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = chain.read_text(encoding="utf-8", errors="replace")
    return begin + text.partition(begin)[2].partition(end)[0] + end + "\n"


def _log_error(message: str = "", level: int = 20, traceback: bool = False) -> None:
    _log.log(min(level, logging.WARNING), "%s", message, exc_info=traceback)
