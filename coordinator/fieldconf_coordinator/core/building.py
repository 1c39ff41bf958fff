"""New instances: worked out whole before the first one is put into an application."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from fieldconf_dsl.model import Graph

from . import kinds, requirements
from .model import Application, Instance, Kind, World
from .options import instance_options
from .outbox import Outbox
from .ports import Ports, TargetOf


class Spec(NamedTuple):
    """What an instance shall be."""

    path: str
    component: str
    overrides: Mapping[str, str | None]
    data: Mapping[str, str]
    wish: str
    added: bool


class Builder:
    """Makes instances for one request.

    Args:
        target_of: tells the target of a scoped instance; nodes of some share a box.
    """

    def __init__(
        self,
        world: World,
        target_of: TargetOf,
        app: Application,
        graph: Graph,
        known: Mapping[str, Kind],
    ) -> None:
        self._world = world
        self._target_of = target_of
        self._app = app
        self._graph = graph
        self._kinds = known
        self._shared: dict[Any, Any] = {}
        self._maps: dict[Any, Any] = {}

    def work_out(self, path: str, kind: Kind, overrides: Mapping[str, str | None]) -> kinds.Worked:
        """Return what an instance exports and what only its recipe sees."""
        return kinds.work_out(self._graph, kind, path, overrides, self._shared)

    def build(self, specs: Iterable[Spec]) -> list[Instance]:
        """Return the instances, not yet in the application; `specs` come parents first.

        Raises:
            FleetError: a duration or a requirement is none, or there are no ports left.
        """
        made: dict[str, Instance] = {}
        for spec in specs:
            above = spec.path.rpartition("/")[0]
            parent = made.get(above) or self._app.instances.get(above)
            made[spec.path] = self._one(spec, parent)
        if any(instance.kind.ports for instance in made.values()):
            self._give_ports(made.values())
        return list(made.values())

    def _one(self, spec: Spec, parent: Instance | None) -> Instance:
        kind = self._kinds[spec.component]
        instance_options(kind.options, spec.data)
        requirements.check(spec.data, spec.path)
        instance = Instance(spec.path, kind, parent)
        instance.overrides = self._share(spec.overrides)
        instance.data = self._share(spec.data)
        instance.wish, instance.added = spec.wish, spec.added
        instance.values, instance.magic = self.work_out(spec.path, kind, instance.overrides)
        return instance

    def _share(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        key = tuple(sorted(value.items()))
        if key not in self._maps:
            self._maps[key] = dict(value)
        found: Mapping[str, Any] = self._maps[key]
        return found

    def _give_ports(self, made: Iterable[Instance]) -> None:
        world = self._world
        ports = Ports(
            world.applications.values(), self._target_of, world.port_is_taken, world.first_port
        )
        for instance in made:
            ports.reserve(self._app, instance)
        for instance in made:
            given = ports.assign(self._app, instance)
            if given:
                instance.overrides = {**instance.overrides, **given}


def put(world: World, outbox: Outbox, app: Application, made: Iterable[Instance]) -> None:
    """Put what was built into the application."""
    for instance in made:
        world.put(app, instance)
        outbox.store_instance(app, instance)
