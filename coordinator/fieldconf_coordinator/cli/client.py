"""Asks a coordinator over REST: one connection, kept alive; errors in words.

It knows HTTP and the envelope, not what is asked: that is `remote`.

* What is known to be harmless twice, or carries an idempotency key, is sent again when its answer
  was lost. Anything else goes over a fresh connection, once.
* A coordinator that says "too fast" is asked again when it said, within `_PATIENCE_S`.
* A certificate is always verified: against the system's authorities, those that the user names,
  or, on this box, the very certificate that the coordinator wrote into its data folder.
"""

import http.client
import json
import socket
import ssl
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from ..errors import RequestError

BASE = "/api/v1"
ENDPOINT = "endpoint.json"
TIMEOUT_S = 60.0
_UPLOAD_TIMEOUT_S = 300.0
_PAUSES_S = (0.0, 0.2, 1.0, 2.0)
_PATIENCE_S = 30.0
# The coordinator says something every 15 s.
_SILENCE_S = 45.0
_LONGEST_ANSWER = 256 << 20
# How often an edit is tried that others keep overtaking.
_EDITS = 10
_PAGE = 1000

#: Codes of those errors that mean: it could not be asked, or nobody knows what it answered.
NOT_ASKED = frozenset(("not-running", "unreachable", "not-trusted", "timeout", "lost", "no-api"))
#: Codes of those that may pass by themselves.
PASSING = frozenset(("not-running", "unreachable", "timeout", "lost", "stopped"))

# Code → hint, where the server's speaks to programs.
_HINTS = {
    "unknown-instance": "'fieldconf status' lists them",
    "unknown-node": "'fieldconf nodes' lists them",
    "no-login": "log in with 'fieldconf login URL', or set FIELDCONF_TOKEN",
}


@dataclass(frozen=True)
class Place:
    """Where a coordinator is, and how to log in there.

    Attributes:
        url: without ``/api/v1``.
        token: "" for none.
        ca: certificates in PEM to trust instead of the system's; "": the system's.
        pinned: `ca` is the server's own certificate, whatever name it bears.
        folder: the data folder, of a coordinator on this box.
    """

    url: str
    token: str = ""
    ca: str = ""
    pinned: bool = False
    folder: Path | None = None


def not_running(folder: Path) -> RequestError:
    """Return the error that says that nobody listens."""
    return RequestError(
        "not-running",
        f"no coordinator runs on {folder}",
        "start one with 'fieldconf up', or name its folder with --data, "
        "or log in to one elsewhere with 'fieldconf login URL'",
    )


def local(folder: Path) -> Place:
    """Return where the coordinator of a data folder is.

    Raises:
        RequestError: none runs there.
    """
    try:
        told = json.loads((folder / ENDPOINT).read_text(encoding="utf-8"))
        ca = str(told.get("certificate") or "")
        return Place(str(told["url"]), str(told["token"]), ca, bool(ca), folder)
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise not_running(folder) from None


