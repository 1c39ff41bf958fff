"""What a scoped instance needs of its node, held against what a machine offers.

It stands in the instance's data: ``requires.board: esp32``, ``requires.tags: roof, outdoor`` (all
of them), ``requires.memory: 64`` (KiB of free memory, at least) and ``requires.node: b7`` (that
one).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import FleetError

_PREFIX = "requires."


@dataclass(frozen=True)
class Offer:
    """What a machine is.

    Attributes:
        node: its id.
        board: kind of board, such as ``esp32``; "" where that is not known.
        tags: what people called it.
        memory: free bytes when it started; None before it was heard.
    """

    node: str
    board: str
    tags: frozenset[str]
    memory: int | None


def _board(wanted: str, offer: Offer) -> str:
    if offer.board == wanted:
        return ""
    return f"is {'a ' + offer.board if offer.board else 'of no known board'}, not {wanted}"


def _tags(wanted: str, offer: Offer) -> str:
    missing = sorted({tag.strip() for tag in wanted.split(",")} - {""} - offer.tags)
    return f"has no tag {', '.join(missing)}" if missing else ""


def _memory(wanted: str, offer: Offer) -> str:
    if offer.memory is None:
        return "has not told its memory yet"
    free = offer.memory >> 10
    return f"has {free} KiB of free memory, not {wanted}" if free < int(wanted) else ""


def _node(wanted: str, offer: Offer) -> str:
    return "" if offer.node == wanted else f"is not {wanted}"


#: Key after ``requires.`` → what tells why an offer does not do, or "".
_CHECKS: dict[str, Callable[[str, Offer], str]] = {
    "board": _board,
    "memory": _memory,
    "node": _node,
    "tags": _tags,
}


def what_lacks(data: Mapping[str, str], offer: Offer) -> str:
    """Return why a machine does not fit, in words; "" if it does."""
    found = (_CHECKS[name](wanted, offer) for name, wanted in _wanted(data))
    return " and ".join(lack for lack in found if lack)


def count(data: Mapping[str, str]) -> int:
    """Return how many requirements there are."""
    return len(_wanted(data))


def check(data: Mapping[str, str], path: str) -> None:
    """Refuse requirements that no machine could be held against.

    Raises:
        FleetError: a key is not known, or a value means nothing.
    """
    for key in data:
        if key.startswith(_PREFIX) and key.removeprefix(_PREFIX) not in _CHECKS:
            known = ", ".join(_PREFIX + name for name in _CHECKS)
            raise FleetError("bad-requirement", f"{path} has {key}, which nobody knows", known)
    memory = data.get(_PREFIX + "memory", "0")
    if not (memory.isascii() and memory.isdigit()):
        text = f"requires.memory of {path} is {memory!r}"
        raise FleetError("bad-requirement", text, "write a number of KiB")


def _wanted(data: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(name, data[_PREFIX + name]) for name in _CHECKS if data.get(_PREFIX + name)]
