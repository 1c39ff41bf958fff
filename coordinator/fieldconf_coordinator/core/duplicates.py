"""Two machines with one identity, such as a cloned card: their hardware marks alternate.

It is no matter here whether the node is in use. What follows is the caller's: nothing of what such
a node says counts, until one of the two is enrolled anew.
"""

from collections.abc import Callable
from typing import Any

from .model import Enrolled, Node


def is_duplicate(
    one: Node | Enrolled,
    mark: Any,
    triple: tuple[int, int, int],
    changed: Callable[[str | None], None],
) -> bool:
    """Tell whether a node is two machines, by the mark in a have of it.

    `changed` is called when more is known than before, with a sentence when that was found out.
    """
    if one.duplicate and triple[0] > one.seen[0]:
        one.duplicate, one.hardware = False, ()
        changed(None)
    if type(mark) is not str or not mark or one.duplicate:
        return one.duplicate
    mark = mark[:64]
    if not one.hardware or mark != one.hardware[-1]:
        if mark in one.hardware:
            one.duplicate = True
            others = " and ".join(one.hardware)
            changed(
                f"duplicate identity: {others} both say that they are {one.id}; "
                "enrol one of them anew"
            )
        else:
            one.hardware = (*one.hardware, mark)[-2:]
            changed(None)
    return one.duplicate
