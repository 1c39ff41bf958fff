"""Another broker than the last time: nodes that live on know only the one they were made with.

Each has in its settings where the broker is, and its password there, if it has one. So another
broker is refused where they could not come back, and the first one can still be had.
"""

import logging

from fieldconf_targets import registry

from ..brokers.embedded import EmbeddedBroker
from ..brokers.mosquitto import Mosquitto
from ..brokers.supervised import BrokerError
from ..core import placing
from .service import Service

_SETTING = "broker"
_OPTIONS = {EmbeddedBroker.name: "without --mosquitto", Mosquitto.name: "with --mosquitto"}

_log = logging.getLogger(__name__)


def check(service: Service) -> None:
    """Compare the broker with that of the last time, and remember it.

    Raises:
        BrokerError: nodes could not come back.
    """
    before, now = service.store.setting(_SETTING), service.broker.label
    count = _left(service)
    # Same port; the embedded one lets in everybody.
    is_harmless = (before, now) == (Mosquitto.name, EmbeddedBroker.name)
    if count and before not in (None, now) and not is_harmless:
        nodes = f"{count} node{'s' if count > 1 else ''} of this fleet"
        if before in _OPTIONS:
            raise BrokerError(
                f"cannot use {now}: {nodes} can reach {before} only. Run 'fieldconf up' "
                f"{_OPTIONS[before]} and without --broker, undeploy what there is, then change"
            )
        _log.warning("%s were made for the broker %s: do they reach %s?", nodes, before, now)
    if before != now:
        row = {"name": _SETTING, "value": now}
        service.store.commit([("store", "settings", _SETTING, row)])


def _left(service: Service) -> int:
    """Count the nodes that outlived the last coordinator."""
    world = service.fleet.world
    handlers = [placing.handler_of(world, node.target) for node in world.nodes.values()]
    return sum(handler != registry.MEMORY for handler in handlers)
