"""From the table of routes to a WSGI application.

For every request, in this order: is it well-formed, is the client too fast, who is it, may they,
does it come from our own pages, is the body what it should be; then the handler; then the envelope.
What changes something is written to the audit log before and after.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import bottle

from ..errors import RequestError
from . import schemas
from .body import Body
from .envelope import Answer, Raw, Refusal, encode, of_request
from .rest import Rest
from .routes import ANYBODY, JSON, JSON_BODY, ROLES, UPLOAD, Call, Parameter, Route

_log = logging.getLogger(__name__)

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_YES = {"true": True, "1": True, "false": False, "0": False}

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def make_app(rest: Rest, routes: Sequence[Route]) -> Wsgi:
    """Return the WSGI application that serves `routes`."""
    app = bottle.Bottle()
    for route in routes:
        pattern = route.path.replace("{path}", "<path:path>").replace("{", "<").replace("}", ">")
        app.route(pattern, route.method, _callback(rest, route))
    app.default_error_handler = lambda error: _unknown(rest, error)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            environ["PATH_INFO"].encode("latin-1").decode("utf-8")
        except UnicodeError:
            refusal = Refusal(400, "bad-utf8", "the path is not UTF-8", "path")
            start(*_head(400, JSON, {}))
            return [refusal.body()]
        found: Iterable[bytes] = app(environ, start)
        # Bottle would keep the last answer of every thread until its next one.
        bottle.response.body = ""
        return found

    return application


def _head(status: int, kind: str, headers: Mapping[str, str]) -> tuple[str, list[tuple[str, str]]]:
    line = bottle._HTTP_STATUS_LINES.get(status, f"{status} Unknown")
    return line, [*_HEADERS.items(), ("Content-Type", kind), *headers.items()]


def _unknown(rest: Rest, error: Any) -> bytes:
    """Answer where no route is; called by Bottle."""
    Body(bottle.request.environ).forget()
    method, path = bottle.request.method, bottle.request.path
    if error.status_code == 405:
        refusal = Refusal(405, "bad-method", f"{method} is not allowed for {path}")
    elif error.status_code == 404:
        hint = "GET /api/v1/openapi.json describes what there is"
        refusal = Refusal(404, "not-found", f"there is nothing at {path}", hint=hint)
    else:
        _log.error("%s %s: %r", method, path, error.exception or error.body)
        refusal = Refusal(error.status_code, "internal", "the coordinator failed; see its log")
    rest.requests.count(method, "none", error.status_code, 0.0)
    for name, value in {**_HEADERS, "Content-Type": JSON}.items():
        error.set_header(name, value)
    return refusal.body()


def _callback(rest: Rest, route: Route) -> Callable[..., Any]:
    def call(**params: str) -> Any:
        environ = bottle.request.environ
        began = time.monotonic()
        answer = _answer(rest, route, environ, params)
        rest.requests.count(route.method, route.path, answer.status, time.monotonic() - began)
        headers = {**_HEADERS, "Content-Type": answer.type, **answer.headers}
        if answer.take_over is None or environ["REQUEST_METHOD"] == "HEAD":
            return bottle.HTTPResponse(answer.body, answer.status, headers)
        environ["fieldconf.take_over"](answer.take_over)
        # Of a list Bottle would tell the length.
        return bottle.HTTPResponse(iter((answer.body,)), answer.status, headers)

    return call


def _answer(rest: Rest, route: Route, environ: dict[str, Any], params: dict[str, str]) -> Raw:
    body = Body(environ)
    try:
        return _wrapped(route, environ, Exchange(rest, route, environ, params, body).run())
    except Refusal as refusal:
        found = refusal
    except RequestError as error:
        found = of_request(error)
    except Exception as error:
        found = _failed(error, f"{route.method} {environ['PATH_INFO']}")
    body.forget()
    return Raw(found.body(), JSON, found.status, found.headers)


def _failed(error: Exception, what: str) -> Refusal:
    """Return what is answered when a request failed for a reason that is not its own."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"there is no room on the coordinator's disk: {error.strerror}"
        hint = "nothing has changed; make room on the disk and ask again"
        return Refusal(507, "disk", text, hint=hint)
    _log.error("%s failed", what, exc_info=error)
    return Refusal(500, "internal", "the coordinator failed; see its log")