class Client:
    """A client of one coordinator; not for several threads at once.

    Args:
        place: where it is.
        timeout_s: how long to wait for a connection, and for an answer.
    """

    def __init__(self, place: Place, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._cookie = self._tag = ""
        self._use(place)

    def _use(self, place: Place) -> None:
        parts = _parts(place.url)
        self.place = place
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._base = parts.path.rstrip("/") + BASE
        self._context: ssl.SSLContext | None = None
        self._headers = {"Authorization": f"Bearer {place.token}"} if place.token else {}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection; the next request opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def clone(self) -> "Client":
        """Return a client of the same coordinator with a connection of its own."""
        return Client(self.place, self._timeout_s)

    # -- requests

    def get(self, path: str, /, **query: Any) -> Any:
        """Return what there is at `path`, which is below ``/api/v1`` and quoted."""
        return self._ask("GET", path + _query(query))

    def pages(self, path: str, /, **query: Any) -> Iterator[Any]:
        """Yield all rows of a list."""
        cursor = None
        while True:
            asked = {"limit": _PAGE, **query, "cursor": cursor}
            told = self._told("GET", path + _query(asked))
            yield from told["data"]
            cursor = told.get("page", {}).get("next")
            if cursor is None:
                return

    def edit(self, path: str, change: Callable[[Any], Any]) -> Any:
        """Send what `change` makes of what there is; again if somebody else was faster.

        Raises:
            RequestError: it is refused, or somebody else is faster each time.
        """
        for _ in range(_EDITS):
            body = change(self.get(path))
            try:
                return self._ask("PATCH", path, body, {"If-Match": self._tag})
            except RequestError as error:
                if error.code != "changed":
                    raise
        raise RequestError("conflict", f"others keep editing {path}", "try again later")

    def put(self, path: str, body: Any) -> Any:
        """Make `path` what the body says."""
        return self._ask("PUT", path, body)

    def delete(self, path: str, /, **query: Any) -> Any:
        """Delete `path`; {} where an earlier attempt, whose answer was lost, had done so."""
        return self._ask("DELETE", path + _query(query))

    def create(self, path: str, body: Any) -> Any:
        """Have something made, once: the request carries an idempotency key."""
        return self._ask("POST", path, body, {"Idempotency-Key": uuid.uuid4().hex})

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """Ask for something that must not be asked twice."""
        return self._ask("POST", path, body, headers or {}, is_safe=False)

    def upload(self, path: str, file: IO[bytes], size: int, kind: str) -> Any:
        """Send a file; equal files have equal answers, so it may be sent twice."""
        headers = {"Content-Type": kind, "Content-Length": str(size)}
        return self._ask("POST", path, None, headers, file=file)

    def _ask(self, method: str, *arguments: Any, **more: Any) -> Any:
        return self._told(method, *arguments, **more)["data"]

    def _told(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        is_safe: bool = True,
        file: IO[bytes] | None = None,
    ) -> dict[str, Any]:
        sent = {"Accept": "application/json", **(headers or {})}
        raw: Any = file
        if body is not None:
            raw, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        waited = 0.0
        while True:
            status, told, again_s, attempts = self._exchange(method, path, raw, sent, is_safe)
            if status == 429 and waited + again_s <= _PATIENCE_S:
                waited += again_s
                time.sleep(again_s)
                continue
            if status == 404 and method == "DELETE" and attempts > 1:
                return {"data": {}}
            return self._checked(status, told)

    def _exchange(
        self, method: str, path: str, raw: Any, headers: Mapping[str, str], is_safe: bool
    ) -> tuple[int, bytes, float, int]:
        """Send until there is an answer; return status, body, when to ask again, attempts."""
        if not is_safe:
            self.close()
        failure: RequestError | None = None
        for attempt, pause_s in enumerate(_PAUSES_S if is_safe else (0.0,), 1):
            time.sleep(pause_s)
            try:
                connection = self._connected()
            except RequestError as error:
                if failure is None or error.code not in PASSING:
                    raise
                failure = error
                continue
            try:
                status, told, again_s = self._send(connection, method, path, raw, headers)
                return status, told, again_s, attempt
            except TimeoutError as error:
                self.close()
                raise self._timeout() from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                failure = self._lost(error)
        assert failure is not None
        raise failure

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        raw: Any,
        headers: Mapping[str, str],
    ) -> tuple[int, bytes, float]:
        if raw is not None and not isinstance(raw, bytes):
            raw.seek(0)
            connection.sock.settimeout(max(self._timeout_s, _UPLOAD_TIMEOUT_S))
        else:
            connection.sock.settimeout(self._timeout_s)
        connection.request(method, self._base + path, raw, {**self._headers, **headers})
        answer = connection.getresponse()
        told = answer.read(_LONGEST_ANSWER)
        self._cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        self._tag = answer.getheader("ETag") or "*"
        if answer.will_close:
            self.close()
        return answer.status, told, _seconds(answer.getheader("Retry-After"))

    def _checked(self, status: int, raw: bytes) -> dict[str, Any]:
        """Return the decoded body of an answer.

        Raises:
            RequestError: it is an error, or not from a coordinator.
        """
        try:
            told = json.loads(raw)
            if status < 300 and "data" in told:
                return dict(told)
            error = told["error"]
            found = RequestError(
                str(error["code"]),
                str(error["message"]),
                str(error.get("hint", "")),
                [dict(one) for one in error.get("problems", ())],
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            hint = "is the address right? with TLS it begins with https://"
            text = f"what answers at {self.place.url} is no coordinator (status {status})"
            raise RequestError("no-api", text, hint) from None
        if status == 401 and self.place.folder is not None:
            # Somebody else got the port of a coordinator that was killed.
            raise not_running(self.place.folder)
        if "fieldconf" not in found.hint:
            found.hint = _HINTS.get(found.code, found.hint)
        raise found

    # -- sessions, which make tokens

    def log_in(self, user: str, password: str) -> dict[str, str]:
        """Begin a session and return the headers that go with what it asks."""
        told = self.post("/session", {"user": user, "password": password})
        return {"Cookie": self._cookie, "X-CSRF-Token": str(told["csrf"])}

    def log_out(self, session: Mapping[str, str]) -> None:
        """End a session."""
        self._told("DELETE", "/session", None, session)

    # -- the stream

    def stream(self, last_id: str = "", **query: Any) -> "Stream":
        """Listen to what changes, over a connection of its own.

        Raises:
            RequestError: it is refused, or nobody answers.
        """
        connection = self._connect()
        headers = {**self._headers, "Accept": "text/event-stream"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        try:
            connection.request("GET", self._base + "/stream" + _query(query), headers=headers)
            connection.sock.settimeout(_SILENCE_S)
            answer = connection.getresponse()
            if answer.status != 200:
                self._checked(answer.status, answer.read(_LONGEST_ANSWER))
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(error) from error
        except RequestError:
            connection.close()
            raise
        return Stream(connection, answer, self._lost)

    # -- connections

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None or self._connection.sock is None:
            self._connection = self._connect()
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        if self.place.folder is not None:
            # Another coordinator may have come meanwhile, with another port and token.
            self._use(local(self.place.folder))
        try:
            connection = self._make()
            connection.connect()
        except ssl.SSLCertVerificationError as error:
            hint = (
                "if it is your own, name it or its authority: --ca FILE, "
                "or 'fieldconf login URL --ca FILE'"
            )
            text = f"the certificate of {self.place.url} is not trusted: {error.verify_message}"
            raise RequestError("not-trusted", text, hint) from error
        except TimeoutError as error:
            raise self._timeout() from error
        except (OSError, UnicodeError) as error:
            raise self._unreachable(error) from error
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _make(self) -> http.client.HTTPConnection:
        if not self._is_tls:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        if self._context is None:
            self._context = _context(self.place)
        return http.client.HTTPSConnection(
            self._host, self._port, timeout=self._timeout_s, context=self._context
        )

    def _unreachable(self, error: Exception) -> RequestError:
        if self.place.folder is not None:
            return not_running(self.place.folder)
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return RequestError(
            "unreachable",
            f"cannot reach {self.place.url}: {said}",
            "is the address right, and does a coordinator run there? 'fieldconf context' lists "
            "those that you logged in to",
        )

    def _lost(self, error: Exception) -> RequestError:
        said = str(error) or type(error).__name__
        return RequestError(
            "lost",
            f"the coordinator at {self.place.url} closed the connection before it answered: {said}",
            "'fieldconf status' tells whether it was done"
            if self._is_tls or self.place.folder is not None
            else "does it speak TLS? then its address begins with https://; "
            "otherwise 'fieldconf status' tells whether it was done",
        )

    def _timeout(self) -> RequestError:
        return RequestError(
            "timeout",
            f"the coordinator at {self.place.url} did not answer within {self._timeout_s:g} s",
            "is it reachable from here? what it took in goes on, see 'fieldconf status'",
        )


class Stream:
    """What changes, as (kind, data), until it ends; `last_id` is where to go on."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
        lost: Any,
    ) -> None:
        self._connection = connection
        self._answer = answer
        self._lost = lost
        self.last_id = ""

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *_: object) -> None:
        # The answer holds the socket as well.
        self._answer.close()
        self._connection.close()

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        kind = "message"
        try:
            while line := self._answer.readline(_LONGEST_ANSWER):
                name, _, value = line.decode().rstrip("\r\n").partition(": ")
                if name == "id":
                    self.last_id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._lost(error) from error


def part(text: str) -> str:
    """Return a name as part of a path."""
    return quote(text, safe="")


def path_of(path: str) -> str:
    """Return an instance's path as the end of a URL's."""
    return "/" + quote(path.strip("/"), safe="/")


def _query(query: Mapping[str, Any]) -> str:
    given = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in query.items()
        if value is not None
    }
    return "?" + urlencode(given) if given else ""


def _parts(url: str) -> Any:
    """Return the parts of a coordinator's address.

    Raises:
        RequestError: it is none.
    """
    try:
        parts = urlsplit(url)
        is_one = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        is_one = False
    if not is_one or parts.username is not None or parts.query or parts.fragment:
        raise RequestError(
            "bad-address",
            f"{url!r} is not the address of a coordinator",
            "write it as https://gateway:8700",
        )
    return parts


def _context(place: Place) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=place.ca or None)
    except (ssl.SSLError, ValueError) as error:
        text = f"the certificates to trust for {place.url} cannot be used: {error}"
        raise RequestError("bad-ca", text, "expected a file in PEM") from error
    if place.ca:
        # A certificate that is named is trusted, whoever signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = not place.pinned
    return context


def _seconds(text: str | None) -> float:
    """Return what a Retry-After says; dates, which no coordinator sends, count as long."""
    if text is None:
        return 1.0
    return float(text) if text.isdecimal() and len(text) < 8 else _PATIENCE_S + 1
