"""What the handlers ask in the service's thread, beyond what the core answers already.

Each is called with the service, the time and the arguments, like those of `service.REQUESTS`, and
keeps the loop for a short while only: lists are cut to a page before their rows are made.
"""

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fieldconf_dsl.errors import meant

from ..core import status
from ..core.changes import shown_state
from ..core.model import Application, Enrolled, Instance, Node
from ..core.naming import unknown_instance
from ..errors import FleetError, RequestError
from ..service.service import Service

Asked = dict[str, Any]
Page = tuple[list[Any], str | None]


def digest(text: str) -> str:
    """Return a short digest of a text, for an ETag."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tag_of(value: Any) -> str:
    """Return the ETag of what is edited: equal values have equal tags."""
    return f'"{digest(json.dumps(value, sort_keys=True))}"'


def matches(pattern: str, text: str) -> bool:
    """Tell whether a text has a form."""
    return re.search(pattern, text) is not None


def application_of(service: Service, name: str) -> Application:
    """Return an application by its name or id.

    Raises:
        FleetError: there is none.
    """
    world = service.fleet.world
    found = world.applications.get(name) or world.by_id.get(name)
    if found is None:
        known = ", ".join(sorted(world.applications)[:20]) or "none"
        raise FleetError(
            "unknown-application",
            f"there is no application {meant(name, world.applications)}",
            f"there are: {known}",
        )
    return found


def instance_of(app: Application, path: str) -> Instance:
    """Return an instance by its path.

    Raises:
        FleetError: there is none.
    """
    found = app.instances.get(path)
    if found is None:
        hint = f"GET /api/v1/applications/{app.name}/instances lists them"
        raise unknown_instance(app, path, hint)
    return found


def paged(
    keys: Sequence[str], cursor: str | None, limit: int, row: Callable[[str], Any | None]
) -> Page:
    """Return the rows of at most `limit` keys beyond `cursor`, and the next cursor.

    Args:
        keys: sorted.
        cursor: the last key of the page before.
        limit: of the page.
        row: returns the row of a key, or None to leave it out.
    """
    found: list[Any] = []
    for place in range(bisect_right(keys, cursor) if cursor else 0, len(keys)):
        if len(found) == limit:
            return found, keys[place - 1]
        made = row(keys[place])
        if made is not None:
            found.append(made)
    return found, None


def applications(service: Service, now: int, asked: Asked) -> Page:
    """Return a page of applications, without their instances."""
    world = service.fleet.world
    names = sorted(world.applications)
    rows = {name: world.applications[name] for name in names}
    return paged(names, asked["cursor"], asked["limit"], lambda n: status.summary(world, rows[n]))


def application(service: Service, now: int, asked: Asked) -> Any:
    """Return one application with what is edited of it."""
    app = application_of(service, asked["app"])
    return status.summary(service.fleet.world, app)


def instances(service: Service, now: int, asked: Asked) -> Page:
    """Return a page of instances by path: all, or those that the filters leave."""
    app = application_of(service, asked["app"])
    under, wanted, text = asked.get("under"), asked.get("state"), asked.get("q", "")
    exported = asked.get("exports")

    def row(path: str) -> Any:
        if under and path != under and not path.startswith(under + "/"):
            return None
        if text not in path:
            return None
        one = app.instances[path]
        if exported and (exported not in one.kind.exported or one.leaving):
            return None
        if "problem" in asked and asked["problem"] != (one.problem is not None):
            return None
        if wanted and shown_state(one) != wanted:
            return None
        return status.instance(one)

    return paged(app.paths, asked["cursor"], asked["limit"], row)


def instance(service: Service, now: int, asked: Asked) -> Any:
    """Return one instance with all that is known of it."""
    app = application_of(service, asked["app"])
    one = instance_of(app, asked["path"])
    around = [*one.scope.members, *one.scope.nested]
    children = [inner.path for inner in around if inner.parent is one]
    return {
        **status.instance(one),
        "application": app.name,
        "parent": one.parent.path if one.parent is not None else None,
        "children": sorted(children),
        "data": dict(one.data),
        "added": one.added,
        "reported": one.state,
        "imports": [_import(service, app, one, prefix) for prefix in sorted(one.kind.imports)],
    }


_MOST_PROVIDERS = 100


def _import(service: Service, app: Application, one: Instance, prefix: str) -> dict[str, Any]:
    mandatory, names = one.kind.imports[prefix]
    found = list(_providers(service, app, one, prefix))
    return {
        "prefix": prefix,
        "names": list(names),
        "mandatory": mandatory,
        "external": prefix in one.kind.outside,
        "missing": prefix in one.missing,
        "providers": [
            {"application": other.name, "path": p.path, "state": shown_state(p)}
            for other, p in found[:_MOST_PROVIDERS]
        ],
        "total": len(found),
    }


def _providers(
    service: Service, app: Application, one: Instance, prefix: str
) -> Iterable[tuple[Application, Instance]]:
    apps = [app] if prefix in one.kind.imported else []
    if prefix in one.kind.outside:
        by_id = service.fleet.world.by_id
        apps += [by_id[app_id] for app_id in app.bindings.get(prefix, ()) if app_id in by_id]
    for other in apps:
        found = [
            provider
            for provider in other.instances.values()
            if prefix in provider.kind.exported and provider is not one and not provider.leaving
        ]
        yield from ((other, provider) for provider in sorted(found, key=lambda p: p.path))


def graph(service: Service, now: int, asked: Asked) -> Any:
    """Return the components of an application, and what each imports and exports."""
    app = application_of(service, asked["app"])
    found = []
    for name, component in sorted(app.graph.components.items()):
        kind = app.kinds[name]
        imports = [
            {"prefix": p, "names": list(names), "mandatory": m, "external": p in kind.outside}
            for p, (m, names) in sorted(kind.imports.items())
        ]
        found.append(
            {
                "name": name,
                "installer": kind.installer,
                "exports": sorted(kind.exported),
                "imports": imports,
                "children": list(component.children),
                "parents": list(component.ancestors),
                "facets": list(component.facets),
                "extends": component.extends,
                "note": component.annotation,
            }
        )
    return found


def nodes(service: Service, now: int, asked: Asked) -> Page:
    """Return a page of nodes by id."""
    world = service.fleet.world
    known = [*world.nodes, *(one.id for one in service.fleet.pool.unused())]
    app, online, tag = asked.get("application"), asked.get("online"), asked.get("tag")

    def row(node_id: str) -> Any:
        found = _node(service, now, node_id)
        if tag and tag not in found["tags"]:
            return None
        if (app and found["application"] != app) or (online not in (None, found["online"])):
            return None
        return found

    return paged(world.in_order(known), asked["cursor"], asked["limit"], row)


def node(service: Service, now: int, asked: Asked) -> Any:
    """Return one node with the paths of what runs on it."""
    node_id = asked["node"]
    found = service.fleet.world.nodes.get(node_id)
    if found is None and not service.fleet.pool.has(node_id):
        hint = "GET /api/v1/nodes lists them"
        raise FleetError("unknown-node", f"there is no node {node_id!r}", hint)
    members = () if found is None else found.root.members
    return {**_node(service, now, node_id), "instances": [member.path for member in members]}


def _node(service: Service, now: int, node_id: str) -> dict[str, Any]:
    world = service.fleet.world
    found = world.nodes.get(node_id)
    if found is None:
        free = world.enrolled[node_id]
        return {**status.free(free), "heard": _heard(service, now, free, free.online)}
    is_heard = found.online or (found.was_heard and found.fresh)
    return {**status.node(world, found), "heard": _heard(service, now, found, is_heard)}


def _heard(service: Service, now: int, one: Node | Enrolled, is_heard: bool) -> int | None:
    """Return when a node was heard last; if not by this coordinator, then by a former one."""
    return service.wall_ms() - max(0, now - one.heard) if is_heard else one.last


def logs(service: Service, now: int, asked: Asked) -> list[dict[str, Any]]:
    """Return the end of what an instance, or a whole application, printed."""
    app = application_of(service, asked["app"])
    path = asked.get("path")
    roots = [instance_of(app, path).scope] if path else list(app.scoped())
    found = service.outputs.of({root.node.id for root in roots if root.node is not None}, path)
    after = asked.get("after")
    if after is not None:
        found = [part for part in found if part["at"] > after]
    return found[-asked["limit"] :]


def overview(service: Service, now: int, asked: Asked) -> Any:
    """Return the fleet at a glance."""
    world = service.fleet.world
    online = sum(node.online for node in world.nodes.values())
    counts = [status.summary(world, app)["instances"] for app in world.applications.values()]
    return {
        "fleet": service.fleet_id,
        "broker": {"url": service.broker.url, "connected": service.connected},
        "applications": len(world.applications),
        "instances": {
            name: sum(one[name] for one in counts) for name in ("total", "settled", "problems")
        },
        "nodes": {"total": len(world.nodes), "online": online},
        "changes": len(service.fleet.running_changes()),
        "unknown": sorted(service.fleet.unknown)[:100],
        "disk": service.disk_error(),
        "dropped": dict(list(service.fleet.dropped.items())[:100]),
    }


def events(service: Service, now: int, asked: Asked) -> Page:
    """Return a page of the history, newest first."""
    limit = asked["limit"]
    cursor = asked["cursor"]
    if cursor is not None and not cursor.isdecimal():
        raise RequestError("bad-request", f"{cursor!r} is no cursor of this list")
    found = service.store.events(
        asked.get("application"),
        limit + 1,
        asked.get("kind"),
        int(cursor) if cursor is not None else None,
        asked.get("after"),
        asked.get("path"),
    )[::-1]
    more = len(found) > limit
    return found[:limit], str(found[limit - 1]["id"]) if more else None


def changes(service: Service, now: int, asked: Asked) -> Page:
    """Return a page of changes without their steps, newest first."""
    known = service.fleet.change_ids()
    begin = known.index(asked["cursor"]) + 1 if asked["cursor"] in known else 0
    limit = asked["limit"]
    rows = [service.fleet.progress(one) for one in known[begin : begin + limit]]
    more = begin + limit < len(known)
    return [row for row in rows if row is not None], known[begin + limit - 1] if more else None