def _wrapped(route: Route, environ: Mapping[str, Any], found: Any) -> Raw:
    if isinstance(found, Raw):
        return found
    if not isinstance(found, Answer):
        found = Answer(found)
    tag = found.headers.get("ETag")
    if tag and route.method == "GET" and environ.get("HTTP_IF_NONE_MATCH") == tag:
        return Raw(b"", JSON, 304, found.headers)
    return Raw(found.body(), JSON, found.status or route.status, found.headers)


class Exchange:
    """One request on its way to the handler."""

    def __init__(
        self,
        rest: Rest,
        route: Route,
        environ: dict[str, Any],
        params: Mapping[str, str],
        body: Body,
    ) -> None:
        self._rest = rest
        self._route = route
        self._environ = environ
        self._params = params
        self._body = body
        self._headers = {
            name[5:].replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }

    def run(self) -> Any:
        """Return what the handler answers.

        Raises:
            Refusal: the request is refused.
        """
        route, client = self._route, self._environ.get("REMOTE_ADDR", "")
        self._rest.limits.take(client)
        who = self._rest.accounts.who(self._headers, client)
        if route.role != ANYBODY:
            self._may(who)
        if route.changes:
            self._rest.accounts.check_origin(self._headers, who)
        call = Call(
            self._rest,
            who,
            route.method,
            self._environ["PATH_INFO"],
            self._params,
            self._query(),
            headers=self._headers,
            client=client,
        )
        self._take_body(call)
        try:
            return self._audited(call) if route.changes else route.handler(call)
        finally:
            if call.upload is not None:
                call.upload.unlink(missing_ok=True)

    def _may(self, who: Any) -> None:
        if who.role == ANYBODY:
            raise Refusal(
                401,
                "no-login",
                who.problem or "this needs a login",
                "Authorization",
                "send 'Authorization: Bearer <token>', or log in with POST /api/v1/session",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if ROLES.index(who.role) < ROLES.index(self._route.role):
            raise Refusal(
                403,
                "needs-role",
                f"{who.name} is {who.role}; this needs {self._route.role}",
                hint="ask an admin for the role",
            )

    def _audited(self, call: Call) -> Any:
        what = self._rest.audit.begin(call)
        try:
            found = self._route.handler(call)
        except (Refusal, RequestError) as error:
            refusal = error if isinstance(error, Refusal) else of_request(error)
            self._rest.audit.end(what, refusal.status)
            raise
        except Exception:
            self._rest.audit.end(what, 500)
            raise
        status = found.status if isinstance(found, Answer) else None
        self._rest.audit.end(what, status or self._route.status)
        return found

    # -- decoding

    def _take_body(self, call: Call) -> None:
        route = self._route
        if route.uploads:
            call.upload = self._body.save(self._rest.uploads, UPLOAD, route.uploads)
        elif route.body is not None:
            if self._body.is_empty and not route.body.get("required"):
                call.body = {}
                return
            call.body = self._body.json(JSON_BODY)
            schemas.check(route.body, call.body)
        elif not self._body.is_empty:
            self._body.forget()

    def _query(self) -> dict[str, Any]:
        raw = self._environ.get("QUERY_STRING", "")
        try:
            pairs = parse_qsl(
                raw, keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=50
            )
        except UnicodeDecodeError as error:
            raise Refusal(400, "bad-utf8", "the query is not UTF-8", "query") from error
        except ValueError as error:
            raise Refusal(400, "bad-query", "the query has too many parameters") from error
        given = dict(pairs)
        found = {}
        for parameter in self._route.query:
            if parameter.name in given:
                found[parameter.name] = _value(parameter, given[parameter.name])
            elif parameter.required:
                raise Refusal(422, "bad-query", f"{parameter.name!r} is missing", parameter.name)
        return found


def _value(parameter: Parameter, text: str) -> Any:
    """Return the value of a query parameter.

    Raises:
        Refusal: it is not what the schema says.
    """
    value: Any = text
    kind = parameter.schema.get("type")
    if kind == "boolean":
        value = _YES.get(text, text)
    elif kind == "integer" and text.isascii() and text.isdecimal() and len(text) < 20:
        value = int(text)
    try:
        schemas.check(parameter.schema, value)
    except Refusal as refusal:
        raise Refusal(
            422, "bad-query", f"{parameter.name}: {refusal.message}", parameter.name
        ) from None
    return value


__all__ = ["encode", "make_app"]
