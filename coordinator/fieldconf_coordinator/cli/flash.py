"""The command ``flash``: an image onto a board, and the board's first words."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..errors import RequestError
from .client import NOT_ASKED
from .common import examples, place_of, place_options
from .images import build, image_options
from .remote import Remote

# What is over sooner needs no bar.
_BAR_AFTER_S = 1.0
_ASK_S = 0.5
_PATIENCE_S = 90.0


@click.command(
    epilog=examples(
        "fieldconf flash auto --settings n7.json              MicroPython is on it",
        "fieldconf flash auto --board esp32 --settings n7.json --firmware ESP32.bin",
        "fieldconf flash /dev/ttyUSB0 --settings n7.json --no-wait",
    )
)
@click.argument("port", metavar="PORT|auto")
@click.option(
    "--board",
    default="micropython",
    help="Which board it is; without, any that runs MicroPython already.",
)
@image_options
@click.option("--baud", type=click.IntRange(300), help="Speed of the line.")
@click.option("--wait/--no-wait", default=True, help="Wait until the node says hello.")
@click.option(
    "--timeout",
    type=click.FloatRange(0),
    default=_PATIENCE_S,
    help="Give up waiting after so many seconds.",
    show_default=True,
)
@place_options
def flash(
    port: str,
    board: str,
    settings_file: Path,
    node: str | None,
    firmware: Path | None,
    files_only: bool,
    sha256: str | None,
    flash_size: int | None,
    baud: int | None,
    wait: bool,
    timeout: float,
    data: Path,
    server: str | None,
    ca: Path | None,
) -> int:
    """Put agent and identity of a node onto the board at PORT.

    PORT is a serial port, or 'auto' for the only one that is plugged in; for boards with a UF2 boot
    loader also the folder of its drive.

    What is on the board already is not written again, and all is read back. Whatever happened in
    between, running the same command again goes on where it stopped.
    """
    from fieldconf_firmware_images import flashing
    from fieldconf_firmware_images.errors import ImageError
    from fieldconf_firmware_images.flash_errors import FlashError

    bars = Bars()
    try:
        image = build(board, settings_file, node, firmware, files_only, sha256, flash_size)
        hello = None
        if wait:
            context = click.get_current_context()
            hello = first_words(lambda: Remote.at(place_of(context, data, server, ca)), image.node)
        method = image.board.flashing.method
        if files_only and method in ("esptool", "uf2"):
            method = flashing.REPL
        order = flashing.Order(image, port, method, baud, hello, timeout)
        flashing.flash(order, bars.advance, bars.tell)
    except ImageError as error:
        click.echo(f"error: {error}", err=True)
        return 1
    except FlashError as error:
        bars.end()
        raise RequestError(error.kind, error.text, error.hint) from error
    except KeyboardInterrupt:
        bars.end()
        click.echo(
            "stopped; the same command goes on where this one did, and the board waits for it",
            err=True,
        )
        return 130
    return 0


def first_words(find: Callable[[], Remote], node: str) -> Callable[[], bool] | None:
    """Return what tells whether a node was heard since now; None if nobody is there to hear it."""
    try:
        remote = find()
        before = _seen(remote, node)
    except RequestError as error:
        if error.code not in NOT_ASKED:
            raise
        click.echo("not waiting for the node to say hello: no coordinator is reached", err=True)
        return None
    asked = 0.0

    def heard() -> bool:
        nonlocal asked
        if time.monotonic() < asked + _ASK_S:
            return False
        asked = time.monotonic()
        now = _seen(remote, node)
        return now is not None and now != before

    return heard


def _seen(remote: Remote, node: str) -> tuple[Any, ...] | None:
    """Return since when a node is online, and which start of it this is; None if it is not."""
    try:
        found = remote.node(node)
    except RequestError as error:
        if error.code in NOT_ASKED:
            raise
        # It becomes known by its first words.
        return None
    if not found["online"]:
        return None
    return found["enrolment"], found["boot"], found["since"]


class Bars:
    """Shows how far it is, one bar after the other, with lines in between."""

    def __init__(self) -> None:
        self._what = ""
        self._began = 0.0
        self._bar: Any = None

    def advance(self, what: str, done: int, total: int) -> None:
        """Tell how much of what is done."""
        now = time.monotonic()
        if what != self._what:
            self.end()
            self._what, self._began = what, now
        if self._bar is None and now - self._began > _BAR_AFTER_S:
            self._bar = click.progressbar(length=total, label=what, file=sys.stderr)
            self._bar.render_progress()
        if self._bar is not None:
            self._bar.update(done - self._bar.pos)

    def tell(self, line: str) -> None:
        """Print a line below the bar."""
        self.end()
        click.echo(line)

    def end(self) -> None:
        """End the bar that is shown, wherever it stands."""
        if self._bar is not None:
            self._bar.render_finish()
        self._what, self._bar = "", None


COMMANDS = (flash,)
