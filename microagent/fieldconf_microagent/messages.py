"""The shapes of the messages that an agent reads, checked once, here; of the want in `wants`.

Each function takes the bytes of a payload and returns the decoded value, or raises ValueError with
a few words about what is wrong. What is unknown (keys, further items) passes.
"""

from . import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1


def all_of(values: "Any", kinds: "tuple[Any, ...]") -> None:
    """Refuse values of other types than `kinds`."""
    for value in values:
        if type(value) not in kinds:
            raise ValueError("a wrong value")


def map_of(value: "dict[Any, Any]", kinds: "tuple[Any, ...]") -> None:
    """Refuse a map that does not lead from texts to `kinds`."""
    all_of(value, (str,))
    all_of(value.values(), kinds)


def items_of(value: "Any", kinds: "tuple[Any, ...]", name: str) -> "list[Any]":
    """Return a list that begins with items of these kinds, and refuse any other."""
    if not isinstance(value, list) or len(value) < len(kinds):
        raise ValueError("%s is too short" % name)
    for item, kind in zip(value, kinds):
        if type(item) is not kind:
            raise ValueError("%s has a wrong item" % name)
    return value


def exports(payload: bytes) -> "list[Any]":
    """Read an exports document: [format, enrolment, boot, seq, [[path, {name: value}], …]]."""
    value = items_of(codec.unpack(payload), (int, int, int, int, list), "exports")
    if value[0] != FORMAT:
        raise ValueError("exports of format %d" % value[0])
    for item in value[4]:
        # Recipes are handed these as they are.
        map_of(items_of(item, (str, dict), "export")[1], (str,))
    return value


def live(payload: bytes) -> "tuple[int, int, bool]":
    """Read ``[enrolment, boot, online]``."""
    value = items_of(codec.unpack(payload), (int, int, bool), "live")
    return value[0], value[1], value[2]


def do(payload: bytes) -> "list[Any]":
    """Read ``[id, boot, time to live, verb, arguments]``."""
    return items_of(codec.unpack(payload), (str, int, int, str, list), "do")


def ask(payload: bytes) -> "list[Any]":
    """Read ``[app, prefix]``."""
    return items_of(codec.unpack(payload), (str, str), "ask")
