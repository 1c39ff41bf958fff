"""What a request would do, worked out before it is made: instances, imports, nodes.

It follows the same rules as the request itself (`wishing`, `copies`), and `resolving` for what
hangs on it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fieldconf_microagent import states

from . import copies, wishing
from .model import Application, Instance, World
from .resolving import Resolving, WishOf, connected

WISHES = {"start": states.STARTED, "stop": states.STOPPED, "undeploy": states.NOT_DEPLOYED}
#: What can be asked about.
ACTIONS = (*WISHES, "remove", "scale")
REMOVED = "removed"


@dataclass
class Intent:
    """What a request would change.

    Attributes:
        wishes: instance → what would be wished of it.
        removed: instances that would be taken out.
        added: paths of copies that would be made, with all in them.
    """

    wishes: dict[Instance, str] = field(default_factory=dict)
    removed: set[Instance] = field(default_factory=set)
    added: list[str] = field(default_factory=list)


def of_wish(app: Application, chosen: Iterable[Instance] | None, wish: str) -> Intent:
    """Return what wishing instances, or all with None, would change."""
    if chosen is None:
        return Intent(dict.fromkeys(wishing.of_all(app, wish), wish))
    taking = [t for one in chosen for t in wishing.of_one(one, app.tree(one.path), wish)]
    return Intent(dict.fromkeys(taking, wish))


def of_removal(app: Application, chosen: Iterable[Instance]) -> Intent:
    """Return what removing instances would change."""
    return Intent(removed={each for one in chosen for each in app.tree(one.path)})


def of_scaling(app: Application, root_path: str, count: int) -> Intent:
    """Return what scaling would change."""
    known = copies.family(app, root_path)
    deployed = copies.deployed(known)
    more = count - len(deployed)
    if more <= 0:
        fewer = sorted(deployed, reverse=True)[: len(deployed) - count]
        return of_removal(app, [deployed[index] for index in fewer])
    again = [known[n] for n in sorted(known) if n not in deployed][:more]
    found = of_wish(app, again, states.STARTED)
    model = app.instances.get("/" + root_path.strip("/")) or known[min(deployed or known)]
    new = copies.free_paths(app, copies.base_of(root_path), more - len(again))
    found.added = [spec.path for spec in copies.specs(app, model, new)]
    return found


def foresee(world: World, app: Application, intent: Intent) -> dict[str, Any]:
    """Return what would follow.

    Returns:
        ``{"instances": [{"path", "from", "to"}…], "unresolved": [{"application", "path",
        "prefix"}…], "resolved": [{"application", "path"}…], "given_back": [{"node", "path"}…],
        "made": [path…]}``: effective wishes that change; who could be started before and cannot be
        then, or the other way round; nodes that would go, and paths that would get one.
    """
    before = _Wishes({})
    after = _Wishes({**intent.wishes, **dict.fromkeys(intent.removed, states.NOT_DEPLOYED)})
    apps = connected(world, app)
    names = {one: other.name for other in apps for one in other.instances.values()}
    then, now = Resolving(apps, after.of), Resolving(apps, before.of)
    changed = [one for one in app.instances.values() if before.of(one) != after.of(one)]
    listed = {one for one in changed if not one.leaving} | intent.removed
    return {
        "instances": sorted(
            [_change(one, before.of, after.of, intent) for one in listed]
            + [{"path": p, "from": None, "to": states.STARTED} for p in intent.added],
            key=_path,
        ),
        "unresolved": _rows(names, {o: p for o, p in then.down.items() if o not in now.down}),
        "resolved": [
            {"application": row["application"], "path": row["path"]}
            for row in _rows(names, {o: "" for o in now.down if o in then.up})
        ],
        "given_back": sorted(
            (
                {"node": one.node.id, "path": one.path}
                for one in listed
                if one.is_scoped and one.node and not one.node.doomed
                if after.of(one) == states.NOT_DEPLOYED
            ),
            key=_path,
        ),
        "made": sorted(
            [one.path for one in changed if _gets_a_node(one, after.of)]
            + [path for path in intent.added if path.count("/") == 1]
        ),
    }


class _Wishes:
    """What is wished of instances, ancestors considered, where some are wished otherwise."""

    def __init__(self, own: Mapping[Instance, str]) -> None:
        self._own = own
        self._known: dict[Instance, str] = {}

    def of(self, one: Instance) -> str:
        found = self._known.get(one)
        if found is None:
            found = states.NOT_DEPLOYED if one.leaving else self._own.get(one, one.wish)
            if one.parent is not None:
                found = min(found, self.of(one.parent), key=states.WISHES.index)
            self._known[one] = found
        return found


def _change(one: Instance, before: WishOf, after: WishOf, intent: Intent) -> dict[str, Any]:
    to = REMOVED if one in intent.removed else after(one)
    return {"path": one.path, "from": before(one), "to": to}


def _gets_a_node(one: Instance, after: WishOf) -> bool:
    # One that is on its way out is followed by another one.
    has = one.node is not None and not one.node.doomed
    return one.is_scoped and not has and after(one) != states.NOT_DEPLOYED


def _rows(names: Mapping[Instance, str], found: Mapping[Instance, str]) -> list[dict[str, Any]]:
    rows = [{"application": names[o], "path": o.path, "prefix": p} for o, p in found.items()]
    return sorted(rows, key=lambda row: (row["application"], row["path"]))


def _path(row: Mapping[str, Any]) -> str:
    return str(row["path"])
