"""The command ``image``: what is written onto a board, or given to a machine at its first boot."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from .common import examples, json_option, place_of, place_options, print_json
from .remote import Remote

if TYPE_CHECKING:
    from fieldconf_firmware_images.boards import Board
    from fieldconf_firmware_images.image import Image

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"(\d+)\s*(?:([KM])(?:i?B)?)?", re.IGNORECASE)
_FACTORS = {"": 1, "K": 1024, "M": 1024 * 1024}
#: What the coordinator alone says of a node.
_IDENTITY = ("node", "key", "enrolment", "fleet", "domain", "broker")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _size(text: str) -> int:
    """Return the bytes that a size means, as people write it of flash: ``16MB``."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no size; write it as in 4MB")
    return int(found.group(1)) * _FACTORS[(found.group(2) or "").upper()]


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


@dataclass(frozen=True)
class Enrolling:
    """How a node gets the identity that its settings lack.

    Attributes:
        find: returns the coordinator.
        anew: the node is enrolled already; it gets another key.
        broker: as the node reaches it; None: as the settings say, else as the coordinator does.
    """

    find: Callable[[], Remote]
    anew: bool
    broker: str | None


def image_options(command: F) -> F:
    """Add what says which image is meant, for `build`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=examples(
        "fieldconf image esp32 --node attic --broker mqtt://192.168.1.10:1883 -o attic.bin",
        "fieldconf image pico-w --settings roof.json --firmware RPI_PICO_W.uf2 -o roof.uf2",
        "fieldconf image linux --settings pi.json -o user-data",
    )
)
@click.argument("board")
@image_options
@click.option("--broker", metavar="URL", help="The broker as the node reaches it.")
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
    broker: str | None,
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

    context = click.get_current_context()
    enrolling = Enrolling(lambda: Remote.at(place_of(context, data, server, ca)), anew, broker)
    networks = [[name, click.prompt(f"Password of {name}", hide_input=True)] for name in wifi]
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


def build(
    board: str,
    settings_file: Path | None,
    node: str | None,
    firmware: Path | None,
    files_only: bool,
    sha256: str | None,
    flash_size: int | None,
    package: str | None = None,
    enrolling: Enrolling | None = None,
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
    known = {**_settings(settings_file, node), **more}
    of_linux = {"package": package} if package else {}
    if "key" not in known:
        if enrolling is None:
            raise ImageError("say --settings FILE; 'fieldconf enrol NAME -o FILE' writes one")
        if "node" not in known:
            raise ImageError("whose image is it? Say --node NAME, or --settings FILE with a key")
        # The key is made once: what can go wrong shall do so before.
        broker = _broker(kind, known, enrolling) or "mqtt://gateway"
        trial = {**known, "key": "00" * 32, "broker": broker}
        building.build(kind, trial, given, **of_linux)
        known = _enrolled(kind, known, enrolling)
    return building.build(kind, known, given, **of_linux)


def _enrolled(board: "Board", known: Mapping[str, Any], enrolling: Enrolling) -> dict[str, Any]:
    """Have the coordinator enrol a node; return its settings.

    Raises:
        ImageError: it could not reach the broker.
    """
    from fieldconf_firmware_images.errors import ImageError

    remote = enrolling.find()
    broker = _broker(board, known, enrolling)
    found = broker or remote.client.get("/status")["broker"]["url"]
    # A folder is likely to stay on this box.
    if board.flashing.method != "copy" and urlsplit(found).hostname in _LOOPBACK:
        raise ImageError(
            f"the broker is at {found}, which is this box only; say how {board.title} reaches it: "
            "--broker mqtt://HOST:PORT"
        )
    if enrolling.anew:
        told = remote.enrol_anew(known["node"], broker)
    else:
        told = remote.enrol(known["node"], board.name, (), False, broker)
    given: dict[str, Any] = told["settings"]
    return {**given, **known, **{name: given[name] for name in _IDENTITY}}


def _broker(board: "Board", known: Mapping[str, Any], enrolling: Enrolling) -> str | None:
    """Return how the node reaches the broker; None: as the coordinator does."""
    if board.network == ("none",):
        return enrolling.broker or known.get("broker") or "serial:"
    return enrolling.broker or known.get("broker")


def _settings(file: Path | None, node: str | None) -> dict[str, Any]:
    """Return the settings in a file, for a node.

    Raises:
        ImageError: they cannot be read, or are another node's.
    """
    from fieldconf_firmware_images.errors import ImageError

    if file is None:
        return {"node": node} if node else {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImageError(f"cannot read the settings {file}: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(f"cannot read the settings {file}: no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ImageError(f"cannot use the settings {file}: expected an object")
    if node and found.setdefault("node", node) != node:
        raise ImageError(f"the settings {file} are those of {found['node']}, not of {node}")
    return found


COMMANDS = (image,)
