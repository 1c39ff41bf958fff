"""What another template would change in an application, instance by instance."""

from collections.abc import Iterator, Mapping
from typing import Any

from fieldconf_dsl import model as dsl
from fieldconf_microagent import states

from ..errors import FleetError
from .building import Spec
from .kinds import make_kinds
from .model import Application, Instance, Kind


class Plan:
    """The way from an application, or from none, to a template.

    Attributes:
        new: instances to make, by path.
        remove: paths of instances to take away, with all below them.
        upgrade: paths of instances that get another recipe or component.
        change: paths of those that keep their recipe, and get other exports, imports, settings
            or data.
        keep: path → (kind, overrides, data) of the instances that stay.
    """

    def __init__(
        self, app: Application | None, template: dsl.Template, digests: Mapping[str, bytes]
    ) -> None:
        self.kinds, self.lost_ms = make_kinds(template, digests)
        self.remove: list[str] = []
        self.upgrade: list[str] = []
        self.change: list[str] = []
        self.keep: dict[str, tuple[Kind, Mapping[str, str | None], Mapping[str, str]]] = {}
        self.listed = {one.path: one for one in template.instances}
        existing = app.instances if app is not None else {}
        new = (one for one in template.instances if one.path not in existing)
        self.new = sorted(new, key=lambda one: one.path)
        for instance in existing.values():
            self._look_at(instance)

    def _look_at(self, instance: Instance) -> None:
        path = instance.path
        one = self.listed.get(path)
        if one is None:
            above = path.rpartition("/")[0]
            if not instance.added or instance.leaving or above in self.remove:
                self.remove.append(path)
                return
        component = one.component if one is not None else instance.kind.component
        kind = self.kinds.get(component)
        if kind is None:
            raise FleetError(
                "conflict",
                f"{path} was added and its component {component} is not in the new version",
                f"remove {path} first",
            )
        if (kind.installer == "target") != (instance.kind.installer == "target"):
            raise FleetError(
                "conflict",
                f"{path} cannot change from {instance.kind.component} to {component}: "
                "only one of them is a node",
                f"remove {path} first, or rename it",
            )
        self._keep(instance, kind, one)

    def _keep(self, instance: Instance, kind: Kind, one: dsl.Instance | None) -> None:
        overrides, data = instance.overrides, instance.data
        if one is not None:
            ports = {n: v for n, v in instance.overrides.items() if n in kind.ports}
            overrides, data = {**ports, **one.exports}, one.data
        self.keep[instance.path] = (kind, overrides, data)
        before = instance.kind
        told = (before.told, dict(instance.overrides), dict(instance.data))
        if (before.digest, before.component) != (kind.digest, kind.component):
            self.upgrade.append(instance.path)
        elif told != (kind.told, dict(overrides), dict(data)):
            self.change.append(instance.path)

    def add(self) -> Iterator[Spec]:
        """Yield what to add, parents first."""
        for one in self.new:
            wish = (one.state or "").lower().replace("_", "-")
            if wish not in states.WISHES:
                wish = states.STARTED
            # A copy of the path: with it the memory of the template can be given back.
            path = "/" + one.path[1:]
            yield Spec(path, one.component, one.exports, one.data, wish, False)

    def shown(self, name: str, is_new: bool) -> dict[str, Any]:
        """Return what people want to know of it."""
        return {
            "application": name,
            "new": is_new,
            "add": [one.path for one in self.new],
            "remove": sorted(self.remove),
            "upgrade": sorted(self.upgrade),
            "change": sorted(self.change),
        }
