"""Random ports: the first free one from 10000 on, recorded as an override of the instance.

Unique for each scoped instance. Nodes of some targets share one box, and one set of ports.
"""

import zlib
from collections.abc import Callable, Iterable

from ..errors import FleetError
from .model import Application, Instance

TargetOf = Callable[[Application, Instance], str]
IsTaken = Callable[[int], bool]

FIRST = 10_000
END = 65_500

#: Targets whose nodes are all on the coordinator's box.
SHARING_A_HOST = frozenset(("local", "memory"))


def first_of(fleet_id: str) -> int:
    """Return where a fleet begins on a box that it may share with other fleets.

    A port whose service is stopped looks free, and another fleet would take it. So each begins in
    a hundred of its own, below the ports that Linux gives to outgoing connections.
    """
    return FIRST + zlib.crc32(fleet_id.encode()) % 200 * 100


class _Pool:
    def __init__(self, is_taken: IsTaken, first: int = FIRST) -> None:
        self.used: set[int] = set()
        self.next = first
        self._is_taken = is_taken

    def take(self) -> int:
        while self.next in self.used or (self.next < END and self._is_taken(self.next)):
            self.next += 1
        if self.next >= END:
            raise FleetError(
                "no-port", f"no port is free between {FIRST} and {END}", "remove some instances"
            )
        self.used.add(self.next)
        return self.next


class Ports:
    """Gives ports for the time of one request; a refused request leaves nothing behind.

    Args:
        applications: all of the fleet, since some share a host.
        target_of: tells the target of a scoped instance.
        is_taken: tells whether somebody else uses a port of the coordinator's box.
        first: where to begin on the coordinator's box.
    """

    def __init__(
        self,
        applications: Iterable[Application],
        target_of: TargetOf,
        is_taken: IsTaken,
        first: int = FIRST,
    ) -> None:
        self._target_of = target_of
        self._is_taken = is_taken
        self._first = first
        self._pools: dict[object, _Pool] = {}
        for app in applications:
            for instance in app.instances.values():
                self.reserve(app, instance)

    def _pool(self, app: Application, instance: Instance) -> _Pool:
        scope = instance.scope
        shared = self._target_of(app, scope) in SHARING_A_HOST
        key: object = "host" if shared else (app.id, scope.path)
        if key not in self._pools:
            self._pools[key] = (
                _Pool(self._is_taken, self._first) if shared else _Pool(lambda port: False)
            )
        return self._pools[key]

    def reserve(self, app: Application, instance: Instance) -> None:
        """Note the ports that an instance has."""
        for value in map(instance.exports.get, instance.kind.ports):
            if value and value.isdigit():
                self._pool(app, instance).used.add(int(value))

    def assign(self, app: Application, instance: Instance) -> dict[str, str]:
        """Return a port for each random variable of `instance` that has no value yet.

        Variables of one local name are one variable, published under several prefixes.
        """
        given: dict[str, str] = {}
        by_local: dict[str, str] = {}
        exports = instance.exports
        for name in instance.kind.ports:
            if exports.get(name):
                continue
            local = name.partition(".")[2]
            if local not in by_local:
                by_local[local] = str(self._pool(app, instance).take())
            given[name] = by_local[local]
        return given
