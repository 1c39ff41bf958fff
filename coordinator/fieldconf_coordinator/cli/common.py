"""What several commands share: options, errors in words, tables."""

import functools
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..errors import RequestError
from . import completing, contexts
from .client import Place
from .remote import Broker, Remote

COULD_NOT_RUN = 2

F = TypeVar("F", bound=Callable[..., Any])


def default_data() -> Path:
    """Return the data folder when none is named."""
    share = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(share).expanduser() / "fieldconf"


def examples(*lines: str) -> str:
    """Return the end of a command's help."""
    # The mark keeps click from running the lines together.
    return "\b\nExamples:\n" + "\n".join("  " + line for line in lines)


def data_option(command: F) -> F:
    """Add ``--data``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="FIELDCONF_DATA",
        default=default_data,
        help="Data folder of the coordinator (or FIELDCONF_DATA). "
        "[default: ~/.local/share/fieldconf]",
    )(command)


def remote_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what names a coordinator; the command gets it as `remote`."""

    @functools.wraps(command)
    def wrapped(*args: Any, data: Path, server: str | None, ca: Path | None, **more: Any) -> Any:
        place = place_of(click.get_current_context(), data, server, ca)
        return command(*args, remote=Remote.at(place), **more)

    return place_options(wrapped)


def place_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what names a coordinator, for `place_of`; for commands that can do without one."""
    for option in (_CA, _SERVER, data_option):
        command = option(command)
    return command


_SERVER = click.option(
    "--server",
    metavar="URL",
    envvar="FIELDCONF_SERVER",
    help="Address of a coordinator, or its name in 'fieldconf context' (or FIELDCONF_SERVER).",
)
_CA = click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FIELDCONF_CA",
    help="PEM file of certificates to trust (or FIELDCONF_CA).",
)


def place_of(context: click.Context, data: Path, server: str | None, ca: Path | None) -> Place:
    """Return where the coordinator is that the options of a command mean."""
    data_is, server_is = _said(context, "data"), _said(context, "server")
    if data_is == server_is == "said":
        raise click.UsageError("--data and --server exclude each other")
    return contexts.chosen(data, server, ca, data_is, server_is)


def _said(context: click.Context, name: str) -> str:
    """Return where an option comes from, in the words of `contexts.chosen`."""
    source = context.get_parameter_source(name)
    names = {ParameterSource.COMMANDLINE: "said", ParameterSource.ENVIRONMENT: "environment"}
    return "default" if source is None else names.get(source, "default")


def json_option(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def broker_option(text: str) -> Callable[[F], F]:
    """Return what adds ``--broker``, which the command gets as settings hold it."""
    return click.option(
        "--broker",
        metavar="URL",
        multiple=True,
        callback=_brokers,
        help=f"{text} May be given three times: the first that answers serves.",
    )


def _brokers(
    context: click.Context, parameter: click.Parameter, urls: tuple[str, ...]
) -> Broker | None:
    if len(urls) > 1:
        return list(urls)
    return urls[0] if urls else None


def app_option(command: F) -> F:
    """Add ``--app``."""
    return click.option(
        "-a",
        "--app",
        shell_complete=completing.applications,
        help="Name of the application; not needed when there is only one.",
    )(command)


def force_option(command: F) -> F:
    """Add ``--force``."""
    text = (
        "Give nodes back without waiting for what runs there; forget those whose target cannot "
        "destroy them."
    )
    return click.option("--force", is_flag=True, help=text)(command)


def wait_option(command: F) -> F:
    """Add ``--no-wait`` and ``--timeout``."""
    command = click.option(
        "--timeout", type=click.FloatRange(0), help="Give up waiting after so many seconds."
    )(command)
    return click.option("--wait/--no-wait", default=True, help="Wait until it is done.")(command)


def print_json(value: Any) -> None:
    """Print a value for programs."""
    click.echo(json.dumps(value, indent=1))


def told(error: RequestError) -> None:
    """Tell a person that a request was refused, with all that is wrong."""
    tell_problems(error.problems)
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def tell_problems(problems: Iterable[Mapping[str, Any]]) -> None:
    """Tell a person what is wrong with a template, as ``check`` does."""
    for problem in problems:
        severity = problem.get("severity")
        click.echo(f"{severity}: {problem['text']}" if severity else problem["text"], err=True)


def the_app(remote: Remote, app: str | None) -> str:
    """Return the name of the application that is meant.

    Raises:
        RequestError: it cannot be known.
    """
    if app is not None:
        return app
    names = remote.names()
    if len(names) == 1:
        return names[0]
    if not names:
        raise RequestError("bad-request", "there is no application", "deploy one first")
    raise RequestError(
        "bad-request", "there are several applications", f"say --app with one of {', '.join(names)}"
    )


def first_line(code: str, text: str) -> str:
    """Return the gist of a problem."""
    lines = text.strip().splitlines()
    return f"{code}: {lines[0]}" if lines else code


# -- tables

#: Ends a line of a table that does not fit.
CUT = "…"
_COLUMNS = 80
_DIGITS = re.compile(r"([0-9]+)")
# How the notes on problems begin.
_BAD = ("failed", "timeout", "check", "refused", "fetch")


def instance_rows(app: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return path, state, address and note of each instance."""
    return [
        (i["path"], _state(i), address(i), note(i))
        for i in sorted(app["instances"], key=lambda i: by_number(i["path"]))
    ]


def by_number(path: str) -> list[list[tuple[int, str]]]:
    """Return a key that sorts /web2 before /web10."""
    return [
        [
            (int(part), "") if part[0] in "0123456789" else (-1, part)
            for part in _DIGITS.split(name)
            if part
        ]
        for name in path.split("/")
    ]


def _state(instance: Mapping[str, Any]) -> str:
    return f"{instance['state']} (leaving)" if instance.get("leaving") else str(instance["state"])


def address(instance: Mapping[str, Any]) -> str:
    """Return ``ip:port`` as far as an instance has them, as others are told it."""
    exports = sorted((instance.get("exports") or {}).items())
    values = [(name.rpartition(".")[2].lower(), str(value)) for name, value in exports if value]
    ports = [value for name, value in values if name.startswith("port")]
    own = [value for name, value in values if name == "ip"]
    host = own[0] if own else str(instance.get("address") or "")
    return f"{host}:{ports[0]}" if host and ports else host


def note(instance: Mapping[str, Any]) -> str:
    """Return in a few words what is odd about an instance."""
    if instance["problem"]:
        return first_line(instance["problem"]["code"], instance["problem"]["text"])
    if instance.get("missing"):
        return "waits for " + ", ".join(instance["missing"])
    if instance["state"] == "unknown":
        return "not heard yet since the coordinator started"
    if instance["node"] and not instance["online"]:
        return "node is offline"
    return ""


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table that fits; its last column is cut to what is left of 80 columns, or more."""
    columns = max(_COLUMNS, shutil.get_terminal_size().columns) if is_terminal() else _COLUMNS
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header) - 1)]
    lines = []
    for row in [header, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[-1]]).rstrip()
        line = line if len(line) <= columns else line[: columns - 1] + CUT
        style = _style(row)
        lines.append(click.style(line, **style) if style else line)
    return "\n".join(lines)


def _style(row: tuple[str, ...]) -> dict[str, Any]:
    """Return how a row of instances looks on a terminal; elsewhere click leaves it out."""
    if row[-1].startswith(_BAD):
        return {"fg": "red"}
    return {"fg": "green"} if "deployed-started" in row else {"fg": "yellow"} if row[-1] else {}


def is_terminal() -> bool:
    """Tell whether somebody looks at what is printed."""
    return sys.stdout.isatty()
