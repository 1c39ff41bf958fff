"""What is kept of a node's own words: what it is, and when it was heard last.

Everything else that nodes report is asked for again after a start of the coordinator. One that is
offline then cannot answer, and is the one that people look for. Rows are written when something
of this changes, and when a node goes offline; hence few.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from .model import Enrolled, Node, World
from .outbox import Outbox


def remember(outbox: Outbox, one: Node | Enrolled, wall: int) -> None:
    """Have it kept what a node is, and that it was heard just now, or went offline."""
    one.last = wall
    row = {
        "node": one.id,
        "last": wall,
        "since": one.since,
        "info": list(one.info),
        "memory": one.memory,
        "address": one.address,
    }
    outbox.store("lastseen", one.id, row)


def recall(world: World, rows: Iterable[Mapping[str, Any]]) -> None:
    """Give nodes what was kept of them; not that they are online."""
    shared: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in rows:
        info = tuple(tuple(part) if type(part) is list else part for part in row["info"])
        # What a former version did not know yet.
        info = (*info, None, None)[:6] if info else info
        info = shared.setdefault(info, info)
        for one in (world.nodes.get(row["node"]), world.enrolled.get(row["node"])):
            if one is not None:
                one.info, one.memory, one.address = info, row["memory"], row["address"]
                one.last, one.since = row["last"], row["since"]
