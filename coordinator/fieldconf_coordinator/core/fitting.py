"""Refuses what cannot work before anything changes: an installer a node lacks, a want too large.

What the nodes of a target will offer is known for some targets only, and what a node offers once
it was heard. Where neither is known the agent refuses, and says so in its have.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from fieldconf_microagent import codec, states

from ..errors import FleetError
from . import placing
from .machines import Identity
from .model import Application, Instance, Kind, World

#: Installer → "", or why it cannot be used.
Offers = Mapping[str, str]
# Bytes, items.
_Size = tuple[int, int]
OffersOf = Callable[[str, Mapping[str, str]], Offers | None]

#: What an agent takes at most; some is left for the envelope of a want and its other fields.
LARGEST_WANT = codec.MAX_BYTES - 8192
MOST_ITEMS = codec.MAX_ITEMS - 1000

# (bytes, items) of an entry besides its texts, of a value besides its name and text, of a provider
# besides its prefix: rather too many than too few.
_ENTRY, _VALUE, _PROVIDER = (96, 16), (6, 1), (32, 4)
_SHOWN = 5


class Future(NamedTuple):
    """An instance as it will be."""

    instance: Instance
    kind: Kind
    values: Mapping[str, str | None]
    magic: Mapping[str, str | None]


class Fitting:
    """Holds instances against the nodes that they are to run on."""

    def __init__(self, world: World, identity: Identity, offers_of: OffersOf) -> None:
        self._world = world
        self._identity = identity
        self._offers_of = offers_of

    def check_installers(self, app: Application, future: Iterable[Future]) -> None:
        """Refuse instances whose installer their node is known to lack.

        Raises:
            FleetError: names them and says why.
        """
        if app.simulate:
            return
        known: dict[Any, Offers | None] = {}
        lacking: dict[str, list[str]] = {}
        for instance, kind, _, _ in future:
            if instance.is_scoped:
                continue
            offers = self._offers(app, instance.scope, known)
            if offers is None or offers.get(kind.installer) == "":
                continue
            if instance.effective_wish() != states.NOT_DEPLOYED:
                why = _why_not(kind.installer, offers)
                lacking.setdefault(why, []).append(f"{instance.path} ({kind.component})")
        if lacking:
            text = "; ".join(f"{_some(paths)}: {why}" for why, paths in lacking.items())
            hint = "choose nodes that have it, or try the template with --simulate"
            raise FleetError("no-installer", "cannot run " + text, hint)

    def _offers(
        self, app: Application, root: Instance, known: dict[Any, Offers | None]
    ) -> Offers | None:
        """Return what the node of a scoped instance offers, None where nobody knows."""
        node = root.node
        if node is not None and node.info:
            return None if node.info[3] else dict.fromkeys(node.info[2], "")
        target = self._identity.target_of(app, root)
        properties = placing.properties_of(self._world, target, root)
        key = (target, tuple(sorted(properties.items())))
        if key not in known:
            known[key] = self._offers_of(placing.handler_of(self._world, target), properties)
        return known[key]

    def check_sizes(self, app: Application, future: Iterable[Future]) -> None:
        """Refuse a want that no agent would take.

        Raises:
            FleetError: names the node.
        """
        sizes: dict[Instance, _Size] = {}
        imported: dict[Instance, set[str]] = {}
        exporters: dict[str, set[Instance]] = {}
        shared: dict[int, _Size] = {}
        for one in future:
            root = one.instance.scope
            sizes[root] = _sum(sizes.get(root, (0, 0)), _entry_size(one, shared))
            imported.setdefault(root, set()).update(one.kind.imports)
            for prefix in one.kind.exported:
                exporters.setdefault(prefix, set()).add(root)
        for root, (size, items) in sizes.items():
            for prefix in imported[root]:
                count = len(exporters.get(prefix, ()))
                size += count * (_PROVIDER[0] + len(prefix))
                items += count * _PROVIDER[1]
            if size > LARGEST_WANT or items > MOST_ITEMS:
                raise FleetError(
                    "too-large",
                    f"what {root.path} should run cannot be told to its agent: it takes some "
                    f"{size >> 10} KiB with {items} items; {LARGEST_WANT >> 10} KiB with "
                    f"{MOST_ITEMS} items are the most",
                    "spread the instances over more nodes; long values belong into recipes",
                )


def _why_not(installer: str, offers: Offers) -> str:
    if installer in offers:
        return f"the installer '{installer}' {offers[installer]}"
    names = ", ".join(sorted(name for name, lack in offers.items() if not lack))
    return f"its node has no installer '{installer}', only: {names or 'none'}"


def _some(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _sum(one: _Size, other: _Size) -> _Size:
    return one[0] + other[0], one[1] + other[1]


def _entry_size(one: Future, shared: dict[int, _Size]) -> _Size:
    """Return about how large an entry of a want is; `shared` remembers what many have in common."""
    size, items = _ENTRY
    size += len(one.instance.path.encode())
    # The dictionaries outlive this check, so their ids are theirs alone.
    for values in (one.values, one.magic, one.kind.imports, one.kind.aliases):
        if id(values) not in shared:
            shared[id(values)] = _map_size(values)
        size += shared[id(values)][0]
        items += shared[id(values)][1]
    for name in one.kind.ports:
        size += _VALUE[0] + len(name) + 5
        items += _VALUE[1]
    return size, items


def _map_size(values: Mapping[str, Any]) -> _Size:
    size = items = 0
    for name, value in values.items():
        more = _value_size(value)
        size += _VALUE[0] + len(name.encode()) + more[0]
        items += _VALUE[1] + more[1]
    return size, items


def _value_size(value: Any) -> _Size:
    if value is None:
        return 1, 0
    if isinstance(value, str):
        return len(value.encode()), 0
    # What is imported under a prefix: mandatory or not, and the names.
    return len(codec.pack(value)), 2 + len(value[1])
