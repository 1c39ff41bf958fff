"""Instances: what there is, and what is wished of it."""

from typing import Any

from fieldconf_microagent.recipe import STEPS

from ..core.foresight import ACTIONS
from ..service.service import Service
from . import questions
from .common import (
    CHANGE_ID,
    COUNT,
    INSTANCE,
    NAME,
    PAGE,
    PATH,
    STATE,
    WISH,
    YES_NO,
    absolute,
    page_of,
)
from .envelope import Answer, Refusal, page
from .routes import Call, Parameter, Route
from .schemas import items, mapping, or_null, record, text, whole


def list_instances(call: Call) -> Answer:
    asked = {**call.query, **page_of(call.query), "app": call.params["app"]}
    if "under" in asked:
        asked["under"] = absolute(asked["under"])
    return page(*call.ask(questions.instances, **asked))


def describe_instance(call: Call) -> Any:
    path = absolute(call.params["path"])
    return call.ask(questions.instance, app=call.params["app"], path=path)


def add_instance(call: Call) -> Answer:
    """Add an instance, at the top or inside of another; it is wished started."""
    answer = call.once(_add, app=call.params["app"], **call.body)
    where = f"/api/v1/applications/{call.params['app']}/instances{answer['path']}"
    return Answer(answer, headers={"Location": where})


def _add(service: Service, now: int, asked: questions.Asked) -> Any:
    return service.fleet.add_instance(
        now,
        asked["app"],
        asked.get("parent"),
        asked["name"],
        asked["component"],
        asked.get("exports"),
        asked.get("data"),
    )


def remove_instance(call: Call) -> Any:
    """Take an instance, with all below it, out of the application."""
    return call.ask(
        lambda s, now, a: s.fleet.remove(now, a["app"], a["path"], a["force"]),
        app=call.params["app"],
        path=absolute(call.params["path"]),
        force=call.query.get("force", False),
    )


def set_wanted(call: Call) -> Any:
    """Wish one instance, several, or all into a state."""
    return call.ask(_wish, app=call.params["app"], **_of(call.body, "wanted", "paths", "force"))


def _wish(service: Service, now: int, asked: questions.Asked) -> Any:
    app = questions.application_of(service, asked["app"])
    paths = asked.get("paths")
    # For the words of the refusal.
    found = paths and [questions.instance_of(app, path).path for path in paths]
    return service.fleet.set_wish(now, app.name, found, asked["wanted"], asked.get("force", False))


def foresee(call: Call) -> Any:
    """Tell what an action would do."""
    body = call.body
    paths, needs_path = body.get("paths"), body["action"] in ("remove", "scale")
    if needs_path and (paths is None or (body["action"] == "scale" and len(paths) > 1)):
        raise Refusal(422, "bad-body", f"{body['action']} needs a path", "/paths")
    if body["action"] == "scale" and "count" not in body:
        raise Refusal(422, "bad-body", "scale needs a count", "/count")
    return call.ask(
        lambda s, now, a: s.fleet.foresee(a["app"], a["action"], a["paths"], a["count"]),
        app=call.params["app"],
        action=body["action"],
        paths=paths and [absolute(path) for path in paths],
        count=body.get("count", 0),
    )


def scale(call: Call) -> Any:
    """Have so many copies of a root instance, with all inside of it."""
    return call.once(
        lambda s, now, a: s.fleet.scale(now, a["app"], a["path"], a["count"]),
        app=call.params["app"],
        **_of(call.body, "path", "count"),
    )


def retry(call: Call) -> Any:
    """Try again at once what failed: of one instance, or of all."""
    return call.ask(
        lambda s, now, a: s.fleet.retry(now, a["app"], a.get("path")),
        app=call.params["app"],
        **_of(call.body, "path"),
    )


def cancel_step(call: Call) -> Any:
    """End the step that an instance runs right now."""
    return call.ask(
        lambda s, now, a: s.fleet.cancel(now, a["app"], a["path"]),
        app=call.params["app"],
        path=call.body["path"],
    )


def preview(call: Call) -> Any:
    """Have the log tell what a step of an instance would change."""
    return call.ask(
        lambda s, now, a: s.fleet.preview(now, a["app"], a["path"], a.get("step")),
        app=call.params["app"],
        **_of(call.body, "path", "step"),
    )


def cancel_change(call: Call) -> Any:
    """Put back what a change wished, and end its steps that run."""
    return call.ask(lambda s, now, a: s.fleet.cancel_change(now, a["id"]), id=call.params["change"])


def _of(body: Any, *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names if body.get(name) is not None}


_SENT = record("sent offline", sent=COUNT, offline=items(text(40)))
_FORESEEN = record(
    "application instances unresolved resolved given_back made",
    application=NAME,
    instances={
        **items(record("path from to", path=PATH, to=text(), **{"from": or_null(WISH)}), 100_000),
        "description": "what is wished of them, ancestors considered; from null: is added; "
        "to removed: is taken out",
    },
    unresolved={
        **items(record("application path prefix", application=NAME, path=PATH, prefix=text())),
        "maxItems": 100_000,
        "description": "lose the last provider of the prefix, or wait for the one around (empty)",
    },
    resolved={
        **items(record("application path", application=NAME, path=PATH), 100_000),
        "description": "get what they wait for",
    },
    given_back=items(record("node path", node=text(40), path=PATH), 100_000),
    made={**items(PATH, 100_000), "description": "get a node"},
)
_CANCELLED = record(
    "sent offline change stays",
    sent=COUNT,
    offline=items(text(40)),
    change={**or_null(text(20)), "description": "watches the way back; null: there is none"},
    stays={**items(text()), "description": "what is not put back, in words"},
)
_IMPORT = record(
    "prefix names mandatory external missing providers total",
    prefix=text(),
    names=items(text()),
    mandatory=YES_NO,
    external=YES_NO,
    missing=YES_NO,
    providers=items(record("application path state", application=NAME, path=PATH, state=STATE)),
    total=COUNT,
)
_DETAIL = {
    **INSTANCE,
    "properties": {
        **INSTANCE["properties"],
        "application": NAME,
        "parent": or_null(PATH),
        "children": items(PATH, 100_000),
        "data": mapping(text(100_000)),
        "added": {**YES_NO, "description": "at run time: no new version takes it away"},
        "reported": STATE,
        "imports": items(_IMPORT),
    },
}
_PATHS = record("change paths", change=text(20), paths=items(PATH, 100_000))
_BEGUN = record("change path", change=text(20), path=PATH)
_FORCE = Parameter("force", YES_NO, "true: destroy its nodes without waiting for what runs there.")
_APP = "/api/v1/applications/{app}"

