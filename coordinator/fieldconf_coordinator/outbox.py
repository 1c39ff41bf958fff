"""The effects of the core, collected until somebody takes them.

Store effects of one object are coalesced: whatever happened to it since the last `take` gives one
row, written from what it is *then*. They come first, since they are committed first.
"""

from collections.abc import Callable
from typing import Any

from . import rows
from .model import Application, Instance, Node, World

Effect = tuple[Any, ...]


class Outbox:
    """Collects effects."""

    def __init__(self, world: World) -> None:
        self._world = world
        # (table, key) → the object that the row is made of; None deletes.
        self._touched: dict[tuple[str, Any], Any] = {}
        self._effects: list[Effect] = []

    def store_application(self, app: Application) -> None:
        self._touched["applications", app.id] = app

    def store_instance(self, app: Application, instance: Instance) -> None:
        self._touched["instances", (app.id, instance.path)] = instance

    def store_node(self, node: Node) -> None:
        self._touched["nodes", node.id] = node

    def store(self, table: str, key: Any, row: dict[str, Any]) -> None:
        self._touched[table, key] = row

    def delete(self, table: str, key: Any) -> None:
        self._touched[table, key] = None

    def put(self, *effect: Any) -> None:
        """Add an effect that is not a row."""
        self._effects.append(effect)

    def event(self, kind: str, text: str, app: str = "", path: str = "", node: str = "") -> None:
        """Add a line to the history."""
        self._effects.append(("event", kind, app, path, node, text))

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Send a message if there is a connection; wants are sent again with the next one."""
        if self._world.link:
            self._effects.append(("publish", topic, payload, qos, retain))

    def take(self) -> list[Effect]:
        """Return all effects, rows first, and forget them."""
        stores: list[Effect] = [
            ("store", table, key, None if what is None else _MAKERS[table](key, what))
            for (table, key), what in self._touched.items()
        ]
        effects = stores + self._effects
        self._touched, self._effects = {}, []
        return effects


def _as_it_is(key: Any, row: dict[str, Any]) -> dict[str, Any]:
    return row


_MAKERS: dict[str, Callable[[Any, Any], dict[str, Any]]] = {
    "applications": lambda key, app: rows.of_application(app),
    "instances": lambda key, instance: rows.of_instance(key[0], instance),
    "nodes": lambda key, node: rows.of_node(node),
    "tombstones": _as_it_is,
    "changes": _as_it_is,
}
