"""Who could be started, if all went well: every mandatory import has a provider that could be, too.

Nothing but wishes, the graph and the bindings counts here, not what is the case. Rings of
instances that wait for each other count as startable: whether they are is for `why` to tell.
"""

from collections.abc import Callable, Iterator

from fieldconf_microagent import states

from .model import Application, Instance, World

#: Tells what is wished of an instance, its ancestors considered.
WishOf = Callable[[Instance], str]


class Resolving:
    """Works out who of some applications cannot be started.

    Attributes:
        up: those that could be.
        down: those that are wished started and could not → the prefix that nobody serves, or "" for
            what lies in one of them.

    Args:
        apps: with all that they are bound to.
    """

    def __init__(self, apps: list[Application], wish_of: WishOf) -> None:
        self._apps = {app.id: app for app in apps}
        self._of: dict[Instance, Application] = {}
        # (application, prefix) → who exports it, who needs it
        self._exporters: dict[tuple[str, str], set[Instance]] = {}
        self._importers: dict[tuple[str, str], list[Instance]] = {}
        self.up: set[Instance] = set()
        self.down: dict[Instance, str] = {}
        for app in apps:
            for one in app.instances.values():
                if wish_of(one) == states.STARTED:
                    self._enter(app, one)
        self._settle()

    def _enter(self, app: Application, one: Instance) -> None:
        self.up.add(one)
        self._of[one] = app
        for prefix in one.kind.exported:
            self._exporters.setdefault((app.id, prefix), set()).add(one)
        for prefix, source in self._needs(app, one):
            self._importers.setdefault((source, prefix), []).append(one)

    def _needs(self, app: Application, one: Instance) -> Iterator[tuple[str, str]]:
        """Yield (prefix, application that may serve it) of mandatory imports."""
        for prefix, (mandatory, _) in one.kind.imports.items():
            if mandatory and prefix in one.kind.imported:
                yield prefix, app.id
            if mandatory and prefix in one.kind.outside:
                yield from ((prefix, app_id) for app_id in app.bindings.get(prefix, ()))

    def _settle(self) -> None:
        """Take out who cannot be started, until nobody is left of whom that is true."""
        waiting = list(self.up)
        while waiting:
            one = waiting.pop()
            lacking = self._lacking(one) if one in self.up else None
            if lacking is not None:
                waiting += self._take_out(one, lacking)

    def _lacking(self, one: Instance) -> str | None:
        app = self._of[one]
        for prefix, (mandatory, _) in one.kind.imports.items():
            if mandatory and not self._is_served(app, one, prefix):
                return prefix
        return None

    def _is_served(self, app: Application, one: Instance, prefix: str) -> bool:
        for needed, source in self._needs(app, one):
            if needed == prefix:
                found = self._exporters.get((source, prefix), set())
                if len(found) > (one in found):
                    return True
        return False

    def _take_out(self, one: Instance, prefix: str) -> list[Instance]:
        """Take out one with all below it; return who has to be looked at again."""
        app, again = self._of[one], []
        for each in app.tree(one.path):
            if each in self.up:
                self.up.discard(each)
                self.down[each] = prefix if each is one else ""
                for exported in each.kind.exported:
                    left = self._exporters[app.id, exported]
                    left.discard(each)
                    # One that is left may be the importer itself.
                    if len(left) <= 1:
                        again += self._importers.get((app.id, exported), [])
        return again


def connected(world: World, app: Application) -> list[Application]:
    """Return `app` and all that bindings connect with it, in whatever direction."""
    near: dict[str, set[str]] = {}
    for other in world.applications.values():
        for ids in other.bindings.values():
            for app_id in ids:
                near.setdefault(other.id, set()).add(app_id)
                near.setdefault(app_id, set()).add(other.id)
    found, waiting = {app.id}, [app.id]
    while waiting:
        new = near.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return [world.by_id[app_id] for app_id in sorted(found) if app_id in world.by_id]
