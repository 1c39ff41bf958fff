"""Who provides what: from the model and the bindings alone, never from what nodes report.

A provider is ``(application, published prefix, node)``. A node counts as an exporter as long as an
instance of it exports the prefix, *leaving* ones included: they go when the node's have confirms
that they are gone, so a node is never dropped from the lists while it still runs what it exports.

Every change of the index marks the nodes whose wants depend on it; nobody else is looked at.
"""

from collections.abc import Callable, Iterable

from .model import WITHDRAWN, Application, Node, World

_NONE: frozenset[str] = frozenset()


class Providers:
    """Keeps the index of every application.

    Args:
        world: with all applications.
        mark: called with each node whose want may change.
    """

    def __init__(self, world: World, mark: Callable[[Node], None]) -> None:
        self._world = world
        self._mark = mark

    def refresh(self, node: Node) -> None:
        """Look at the instances of `node` again; and mark it."""
        self._mark(node)
        if node.phase in WITHDRAWN:
            self.drop(node)
            return
        exported: set[str] = set()
        imported: set[str] = set()
        outside: set[str] = set()
        for instance in node.root.members:
            exported |= instance.kind.exported
            if not instance.leaving:
                imported |= instance.kind.imported
                outside |= instance.kind.outside
        self._set(node, exported, imported, outside)

    def drop(self, node: Node) -> None:
        """Take `node` out of all lists: it runs nothing any more."""
        self._set(node, _NONE, _NONE, _NONE)

    def _set(
        self, node: Node, exported: Iterable[str], imported: Iterable[str], outside: Iterable[str]
    ) -> None:
        app = node.app
        before = node.exported, node.imported, node.outside
        node.exported = app.share(frozenset(exported))
        node.imported = app.share(frozenset(imported))
        node.outside = app.share(frozenset(outside))
        # Prefixes whose list of providers changed, and those for which the first importer came
        # or the last one went.
        for prefix in sorted(_move(app.exporters, node.id, before[0], node.exported)):
            self._mark_importers(app, prefix)
        for prefix in sorted(_move(app.importers, node.id, before[1], node.imported)):
            if len(app.importers.get(prefix, ())) <= 1:
                self._mark_all(app.exporters.get(prefix, ()))
        for prefix in sorted(_move(app.outside, node.id, before[2], node.outside)):
            if len(app.outside.get(prefix, ())) <= 1:
                self.mark_bound(app, prefix)

    def _mark_importers(self, app: Application, prefix: str) -> None:
        self._mark_all(app.importers.get(prefix, ()))
        if prefix == app.prefix:
            for other in self.bound_to(app):
                self._mark_all(other.outside.get(prefix, ()))

    def mark_bound(self, app: Application, prefix: str) -> None:
        """Mark the exporters in all applications that serve the external imports of `prefix`."""
        for app_id in app.bindings.get(prefix, ()):
            bound = self._world.by_id.get(app_id)
            if bound is not None:
                self._mark_all(bound.exporters.get(prefix, ()))

    def mark_outside(self, app: Application, prefix: str) -> None:
        """Mark the nodes of `app` that import `prefix` from bound applications."""
        self._mark_all(app.outside.get(prefix, ()))

    def _mark_all(self, node_ids: Iterable[str]) -> None:
        # In order, so that a run can be repeated.
        for node_id in sorted(node_ids):
            self._mark(self._world.nodes[node_id])

    def bound_to(self, app: Application) -> list[Application]:
        """Return the applications whose external imports `app` serves."""
        if not app.prefix:
            return []
        return [
            other
            for other in self._world.applications.values()
            if app.id in other.bindings.get(app.prefix, ())
        ]

    def to_publish(self, node: Node) -> list[str]:
        """Return the prefixes that `node` exports and somebody imports."""
        app = node.app
        wanted = {prefix for prefix in node.exported if app.importers.get(prefix)}
        if app.prefix and app.prefix in node.exported:
            if any(other.outside.get(app.prefix) for other in self.bound_to(app)):
                wanted.add(app.prefix)
        return sorted(wanted)

    def of(self, node: Node) -> dict[str, list[list[str]]]:
        """Return the providers of every prefix that `node` imports, as a want names them."""
        app = node.app
        found: dict[str, list[list[str]]] = {}
        for prefix in node.imported:
            found[prefix] = [[app.id, prefix, n] for n in sorted(app.exporters.get(prefix, ()))]
        for prefix in node.outside:
            listed = found.setdefault(prefix, [])
            for app_id in sorted(app.bindings.get(prefix, ())):
                bound = self._world.by_id.get(app_id)
                if bound is not None and bound.prefix == prefix:
                    ids = sorted(bound.exporters.get(prefix, ()))
                    listed.extend([app_id, prefix, n] for n in ids)
        return found


def _move(
    index: dict[str, set[str]], node_id: str, before: frozenset[str], after: frozenset[str]
) -> frozenset[str]:
    """Bring `index` from `before` to `after`; return the prefixes that changed."""
    if before is after:
        return _NONE
    for prefix in before - after:
        index[prefix].discard(node_id)
        if not index[prefix]:
            del index[prefix]
    for prefix in after - before:
        index.setdefault(prefix, set()).add(node_id)
    return before ^ after
