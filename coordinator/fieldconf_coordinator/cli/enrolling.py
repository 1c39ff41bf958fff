"""The command ``enrol``: identities and keys for boards and boxes that outlive applications."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from . import completing
from .common import examples, json_option, print_json, remote_option
from .remote import Remote

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
@click.option(
    "--broker", metavar="URL", help="The broker as seen from there. [default: this one's]"
)
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
    broker: str | None,
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
    if out is not None and out.exists() and not (approve or expel):
        raise click.UsageError(f"{out} is there already, and would be overwritten")
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


def _hand_over(
    told: dict[str, Any], out: Path | None, as_json: bool, join: bool, board: str
) -> None:
    """Give the settings to whoever asked; they are not to be had again."""
    settings = told["settings"]
    host = urlsplit(settings["broker"]).hostname
    if out is not None:
        save(settings, out)
    if as_json:
        print_json(told if out is None else {**told, "settings": str(out)})
    elif out is None:
        click.echo(json.dumps(settings, indent=1))
        click.echo("these settings hold the key, and are not shown again", err=True)
    else:
        click.echo(f"{told['id']} is enrolled; {out} holds its key, which is not shown again")
        click.echo(f"next: fieldconf image {board or 'BOARD'} --settings {out} -o OUT")
        if join:
            click.echo(f"when it was heard: fieldconf enrol {told['id']} --approve")
    if host in _LOOPBACK:
        text = f"it will look for the broker at {settings['broker']}, which is this box only"
        click.echo(f"note: {text}; for another machine name it with --broker", err=True)


def save(settings: dict[str, Any], out: Path) -> None:
    """Write settings so that only their owner can read them.

    Raises:
        ClickException: it cannot be written; the message holds the settings, which would be lost.
    """
    text = json.dumps(settings, indent=1) + "\n"
    try:
        with open(out, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(text)
    except OSError as error:
        click.echo(text)
        raise click.ClickException(
            f"cannot write {out}: {error.strerror}; the settings are printed above instead"
        ) from error


COMMANDS = (enrol,)
