"""The shape of the want, checked once, here; a board loads this when one comes."""

from . import codec
from .messages import all_of, items_of, map_of
from .states import WISHES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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


def read(payload: bytes) -> "dict[str, Any]":
    """Read a want."""
    value = codec.unpack(payload)
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
