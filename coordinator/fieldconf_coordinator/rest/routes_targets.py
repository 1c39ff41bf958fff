"""Targets: what can make nodes, its settings, and which application's nodes it makes."""

import hashlib
from typing import Any

from fieldconf_targets import registry
from fieldconf_targets.api import TargetError, values

from ..core.model import Definition
from ..core.placing import is_offered, of_owner, of_template, shown
from ..errors import FleetError
from ..service.service import Service
from . import questions
from .common import NAME, YES_NO, absolute
from .envelope import Answer, Refusal
from .routes import Call, Parameter, Route
from .schemas import items, mapping, or_null, record, text

_SETTING = record("name help default", name=text(), help=text(), default=text(100_000))
_HANDLER = record("handler settings", handler=text(), settings=items(_SETTING))
_ID = text(64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_PROPERTIES = mapping(text(100_000), 200)
_HINTS = record(
    "",
    applications=items(NAME, 100),
    templates={**items(NAME, 100), "description": "names, of whatever version"},
)
_TARGET = record(
    "id handler name description properties uses",
    id=_ID,
    handler=text(),
    name=text(),
    description=text(4000),
    properties=_PROPERTIES,
    hints={**_HINTS, "description": "to whom it is offered; without any: to all"},
    uses={**items(text(), 100_000), "description": "nodes, applications, and their elements"},
    built_in=YES_NO,
)
_EDIT = record(
    "handler", handler=NAME, name=NAME, description=text(4000), properties=_PROPERTIES, hints=_HINTS
)
_PLACED = record(
    "element target",
    element={**text(), "description": "path of an instance, @Component, or empty: all others"},
    target=or_null(text()),
)


def list_handlers(call: Call) -> Any:
    return [_handler(name) for name in registry.handlers()]


def list_targets(call: Call) -> Any:
    return call.ask(_targets, **call.query)


def describe_target(call: Call) -> Answer:
    return _tagged(call.ask(_target, id=call.params["target"]))


def define_target(call: Call) -> Answer:
    """Make a target or change it."""
    target_id, body = call.params["target"], call.body
    if not questions.matches(_ID["pattern"], target_id) or len(target_id) > 64:
        raise Refusal(422, "bad-name", f"{target_id!r} cannot be a target's id", "target")
    if target_id in registry.handlers():
        raise Refusal(409, "conflict", f"{target_id} is built in", "target", "choose another id")
    properties, hints = dict(body.get("properties", {})), body.get("hints", {})
    _check(body["handler"], properties)
    definition = Definition(
        target_id,
        body["handler"],
        body.get("name", target_id),
        body.get("description", ""),
        properties,
        *(tuple(sorted(set(hints.get(of, ())))) for of in ("applications", "templates")),
    )
    return _tagged(call.ask(_define, definition=definition, call=call))


def delete_target(call: Call) -> Any:
    return call.ask(_undefine, id=call.params["target"], call=call)


def list_placed(call: Call) -> Answer:
    return _edited(call.ask(_placed, app=call.params["app"]))


def place(call: Call) -> Answer:
    """Have a target make the nodes of one instance, of one component, or of all others."""
    found = call.ask(
        _place,
        call=call,
        app=call.params["app"],
        element=_element(call.body["element"]),
        target=call.body.get("target"),
    )
    return _edited(found)


def list_placed_for_template(call: Call) -> Answer:
    template = call.rest.kept(call.params["template"]).template
    return _edited(call.ask(_placed_for_template, template=template.name))


def place_for_template(call: Call) -> Answer:
    """Choose the target of the applications that are made from a template later."""
    found = call.ask(
        _place_for_template,
        call=call,
        template=call.rest.kept(call.params["template"]).template,
        element=_element(call.body["element"]),
        target=call.body.get("target"),
    )
    return _edited(found)


def _edited(rows: list[dict[str, Any]]) -> Answer:
    return Answer(rows, headers={"ETag": questions.tag_of(rows)})


def _element(given: str) -> str:
    return given if not given or given.startswith("@") else absolute(given)


def _check(handler: str, properties: dict[str, str]) -> None:
    """Refuse what the target itself would refuse."""
    try:
        values(registry.target_class(handler), properties)
    except TargetError as error:
        place = "/properties" if handler in registry.handlers() else "/handler"
        raise Refusal(422, "bad-target", str(error), place) from error


def check_target(service: Service, target_id: str) -> None:
    """Refuse a target that there is not.

    Raises:
        FleetError: with those that there are.
    """
    known = [*service.fleet.world.targets, *registry.handlers()]
    if target_id not in known:
        hint = f"there are: {', '.join(sorted(known))}"
        raise FleetError("bad-target", f"there is no target {target_id!r}", hint)


def _handler(name: str) -> dict[str, Any]:
    try:
        settings = registry.target_class(name).settings
    except TargetError as error:
        return {"handler": name, "settings": [], "problem": str(error)}
    return {
        "handler": name,
        "settings": [{"name": s.name, "help": s.help, "default": str(s.default)} for s in settings],
    }


def _tagged(found: dict[str, Any]) -> Answer:
    edited = repr([(name, found[name]) for name in sorted(found) if name != "uses"])
    tag = hashlib.sha256(edited.encode()).hexdigest()[:16]
    return Answer(found, headers={"ETag": f'"{tag}"'})


# -- in the service's thread


def _targets(service: Service, now: int, asked: questions.Asked) -> list[dict[str, Any]]:
    defined = service.fleet.world.targets
    app, template = asked.get("application"), asked.get("template")
    if app is not None:
        found = questions.application_of(service, app)
        app, template = found.name, found.template_name
    is_all = app is None and template is None
    ids = [
        target_id
        for target_id in sorted({*registry.handlers(), *defined})
        if is_all or target_id not in defined or is_offered(defined[target_id], app, template)
    ]
    return [_target(service, now, {"id": target_id}) for target_id in ids]


def _target(service: Service, now: int, asked: questions.Asked) -> dict[str, Any]:
    target_id = asked["id"]
    definition = service.fleet.world.targets.get(target_id)
    is_built_in = definition is None
    if definition is None:
        if target_id not in registry.handlers():
            raise FleetError("unknown-target", f"there is no target {target_id!r}")
        definition = Definition(target_id, target_id, target_id, "", {})
    uses = service.fleet.target_uses(target_id)
    return {**shown(definition), "uses": uses, "built_in": is_built_in}


def _define(service: Service, now: int, asked: questions.Asked) -> dict[str, Any]:
    definition = asked["definition"]
    if definition.id in service.fleet.world.targets:
        _unchanged(service, now, asked["call"], definition.id)
    service.fleet.define_target(now, definition)
    return _target(service, now, {"id": definition.id})


def _undefine(service: Service, now: int, asked: questions.Asked) -> dict[str, Any]:
    if asked["id"] in registry.handlers():
        raise FleetError("conflict", f"{asked['id']} is built in")
    if asked["id"] in service.fleet.world.targets:
        _unchanged(service, now, asked["call"], asked["id"])
    service.fleet.undefine_target(now, asked["id"])
    return {"id": asked["id"]}


def _unchanged(service: Service, now: int, call: Call, target_id: str) -> None:
    call.if_match(_tagged(_target(service, now, {"id": target_id})).headers["ETag"])


def _placed(service: Service, now: int, asked: questions.Asked) -> list[dict[str, Any]]:
    app = questions.application_of(service, asked["app"])
    return _rows(of_owner(service.fleet.world, app.id))


def _rows(placed: dict[str, str]) -> list[dict[str, Any]]:
    return [{"element": element, "target": target} for element, target in placed.items()]


def _placed_for_template(
    service: Service, now: int, asked: questions.Asked
) -> list[dict[str, Any]]:
    return _rows(of_template(service.fleet.world, asked["template"]))


def _place_for_template(service: Service, now: int, asked: questions.Asked) -> list[dict[str, Any]]:
    template, target = asked["template"], asked["target"]
    before = _rows(of_template(service.fleet.world, template.name))
    asked["call"].if_match(questions.tag_of(before))
    if target is not None:
        check_target(service, target)
    service.fleet.place_template(now, template, asked["element"], target)
    return _rows(of_template(service.fleet.world, template.name))


def _place(service: Service, now: int, asked: questions.Asked) -> list[dict[str, Any]]:
    asked["call"].if_match(questions.tag_of(_placed(service, now, asked)))
    if asked["target"] is not None:
        check_target(service, asked["target"])
    service.fleet.place(now, asked["app"], asked["element"], asked["target"])
    return _placed(service, now, asked)


_BASE = "/api/v1/targets"
_APP = "/api/v1/applications/{app}/targets"
_TEMPLATE = "/api/v1/templates/{template}/targets"

ROUTES = [
    Route(
        "GET",
        "/api/v1/handlers",
        list_handlers,
        "viewer",
        "List the kinds of targets, with their settings.",
        items(_HANDLER),
    ),
    Route(
        "GET",
        _BASE,
        list_targets,
        "viewer",
        "List the targets: each handler by itself, and those that were defined.",
        items(_TARGET),
        query=(
            Parameter("application", NAME, "Only those that are offered to this application."),
            Parameter("template", NAME, "Only those offered to applications of this template."),
        ),
    ),
    Route("GET", _BASE + "/{target}", describe_target, "viewer", "Describe a target.", _TARGET),
    Route(
        "PUT",
        _BASE + "/{target}",
        define_target,
        "admin",
        "Define a target: a handler with properties.\n\nIn values, {{ ip }} stands for the address "
        "of the machine around. An instance's data come before the properties. Nodes that are "
        "there already stay as they are.",
        _TARGET,
        _EDIT,
        is_edit=True,
        example={
            "handler": "memory",
            "properties": {"installers": "script, logger"},
            "hints": {"templates": ["web-cluster"]},
        },
    ),
    Route(
        "DELETE",
        _BASE + "/{target}",
        delete_target,
        "admin",
        "Delete a target that nothing uses.",
        record("id", id=_ID),
        is_edit=True,
    ),
    Route(
        "GET",
        _APP,
        list_placed,
        "viewer",
        "List which targets make the nodes of an application.",
        items(_PLACED),
        shown=[{"element": "", "target": "local"}, {"element": "@Board", "target": "bench"}],
    ),
    Route(
        "PUT",
        _APP,
        place,
        "operator",
        "Choose the target of an instance, of a component, or of all others.\n\nWithout a target: "
        "choose none. It is refused for what has a node already.",
        items(_PLACED),
        record("element", element=text(), target=or_null(NAME)),
        is_edit=True,
        example={"element": "/web-vm1", "target": "memory"},
    ),
    Route(
        "GET",
        _TEMPLATE,
        list_placed_for_template,
        "viewer",
        "List which targets applications of a template will have.",
        items(_PLACED),
    ),
    Route(
        "PUT",
        _TEMPLATE,
        place_for_template,
        "releaser",
        "Choose targets for the applications of a template.\n\nFor all versions of it. New "
        "applications get a copy of what is chosen here; those that are there stay as they are.",
        items(_PLACED),
        record("element", element=text(), target=or_null(NAME)),
        is_edit=True,
        example={"element": "@Board", "target": "bench"},
    ),
]