ROUTES = [
    Route(
        "GET",
        _APP + "/instances",
        list_instances,
        "viewer",
        "List the instances by path: parents before children.",
        INSTANCE,
        query=(
            *PAGE,
            Parameter("under", PATH, "Only this one and those below it."),
            Parameter("state", STATE, "Only those in this state."),
            Parameter("problem", YES_NO, "Only those with a problem, or without."),
            Parameter("exports", NAME, "Only those from which one can import this prefix."),
            Parameter("q", text(200), "Only those with this text in their path."),
        ),
        is_list=True,
    ),
    Route(
        "POST",
        _APP + "/instances",
        add_instance,
        "operator",
        "Add an instance.",
        _BEGUN,
        record(
            "name component",
            parent=or_null(PATH),
            name=text(128, minLength=1),
            component=NAME,
            exports=mapping(text(100_000)),
            data=mapping(text(100_000)),
        ),
        status=202,
        creates=True,
        example={"parent": "/web-vm", "name": "web2", "component": "Web"},
        shown={"change": "8", "path": "/web-vm/web2"},
    ),
    Route(
        "GET",
        _APP + "/instances/{path}",
        describe_instance,
        "viewer",
        "Describe an instance: exports, imports with their providers, data, children.",
        _DETAIL,
    ),
    Route(
        "DELETE",
        _APP + "/instances/{path}",
        remove_instance,
        "operator",
        "Remove an instance and all below it.",
        CHANGE_ID,
        query=(_FORCE,),
        status=202,
    ),
    Route(
        "PUT",
        _APP + "/wanted",
        set_wanted,
        "operator",
        "Wish one instance, several, or all into a state.",
        CHANGE_ID,
        record("wanted", wanted=WISH, paths=or_null(items(PATH, 1000, minItems=1)), force=YES_NO),
        status=202,
        example={"wanted": "deployed-stopped", "paths": ["/web-vm/web"]},
        shown={"change": "9"},
    ),
    Route(
        "POST",
        _APP + "/plan",
        foresee,
        "viewer",
        "What would an action do?\n\nChanges nothing. It tells what follows from what is wished, "
        "from the graph and from bindings, as if all went well; without paths: of all.",
        _FORESEEN,
        record(
            "action",
            action={"type": "string", "enum": list(ACTIONS)},
            paths=or_null(items(PATH, 1000, minItems=1)),
            count=whole(1, 20_000),
        ),
        is_question=True,
        example={"action": "undeploy", "paths": ["/data-vm"]},
        shown={
            "application": "shop",
            "instances": [
                {"path": "/data-vm", "from": "deployed-started", "to": "not-deployed"},
                {"path": "/data-vm/data", "from": "deployed-started", "to": "not-deployed"},
            ],
            "unresolved": [{"application": "shop", "path": "/web-vm/web", "prefix": "Data"}],
            "resolved": [],
            "given_back": [{"node": "njnvepg3c0", "path": "/data-vm"}],
            "made": [],
        },
    ),
    Route(
        "POST",
        _APP + "/scale",
        scale,
        "operator",
        "Have so many copies of a root instance.\n\nOnly deployed ones count; those that are there "
        "and not deployed come first.",
        _PATHS,
        record("path count", path=PATH, count=whole(1, 20_000)),
        status=202,
        creates=True,
        example={"path": "/web-vm", "count": 3},
        shown={"change": "10", "paths": ["/web-vm1", "/web-vm2"]},
    ),
    Route(
        "POST",
        _APP + "/retry",
        retry,
        "operator",
        "Try again at once what failed.",
        _SENT,
        record("", path=or_null(PATH)),
        example={"path": "/web-vm/web"},
    ),
    Route(
        "POST",
        _APP + "/cancel",
        cancel_step,
        "operator",
        "End the step that an instance runs.",
        _SENT,
        record("path", path=PATH),
        example={"path": "/web-vm/web"},
    ),
    Route(
        "POST",
        _APP + "/preview",
        preview,
        "operator",
        "Show what a step of an instance would change, and change nothing.\n\nPuppet and Ansible "
        "can tell. It is printed to the log, as step `preview start`, say; the last line begins "
        "with `preview: `. Without a step: the next one. A node that cannot is told in the events.",
        _SENT,
        record("path", path=PATH, step={"type": "string", "enum": list(STEPS)}),
        example={"path": "/web-vm/web"},
    ),
    Route(
        "POST",
        "/api/v1/changes/{change}/cancel",
        cancel_change,
        "operator",
        "Cancel a change that is under way.\n\nWhat it wished is put back, and its steps that run "
        "are ended: a cancelled deployment leaves nothing deployed. `stays` tells what is not put "
        "back: another version of a template, and what is gone already.",
        _CANCELLED,
        shown={"sent": 1, "offline": [], "change": "12", "stays": []},
    ),
]
