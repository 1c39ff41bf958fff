"""The effects of the core, collected until somebody takes them.

Store effects of one object are coalesced: whatever happened to it since the last `take` gives one
row, made when it is written; see `rows.of`. They come first, since they are committed first.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .model import Application, Enrolled, Instance, Node, World

Effect = tuple[Any, ...]

# Target calls in one batch; their settings are large, and nobody makes more machines at once.
_CALLS_AT_ONCE = 250


class Outbox:
    """Collects effects.

    Rows are made when they are written, settings when they are taken, and not before: for thousands
    of nodes at once what is thrown away should not lie among what stays.
    """

    def __init__(
        self, world: World, settings_of: Callable[[Node], dict[str, Any]] = lambda node: {}
    ) -> None:
        self._world = world
        self._settings_of = settings_of
        self._applications: dict[str, Application] = {}
        self._instances: dict[Instance, str] = {}  # → id of its application
        self._nodes: dict[str, Node] = {}
        self._enrolled: dict[str, Enrolled] = {}
        # (table, key) → row, or None: delete
        self._others: dict[tuple[str, Any], dict[str, Any] | None] = {}
        self._effects: list[Effect] = []
        self._calls: deque[tuple[str, Node]] = deque()

    def store_application(self, app: Application) -> None:
        """Have the row of an application written."""
        self._applications[app.id] = app
        self._world.touch(app)

    def store_instance(self, app: Application, instance: Instance) -> None:
        """Have the row of an instance written."""
        self._instances[instance] = app.id
        self._world.touch(app, instance.scope)

    def store_node(self, node: Node) -> None:
        """Have the row of a node written."""
        self._nodes[node.id] = node
        self._world.touch(node.app, node.root)

    def store_enrolled(self, one: Enrolled) -> None:
        """Have the row of an enrolled machine written."""
        self._enrolled[one.id] = one
        self._world.touch_enrolled(one)

    def store(self, table: str, key: Any, row: dict[str, Any]) -> None:
        """Have a row written as it is."""
        self._others[table, key] = row
        if table == "changes" and self._world.marks.wanted:
            self._world.marks.changes[key] = None

    def delete(self, table: str, key: Any) -> None:
        """Have a row deleted, and nothing of it written that was to be."""
        self._others[table, key] = None
        self._mark_gone(table, key)

    def _mark_gone(self, table: str, key: Any) -> None:
        app = self._world.by_id.get(key[0] if table == "instances" else key)
        if app is not None:
            self._world.touch(app)
            key = (app.name, key[1]) if table == "instances" else app.name
        if self._world.marks.wanted:
            self._world.marks.gone.append((table, key))

    def call(self, verb: str, node: Node) -> None:
        """Have the target of `node` called."""
        self._calls.append((verb, node))

    @property
    def has_rows(self) -> bool:
        """Tell whether the next `take` is committed."""
        mine = (self._applications, self._instances, self._nodes, self._enrolled, self._others)
        return any(mine)

    @property
    def is_full(self) -> bool:
        """Tell whether target calls are left for the next `take`."""
        return bool(self._calls)

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
        stores = list(self._stores())
        effects = self._effects
        for _ in range(min(len(self._calls), _CALLS_AT_ONCE)):
            verb, node = self._calls.popleft()
            effects.append((verb, node.id, self._settings_of(node)))
        self._applications, self._instances, self._nodes = {}, {}, {}
        self._enrolled, self._others, self._effects = {}, {}, []
        return stores + effects

    def _stores(self) -> Iterator[Effect]:
        deleted = {key for key, row in self._others.items() if row is None}
        for app_id, app in self._applications.items():
            if ("applications", app_id) not in deleted:
                yield "store", "applications", app_id, app
        for instance, app_id in self._instances.items():
            key = (app_id, instance.path)
            if ("instances", key) not in deleted or self._is_there(app_id, instance):
                deleted.discard(("instances", key))
                yield "store", "instances", key, instance
        for node_id, node in self._nodes.items():
            if ("nodes", node_id) not in deleted:
                yield "store", "nodes", node_id, node
        for node_id, one in self._enrolled.items():
            yield "store", "enrolled", node_id, one
        for (table, key), row in self._others.items():
            if row is not None or (table, key) in deleted:
                yield "store", table, key, row

    def _is_there(self, app_id: str, instance: Instance) -> bool:
        """Tell whether the instance is in the model: a path may go and come in one batch."""
        app = self._world.by_id.get(app_id)
        return app is not None and app.instances.get(instance.path) is instance
