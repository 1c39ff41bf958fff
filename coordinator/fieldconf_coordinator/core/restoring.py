"""From the rows of the store back to applications, instances and nodes."""

from collections.abc import Iterable, Mapping
from typing import Any

from fieldconf_dsl.model import Template

from . import lastseen, placing, rows
from .kinds import make_kinds, work_out
from .model import Application, World
from .wants import Wants

Row = Mapping[str, Any]
Rows = Mapping[str, Iterable[Row]]


def restore(world: World, wants: Wants, stored: Rows, templates: Mapping[str, Template]) -> None:
    """Fill an empty world; the wants that follow are marked, and those of equal content stay."""
    for row in stored.get("applications", ()):
        app = rows.to_application(row, templates[row["ref"]])
        app.kinds, app.lost_ms = make_kinds(templates[row["ref"]], app.digests)
        world.applications[app.name] = world.by_id[app.id] = app
    _instances(world, stored.get("instances", ()))
    hints = {row["target"]: row for row in stored.get("hints", ())}
    for row in stored.get("targets", ()):
        world.targets[row["id"]] = placing.of_row(row, hints.get(row["id"]))
    for row in stored.get("placed", ()):
        world.placed[row["application"], row["element"]] = row["target"]
    for row in stored.get("tombstones", ()):
        pubs = tuple((app_id, prefix) for app_id, prefix in row["pubs"])
        world.tombstones[row["node"]] = (row["until"], pubs)
    for row in stored.get("enrolled", ()):
        world.enrolled[row["id"]] = rows.to_enrolled(row)
    for row in stored.get("nodes", ()):
        app = world.by_id[row["application"]]
        node = rows.to_node(row, app, app.instances[row["path"]])
        world.nodes[node.id] = node.root.node = node
    for row in stored.get("tags", ()):
        if row["node"] in world.nodes:
            world.tags[row["node"]] = tuple(row["tags"])
    lastseen.recall(world, stored.get("lastseen", ()))
    for node in world.nodes.values():
        wants.providers.refresh(node)


def _instances(world: World, stored: Iterable[Row]) -> None:
    """Put the instances into their applications, parents first."""
    shared: dict[str, dict[Any, Any]] = {}
    early: list[Row] = []
    for row in stored:
        above = row["path"].rpartition("/")[0]
        if above and above not in world.by_id[row["application"]].instances:
            early.append(row)  # rows that are sorted, as the store's are, never get here
        else:
            _put(world, row, shared)
    for row in sorted(early, key=lambda row: str(row["path"])):
        _put(world, row, shared)


def _put(world: World, row: Row, shared: dict[str, dict[Any, Any]]) -> None:
    app: Application = world.by_id[row["application"]]
    kind = app.kinds[row["component"]]
    parent = app.instances.get(row["path"].rpartition("/")[0])
    one = rows.to_instance(row, app, kind, parent)
    worked = shared.setdefault(app.id, {})
    one.values, one.magic = work_out(app.graph, kind, one.path, one.overrides, worked)
    world.put(app, one)
