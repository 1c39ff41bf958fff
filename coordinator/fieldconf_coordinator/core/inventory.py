"""Tags of nodes: what people say about a node that it cannot know itself, such as where it stands.

Those of an enrolled machine are its own, and decide who may use it (`requirements`). Those of any
other node are kept by its id, apart from its row, until it is gone.
"""

import re
from collections.abc import Iterable

from ..errors import FleetError
from .enrolled import Pool
from .model import Node, World
from .outbox import Outbox

FORM = r"^[A-Za-z0-9][A-Za-z0-9._:=-]*$"
LONGEST = 64
MOST = 50


class Inventory:
    """Carries out what users ask for about nodes; `Fleet` describes the methods."""

    def __init__(self, world: World, outbox: Outbox, pool: Pool) -> None:
        self._world = world
        self._outbox = outbox
        self._pool = pool

    def tag(self, node_id: str, tags: Iterable[str]) -> None:
        found = tuple(sorted(set(tags)))
        _check(found)
        node = self._world.nodes.get(node_id)
        if self._pool.has(node_id):
            self._pool.describe(node_id, None, found)
        elif node is None:
            hint = "'fieldconf nodes' lists them"
            raise FleetError("unknown-node", f"there is no node {node_id!r}", hint)
        elif found:
            self._world.tags[node_id] = found
            self._outbox.store("tags", node_id, {"node": node_id, "tags": list(found)})
        elif self._world.tags.pop(node_id, None) is not None:
            self._outbox.delete("tags", node_id)
        if node is not None:
            self._world.touch(node.app, node.root)


def tags_of(world: World, node: Node) -> list[str]:
    """Return the tags of a node, sorted."""
    enrolled = world.enrolled.get(node.id)
    return sorted(world.tags.get(node.id, ()) if enrolled is None else enrolled.tags)


def _check(tags: tuple[str, ...]) -> None:
    """Refuse what cannot be a tag.

    Raises:
        FleetError: with the first one.
    """
    if len(tags) > MOST:
        raise FleetError("bad-tag", f"{len(tags)} tags are too many", f"at most {MOST}")
    for tag in tags:
        if len(tag) > LONGEST or not re.search(FORM, tag):
            raise FleetError(
                "bad-tag",
                f"{tag!r} cannot be a tag",
                f"letters, digits and . _ : = -, at most {LONGEST}; a letter or digit first",
            )
