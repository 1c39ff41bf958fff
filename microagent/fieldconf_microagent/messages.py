"""The shapes of the messages that an agent reads, checked once, here.

Each function takes the bytes of a payload and returns the decoded value, or raises ValueError with
a few words about what is wrong. What is unknown (keys, further items) passes.
"""

from . import codec
from .states import WISHES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = 1

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


def _all(values: "Any", kinds: "tuple[Any, ...]") -> None:
    for value in values:
        if type(value) not in kinds:
            raise ValueError("a wrong value")


def _map(value: "dict[Any, Any]", kinds: "tuple[Any, ...]") -> None:
    _all(value, (str,))
    _all(value.values(), kinds)


def _fields(value: "Any", table: "dict[str, Any]", name: str) -> None:
    if not isinstance(value, dict):
        raise ValueError("%s is no map" % name)
    for key in table:
        if key not in value:
            if key not in _MAY_LACK:
                raise ValueError("%s lacks '%s'" % (name, key))
        elif type(value[key]) is not table[key]:
            raise ValueError("%s has a wrong '%s'" % (name, key))


def _items(value: "Any", kinds: "tuple[Any, ...]", name: str) -> "list[Any]":
    if not isinstance(value, list) or len(value) < len(kinds):
        raise ValueError("%s is too short" % name)
    for item, kind in zip(value, kinds):
        if type(item) is not kind:
            raise ValueError("%s has a wrong item" % name)
    return value


def want(payload: bytes) -> "dict[str, Any]":
    """Read a want."""
    value = codec.unpack(payload)
    _fields(value, _WANT, "want")
    _all(value["pub"], (str,))
    for above in value["up"]:
        _fields(above, _ABOVE, "ancestor")
        _map(above["x"], (str, type(None)))
    for entry in value["i"]:
        _fields(entry, _ENTRY, "entry")
        if entry["w"] not in WISHES or entry["p"][:1] != "/":
            raise ValueError("entry has a wrong wish or path")
        _map(entry["x"], (str, type(None)))
        _map(entry.get("a", {}), (str,))
        _map(entry.get("l", {}), (str,))
        _map(entry.get("o", {}), (int,))
        _map(entry["m"], (list,))
        for imported in entry["m"].values():
            _all(_items(imported, (bool, list), "import")[1], (str,))
    _map(value["prov"], (list,))
    for keys in value["prov"].values():
        for index, key in enumerate(keys):
            keys[index] = tuple(_items(key, (str, str, str), "provider")[:3])
    result: "dict[str, Any]" = value
    return result


def exports(payload: bytes) -> "list[Any]":
    """Read an exports document: [format, enrolment, boot, seq, [[path, {name: value}], …]]."""
    value = _items(codec.unpack(payload), (int, int, int, int, list), "exports")
    if value[0] != FORMAT:
        raise ValueError("exports of format %d" % value[0])
    for item in value[4]:
        # Recipes are handed these as they are.
        _map(_items(item, (str, dict), "export")[1], (str,))
    return value


def live(payload: bytes) -> "tuple[int, int, bool]":
    """Read ``[enrolment, boot, online]``."""
    value = _items(codec.unpack(payload), (int, int, bool), "live")
    return value[0], value[1], value[2]


def do(payload: bytes) -> "list[Any]":
    """Read ``[id, boot, time to live, verb, arguments]``."""
    return _items(codec.unpack(payload), (str, int, int, str, list), "do")


def ask(payload: bytes) -> "list[Any]":
    """Read ``[app, prefix]``."""
    return _items(codec.unpack(payload), (str, str), "ask")
