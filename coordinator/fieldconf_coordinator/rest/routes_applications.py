"""Applications: made, described, changed, deleted; their graph, logs, reasons and bindings."""

from typing import Any

from fieldconf_dsl.names import plain_name

from ..service.service import Service, check_targets
from . import questions
from .common import (
    CHANGE_ID,
    COUNT,
    COUNTS,
    NAME,
    PAGE,
    PATH,
    TIME,
    YES_NO,
    absolute,
    page_of,
)
from .envelope import Answer, Refusal, page
from .routes import Call, Parameter, Route
from .schemas import items, mapping, or_null, record, text, whole

_BINDINGS = mapping(items(NAME))
_APPLICATION = record(
    "id name template version exports_prefix external instances",
    id=text(20),
    name=NAME,
    description=text(4000),
    template=text(),
    version=text(),
    ref={**text(64), "description": "the template's id"},
    target=or_null(text()),
    simulate={**YES_NO, "description": "no step of a recipe is run"},
    created=TIME,
    bindings=_BINDINGS,
    exports_prefix={
        **or_null(text()),
        "description": "under which others import from it: what they can be bound to",
    },
    external={**items(text()), "description": "prefixes that bindings serve"},
    instances=COUNTS,
    revision=COUNT,
)


def list_applications(call: Call) -> Answer:
    return page(*call.ask(questions.applications, **page_of(call.query)))


def create_application(call: Call) -> Any:
    """Deploy a template under a name; it is refused when there is such an application."""
    kept = call.rest.kept(call.body["template"])
    return call.once(_create, kept=kept, **_of(call.body, "name", "target", "simulate"))


def _create(service: Service, now: int, asked: questions.Asked) -> Any:
    kept = asked["kept"]
    name = plain_name(asked.get("name") or kept.template.name)
    if name in service.fleet.world.applications:
        raise Refusal(
            409,
            "conflict",
            f"there is an application {name!r} already",
            "/name",
            f"change it with PUT /api/v1/applications/{name}/template, or choose another name",
        )
    target = asked.get("target")
    check_targets(service, kept.template, target)
    simulate = asked.get("simulate") or False
    answer = service.fleet.deploy(
        now, kept.template, kept.ref, kept.digests, name, target, simulate
    )
    return {**answer, "name": name}


def describe_application(call: Call) -> Answer:
    found = call.ask(questions.application, app=call.params["app"])
    return call.rest.described(found)


def edit_application(call: Call) -> Answer:
    return call.rest.describe(call)


def delete_application(call: Call) -> Any:
    return call.ask(_delete, app=call.params["app"])


def _delete(service: Service, now: int, asked: questions.Asked) -> Any:
    answer = service.fleet.delete(now, asked["app"])
    service.store_row("descriptions", answer["application"], None)
    return answer


def change_template(call: Call) -> Any:
    """Change the application to another template, or another version of it."""
    kept = call.rest.kept(call.body["template"])
    chosen = {"target": call.body.get("target"), "simulate": call.body.get("simulate", False)}
    return call.ask(_change, app=call.params["app"], kept=kept, **chosen)


def _change(service: Service, now: int, asked: questions.Asked) -> Any:
    app, kept = questions.application_of(service, asked["app"]), asked["kept"]
    target = asked["target"]
    check_targets(service, kept.template, target)
    return service.fleet.deploy(
        now, kept.template, kept.ref, kept.digests, app.name, target, asked["simulate"]
    )


def describe_graph(call: Call) -> Any:
    return call.ask(questions.graph, app=call.params["app"])


def explain(call: Call) -> Any:
    """Return the reasons why an instance is not where it is wished, the root cause last."""
    path = absolute(call.query["path"])
    return call.ask(
        lambda s, now, a: s.fleet.why(a["app"], a["path"]), app=call.params["app"], path=path
    )


def read_logs(call: Call) -> Any:
    asked: dict[str, Any] = {"app": call.params["app"], "limit": call.query.get("limit", 200)}
    if "path" in call.query:
        asked["path"] = absolute(call.query["path"])
    return call.ask(questions.logs, **asked, after=call.query.get("after"))


def list_bindings(call: Call) -> Answer:
    found = call.ask(questions.application, app=call.params["app"])["bindings"]
    return Answer(found, headers={"ETag": questions.tag_of(found)})


def bind(call: Call) -> Any:
    """Let the external imports of a prefix be served by these applications, and no others."""
    return call.ask(_bind, call=call, names=call.body["applications"], **call.params)


def unbind(call: Call) -> Any:
    """Let nobody serve the external imports of a prefix."""
    return call.ask(_bind, call=call, names=[], **call.params)


