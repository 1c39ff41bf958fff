"""The descriptor: `application.properties` as Roboconf had it, or `application.toml`.

Both say the same things; TOML tables become dotted keys, so `[Web.check]` `every = "1s"` is the
setting `Web.check.every`. Keys that are not the language's are settings for the coordinator, kept
as they are. Keys of 2014 (`application-name`, `application-qualifier` and so on) are understood.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import Place, Problem, problem, quoted
from .names import APPLICATION, BLANKS, ID, VERSION, plain_name
from .values import split_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KEYS = (
    "name",
    "version",
    "description",
    "dsl-id",
    "graph-entry-point",
    "instance-entry-point",
    "tags",
    "exports-prefix",
    "exports",
)
#: Old keys and what they are called now.
OLD_KEYS = {
    **{f"application-{key}": key for key in ("name", "version", "description", "dsl-id")},
    "application-qualifier": "version",
}
_EXPORT = re.compile(r"([^=\s]+)\s+as\s+([^=\s]+)", re.IGNORECASE)


@dataclass
class Descriptor:
    """What a descriptor says; `lines` tells where each of its keys stands."""

    file: str
    values: dict[str, str] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    external_exports: dict[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    source: list[str] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    is_toml: bool = False

    def __getitem__(self, key: str) -> str:
        return self.values.get(key, "").strip(BLANKS)

    def place(self, key: str) -> Place:
        """Return where `key` stands; the file as a whole where it does not."""
        line = self.lines.get(key, 0)
        if not line:
            return Place(self.file)
        text = self.source[line - 1]
        return Place(self.file, line, len(text) - len(text.lstrip()) + 1, text)


def read_descriptor(text: str, file: str) -> Descriptor:
    """Return what `text` says; its `problems` tell what is wrong with it.

    Args:
        text: the content of the descriptor.
        file: its name, which ends with .toml or .properties.
    """
    found = Descriptor(file, source=text.replace("\r", "").split("\n"))
    found.is_toml = file.endswith(".toml")
    pairs = _read_toml(text, found) if found.is_toml else _read_properties(found)
    for key, value, line in pairs:
        name = OLD_KEYS.get(key, key)
        if name in KEYS:
            # Today's name of a key counts more than an old one.
            if name not in found.values or key == name:
                found.values[name], found.lines[name] = value, line
        else:
            found.settings[key], found.lines[key] = value, line
    if "fail.read" in found.settings:
        found.problems.append(problem("PROJ_READ_DESC_FILE", found.place("fail.read"), "fail.read"))
    if not found.problems:
        _check(found)
    return found


# Java's properties ---------------------------------------------------------------------------

_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.|$)", re.DOTALL)
_KEY = re.compile(r"((?:\\.|[^\\:=\s])*)[ \t\f]*[:=]?[ \t\f]*(.*)", re.DOTALL)


def _read_properties(found: Descriptor) -> Iterator[tuple[str, str, int]]:
    """Yield (key, value, line), as java.util.Properties reads them."""
    for line, text in _logical_lines(found.source):
        match = _KEY.fullmatch(text)
        if match:
            yield _unescape(match[1]), _unescape(match[2]).rstrip(BLANKS), line


def _logical_lines(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Join lines that end with an odd number of backslashes to the ones that follow."""
    begin, text = 0, ""
    for number, raw in enumerate(lines, start=1):
        line = raw.lstrip(" \t\f")
        if not text and (not line or line[0] in "#!"):
            continue
        begin = begin or number
        slashes = len(line) - len(line.rstrip("\\"))
        if slashes % 2 and number < len(lines):
            text += line[:-1]
            continue
        yield begin, text + line
        begin, text = 0, ""


def _unescape(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        return _ESCAPES.get(escape, escape)

    return _ESCAPE.sub(plain, text)


# TOML ----------------------------------------------------------------------------------------


def _read_toml(text: str, found: Descriptor) -> Iterator[tuple[str, str, int]]:
    try:
        tables = tomllib.loads(text.replace("\r\n", "\n"))
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        match = re.search(r"line (\d+), column (\d+)", str(error))
        line, column = (int(match[1]), int(match[2])) if match else (0, 0)
        source = found.source[line - 1] if 0 < line <= len(found.source) else ""
        place = Place(found.file, line, column, source)
        found.problems.append(problem("PROJ_READ_DESC_FILE", place, str(error)))
        return
    for key, value in _flat(tables, ""):
        yield key, value, _line_of(key, found.source)


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if key == "exports" and not prefix and isinstance(value, dict):
            # [exports] of TOML: "Comp.var" = "alias"
            pairs = (f"{name} as {alias}" for name, alias in _flat(value, ""))
            yield key, ", ".join(pairs)
        elif isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", _as_text(value)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(_as_text(item) for item in value)
    return str(value)


def _line_of(key: str, lines: list[str]) -> int:
    """Return the line on which `key`, or its last part, is set; TOML readers do not tell."""
    last = key.rpartition(".")[2]
    pattern = re.compile(rf"""\s*["']?([\w.-]*\.)?{re.escape(last)}["']?\s*=""")
    table = re.compile(rf"\s*\[{re.escape(key)}\]")
    for number, line in enumerate(lines, start=1):
        if pattern.match(line) or table.match(line):
            return number
    return 1


# Checks --------------------------------------------------------------------------------------


def _check(found: Descriptor) -> None:
    def report(code: str, key: str, what: str = "") -> None:
        found.problems.append(problem(code, found.place(key), what or quoted(found[key])))

    if not found["name"]:
        report("RM_MISSING_APPLICATION_NAME", "name")
    elif not APPLICATION.fullmatch(plain_name(found["name"])):
        report("RM_INVALID_APPLICATION_NAME", "name")
    if not found["version"]:
        report("RM_MISSING_APPLICATION_VERSION", "version")
    elif not VERSION.fullmatch(found["version"]):
        report("RM_INVALID_APPLICATION_VERSION", "version")
    # application.toml is ours: the file's name says which language it is.
    if not found["dsl-id"] and not found.is_toml:
        report("RM_MISSING_APPLICATION_DSL_ID", "dsl-id")
    if not found["graph-entry-point"]:
        report("RM_MISSING_APPLICATION_GEP", "graph-entry-point")
    found.tags = tuple(item.text for item in split_names(found["tags"]) if item.text)
    _read_exports(found)


def _read_exports(found: Descriptor) -> None:
    invalid = []
    place = found.place("exports")
    for item in split_names(found["exports"]):
        match = _EXPORT.fullmatch(item.text)
        if match is None:
            invalid.append(quoted(item.text))
            continue
        found.external_exports[match[1]] = match[2]
        for name in (match[1], match[2]):
            if not ID.fullmatch(name):
                found.problems.append(problem("RM_INVALID_VARIABLE_NAME", place, quoted(name)))
    if invalid:
        what = ", ".join(invalid)
        found.problems.append(problem("PROJ_INVALID_EXTERNAL_EXPORTS", place, what))
    if not found["exports"]:
        return
    if not found["exports-prefix"]:
        found.problems.append(problem("RM_MISSING_APPLICATION_EXPORT_PREFIX", place))
    elif not ID.fullmatch(found["exports-prefix"]):
        place, what = found.place("exports-prefix"), quoted(found["exports-prefix"])
        found.problems.append(problem("RM_INVALID_APPLICATION_EXPORT_PREFIX", place, what))
