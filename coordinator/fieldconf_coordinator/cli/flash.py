"""The command ``flash``: an image onto a board, and the board's first words."""

import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..errors import RequestError
from .client import NOT_ASKED, Client, Place
from .common import broker_option, examples, place_of, place_options
from .enrolling import save
from .identities import Enrolling
from .images import build, image_options
from .remote import Broker, Remote, Row

# What is over sooner needs no bar.
_BAR_AFTER_S = 1.0
_ASK_S = 0.5
_PATIENCE_S = 90.0


@click.command(
    epilog=examples(
        "fieldconf flash auto --node attic              it runs MicroPython already",
        "fieldconf flash auto --board esp32 --node attic --firmware ESP32.bin",
        "fieldconf flash /dev/ttyUSB0 --settings attic.json --no-wait",
    )
)
@click.argument("port", metavar="PORT|auto")
@click.option(
    "--board",
    default="micropython",
    help="Which board it is; without, any that runs MicroPython already.",
)
@image_options
@broker_option("The broker as the node reaches it.")
@click.option("--anew", is_flag=True, help="It is enrolled: give it another key.")
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
def flash(**options: Any) -> int:
    """Put agent and identity of a node onto the board at PORT.

    PORT is a serial port, or 'auto' for the only one that is plugged in; for boards with a UF2 boot
    loader also the folder of its drive.

    With --node the coordinator enrols the node; without, all stands in the file of --settings.

    What is on the board already is not written again, and all is read back. Whatever happened in
    between, running the same command again goes on where it stopped.
    """
    bars = Bars()
    try:
        return _flash(bars, **options)
    except KeyboardInterrupt:
        return _stopped(bars)


def _flash(
    bars: "Bars",
    port: str,
    board: str,
    settings_file: Path | None,
    node: str | None,
    firmware: Path | None,
    files_only: bool,
    sha256: str | None,
    flash_size: int | None,
    broker: Broker | None,
    anew: bool,
    baud: int | None,
    wait: bool,
    timeout: float,
    data: Path,
    server: str | None,
    ca: Path | None,
) -> int:
    from fieldconf_firmware_images import boards, flashing
    from fieldconf_firmware_images.errors import ImageError
    from fieldconf_firmware_images.flash_errors import FlashError
    from fieldconf_targets import bridge_console

    context, folder = click.get_current_context(), data / "flashing"

    def find() -> Keeping:
        return Keeping.at_place(place_of(context, data, server, ca), folder)

    try:
        kind = boards.load(board)
        method = kind.flashing.method
        if files_only and method != "none":
            method = flashing.REPL
        flashing.look(port, kind, method)
        image = build(
            board,
            settings_file,
            node,
            firmware,
            files_only,
            sha256,
            flash_size,
            enrolling=Enrolling(find, anew, broker),
        )
        hello = first_words(find, image.node) if wait else None
        order = flashing.Order(image, port, method, baud, hello, bridge_console.ask, timeout)
        flashing.flash(order, bars.advance, bars.tell)
        forget(folder, image.node)
    except ImageError as error:
        click.echo(f"error: {error}", err=True)
        return 1
    except FlashError as error:
        bars.end()
        raise RequestError(error.kind, error.text, error.hint) from error
    return 0


def _stopped(bars: "Bars") -> int:
    """Tell who pressed Ctrl-C what that means; return the exit status."""
    # They may be impatient: another one would take the words away.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        bars.end()
        click.echo(
            "stopped; the same command goes on where this one did, and the board waits for it",
            err=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    return 130


class Keeping(Remote):
    """A coordinator whose new keys are kept until the node holds them: they are made once.

    They are kept in a file of their owner alone. It is found again when the same node is enrolled
    again, since it was not flashed to the end.
    """

    def __init__(self, client: Client, folder: Path) -> None:
        super().__init__(client)
        self._folder = folder

    @classmethod
    def at_place(cls, place: Place, folder: Path) -> "Keeping":
        """Return the coordinator at a place; keys are kept in a folder."""
        return cls(Client(place), folder)

    def enrol(
        self, node: str, board: str, tags: Sequence[str], join: bool, broker: Broker | None
    ) -> Row:
        file = _file(self._folder, node)
        settings = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
        if settings is None or not self._is_enrolled(settings):
            return self._kept(super().enrol(node, board, tags, join, broker))
        return {"settings": {**settings, **({"broker": broker} if broker else {})}}

    def _is_enrolled(self, settings: Row) -> bool:
        """Tell whether settings are those of a node as it is enrolled now."""
        try:
            found = self.node(settings["node"])
        except RequestError as error:
            if error.code in NOT_ASKED:
                raise
            return False
        return bool(found["enrolment"] == settings["enrolment"])

    def enrol_anew(self, node: str, broker: Broker | None) -> Row:
        return self._kept(super().enrol_anew(node, broker))

    def _kept(self, told: Row) -> Row:
        settings = told["settings"]
        forget(self._folder, settings["node"])
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        save(settings, _file(self._folder, settings["node"]))
        return told


def forget(folder: Path, node: str) -> None:
    """Drop the settings that were kept for a node: it holds them."""
    _file(folder, node).unlink(missing_ok=True)


def _file(folder: Path, node: str) -> Path:
    # A name that is no good for a file is refused by the coordinator.
    return folder / f"{node.replace('/', '_')}.json"


def first_words(find: Callable[[], Remote], node: str) -> Callable[[], bool] | None:
    """Return what tells whether a node was heard since it was asked first, while it was stopped.

    None if nobody is there who would hear it.
    """
    try:
        remote = find()
        _seen(remote, node)
    except RequestError as error:
        if error.code not in NOT_ASKED:
            raise
        click.echo("not waiting for the node to say hello: no coordinator is reached", err=True)
        return None
    asked, before = 0.0, None

    def heard() -> bool:
        nonlocal asked, before
        if time.monotonic() < asked + _ASK_S:
            return False
        is_first, asked = not asked, time.monotonic()
        now = _seen(remote, node)
        if is_first:
            before = now
        return now is not None and now != before

    return heard


def _seen(remote: Remote, node: str) -> tuple[Any, ...] | None:
    """Return when a node was heard, and which start of it that was; None if it is not online."""
    try:
        found = remote.node(node)
    except RequestError as error:
        if error.code in NOT_ASKED:
            raise
        # It becomes known by its first words.
        return None
    if not found["online"]:
        return None
    return found["enrolment"], found["boot"], found["heard"]


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
