"""Objects of the core ⇄ rows of the store.

An effect names the object, and its row is made when it is written (`of`): the rows of thousands of
new objects at once would take more memory than the objects.

A row is a dictionary of None, bool, int, str, bytes, and sequences and dictionaries of them, some
of which the core goes on using: nobody may change them. What is reported by nodes is not in it:
haves are asked for again after a start.

What nodes and targets tell is written along with the next commit; without one after `SOON_MS`, or
after `LATE_MS` where it is no more than the next triple. So thousands of reports cost few commits,
and none waits for the disk; and rows may lag behind. That is harmless: with an older triple the
coordinator would take in, after a restart, a have that it had already seen; it is genuine, and the
node is asked for a newer one at every start. And a machine that is made again is found instead.

Strings that many rows have in common are interned: there may be tens of thousands.
"""

from collections.abc import Callable, Mapping
from sys import intern
from typing import Any

from fieldconf_dsl.model import Template

from .model import Application, Enrolled, Instance, Kind, Node

SOON_MS = 1_000
LATE_MS = 60_000


def of_application(app: Application) -> dict[str, Any]:
    """Return the row of an application."""
    return {
        "id": app.id,
        "name": app.name,
        "ref": app.ref,
        "target": app.target,
        "bindings": {prefix: list(ids) for prefix, ids in app.bindings.items()},
        "digests": dict(app.digests),
        "created": app.created,
        "simulate": app.simulate,
    }


def to_application(row: Mapping[str, Any], template: Template) -> Application:
    """Return the application, without its instances."""
    app = Application(row["id"], row["name"], template, row["ref"])
    app.target = row["target"]
    app.bindings = {prefix: list(ids) for prefix, ids in row["bindings"].items()}
    app.digests = dict(row["digests"])
    app.created = row["created"]
    app.simulate = bool(row.get("simulate"))
    return app


def of_instance(app_id: str, instance: Instance) -> dict[str, Any]:
    """Return the row of an instance."""
    return {
        "application": app_id,
        "path": instance.path,
        "component": instance.kind.component,
        "wish": instance.wish,
        "added": instance.added,
        "leaving": instance.leaving,
        "exports": instance.overrides,
        "data": instance.data,
    }


def to_instance(
    row: Mapping[str, Any], app: Application, kind: Kind, parent: Instance | None
) -> Instance:
    """Return the instance; its exports are still to be worked out."""
    instance = Instance(row["path"], kind, parent)
    instance.wish = intern(row["wish"])
    instance.added = row["added"]
    instance.leaving = row["leaving"]
    # Where there are random ports, no two are alike.
    exports = {intern(name): value for name, value in row["exports"].items()}
    instance.overrides = exports if kind.ports else app.share_map(exports)
    instance.data = app.share_map(row["data"])
    return instance


def of_node(node: Node) -> dict[str, Any]:
    """Return the row of a node."""
    return {
        "id": node.id,
        "application": node.app.id,
        "path": node.root.path,
        "target": node.target,
        "key": node.key,
        "enrolment": node.enrolment,
        "version": node.version,
        "sum": node.sum,
        "phase": node.phase,
        "doomed": node.doomed,
        "seen": node.seen,
        "hardware": node.hardware,
        "duplicate": node.duplicate,
        "pubs": node.pubs,
    }


def of_enrolled(one: Enrolled) -> dict[str, Any]:
    """Return the row of an enrolled machine."""
    return {
        "id": one.id,
        "key": one.key,
        "board": one.board,
        "tags": sorted(one.tags),
        "enrolment": one.enrolment,
        "version": one.version,
        "phase": one.phase,
        "former": one.former,
        "nonce": one.nonce,
        "seen": one.seen,
    }


def to_enrolled(row: Mapping[str, Any]) -> Enrolled:
    """Return the enrolled machine."""
    one = Enrolled(row["id"], row["key"])
    one.board, one.tags = row["board"], frozenset(row["tags"])
    one.enrolment, one.version, one.phase = row["enrolment"], row["version"], row["phase"]
    one.former, one.nonce = row["former"], row["nonce"]
    one.seen = (row["seen"][0], row["seen"][1], row["seen"][2])
    return one


def to_node(row: Mapping[str, Any], app: Application, root: Instance) -> Node:
    """Return the node, not yet known to its root instance."""
    node = Node(row["id"], row["key"], intern(row["target"]), app, root)
    node.enrolment = row["enrolment"]
    node.version = row["version"]
    node.sum = row["sum"]
    node.phase = intern(row["phase"])
    node.doomed = row["doomed"]
    node.seen = (row["seen"][0], row["seen"][1], row["seen"][2])
    node.hardware = tuple(row["hardware"])
    node.duplicate = row["duplicate"]
    node.pubs = app.share(tuple((app_id, prefix) for app_id, prefix in row["pubs"]))
    return node


_MAKERS: dict[type, Callable[[Any, Any], dict[str, Any]]] = {
    Application: lambda key, app: of_application(app),
    Instance: lambda key, instance: of_instance(key[0], instance),
    Node: lambda key, node: of_node(node),
    Enrolled: lambda key, one: of_enrolled(one),
}


def of(key: Any, what: Any) -> Mapping[str, Any]:
    """Return the row that a ``store`` effect has written under `key`: `what` itself, or made of it.

    Made of what that is *now*, so of nothing older than the effect.
    """
    make = _MAKERS.get(type(what))
    row: Mapping[str, Any] = what if make is None else make(key, what)
    return row
