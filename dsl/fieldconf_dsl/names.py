"""The words and the patterns of names in the language. Matches whole strings only."""

from __future__ import annotations

import re
import unicodedata

ID = re.compile(r"[a-zA-Z_][\w.-]*", re.ASCII)
#: Names of instances and installers, and in files of 2014 every name, may hold blanks.
FLEX_ID = re.compile(r"[a-zA-Z_][\w. -]*", re.ASCII)
APPLICATION = re.compile(r"[a-zA-Z_][\w.() -]*", re.ASCII)
VERSION = re.compile(r"\d+\.\d+(\.\d+)?([.-].+)?", re.ASCII)

TARGET = "target"
RANDOM_PORT = "port"
WILDCARD = "*"

#: What counts as blank: all control characters and the blank itself, as Java's trim() has it.
BLANKS = "".join(map(chr, range(33)))

#: property: the kinds of blocks that may have it.
PROPERTIES = {
    "installer": ("component",),
    "extends": ("component", "facet"),
    "facets": ("component",),
    "children": ("component", "facet"),
    "exports": ("component", "facet"),
    "imports": ("component",),
    "name": ("instance",),
    "channels": ("instance",),
    "count": ("instance",),
    "instance-data": ("instance",),
    "instance-state": ("instance",),
}
REPEATABLE = ("exports", "imports")
DATA_PREFIX = "data."

#: Words of the 2014 dialect that are mapped to today's.
OLD_INSTALLERS = {"iaas": TARGET, "bash": "script"}
OLD_PROPERTIES = {
    "component": ("alias", "icon"),
    "facet": ("alias", "icon"),
    "instance": ("channel",),
}


def is_ip(variable: str) -> bool:
    """Tell whether the agent fills in `variable` (`ip`, `VM.ip`), so that it needs no value."""
    return variable.lower() == "ip" or variable.lower().endswith(".ip")


def prefix_of(variable: str) -> str:
    """Return what stands before the first dot: a component or a facet."""
    return variable.partition(".")[0]


def local_of(variable: str) -> str:
    """Return what stands behind the first dot; the whole name where there is none."""
    return variable.partition(".")[2] or variable


def plain_name(name: str) -> str:
    """Return `name` without its accents, as applications are called."""
    decomposed = unicodedata.normalize("NFD", name)
    return "".join(c for c in decomposed if not unicodedata.combining(c))