def _bind(service: Service, now: int, asked: questions.Asked) -> Any:
    before = questions.application(service, now, asked)["bindings"]
    asked["call"].if_match(questions.tag_of(before))
    return service.fleet.bind(now, asked["app"], asked["prefix"], asked["names"])


def _of(body: Any, *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names if body.get(name) is not None}


_REASON = record("path text", path=PATH, text=text())
_LOG = record("at path step text", at=TIME, path=text(), step=text(), text=text(100_000))
_COMPONENT = record(
    "name installer exports imports children parents",
    name=text(),
    installer=text(),
    exports={**items(text()), "description": "prefixes under which others can import from it"},
    imports=items(
        record(
            "prefix names mandatory external",
            prefix=text(),
            names=items(text()),
            mandatory=YES_NO,
            external=YES_NO,
        )
    ),
    children=items(text()),
    parents=items(text()),
    facets=items(text()),
    extends=or_null(text()),
    note=text(100_000),
)
_CREATED = record("change application name", change=text(20), application=text(20), name=NAME)
_TEMPLATE = text(64, minLength=1, description="id of an uploaded template")
_SIMULATE = {**YES_NO, "description": "run no step of a recipe, write down what it is told"}
_AT = Parameter("path", PATH, "Of the instance.", required=True)
_BASE = "/api/v1/applications"
_APP = _BASE + "/{app}"

ROUTES = [
    Route(
        "GET",
        _BASE,
        list_applications,
        "viewer",
        "List the applications.",
        _APPLICATION,
        query=PAGE,
        is_list=True,
    ),
    Route(
        "POST",
        _BASE,
        create_application,
        "operator",
        "Create an application from a template.",
        _CREATED,
        record("template", template=_TEMPLATE, name=NAME, target=or_null(NAME), simulate=_SIMULATE),
        status=202,
        creates=True,
        example={"template": "0c9e4f1b7a52…", "name": "shop", "target": "local"},
        shown={"change": "7", "application": "k3v80dmm", "name": "shop"},
    ),
    Route(
        "GET",
        _APP,
        describe_application,
        "viewer",
        "Describe an application.",
        _APPLICATION,
    ),
    Route(
        "PATCH",
        _APP,
        edit_application,
        "operator",
        "Edit an application's description.\n\nWith If-Match: only if nobody edited it meanwhile.",
        _APPLICATION,
        record("description", description=text(4000)),
        is_edit=True,
        example={"description": "The shop of the north"},
    ),
    Route(
        "DELETE",
        _APP,
        delete_application,
        "releaser",
        "Delete an application of which nothing is deployed.",
        record("application", application=text(20)),
    ),
    Route(
        "PUT",
        _APP + "/template",
        change_template,
        "releaser",
        "Change an application to another template of that name.",
        record("change application", change=text(20), application=text(20)),
        record("template", template=_TEMPLATE, target=or_null(NAME)),
        status=202,
        example={"template": "0c9e4f1b7a52…"},
    ),
    Route(
        "GET",
        _APP + "/graph",
        describe_graph,
        "viewer",
        "Describe the components: what they contain, import and export.",
        items(_COMPONENT),
    ),
    Route(
        "GET",
        _APP + "/why",
        explain,
        "viewer",
        "Why is an instance not where it is wished?\n\nThe root cause comes last; none: it is.",
        items(_REASON),
        query=(_AT,),
        shown=[
            {"path": "/lb-vm/lb", "text": "waits for Web.port"},
            {"path": "/web-vm1/web", "text": "exports Web and is deployed-stopped"},
        ],
    ),
    Route(
        "GET",
        _APP + "/logs",
        read_logs,
        "viewer",
        "Read what scripts printed lately, oldest first.",
        items(_LOG),
        query=(
            Parameter("path", PATH, "Of one instance; without: of all."),
            Parameter("limit", whole(1, 1000), "How many parts at most; 200 unless told."),
            Parameter("after", TIME, "Only what was printed later."),
        ),
    ),
    Route(
        "GET",
        _APP + "/bindings",
        list_bindings,
        "viewer",
        "List which applications serve the external imports.",
        _BINDINGS,
        shown={"DB": ["database"]},
    ),
    Route(
        "PUT",
        _APP + "/bindings/{prefix}",
        bind,
        "operator",
        "Bind a prefix of external imports to applications.",
        CHANGE_ID,
        record("applications", applications=items(NAME, 100)),
        status=202,
        is_edit=True,
        example={"applications": ["database"]},
    ),
    Route(
        "DELETE",
        _APP + "/bindings/{prefix}",
        unbind,
        "operator",
        "Bind a prefix to nothing.",
        CHANGE_ID,
        status=202,
        is_edit=True,
    ),
]
