"""The command ``enrol``: identities and keys for boards and boxes that outlive applications."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from . import completing
from .common import broker_option, examples, json_option, print_json, remote_option
from .identities import is_loopback, urls_of
from .remote import Broker, Remote

# Where an agent can simply be run.
_BOXES = ("linux", "unix")


@click.command(
    epilog=examples(
        "fieldconf enrol roof-7 --board esp32 --broker mqtt://gateway -o roof-7.json",
        "fieldconf enrol roof-7 --anew -o roof-7.json   its key got lost",
        "fieldconf enrol shed-1 --join -o shed-1.json   somebody else sets it up",
        "fieldconf enrol shed-1 --approve               it was heard, it is the one",
        "fieldconf enrol roof-7 --expel",
    )
)
@click.argument("node", shell_complete=completing.nodes)
@click.option("--board", default="", help="Kind of board, such as esp32 or linux.")
@click.option(
    "--tag", "tags", multiple=True, help="What it can be found by; more than one is fine."
)
@broker_option("The broker as seen from there. [default: this one's]")
@click.option("--join", is_flag=True, help="Whoever shows up with it has to be approved.")
@click.option("--approve", is_flag=True, help="Accept the one that joined; it makes its own key.")
@click.option("--anew", is_flag=True, help="Another key; whoever has the former is out.")
@click.option("--expel", is_flag=True, help="It belongs to the fleet no more.")
@click.option(
    "-o",
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where its settings go, which hold the key. [default: printed]",
)
@json_option
@remote_option
def enrol(
    node: str,
    board: str,
    tags: tuple[str, ...],
    broker: Broker | None,
    join: bool,
    approve: bool,
    anew: bool,
    expel: bool,
    out: Path | None,
    as_json: bool,
    remote: Remote,
) -> int:
    """Enrol a machine as NODE: make it an identity and a key.

    Its settings are shown once: build an image from them (fieldconf image), or put them as
    settings.json where 'fieldconf agent' runs. It can be used by whatever has data.target:
    embedded and fits.
    """
    if join + approve + anew + expel > 1:
        raise click.UsageError("--join, --approve, --anew and --expel exclude each other")
    if out is not None and not (approve or expel):
        _check_out(out, node, anew)
    if approve or expel:
        told = remote.approve(node) if approve else remote.expel(node)
        if as_json:
            print_json(told)
        else:
            click.echo(f"{node} is {'approved' if approve else 'enrolled no more'}")
        return 0
    if anew:
        told = remote.enrol_anew(node, broker)
    else:
        told = remote.enrol(node, board, tags, join, broker)
    _hand_over(told, out, as_json, join, board)
    return 0


def _check_out(out: Path, node: str, anew: bool) -> None:
    """Refuse to overwrite a file, but for settings whose key will be void.

    Raises:
        UsageError: it would get lost.
    """
    if not out.exists():
        return
    try:
        held = json.loads(out.read_text(encoding="utf-8"))["node"]
    except (OSError, ValueError, TypeError, KeyError):
        held = None
    if held != node:
        text = f"{out} is there already, and would be overwritten; name another file, or move it"
        raise click.UsageError(text)
    if not anew:
        text = f"{out} is there already, with settings of {node}; --anew makes it another key"
        raise click.UsageError(f"{text} and replaces them")


def _hand_over(
    told: dict[str, Any], out: Path | None, as_json: bool, join: bool, board: str
) -> None:
    """Give the settings to whoever asked; they are not to be had again."""
    settings = told["settings"]
    if out is not None:
        save(settings, out)
    if as_json:
        print_json(told if out is None else {**told, "settings": str(out)})
    elif out is None:
        click.echo(json.dumps(settings, indent=1))
        click.echo("these settings hold the key, and are not shown again", err=True)
    else:
        click.echo(f"{told['id']} is enrolled; {out} holds its key, which is not shown again")
        for line in _next(told["id"], out, join, told.get("board") or board):
            click.echo(line)
    if is_loopback(settings["broker"]):
        shown = " or ".join(urls_of(settings["broker"]))
        text = f"it will look for the broker at {shown}, which is this box only"
        click.echo(f"note: {text}; for another machine name it with --broker", err=True)


def _next(node: str, out: Path, join: bool, board: str) -> Iterator[str]:
    """Yield what to do with settings."""
    if join:
        yield f"next: send {out} to those who set it up; they go on like this:"
    image = f"fieldconf image {board or 'BOARD'} --settings {out} -o OUT"
    agent = f"put {out} as settings.json into a folder, and run 'fieldconf agent --dir FOLDER'"
    head = "      " if join else "next: "
    if board in _BOXES:
        yield head + agent
        yield f"      or, for its first boot: {image}"
    else:
        yield head + image
        if not board:
            yield f"      or, on a box: {agent}"
    if join:
        yield f"when it was heard: fieldconf enrol {node} --approve"


def save(settings: dict[str, Any], out: Path) -> None:
    """Write settings so that only their owner can read them; they take the place of former ones.

    Raises:
        ClickException: it cannot be written; the message holds the settings, which would be lost.
    """
    text = json.dumps(settings, indent=1) + "\n"
    new = out.with_name(out.name + ".new") if out.exists() else out
    try:
        with open(new, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
        new.replace(out)
    except OSError as error:
        click.echo(text)
        raise click.ClickException(
            f"cannot write {out}: {error.strerror}; the settings are printed above instead"
        ) from error


COMMANDS = (enrol,)
