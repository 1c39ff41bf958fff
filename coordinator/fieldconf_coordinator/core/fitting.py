"""Refuses what cannot work before anything changes: an installer a node lacks, a want too large.

What the nodes of a target will offer is known for some targets only, and what a node offers once
it was heard. Where neither is known the agent refuses, and says so in its have.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fieldconf_microagent import states

from ..errors import FleetError
from . import placing, sizes
from .machines import Identity
from .model import Application, Instance, World
from .sizes import Future

#: Installer → "", or why it cannot be used.
Offers = Mapping[str, str]
OffersOf = Callable[[str, Mapping[str, str]], Offers | None]

_SHOWN = 5


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
        for root, (size, items) in sizes.of_wants(future).items():
            node = root.node
            known = node.info[5] if node is not None and node.info else None
            largest = sizes.largest(known)
            if size > largest or items > sizes.MOST_ITEMS:
                who = f"the agent of {node.id}" if node is not None and known else "its agent"
                raise FleetError(
                    "too-large",
                    f"what {root.path} should run cannot be told to {who}: it takes some "
                    f"{_kib(size)} KiB with {items} items; {_kib(largest)} KiB with "
                    f"{sizes.MOST_ITEMS} items are the most",
                    "spread the instances over more nodes; long values belong into recipes",
                )


def _kib(size: int) -> str:
    return f"{size / 1024:.1f}" if size < 100 << 10 else str(size >> 10)


def _why_not(installer: str, offers: Offers) -> str:
    if installer in offers:
        return f"the installer '{installer}' {offers[installer]}"
    names = ", ".join(sorted(name for name, lack in offers.items() if not lack))
    return f"its node has no installer '{installer}', only: {names or 'none'}"


def _some(paths: list[str]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(paths[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
