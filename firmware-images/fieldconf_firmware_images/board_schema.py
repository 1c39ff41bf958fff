"""Which keys a board's description has, and what is accepted for each.

All of it is the table `SCHEMA`; what a value means stands in `boards`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ImageError

FILE_SYSTEMS = ("littlefs", "fat", "posix")
#: Methods that write firmware and file systems in one piece.
WHOLE_FLASH = ("esptool", "uf2")
METHODS = (*WHOLE_FLASH, "raw-repl", "copy", "none")
NETWORKS = ("wifi", "ethernet", "none")
#: What `mpy-cross -march` knows; a board without one runs bytecode only.
ARCHITECTURES = (
    *("x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)


class BoardError(ImageError):
    """A description of a board is refused; the message names file and key."""


_Values = Mapping[str, Any]


@dataclass(frozen=True)
class Key:
    """What is accepted for one key.

    Attributes:
        kind: its type.
        expected: in words, for the error message.
        accepts: value → whether it is fine.
        needed: all values → whether the key must be there.
        default: taken where it is not.
    """

    kind: type
    expected: str
    accepts: Callable[[Any], bool] = lambda value: True
    needed: Callable[[_Values], bool] = lambda values: False
    default: Any = None


def _always(values: _Values) -> bool:
    return True


def _in_flash(values: _Values) -> bool:
    return values.get("flashing.method") in WHOLE_FLASH


def _uf2(values: _Values) -> bool:
    return values.get("flashing.method") == "uf2"


def _littlefs(values: _Values) -> bool:
    return values.get("filesystem.kind") == "littlefs"


def _has(table: str) -> Callable[[_Values], bool]:
    return lambda values: any(key.startswith(table + ".") for key in values)


def _one_of(choices: tuple[str, ...]) -> dict[str, Any]:
    return {"expected": "one of " + ", ".join(choices), "accepts": lambda value: value in choices}


def _is_hash(value: str) -> bool:
    return len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def _text(needed: Callable[[_Values], bool] = _always) -> Key:
    return Key(str, "text", bool, needed)


_SIZE: dict[str, Any] = {"expected": "a number of bytes", "accepts": lambda value: value >= 0}
_POWER: dict[str, Any] = {
    "expected": "a power of two, in bytes",
    "accepts": lambda value: value > 0 and value & (value - 1) == 0,
}

#: Every key of a description.
SCHEMA: dict[str, Key] = {
    "title": _text(),
    "chip": _text(),
    "mcu": _text(),
    "arch": Key(str, **_one_of(ARCHITECTURES)),
    "network": Key(
        list,
        "a list of " + ", ".join(NETWORKS),
        lambda value: bool(value) and all(one in NETWORKS for one in value),
        _always,
    ),
    "flash.size": Key(int, needed=_in_flash, **_SIZE),
    "filesystem.kind": Key(str, needed=_always, **_one_of(FILE_SYSTEMS)),
    "filesystem.offset": Key(int, needed=_in_flash, **_SIZE),
    "filesystem.size": Key(int, **_SIZE),
    "filesystem.reserved": Key(int, default=0, **_SIZE),
    "filesystem.block_size": Key(int, needed=_littlefs, default=512, **_POWER),
    "filesystem.read_size": Key(int, needed=_littlefs, default=512, **_POWER),
    "filesystem.prog_size": Key(int, needed=_littlefs, default=512, **_POWER),
    "filesystem.lookahead_size": Key(int, needed=_littlefs, default=32, **_POWER),
    "romfs.offset": Key(int, needed=_has("romfs"), **_SIZE),
    "romfs.size": Key(int, needed=_has("romfs"), **_SIZE),
    "micropython.version": _text(_has("micropython")),
    "micropython.url": _text(_has("micropython")),
    "micropython.file": _text(_in_flash),
    "micropython.sha256": Key(str, "64 hexadecimal digits in lower case", _is_hash),
    "micropython.offset": Key(int, default=0, **_SIZE),
    "micropython.chip_id": Key(int, "the number of the chip in image headers"),
    "micropython.base": Key(int, default=0, **_SIZE),
    "micropython.family": Key(int, "the chip's UF2 family", needed=_uf2),
    "flashing.method": Key(str, needed=_always, **_one_of(METHODS)),
    "flashing.baud": Key(int, "a speed in baud", lambda value: value > 0, default=115200),
    "flashing.drive": _text(_uf2),
}


def checked(tables: _Values, file: str) -> dict[str, Any]:
    """Return all keys of the schema, as "filesystem.kind" for example, with defaults filled in.

    Raises:
        BoardError: names `file` and the key, and says what was expected.
    """
    values = _flat(tables, file)
    return {name: _value(name, key, values, file) for name, key in SCHEMA.items()}


def _flat(tables: _Values, file: str) -> dict[str, Any]:
    """Return {"filesystem.kind": "littlefs", …}."""
    flat: dict[str, Any] = {}
    for name, value in tables.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        for key, one in inner:
            flat[f"{name}.{key}".rstrip(".")] = one
    unknown = sorted(set(flat) - set(SCHEMA))
    if unknown:
        raise BoardError(f"{file}: {unknown[0]}: there is no such key")
    return flat


def _value(name: str, key: Key, values: _Values, file: str) -> Any:
    if name not in values:
        if key.needed(values):
            raise BoardError(f"{file}: {name}: is missing; expected {key.expected}")
        return key.default
    value = values[name]
    # In Python, true is a number.
    if type(value) is not key.kind or not key.accepts(value):
        raise BoardError(f"{file}: {name}: expected {key.expected}, found {value!r}")
    return value
