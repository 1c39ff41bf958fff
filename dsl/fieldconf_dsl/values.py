"""Takes the values of properties apart: lists of names, exported variables, imported variables.

Each item comes with its offset in the value, so that messages can point at it.

    names   = name { "," name }
    exports = export { "," export }
    export  = [ "random[" kind "]" ] name [ "=" ( '"' text '"' | text ) ]
    imports = import { "," import }
    import  = [ "external" blanks ] prefix "." ( variable | "*" ) [ "(" "optional" ")" ]
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .names import BLANKS

_RANDOM = re.compile(r"random\[([^]]*)\](.*)", re.IGNORECASE | re.DOTALL)
_OPTIONAL = re.compile(r"\(\s*optional\s*\)$", re.IGNORECASE | re.ASCII)
_EXTERNAL = re.compile(r"external(\s+|$)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class Item:
    """One name of a list, blanks removed; `offset` is where it stands in the value."""

    text: str
    offset: int


def split_names(value: str) -> list[Item]:
    """Split a list at its commas; commas at its end add no items, any other empty item counts."""
    items, offset = [], 0
    for piece in value.rstrip(",").split(",") if value.strip(",") else []:
        lead = len(piece) - len(piece.lstrip(BLANKS))
        items.append(Item(piece.strip(BLANKS), offset + lead))
        offset += len(piece) + 1
    return items


@dataclass(frozen=True)
class ExportItem:
    """An exported variable as declared: `value` is None where there is none."""

    name: str
    value: str | None
    random: str | None
    offset: int
    is_quoted: bool = False


@dataclass
class Exports:
    """What a value of `exports` declares, and its errors as (code, offset, variable)."""

    items: list[ExportItem] = field(default_factory=list)
    errors: list[tuple[str, int, str]] = field(default_factory=list)


def read_exports(value: str) -> Exports:
    """Read the exported variables of `value`; after an error the reading goes on behind it.

    Commas and semicolons between quotes belong to the text.
    """
    exports, at = Exports(), 0
    while at < len(value):
        if value[at] == "," or value[at] in BLANKS:
            at += 1
        at = _read_export(value, at, exports)
    return exports


def _find(value: str, at: int, stops: str) -> int:
    """Return where the first of `stops` is from `at` on; the end where there is none."""
    while at < len(value) and value[at] not in stops:
        at += 1
    return at


def _read_export(value: str, start: int, exports: Exports) -> int:
    """Read one variable from `start` on and return where to go on."""
    end = _find(value, start, ",=")
    name = value[start:end].strip(BLANKS)
    offset = start + len(value[start:end]) - len(value[start:end].lstrip(BLANKS))
    if end == len(value) or value[end] == ",":
        if name:
            exports.items.append(_export(name, None, offset))
        else:
            exports.errors.append(("PM_EMPTY_VARIABLE_NAME", min(start, len(value) - 1), name))
        return end
    stop = _find(value, end + 1, ',"')
    text = value[end + 1 : stop].strip(BLANKS)
    if stop == len(value) or value[stop] == ",":
        exports.items.append(_export(name, text or None, offset))
        return stop
    if text:
        exports.errors.append(("PM_INVALID_EXPORT_COMPLEX_VALUE", stop, name))
        return stop + 1
    return _read_quoted(value, name, offset, stop, exports)


def _read_quoted(value: str, name: str, offset: int, opening: int, exports: Exports) -> int:
    closing = _find(value, opening + 1, '"')
    after = closing + 1
    while after < len(value) and value[after] in BLANKS:
        after += 1
    if closing == len(value):
        exports.errors.append(("PM_INVALID_EXPORT_COMPLEX_VALUE", opening, name))
        return closing
    if after < len(value) and value[after] != ",":
        exports.errors.append(("PM_INVALID_EXPORT_COMPLEX_VALUE", after, name))
        return after
    exports.items.append(_export(name, value[opening + 1 : closing], offset, True))
    return after + 1


def _export(raw: str, value: str | None, offset: int, is_quoted: bool = False) -> ExportItem:
    match = _RANDOM.fullmatch(raw)
    if match is None:
        return ExportItem(raw, value, None, offset, is_quoted)
    return ExportItem(match[2].strip(BLANKS), value, match[1], offset, is_quoted)


@dataclass(frozen=True)
class ImportItem:
    """An imported variable as declared; `name` is all of it: `Tomcat.port`, `Tomcat.*`."""

    name: str
    optional: bool
    external: bool
    offset: int


def read_imports(value: str) -> list[ImportItem]:
    """Read the imported variables of `value`; an item without a name has the name ''."""
    return [_import(item) for item in split_names(value)]


def _import(item: Item) -> ImportItem:
    text, offset = item.text, item.offset
    optional = _OPTIONAL.search(text)
    if optional:
        text = text[: optional.start()].rstrip(BLANKS)
    external = _EXTERNAL.match(text)
    if external:
        text, offset = text[external.end() :], offset + external.end()
    return ImportItem(text, optional is not None, external is not None, offset)


def read_data(value: str) -> dict[str, str]:
    """Read: key "=" text { "," key "=" text }."""
    pairs = (item.text.partition("=") for item in split_names(value))
    return {key.strip(BLANKS): text.strip(BLANKS) for key, _, text in pairs if key.strip(BLANKS)}
