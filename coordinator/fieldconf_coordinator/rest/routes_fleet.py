"""The fleet as a whole: overview, nodes, changes, history, settings, the stream."""

from typing import Any

from ..core import inventory
from ..service.service import Service
from . import questions
from .common import (
    CHANGE,
    CHANGE_ID,
    COUNT,
    NAME,
    PAGE,
    PATH,
    STATE,
    TIME,
    WISH,
    YES_NO,
    absolute,
    page_of,
)
from .envelope import Answer, Raw, page
from .routes import ANYBODY, Call, Parameter, Route
from .schemas import items, or_null, record, text, whole
from .stream import TYPE as STREAM_TYPE

TAG = text(inventory.LONGEST, pattern=inventory.FORM)
NODE = record(
    "id application path target phase online tags",
    id=text(40),
    application={**or_null(NAME), "description": "null: enrolled, and free"},
    path=or_null(PATH),
    board=text(),
    target=text(),
    phase={
        **text(),
        "description": "where in its life it is; of one that is enrolled and not in use: enrolled "
        "(not heard yet), joining (somebody has to approve it), approved (it makes its key), free",
    },
    online=YES_NO,
    since={**or_null(TIME), "description": "when it went offline"},
    heard={**or_null(TIME), "description": "when it last said anything"},
    want=COUNT,
    have=COUNT,
    address=or_null(text()),
    agent=or_null(text()),
    platform=or_null(text()),
    memory=or_null(whole(0, 1 << 53)),
    installers=items(text()),
    simulates=or_null({**YES_NO, "description": "runs no step of a recipe"}),
    reset=or_null({**text(32), "description": "why a board started: power on, watchdog, …"}),
    tags=items(text(inventory.LONGEST)),
    refused=or_null(text()),
    enrolled={**YES_NO, "description": "it belongs to the fleet for good, in use or not"},
    duplicate={
        **or_null(items(text(64), 2)),
        "description": "hardware marks of the two machines that have this identity",
    },
)
_EVENT = record(
    "id at kind text",
    id=COUNT,
    at=TIME,
    kind=text(),
    application=text(),
    path=text(),
    node=text(),
    text=text(),
)
_STEP = record("path wish state done", path=PATH, wish=WISH, state=STATE, done=YES_NO)


def overview(call: Call) -> Any:
    """Return the fleet at a glance."""
    return call.ask(questions.overview)


def list_nodes(call: Call) -> Answer:
    return page(*call.ask(questions.nodes, **{**call.query, **page_of(call.query)}))


def describe_node(call: Call) -> Answer:
    return _tagged(call.ask(questions.node, node=call.params["node"]))


def edit_node(call: Call) -> Answer:
    """Give a node these tags and no others."""
    return _tagged(call.ask(_tag, call=call, node=call.params["node"], tags=call.body["tags"]))


def _tag(service: Service, now: int, asked: questions.Asked) -> Any:
    before = _tagged(questions.node(service, now, asked))
    asked["call"].if_match(before.headers["ETag"])
    service.fleet.tag_node(now, asked["node"], asked["tags"])
    return questions.node(service, now, asked)


def _tagged(found: dict[str, Any]) -> Answer:
    tag = questions.digest("\n".join(found["tags"]))
    return Answer(found, headers={"ETag": f'"{tag}"'})


def list_changes(call: Call) -> Answer:
    return page(*call.ask(questions.changes, **page_of(call.query)))


def describe_change(call: Call) -> Any:
    return call.ask(lambda s, now, a: s.fleet.change(a["id"]), id=call.params["change"])


def list_events(call: Call) -> Answer:
    asked = {**call.query, **page_of(call.query)}
    if "path" in asked:
        asked["path"] = absolute(asked["path"])
    return page(*call.ask(questions.events, **asked))


def describe_settings(call: Call) -> Any:
    return call.rest.settings()


def watch(call: Call) -> Raw:
    """Give the connection to the hub; what comes back is how the stream begins."""
    return call.rest.hub.join(call)


def health(call: Call) -> Any:
    return call.rest.health()


def readiness(call: Call) -> Any:
    return call.rest.readiness()


def metrics(call: Call) -> Raw:
    return call.rest.metrics()


