"""The command ``image``: what is written onto a board, or given to a machine at its first boot."""

import functools
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import RequestError
from . import identities
from .common import broker_option, examples, json_option, place_of, place_options, print_json
from .remote import Broker, Remote

if TYPE_CHECKING:
    from fieldconf_firmware_images.boards import Board
    from fieldconf_firmware_images.image import Image

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"(\d+)\s*(?:([KM])(?:i?B)?)?", re.IGNORECASE)
_FACTORS = {"": 1, "K": 1024, "M": 1024 * 1024}


def _size(text: str) -> int:
    """Return the bytes that a size means, as people write it of flash: ``16MB``."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no size; write it as in 4MB")
    return int(found.group(1)) * _FACTORS[(found.group(2) or "").upper()]


def _boards(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the names of boards that begin like this."""
    from fieldconf_firmware_images import boards

    return [name for name in boards.names() if name.startswith(begun)]


_OPTIONS = (
    click.option(
        "--settings",
        "settings_file",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Settings, as the agent reads them (JSON), perhaps those of 'fieldconf enrol'.",
    ),
    click.option("--node", metavar="NAME", help="Whose image it is; without a key it is enrolled."),
    click.option(
        "--firmware",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="MicroPython for the board. [default: the release in the cache folder]",
    ),
    click.option("--files-only", is_flag=True, help="Without firmware: the board has it already."),
    click.option("--sha256", metavar="HASH", help="What the firmware's hash must be."),
    click.option(
        "--flash-size",
        type=_size,
        metavar="SIZE",
        help="Of the board at hand, as in 16MB; boards differ.",
    ),
)


def image_options(command: F) -> F:
    """Add what says which image is meant, for `build`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "fieldconf image esp32 --node attic --broker mqtt://192.168.1.10 -o attic.bin",
        "fieldconf image pico-w --settings a.json --firmware PICO_W.uf2 -o a.uf2",
        "fieldconf image linux --settings pi.json -o user-data",
    )
)
@click.argument("board", shell_complete=_boards)
@image_options
@broker_option("The broker as the node reaches it.")
@click.option(
    "--wifi", multiple=True, metavar="NAME", help="A network to join; its password is asked for."
)
@click.option("--anew", is_flag=True, help="It is enrolled: give it another key.")
@click.option(
    "--package",
    metavar="WHAT",
    help="What pip installs on a machine with Linux: a wheel there, its URL, or a requirement.",
)
@click.option(
    "-o",
    "--out",
    required=True,
    metavar="OUT",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the image is written to.",
)
@json_option
@place_options
def image(
    board: str,
    settings_file: Path,
    node: str | None,
    firmware: Path | None,
    files_only: bool,
    sha256: str | None,
    flash_size: int | None,
    broker: Broker | None,
    wifi: tuple[str, ...],
    anew: bool,
    package: str | None,
    out: Path,
    as_json: bool,
    data: Path,
    server: str | None,
    ca: Path | None,
) -> int:
    """Build the image of a node for a BOARD.

    BOARD is one of those that come with Fieldconf, or the path of a description (.toml). The image
    holds the agent, what starts it and the node's settings, with its key: only you can read it.

    With --node the coordinator enrols the node. What else it needs to know may stand in the file of
    --settings, which several nodes can share. With a key in that file, no coordinator is asked.

    Nothing is downloaded. Firmware is looked for where --firmware says, else in the cache folder
    (FIELDCONF_CACHE, else ~/.cache/fieldconf).
    """
    from fieldconf_firmware_images.errors import ImageError
    from fieldconf_firmware_images.image import save

    place = functools.partial(place_of, click.get_current_context(), data, server, ca)
    enrolling = identities.Enrolling(lambda: Remote.at(place()), anew, broker)
    networks = [[name, _password(name)] for name in wifi]
    try:
        if not os.access(out.absolute().parent, os.W_OK):
            raise ImageError(f"cannot write {out}: its folder is not there, or not for you")
        built = build(
            board,
            settings_file,
            node,
            firmware,
            files_only,
            sha256,
            flash_size,
            package,
            enrolling,
            {"wifi": networks} if networks else {},
        )
        save(built, out)
    except ImageError as error:
        click.echo(f"error: {error}", err=True)
        return 1
    if as_json:
        about = dict(built.contents)
        print_json({"out": str(out), "node": built.node, "sha256": built.sha256, **about})
        return 0
    for line in built.summary():
        click.echo(line)
    click.echo(f"{'written':<12}{out}; it holds the node's key, so that only you can read it")
    click.echo(f"{'next':<12}{built.usage.replace('OUT', str(out))}")
    return 0


def _password(network: str) -> str:
    return str(click.prompt(f"Password of {network}", hide_input=True, err=True))


def build(
    board: str,
    settings_file: Path | None,
    node: str | None,
    firmware: Path | None,
    files_only: bool,
    sha256: str | None,
    flash_size: int | None,
    package: str | None = None,
    enrolling: identities.Enrolling | None = None,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> "Image":
    """Return the image that the options of a command mean.

    `more` are settings that go before those of the file.

    Raises:
        ImageError: there is no such board, or something given is refused.
        RequestError: the coordinator does not enrol the node.
    """
    from fieldconf_firmware_images import boards, building
    from fieldconf_firmware_images import firmware as firmwares
    from fieldconf_firmware_images.errors import ImageError

    if files_only and firmware:
        raise click.UsageError("--files-only and --firmware exclude each other")
    kind = boards.load(board)
    if flash_size is not None:
        kind = kind.with_flash_size(flash_size)
    given = None
    if kind.micropython and kind.micropython.file and not files_only:
        given = firmwares.read(firmware or firmwares.find(kind), kind, sha256)
    elif firmware:
        raise ImageError(f"{kind.name} takes no firmware from here: leave out --firmware")
    of_linux = {"package": package} if package else {}
    known = {**identities.read(settings_file, node), **more}
    if "key" not in known:
        identities.check_named(known, enrolling)
    if enrolling is not None:
        # A key is made once: what can go wrong shall do so before.
        building.build(kind, identities.trial(kind, known, enrolling), given, **of_linux)
        known = _complete(kind, known, enrolling)
    return building.build(kind, known, given, **of_linux)


def _complete(
    kind: "Board", known: dict[str, Any], enrolling: identities.Enrolling
) -> dict[str, Any]:
    """Return settings with an identity; say what is odd about them."""
    command = f"fieldconf {click.get_current_context().info_name}"
    try:
        found = identities.complete(kind, known, enrolling)
    except RequestError as error:
        if error.code == "conflict" and not enrolling.anew:
            error.hint = f"'{command} … --anew' gives it another key; the former is void then"
        raise
    if identities.is_out_of_reach(kind, found["broker"]):
        shown = " or ".join(identities.urls_of(found["broker"]))
        text = f"it will look for the broker at {shown}, which is this box only"
        click.echo(f"note: {text}; say how it gets there: {command} … --broker URL", err=True)
    return found


COMMANDS = (image,)
