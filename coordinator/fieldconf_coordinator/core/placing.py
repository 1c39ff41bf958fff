"""Which target makes which node: definitions of targets, and what they are used for.

A *definition* is a handler with properties under an id: ``{"id": "boxes", "handler": "docker",
"properties": {…}}``. A bare handler serves as its own definition without properties.

A scoped instance gets, in this order: what is placed for its path, what is placed for its component
(``@Component``), its own ``data.target``, what is placed for the application (``""``), and what the
application was created with. What nodes are made from already is never changed under them.

What is placed for a template, of whatever version, is copied to the applications that are made from
it later. *Hints* say for which applications and templates a target is meant; they only shorten
lists, and refuse nothing.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fieldconf_dsl.model import Template

from ..errors import FleetError
from .model import Application, Definition, Instance, World
from .outbox import Outbox

# Before the name of a template, where the id of an application stands otherwise.
_TEMPLATE = "template:"
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
        row = shown(definition)
        hints = row.pop("hints")
        self._outbox.store("targets", definition.id, row)
        if any(hints.values()):
            self._outbox.store("hints", definition.id, {"target": definition.id, **hints})
        elif before is not None:
            self._outbox.delete("hints", definition.id)

    def undefine(self, target_id: str) -> None:
        if target_id not in self._world.targets:
            raise FleetError("unknown-target", f"there is no target {target_id!r}")
        self._check_unused(target_id, "cannot be deleted")
        del self._world.targets[target_id]
        self._outbox.delete("targets", target_id)
        self._outbox.delete("hints", target_id)

    def uses(self, target_id: str) -> list[str]:
        """Return what uses a target: nodes, then applications with elements."""
        nodes = [node.id for node in self._world.nodes.values() if node.target == target_id]
        placed = [
            f"{self._owner_name(owner)} {element}".rstrip()
            for (owner, element), used in self._world.placed.items()
            if used == target_id
        ]
        apps = [a.name for a in self._world.applications.values() if a.target == target_id]
        return [*nodes, *sorted({*placed, *apps})]

    def _owner_name(self, owner: str) -> str:
        app = self._world.by_id.get(owner)
        return f"template {owner.removeprefix(_TEMPLATE)}" if app is None else app.name

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
        self._set(app.id, element, target_id, app.name)

    def place_template(self, template: Template, element: str, target_id: str | None) -> None:
        """Like `place`, for the applications that will be made from a template of this name."""
        if not _is_in(template, element):
            raise FleetError("unknown-instance", f"{element!r} is no node of {template.name}")
        self._set(_TEMPLATE + template.name, element, target_id, template.name)

    def _set(self, owner: str, element: str, target_id: str | None, name: str) -> None:
        key = (owner, element)
        if target_id is not None:
            self._world.placed[key] = target_id
            row = {"application": owner, "element": element, "target": target_id}
            self._outbox.store("placed", key, row)
        elif self._world.placed.pop(key, None) is None:
            raise FleetError("unknown-target", f"nothing is placed for {element or name}")
        else:
            self._outbox.delete("placed", key)

    def adopt(self, app: Application, template: Template) -> None:
        """Give a new application what is placed for its template."""
        for element, target in self._inherited(app, template).items():
            self._set(app.id, element, target, app.name)

    @contextmanager
    def as_if_adopted(self, app: Application, template: Template) -> Iterator[None]:
        """Let it be so for a while; an application that is there already has what it has."""
        is_new = app.id not in self._world.by_id
        found = self._inherited(app, template) if is_new else {}
        tried = {(app.id, element): target for element, target in found.items()}
        self._world.placed.update(tried)
        try:
            yield
        finally:
            for key in tried:
                del self._world.placed[key]

    def _inherited(self, app: Application, template: Template) -> dict[str, str]:
        return {
            element: target
            for element, target in of_template(self._world, template.name).items()
            # The target that it is created with comes before that of the template.
            if _is_in(template, element) and not (app.target and not element)
        }

    def forget(self, app: Application) -> None:
        """Drop what was placed for an application that is deleted."""
        self._forget(app.id)

    def forget_template(self, name: str) -> None:
        """Drop what was placed for a template of which no version is left."""
        self._forget(_TEMPLATE + name)

    def _forget(self, owner: str) -> None:
        for element in of_owner(self._world, owner):
            del self._world.placed[owner, element]
            self._outbox.delete("placed", (owner, element))


def of_owner(world: World, owner: str) -> dict[str, str]:
    """Return element → target of what is placed for an application's id."""
    found = {element: used for (one, element), used in world.placed.items() if one == owner}
    return {element: found[element] for element in sorted(found)}


def of_template(world: World, name: str) -> dict[str, str]:
    """Return element → target of what is placed for a template."""
    return of_owner(world, _TEMPLATE + name)


def is_offered(definition: Definition, application: str | None, template: str | None) -> bool:
    """Tell whether a target is meant for an application, or for one of a template."""
    if not (definition.applications or definition.templates):
        return True
    return application in definition.applications or template in definition.templates


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
        "hints": {
            "applications": list(definition.applications),
            "templates": list(definition.templates),
        },
    }


def of_row(row: Mapping[str, Any], hints: Mapping[str, Any] | None) -> Definition:
    """Return the definition of a row, and of the row of its hints."""
    told = hints or {"applications": (), "templates": ()}
    return Definition(
        row["id"],
        row["handler"],
        row["name"],
        row["description"],
        dict(row["properties"]),
        tuple(told["applications"]),
        tuple(told["templates"]),
    )


def _is_in(template: Template, element: str) -> bool:
    """Tell whether a template has such a node, or a component that stands for nodes."""
    components = template.graph.components
    if element.startswith("@"):
        name = element[1:]
    else:
        name = next((one.component for one in template.instances if one.path == element), "")
    return not element or (name in components and components[name].installer == "target")


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
