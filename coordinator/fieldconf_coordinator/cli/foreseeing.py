"""What an action would do, shown before it is done: the option ``--dry-run``."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import click

from .common import print_json
from .remote import Remote

F = TypeVar("F", bound=Callable[..., Any])

_SHOWN = 20


def dry_run_option(command: F) -> F:
    """Add ``--dry-run``."""
    text = "Tell what would happen; change nothing."
    return click.option("--dry-run", is_flag=True, help=text)(command)


def foretell(
    remote: Remote, app: str, action: str, path: str | None, as_json: bool, count: int | None = None
) -> int:
    """Tell what an action would do; return the exit status."""
    found = remote.foresee(app, action, path, count)
    if as_json:
        print_json(found)
        return 0
    lines = list(_lines(found))
    for line in lines or ["nothing changes"]:
        click.echo(line)
    return 0


# What becomes of an instance: mark, word, color.
_WORDS = {
    "deployed-started": ("+", "would be started", "green"),
    "deployed-stopped": ("~", "would be stopped", "yellow"),
    "not-deployed": ("-", "would be undeployed", "red"),
    "removed": ("-", "would be undeployed and taken out", "red"),
}


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _cut([_changed(row) for row in found["instances"]])
    yield from _cut([_lost(found, row) for row in found["unresolved"]])
    yield from _cut(
        [f"  + {_at(found, row)} would get what it waits for" for row in found["resolved"]]
    )
    yield from _cut(
        [f"  node {row['node']} ({row['path']}) would be given back" for row in found["given_back"]]
    )
    yield from _cut([f"  {path} would get a node" for path in found["made"]])


def _changed(row: Mapping[str, Any]) -> str:
    mark, words, color = _WORDS[row["to"]]
    words = "would be added" if row["from"] is None else words
    return click.style(f"  {mark} {row['path']} {words}", fg=color)


def _lost(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    why = f"no {row['prefix']} is left" if row["prefix"] else "what is around it waits"
    return click.style(f"  ! {_at(found, row)} would wait: {why}", fg="yellow")


def _at(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """Return a path, with its application where that is another one."""
    return (
        row["path"]
        if row["application"] == found["application"]
        else f"{row['application']} {row['path']}"
    )


def _cut(lines: list[str]) -> list[str]:
    """Return as many lines as people read."""
    more = len(lines) - _SHOWN
    return lines if more <= 1 else [*lines[:_SHOWN], f"    … and {more} more"]
