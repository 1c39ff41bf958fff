"""Wants: the document for each node, its version, and when it is published.

* The version is raised in the same batch of rows as the change, and only when the content really
  changed: a digest of it stands in the node's row.
* Wants are computed once for all changes since the last `flush`, only of nodes that were marked.
* Exporters get the prefix before importers get the provider.
* A want is published again whenever the version that a node says it holds differs, and, while a
  node is online and does not say that it holds it, after growing pauses.
"""

import hashlib
from itertools import islice
from typing import Any

from fieldconf_microagent import codec, envelope, states, topics

from .model import EMPTYING, WITHDRAWN, Instance, Node, World
from .options import LOST_AFTER_MS, instance_options
from .outbox import Outbox
from .providers import Providers

_EMPTY = WITHDRAWN | {EMPTYING}

_PUBLISHED_AT_ONCE = 250
_AGAIN_MS = 10_000
_AGAIN_LONGEST_MS = 300_000
_RETAINED_MS = 3_000


def with_version(body: bytes, version: int) -> bytes:
    """Return a packed want: the packed content and the version, whose key is the last in order."""
    # A map of less than 16 entries begins with 0x80 plus their number.
    return bytes((body[0] + 1,)) + body[1:] + b"\xa1v" + codec.pack(version)


def empty_want(lost_ms: int = LOST_AFTER_MS) -> dict[str, Any]:
    """Return the want, without its version, of a node that is to run nothing."""
    return {
        "app": "",
        "name": "",
        "path": "",
        "lost": lost_ms,
        "i": [],
        "up": [],
        "pub": [],
        "prov": {},
    }


