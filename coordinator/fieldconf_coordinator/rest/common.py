"""Schemas and parameters that several groups of routes share."""

from typing import Any

from fieldconf_microagent import states

from .routes import Parameter
from .schemas import items, or_null, record, text, whole

NAME = text(128)
PATH = text(1000, pattern="^/")
TIME = {**whole(0, 1 << 53), "description": "ms since 1970"}
WISH = {"type": "string", "enum": list(states.WISHES)}
STATE = {"type": "string", "enum": [*states.STATES, "unknown"]}
YES_NO = {"type": "boolean"}
COUNT = whole(0, 1 << 31)

LIMIT = Parameter("limit", whole(1, 1000), "How many at most; 100 unless told.")
CURSOR = Parameter("cursor", text(1000), "`page.next` of the page before.")
PAGE = (LIMIT, CURSOR)

PROBLEM = {
    **record(code=text(), text=text(10_000), resting=YES_NO),
    "type": ["object", "null"],
    "description": "what went wrong; resting: it is tried again every 5 min only",
}
CHANGE_ID = record("change", change=text(20))
INSTANCE = record(
    "path component state wish settled",
    path=PATH,
    component=text(),
    installer=text(),
    state=STATE,
    wish=WISH,
    settled={**YES_NO, "description": "it is where it is wished"},
    problem=PROBLEM,
    node=or_null(text()),
    online=YES_NO,
    address=or_null(text()),
    exports={"type": "object", "additionalProperties": or_null(text(100_000))},
    missing={**items(text()), "description": "imports that nobody serves"},
    leaving=YES_NO,
)
COUNTS = record(
    "total settled problems",
    total=COUNT,
    settled=COUNT,
    problems=COUNT,
    states={"type": "object", "additionalProperties": COUNT},
)
CHANGE = record(
    "id application text outcome done total",
    id=text(20),
    application=NAME,
    text=text(),
    outcome={"type": "string", "enum": ["running", "done", "superseded", "cancelled"]},
    done=COUNT,
    total=COUNT,
    started=TIME,
    ended=or_null(TIME),
)


def page_of(query: Any) -> dict[str, Any]:
    """Return where a page begins and how long it is."""
    return {"limit": query.get("limit", 100), "cursor": query.get("cursor")}


def absolute(path: str) -> str:
    """Return an instance's path as the core knows it, from a URL or a parameter."""
    return "/" + path.replace("%2F", "/").replace("%2f", "/").strip("/")
