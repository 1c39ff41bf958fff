"""Which target makes which node: definitions of targets, and what they are used for.

A *definition* is a handler with properties under an id: ``{"id": "boxes", "handler": "docker",
"properties": {…}}``. A bare handler serves as its own definition without properties.

A scoped instance gets, in this order: what is placed for its path, what is placed for its component
(``@Component``), its own ``data.target``, what is placed for the application (``""``), and what the
application was created with. What nodes are made from already is never changed under them.
"""

import re
from collections.abc import Mapping
from typing import Any

from ..errors import FleetError
from .model import Application, Definition, Instance, World
from .outbox import Outbox

_ADDRESS = re.compile(r"\{\{\s*ip\s*\}\}")


class Placing:
    """Carries out what users ask for about targets; `Fleet` describes the methods."""

    def __init__(self, world: World, outbox: Outbox) -> None:
        self._world = world
        self._outbox = outbox

    def define(self, definition: Definition) -> None:
        before = self._world.targets.get(definition.id)
        if before is not None and before.handler != definition.handler:
            self._check_unused(definition.id, "cannot get another handler")
        self._world.targets[definition.id] = definition
        self._outbox.store("targets", definition.id, shown(definition))

    def undefine(self, target_id: str) -> None:
        if target_id not in self._world.targets:
            raise FleetError("unknown-target", f"there is no target {target_id!r}")
        self._check_unused(target_id, "cannot be deleted")
        del self._world.targets[target_id]
        self._outbox.delete("targets", target_id)

    def uses(self, target_id: str) -> list[str]:
        """Return what uses a target: nodes, then applications with elements."""
        nodes = [node.id for node in self._world.nodes.values() if node.target == target_id]
        placed = [
            f"{self._world.by_id[app_id].name} {element}".rstrip()
            for (app_id, element), used in self._world.placed.items()
            if used == target_id
        ]
        apps = [a.name for a in self._world.applications.values() if a.target == target_id]
        return [*nodes, *sorted({*placed, *apps})]

    def _check_unused(self, target_id: str, what: str) -> None:
        uses = self.uses(target_id)
        if uses:
            shown_uses = ", ".join(uses[:5])
            raise FleetError("conflict", f"target {target_id} {what}: it is used by {shown_uses}")

    def place(self, app: Application, element: str, target_id: str | None) -> None:
        """Have a target make the nodes of `element`, or no particular one with None."""
        made = [root.path for root in _concerned(app, element) if root.node is not None]
        if made:
            raise FleetError(
                "conflict",
                f"{', '.join(made[:5])} has a node already",
                "undeploy it first, then place it, then deploy it again",
            )
        key = (app.id, element)
        if target_id is None:
            if self._world.placed.pop(key, None) is None:
                raise FleetError("unknown-target", f"nothing is placed for {element or app.name}")
            self._outbox.delete("placed", key)
        else:
            self._world.placed[key] = target_id
            row = {"application": app.id, "element": element, "target": target_id}
            self._outbox.store("placed", key, row)

    def forget(self, app: Application) -> None:
        """Drop what was placed for an application that is deleted."""
        for key in [key for key in self._world.placed if key[0] == app.id]:
            del self._world.placed[key]
            self._outbox.delete("placed", key)


def target_of(world: World, app: Application, root: Instance) -> str | None:
    """Return the id of the target of a scoped instance, None where only the default is left."""
    placed = world.placed
    for found in (
        placed.get((app.id, root.path)),
        placed.get((app.id, "@" + root.kind.component)),
        root.data.get("target"),
        placed.get((app.id, "")),
    ):
        if found:
            return found
    return app.target or app.settings.get("target")


def handler_of(world: World, target_id: str) -> str:
    """Return the handler of a target."""
    definition = world.targets.get(target_id)
    return target_id if definition is None else definition.handler


def properties_of(world: World, target_id: str, root: Instance) -> dict[str, str]:
    """Return the properties for one node: the target's, overridden by the instance's data."""
    definition = world.targets.get(target_id)
    found = {} if definition is None else dict(definition.properties)
    top = [root, *root.ancestors()][-1]
    nodes = (root.node, root.parent.scope.node if root.parent is not None else None, top.scope.node)
    address = next((node.address for node in nodes if node is not None and node.address), "")
    filled = {name: _ADDRESS.sub(lambda _: address, value) for name, value in found.items()}
    return {**filled, **root.data}


def shown(definition: Definition) -> dict[str, Any]:
    """Return a definition as a row."""
    return {
        "id": definition.id,
        "handler": definition.handler,
        "name": definition.name,
        "description": definition.description,
        "properties": dict(definition.properties),
    }


def of_row(row: Mapping[str, Any]) -> Definition:
    """Return the definition of a row."""
    return Definition(
        row["id"], row["handler"], row["name"], row["description"], dict(row["properties"])
    )


def _concerned(app: Application, element: str) -> list[Instance]:
    """Return the scoped instances that `element` means.

    Raises:
        FleetError: it means none.
    """
    if element.startswith("@"):
        if element[1:] not in app.kinds:
            raise FleetError("unknown-component", f"{app.name} has no component {element[1:]!r}")
        return [root for root in app.scoped() if root.kind.component == element[1:]]
    if element:
        found = app.instances.get(element)
        if found is None or not found.is_scoped:
            raise FleetError("unknown-instance", f"{element!r} is no node of {app.name}")
        return [found]
    return list(app.scoped())