class Wants:
    """Writes and publishes the wants of all nodes."""

    def __init__(self, world: World, outbox: Outbox, domain: str) -> None:
        self._world = world
        self._outbox = outbox
        self._domain = domain
        self._marked: dict[str, Node] = {}
        # Id of a node → content of its want, packed, where that is at hand.
        self._due: dict[str, bytes | None] = {}
        # Nodes that have not confirmed their want → [when to send it again, pause,
        # version].
        self.unheld: dict[str, list[int]] = {}
        self.providers = Providers(world, self.mark)

    def mark(self, node: Node) -> None:
        """Have the want of `node` computed with the next `flush`."""
        self._marked[node.id] = node

    def publish(self, node: Node) -> None:
        """Have the want of `node` published with the next `flush`, changed or not."""
        self._due.setdefault(node.id, None)

    def renew(self, node: Node) -> None:
        """Raise the version of one want now, if its content changed."""
        self._marked.pop(node.id, None)
        self._renew(node)

    def flush(self) -> None:
        """Compute the wants of marked nodes, and publish those that changed or are due.

        Not all at once: so many messages on their way would be most of what a deployment takes.
        """
        gained: dict[str, bytes | None] = {}
        for node in self._marked.values():
            if self._renew(node):
                gained[node.id] = self._due[node.id]
        self._marked = {}
        if gained:
            self._due = {**gained, **self._due}
        if not self._world.link:
            self._due = {}
        for node_id in list(islice(self._due, _PUBLISHED_AT_ONCE)):
            body, known = self._due.pop(node_id), self._world.nodes.get(node_id)
            if known is not None and known.version:
                self._publish(known, body or codec.pack(self.content(known)))

    @property
    def is_behind(self) -> bool:
        """Tell whether wants are left for the next `flush`."""
        return bool(self._due)

    def _renew(self, node: Node) -> bool:
        """Raise the version if the content changed; tell whether a prefix to publish came in."""
        if node.id not in self._world.nodes or (node.doomed and node.phase not in _EMPTY):
            # A doomed node keeps its want until those nested in it are gone.
            return False
        body = codec.pack(self.content(node))
        found = hashlib.blake2b(body, digest_size=16).digest()
        if found == node.sum:
            return False
        node.sum = found
        node.version += 1
        self._outbox.store_node(node)
        self._due[node.id] = body
        return self._note_pubs(node)

    def _note_pubs(self, node: Node) -> bool:
        """Record under which prefixes it may publish from now on; tell whether one was added."""
        if node.phase in _EMPTY:
            return False
        known = set(node.pubs)
        more = {(node.app.id, prefix) for prefix in self.providers.to_publish(node)} - known
        if more:
            node.pubs = node.app.share(tuple(sorted(known | more)))
        return bool(more)

    def _publish(self, node: Node, body: bytes) -> None:
        sealed = envelope.seal(node.key, node.id, "want", with_version(body, node.version))
        self._outbox.publish(topics.want(self._domain, node.id), sealed, 1, True)
        if node.held == node.version:
            self.unheld.pop(node.id, None)
        else:
            again = [self._world.now + _AGAIN_MS, _AGAIN_MS, node.version]
            if self.unheld.get(node.id, again)[2] != node.version:
                self.unheld[node.id] = again
            else:
                self.unheld.setdefault(node.id, again)

    def on_held(self, node: Node, version: int) -> None:
        """Take in which version `node` says it has; send it the present one if that differs.

        Not at once when it was sent a moment ago: the answer to that is still under way.
        """
        node.held = version
        if version == node.version:
            self.unheld.pop(node.id, None)
        elif node.id not in self.unheld:
            self.publish(node)

    def on_online(self, node: Node) -> None:
        """Send a node that is back its want, but give it time to find it where it is retained."""
        if node.held != node.version:
            again = self.unheld.setdefault(node.id, [0, _AGAIN_MS, node.version])
            again[0] = self._world.now + _RETAINED_MS

    def overdue(self) -> list[Node]:
        """Return the nodes that were sent their want and still do not say that they hold it."""
        now, found = self._world.now, []
        for node_id, again in list(self.unheld.items()):
            node = self._world.nodes.get(node_id)
            if node is None:
                del self.unheld[node_id]
            elif again[0] <= now:
                again[1] = min(2 * again[1], _AGAIN_LONGEST_MS)
                again[0] = now + again[1]
                if node.online:
                    found.append(node)
        return found

    def content(self, node: Node) -> dict[str, Any]:
        """Return the want without its version."""
        app, root = node.app, node.root
        if node.phase in _EMPTY:
            return empty_want(app.lost_ms)
        holding = _holding(root)
        return {
            "app": app.id,
            "name": app.name,
            "path": root.path,
            "lost": app.lost_ms,
            "i": [
                _entry(instance, instance in holding, app.simulate)
                for instance in root.members
                if not instance.leaving or instance in holding
            ],
            "up": [_ancestor(above) for above in reversed(list(root.ancestors()))],
            "pub": self.providers.to_publish(node),
            "prov": self.providers.of(node),
        }


def _holding(root: Instance) -> set[Instance]:
    """Return the instances in which other nodes are nested: these go before they may."""
    return {
        above
        for nested in root.nested
        if nested.node is not None
        for above in nested.ancestors()
        if above.scope is root
    }


def _entry(instance: Instance, holds_nodes: bool, simulate: bool) -> dict[str, Any]:
    kind = instance.kind
    wish = instance.wish
    if holds_nodes and (instance.leaving or wish == states.NOT_DEPLOYED):
        wish = states.STARTED
    elif instance.is_scoped:
        # A node that should go gets the empty want instead.
        wish = max(instance.effective_wish(), states.STOPPED, key=states.WISHES.index)
    entry: dict[str, Any] = {
        "p": instance.path,
        "c": kind.component,
        "t": kind.installer,
        "w": wish,
        "x": instance.exports,
        "m": kind.imports,
    }
    if instance.is_scoped:
        # Its steps are done at once and run nothing, whatever the installer of a root is.
        entry["t"] = "target"
    if kind.aliases:
        entry["a"] = kind.aliases
    if instance.magic:
        entry["l"] = instance.magic
    if kind.digest is not None:
        entry["d"] = kind.digest
    options = instance_options(kind.options, instance.data)
    if simulate:
        options = {**options, "simulate": 1}
    if options:
        entry["o"] = options
    return entry


def _ancestor(above: Instance) -> dict[str, Any]:
    return {"p": above.path, "c": above.kind.component, "x": above.exports}
