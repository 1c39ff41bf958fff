"""The shape of the want, checked once, here; a board loads this when one comes."""

from . import codec
from .messages import all_of, items_of, map_of
from .states import WISHES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .agent import Agent

# key → type
_WANT: "dict[str, Any]" = {
    "v": int,
    "app": str,
    "name": str,
    "path": str,
    "lost": int,
    "i": list,
    "up": list,
    "pub": list,
    "prov": dict,
}
_ENTRY: "dict[str, Any]" = {
    "p": str,
    "c": str,
    "t": str,
    "w": str,
    "x": dict,
    "a": dict,
    "l": dict,
    "m": dict,
    "d": bytes,
    "o": dict,
}
_ABOVE: "dict[str, Any]" = {"p": str, "c": str, "x": dict}
_MAY_LACK = ("name", "a", "l", "d", "o")


def _fields(value: "Any", table: "dict[str, Any]", name: str) -> None:
    if not isinstance(value, dict):
        raise ValueError("%s is no map" % name)
    for key in table:
        if key not in value:
            if key not in _MAY_LACK:
                raise ValueError("%s lacks '%s'" % (name, key))
        elif type(value[key]) is not table[key]:
            raise ValueError("%s has a wrong '%s'" % (name, key))


def on_long(agent: "Agent", topic: str, size: int) -> str:
    """Take in that a message did not get through; return why not, in words."""
    reason = _too_long(size)
    if topic == agent.want_topic:
        agent.reason = reason
        agent.dirty.add(agent.have_topic)
    return reason


def _too_long(size: int) -> str:
    return "%d bytes are more than this node takes" % size


def read(payload: bytes, most: int) -> "dict[str, Any]":
    """Read a want, of so many bytes at most."""
    if len(payload) > most:
        raise ValueError(_too_long(len(payload)))
    try:
        value = codec.unpack(payload)
    except MemoryError:
        raise ValueError(_too_long(len(payload)))
    _fields(value, _WANT, "want")
    all_of(value["pub"], (str,))
    for above in value["up"]:
        _fields(above, _ABOVE, "ancestor")
        map_of(above["x"], (str, type(None)))
    for entry in value["i"]:
        _fields(entry, _ENTRY, "entry")
        if entry["w"] not in WISHES or entry["p"][:1] != "/":
            raise ValueError("entry has a wrong wish or path")
        map_of(entry["x"], (str, type(None)))
        map_of(entry.get("a", {}), (str,))
        map_of(entry.get("l", {}), (str,))
        map_of(entry.get("o", {}), (int,))
        map_of(entry["m"], (list,))
        for imported in entry["m"].values():
            all_of(items_of(imported, (bool, list), "import")[1], (str,))
    map_of(value["prov"], (list,))
    for keys in value["prov"].values():
        for index, key in enumerate(keys):
            keys[index] = tuple(items_of(key, (str, str, str), "provider")[:3])
    result: "dict[str, Any]" = value
    return result