def openapi(call: Call) -> Raw:
    return call.rest.openapi()


_STREAM_HELP = """Watch what changes, as server-sent events.

Begins with `snapshot` events (rows of everything there is, in several parts), then `state` events
(rows that changed), `event` (new lines of the history) and, if asked for, `log` (output of
scripts). With `Last-Event-ID` it goes on where it was, or begins anew with a snapshot."""

ROUTES = [
    Route(
        "GET",
        "/api/v1/status",
        overview,
        "viewer",
        "The fleet at a glance.",
        record(
            "fleet broker applications instances nodes changes",
            fleet=text(),
            broker=record("url connected", url=text(), connected=YES_NO),
            applications=COUNT,
            instances=record("total", total=COUNT, settled=COUNT, problems=COUNT),
            nodes=record("total online", total=COUNT, online=COUNT),
            changes=COUNT,
            unknown=items(text()),
            disk={**or_null(text()), "description": "why nothing can be saved at present"},
            dropped={"type": "object", "additionalProperties": COUNT},
        ),
    ),
    Route(
        "GET",
        "/api/v1/nodes",
        list_nodes,
        "viewer",
        "List the nodes.",
        NODE,
        query=(
            *PAGE,
            Parameter("application", NAME, "Only those of this application."),
            Parameter("online", YES_NO, "Only those that are online, or offline."),
            Parameter("tag", text(inventory.LONGEST), "Only those with this tag."),
        ),
        is_list=True,
    ),
    Route(
        "GET",
        "/api/v1/nodes/{node}",
        describe_node,
        "viewer",
        "Describe a node, with the paths of what runs on it.",
        NODE,
    ),
    Route(
        "PATCH",
        "/api/v1/nodes/{node}",
        edit_node,
        "operator",
        "Edit a node's tags.\n\nWith If-Match: only if nobody edited them meanwhile.",
        NODE,
        record("tags", tags=items(TAG, inventory.MOST)),
        is_edit=True,
        example={"tags": ["outdoor", "site=north"]},
    ),
    Route(
        "GET",
        "/api/v1/changes",
        list_changes,
        "viewer",
        "List the latest changes, newest first.",
        CHANGE,
        query=PAGE,
        is_list=True,
    ),
    Route(
        "GET",
        "/api/v1/changes/{change}",
        describe_change,
        "viewer",
        "Describe a change with its steps.",
        {**CHANGE, "properties": {**CHANGE["properties"], "steps": items(_STEP, 100_000)}},
    ),
    Route(
        "GET",
        "/api/v1/events",
        list_events,
        "viewer",
        "Read the history, newest first.",
        _EVENT,
        query=(
            *PAGE,
            Parameter("application", NAME, "Only events of this application."),
            Parameter("path", PATH, "Only events of this instance and of those below it."),
            Parameter("kind", NAME, "Only this kind: change, node, problem and the like."),
            Parameter("after", whole(0, 1 << 53), "Only those with a higher id."),
        ),
        is_list=True,
    ),
    Route(
        "GET",
        "/api/v1/stream",
        watch,
        "viewer",
        _STREAM_HELP,
        query=(
            Parameter("application", NAME, "Instances and logs of this application only."),
            Parameter("instances", YES_NO, "false: no rows of instances."),
            Parameter("logs", YES_NO, "true: output of scripts, too."),
        ),
        streams=True,
        kind=STREAM_TYPE,
    ),
    Route(
        "GET",
        "/api/v1/settings",
        describe_settings,
        "viewer",
        "Read the settings: domain, fleet, version, limits.",
        {"type": "object"},
    ),
    Route(
        "GET",
        "/api/v1/openapi.json",
        openapi,
        ANYBODY,
        "This description.",
        kind="application/json",
    ),
    Route("GET", "/healthz", health, ANYBODY, "Is the coordinator alive?", {"type": "object"}),
    Route("GET", "/readyz", readiness, ANYBODY, "Can it do its work?", {"type": "object"}),
    Route("GET", "/metrics", metrics, "viewer", "Metrics for Prometheus.", kind="text/plain"),
]
__all__ = ["CHANGE_ID", "ROUTES"]
