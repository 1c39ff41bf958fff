"""What people and programs are shown: applications, instances and nodes, as JSON-able values."""

from typing import Any

from .changes import shown_state
from .enrolled import HANDLER
from .inventory import tags_of
from .model import APPROVED, JOINING, READY, Application, Enrolled, Instance, Node, World

# Of a node that was not heard.
_UNKNOWN = (None, None, (), False, None, None)


def summary(world: World, app: Application) -> dict[str, Any]:
    """Return an application without its instances: how many there are, and how they are."""
    if app.counts[0] != app.revision:
        app.counts = (app.revision, _counted(app))
    return {**_about(world, app), "revision": app.revision, "instances": app.counts[1]}


def _counted(app: Application) -> dict[str, Any]:
    states: dict[str, int] = {}
    settled = problems = 0
    for one in app.instances.values():
        state = shown_state(one)
        states[state] = states.get(state, 0) + 1
        settled += one.is_settled()
        problems += one.problem is not None
    total = len(app.instances)
    return {"total": total, "settled": settled, "problems": problems, "states": states}


def application(world: World, app: Application) -> dict[str, Any]:
    """Return an application with its instances, by path."""
    instances = [instance(app.instances[path]) for path in app.paths]
    return {**_about(world, app), "instances": instances}


def _about(world: World, app: Application) -> dict[str, Any]:
    bindings = {
        prefix: [world.by_id[app_id].name for app_id in ids if app_id in world.by_id]
        for prefix, ids in app.bindings.items()
    }
    return {
        "id": app.id,
        "name": app.name,
        "template": app.template_name,
        "version": app.template_version,
        "ref": app.ref,
        "target": app.target,
        "simulate": app.simulate,
        "bindings": bindings,
        "exports_prefix": app.prefix or None,
        "external": sorted({p for kind in app.kinds.values() for p in kind.outside}),
        "created": app.created,
    }


def brief(one: Instance) -> dict[str, Any]:
    """Return one instance without what hardly ever changes."""
    node = one.scope.node
    return {
        "path": one.path,
        "component": one.kind.component,
        "state": shown_state(one),
        "wish": one.wish,
        "settled": one.is_settled(),
        "problem": problem(one),
        "node": node.id if node is not None else None,
        "online": node.online if node is not None else False,
        "address": node.address if node is not None else None,
        "missing": list(one.missing),
        "leaving": one.leaving,
    }


def instance(one: Instance) -> dict[str, Any]:
    """Return one instance."""
    found = brief(one)
    address = found["address"]
    found["installer"] = one.kind.installer
    found["exports"] = {n: address if v is None else v for n, v in sorted(one.exports.items())}
    return found


def problem(one: Instance) -> dict[str, Any] | None:
    """Return the problem of an instance."""
    if one.problem is None:
        return None
    code, text, resting = one.problem
    return {"code": code, "text": text, "resting": resting}


def node(world: World, one: Node) -> dict[str, Any]:
    """Return one node."""
    agent, platform, installers, simulates, reset, _ = one.info or _UNKNOWN
    enrolled = world.enrolled.get(one.id)
    return {
        "id": one.id,
        "application": one.app.name,
        "path": one.root.path,
        "board": enrolled.board if enrolled is not None else "",
        "target": one.target,
        "phase": one.phase,
        "online": one.online,
        "since": one.since,
        "want": one.version,
        "have": one.held,
        "enrolled": enrolled is not None,
        "enrolment": one.enrolment,
        "boot": one.seen[1],
        "address": one.address,
        "agent": agent,
        "platform": platform,
        "memory": one.memory,
        "installers": list(installers),
        "simulates": simulates,
        "reset": reset,
        "tags": tags_of(world, one),
        "refused": one.refused,
        "duplicate": list(one.hardware) if one.duplicate else None,
    }


def free(one: Enrolled) -> dict[str, Any]:
    """Return an enrolled machine that no application uses, as `node` does."""
    agent, platform, installers, simulates, reset, _ = one.info or _UNKNOWN
    return {
        "id": one.id,
        "application": None,
        "path": None,
        "board": one.board,
        "target": HANDLER,
        "phase": _phase(one),
        "online": one.online,
        "since": one.since,
        "want": one.version,
        "have": one.version,
        "enrolled": True,
        "enrolment": one.enrolment,
        "boot": one.seen[1],
        "address": one.address,
        "agent": agent,
        "platform": platform,
        "memory": one.memory,
        "installers": list(installers),
        "simulates": simulates,
        "reset": reset,
        "tags": sorted(one.tags),
        "refused": None,
        "duplicate": list(one.hardware) if one.duplicate else None,
    }


def _phase(one: Enrolled) -> str:
    if one.seen == (0, 0, 0):
        return "enrolled"
    if one.nonce:
        return APPROVED
    return "free" if one.phase == READY else JOINING
