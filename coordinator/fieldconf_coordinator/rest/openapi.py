"""The OpenAPI 3.1 description of the interface, made from the table of routes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fieldconf_microagent.version import VERSION

from .examples import ANSWERS
from .routes import ANYBODY, JSON, ROLES, Route
from .schemas import items, or_null, record, text

_PARAMETER = re.compile(r"\{(\w+)\}")
_PARAMETERS = {
    "app": "Name or id of an application.",
    "path": "Path of an instance, without the first slash; others as they are, or as %2F.",
    "prefix": "Prefix of external imports.",
    "change": "Id of a change.",
    "node": "Id of a node.",
    "template": "Id of a template.",
    "user": "Name of a user.",
    "token": "Id of a token.",
    "target": "Id of a target.",
    "element": "Path of an instance, or a component's name after an @.",
}
_INTRODUCTION = """Results are `{"data": …}`, lists with `"page": {"next": cursor or null}`; errors
`{"error": {"code", "message", "where", "hint"}}`. What takes long answers 202 with the id of a
change. `docs/reference/rest.md` tells the whole story."""

_ERROR = record(
    "error",
    error={
        **record(
            "code message where hint",
            code=text(),
            message=text(100_000),
            where=text(),
            hint=text(100_000),
        ),
    },
)
_ERRORS = {
    400: "Not well-formed.",
    401: "Not logged in.",
    403: "Not allowed, or from another site's page.",
    404: "There is no such thing.",
    409: "In conflict with what there is.",
    412: "Somebody else edited it meanwhile.",
    413: "Too large.",
    415: "Of another type than expected.",
    422: "Not what is expected; `where` names the place.",
    429: "Too often; see Retry-After.",
    503: "Not now.",
    507: "It cannot be saved; nothing has changed.",
}


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Fieldconf",
            "version": VERSION,
            "description": _INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "fieldconf"},
            },
        },
        "security": [{"token": []}, {"session": []}],
    }


def _operation(route: Route) -> dict[str, Any]:
    title, _, rest = route.help.partition("\n")
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": title.rstrip("."),
        "description": _description(route, rest.strip()),
        "tags": [_tag(route.path)],
        "parameters": _parameters(route),
        "responses": _responses(route),
    }
    if route.role == ANYBODY:
        found["security"] = []
    if body := _body(route):
        found["requestBody"] = body
    return found


def _description(route: Route, rest: str) -> str:
    who = f"For {route.role} and above." if route.role else "Needs no login."
    return f"{rest}\n\n{who}".strip()


def _tag(path: str) -> str:
    parts = path.removeprefix("/api/v1/").strip("/").split("/")
    return parts[0] if path.startswith("/api/") else "service"


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PARAMETERS[name],
            "schema": {"type": "string", "minLength": 1},
        }
        for name in _PARAMETER.findall(route.path)
    ]
    found += [
        {
            "name": one.name,
            "in": "query",
            "required": one.required,
            "description": one.help,
            "schema": one.schema,
        }
        for one in route.query
    ]
    return found + [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": said,
            "schema": {"type": "string", "maxLength": 200},
        }
        for name, said in _headers(route)
    ]


def _headers(route: Route) -> list[tuple[str, str]]:
    found = []
    if route.creates:
        found.append(("Idempotency-Key", "The same key and body: the same answer, for 24 hours."))
    if route.is_edit:
        found.append(("If-Match", "The ETag: only if nobody edited it meanwhile."))
    if route.streams:
        found.append(("Last-Event-ID", "Go on after this event."))
    return found


def _body(route: Route) -> dict[str, Any] | None:
    if route.uploads:
        content = {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in route.uploads
        }
        return {"required": True, "content": content}
    if route.body is None:
        return None
    media: dict[str, Any] = {"schema": _open(route.body)}
    if route.example is not None:
        media["examples"] = {"typical": {"value": route.example}}
    return {"required": bool(route.body.get("required")), "content": {JSON: media}}


def _open(schema: Mapping[str, Any]) -> dict[str, Any]:
    return dict(schema)


def _responses(route: Route) -> dict[str, Any]:
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    found = {str(code): {"description": said, "content": error} for code, said in _ERRORS.items()}
    found[str(route.status)] = {"description": "Done.", "content": _content(route)}
    if route.uploads:
        found["200"] = {"description": "It was there already.", "content": _content(route)}
    return found


def shown_by(route: Route) -> Any:
    """Return an example of what a route answers as `data`, or None."""
    return ANSWERS.get(route.name) if route.shown is None else route.shown


def _content(route: Route) -> dict[str, Any]:
    if route.kind != JSON or route.answer is None:
        return {route.kind: {"schema": {}}}
    data = items(route.answer, 1000) if route.is_list else route.answer
    members: dict[str, Any] = {"data": data}
    if route.is_list:
        members["page"] = record("next", next=or_null(text()))
    media: dict[str, Any] = {"schema": record(" ".join(members), **members)}
    shown = shown_by(route)
    if shown is not None:
        value = {"data": shown, **({"page": {"next": None}} if route.is_list else {})}
        media["examples"] = {"typical": {"value": value}}
    return {JSON: media}


__all__ = ["ROLES", "describe"]
