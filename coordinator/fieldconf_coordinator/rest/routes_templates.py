"""Templates: uploaded, checked, listed, deleted; and what deploying one would change."""

from typing import Any

from ..service.service import Service, check_targets
from . import questions
from .common import COUNT, NAME, PAGE, PATH, TIME, YES_NO, page_of
from .envelope import Answer, Raw, page
from .routes import Call, Parameter, Route
from .schemas import items, record, text

_PROBLEM = record(
    "code severity message text",
    code=text(),
    severity={"type": "string", "enum": ["severe", "warning"]},
    file=text(),
    line=COUNT,
    column=COUNT,
    message=text(),
    text={**text(10_000), "description": "with the source line and a marker"},
)
_TEMPLATE = record(
    "id name version",
    id={**text(64), "description": "names the content: equal contents have equal ids"},
    name=text(),
    version=text(),
    description=text(100_000),
    tags=items(text()),
    uploaded={**TIME, "type": ["integer", "null"]},
    by=text(),
    applications={**items(NAME), "description": "that are made from it"},
    warnings=items(_PROBLEM),
)
_PLAN = record(
    "application new add remove upgrade change",
    application=NAME,
    new=YES_NO,
    add=items(PATH, 100_000),
    remove=items(PATH, 100_000),
    upgrade={**items(PATH, 100_000), "description": "get another recipe or component"},
    change={**items(PATH, 100_000), "description": "get other exports or data"},
)

ARCHIVES = (
    "application/zip",
    "application/x-tar",
    "application/gzip",
    "application/x-gzip",
    "application/octet-stream",
)


def upload_template(call: Call) -> Answer:
    """Check and keep a template: a ZIP or tar of its folder."""
    assert call.upload is not None
    found, is_new = call.rest.library.upload(call.upload, call.who.name)
    headers = {"Location": f"/api/v1/templates/{found['id']}"}
    return Answer(found, 201 if is_new else 200, headers=headers)


def list_templates(call: Call) -> Answer:
    return page(*call.rest.library.search(call.query.get("name"), **page_of(call.query)))


def describe_template(call: Call) -> Any:
    return call.rest.library.describe(call.params["template"])


def report_template(call: Call) -> Any:
    return call.rest.library.report(call.params["template"])


def delete_template(call: Call) -> Any:
    return call.rest.library.delete(call.params["template"])


def plan(call: Call) -> Any:
    """Tell what deploying the template would change."""
    kept = call.rest.kept(call.params["template"])
    name = call.query.get("application") or kept.template.name
    target, simulate = call.query.get("target"), call.query.get("simulate", False)
    return call.ask(_plan, kept=kept, name=name, target=target, simulate=simulate)


def _plan(service: Service, now: int, asked: questions.Asked) -> Any:
    kept, target = asked["kept"], asked["target"]
    check_targets(service, kept.template, target)
    return service.fleet.plan(kept.template, kept.digests, asked["name"], target, asked["simulate"])


_BASE = "/api/v1/templates"

ROUTES = [
    Route(
        "POST",
        _BASE,
        upload_template,
        "releaser",
        "Upload a template.\n\nThe body is a ZIP, tar or tar.gz of its folder, at most 64 MiB. "
        "Equal contents give the same id: uploading twice is harmless (200 instead of 201).",
        _TEMPLATE,
        status=201,
        uploads=ARCHIVES,
    ),
    Route(
        "GET",
        _BASE,
        list_templates,
        "viewer",
        "List the templates.",
        _TEMPLATE,
        query=(*PAGE, Parameter("name", NAME, "Only those of this name.")),
        is_list=True,
    ),
    Route(
        "GET",
        _BASE + "/{template}",
        describe_template,
        "viewer",
        "Describe a template.",
        _TEMPLATE,
    ),
    Route(
        "DELETE",
        _BASE + "/{template}",
        delete_template,
        "releaser",
        "Delete a template that no application is made from.",
        record("id", id=text(64)),
    ),
    Route(
        "GET",
        _BASE + "/{template}/report",
        report_template,
        "viewer",
        "Read what is odd about a template, with source lines.",
        items(_PROBLEM),
    ),
    Route(
        "GET",
        _BASE + "/{template}/plan",
        plan,
        "viewer",
        "What would deploying it change?",
        _PLAN,
        query=(
            Parameter("application", NAME, "Name of the application; the template's unless."),
            Parameter("target", NAME, "Where its nodes would come from."),
            Parameter("simulate", YES_NO, "Whether no step of a recipe would be run."),
        ),
        shown={
            "application": "shop",
            "new": False,
            "add": ["/web-vm2", "/web-vm2/web"],
            "remove": [],
            "upgrade": ["/lb-vm/lb"],
            "change": [],
        },
    ),
]
__all__ = ["ROUTES", "Raw"]
