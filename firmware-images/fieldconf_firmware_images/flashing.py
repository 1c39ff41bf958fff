"""Gets an image onto a board by the way that the board knows, and waits for its first words.

Each way is a module: `flash_esp` (esptool), `flash_repl` (a board that runs MicroPython already),
`flash_uf2` (a boot loader's drive). Here they are chosen, given their port, and what they did is
told in sentences. Who listens for the board's first words, and where, is the caller's business.
"""

import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import agent_files, flash_esp, flash_repl, flash_uf2, ports
from .boards import Board
from .flash_errors import FlashError, LineLost, NoSense
from .image import Image
from .raw_repl import Line, RawRepl
from .serial_line import BAUD, LentLine, OpenLine, SerialLine

Advance = Callable[[str, int, int], None]
Tell = Callable[[str], None]
#: Asked first while the board is stopped, then again and again: was its node heard since?
Hello = Callable[[], bool]

REPL = "raw-repl"
_LOOK_S = 0.2
# From its start to its drive, and to its serial port, a board takes a second or two.
_BOOT_S = 20.0
_TAIL = 400


@dataclass(frozen=True)
class Order:
    """What is to be flashed where.

    Attributes:
        port: a serial port, ``auto``, or the folder of a drive or of a desktop's "board".
        method: as in a board's description; `REPL` serves every board with MicroPython.
        baud: of the serial line; None for what the board's description says.
        hello: None: do not wait for the board.
        borrow: asks whoever has a port open to lend it, over a socket; None if it does not.
        patience_s: how long to wait for it.
    """

    image: Image
    port: str
    method: str
    baud: int | None = None
    hello: Hello | None = None
    borrow: Callable[[str], socket.socket | None] = lambda port: None
    patience_s: float = 90.0


def look(port: str, board: Board, method: str) -> None:
    """Refuse what can be seen to fail, before an image is made or a node enrolled.

    Raises:
        FlashError: there is no such way, or no such port, or it cannot be used.
    """
    if method not in _WAYS:
        raise FlashError(
            f"{board.title}: this is not flashed",
            f"make its image with 'fieldconf image {board.name}'",
            kind="no-way",
        )
    if method == "uf2":
        if flash_uf2.board_of(Path(port)) is None and _known_drive(port, _name(board)) is None:
            ports.check(ports.chosen(port))
    elif method == REPL:
        _check(ports.chosen(port))
    elif method != "copy":
        ports.check(ports.chosen(port))
    elif not Path(port).is_dir():
        raise FlashError(
            f"{port} is no folder",
            "this board has a folder for its flash: make one and name it",
            kind="no-port",
        )


def _check(port: str) -> None:
    """Refuse a port that cannot be used; one that is in use may be lent."""
    try:
        ports.check(port)
    except FlashError as error:
        if error.kind != "busy":
            raise


def flash(order: Order, advance: Advance, tell: Tell) -> None:
    """Flash the board, tell what was done, and wait until it said hello.

    Raises:
        FlashError: with what to do; running it again goes on where it stopped. Of kind
            "no-hello": the board holds everything, but was not heard.
        KeyboardInterrupt: nothing is left open.
    """
    look(order.port, order.image.board, order.method)
    _WAYS[order.method](order, advance, tell)


def _by_esptool(order: Order, advance: Advance, tell: Tell) -> None:
    board = order.image.board
    port = ports.chosen(order.port)
    tell(f"flashing {port} with esptool")
    # Where there is one, the whole: parts that belong together have been fitted to each other.
    image, advance = order.image, _asking(order, advance)
    parts = image.parts if image.merged is None else [(0, image.merged)]
    restarted = flash_esp.flash(port, board.chip, parts, order.baud or board.flashing.baud, advance)
    tell("written, read back and compared by the chip's own hashes")
    if not restarted:
        tell("press the board's reset button: this line has no wire for it")
    _wait(order, tell, None)


def _by_repl(order: Order, advance: Advance, tell: Tell) -> None:
    port = ports.chosen(order.port)
    tell(f"flashing {port} through the REPL")
    baud = order.baud or (
        order.image.board.flashing.baud if order.image.board.flashing.method == REPL else BAUD
    )
    with _line(order, port, baud) as line:
        _tell_outcome(flash_repl.flash(line, order.image.files, advance), tell)
        _ask(order)
        if isinstance(line, SerialLine):
            # Who lends a line restarts the board when it is given back.
            flash_repl.restart(line)
        if not _is_bridged(order.image):
            _wait(order, tell, line)
            return
    # Its words come through a bridge, which needs the line now.
    _wait(order, tell, None)


def _line(order: Order, port: str, baud: int) -> OpenLine:
    try:
        return SerialLine(port, baud)
    except FlashError as error:
        lent = order.borrow(port) if error.kind == "busy" else None
        if lent is None:
            raise
        return LentLine(lent, port)


def _is_bridged(image: Image) -> bool:
    settings = json.loads(image.files.get(flash_repl.SETTINGS, b"{}"))
    bridged: bool = agent_files.is_serial(settings)
    return bridged


def _tell_outcome(outcome: flash_repl.Outcome, tell: Tell) -> None:
    tell(f"the board runs {outcome.facts.text}, {outcome.facts.heap // 1024} KB free")
    rom = outcome.rom
    if rom.why:
        tell(f"note: {rom.why}")
    if rom.used:
        did = "written and read back" if rom.is_written else "was there already, read and compared"
        tell(f"ROMFS: agent {did}; it runs in place, {rom.used:,} of {rom.size:,} bytes")
    if outcome.written:
        removed = f", {len(outcome.removed)} old ones removed" if outcome.removed else ""
        same = f", {outcome.kept} were as they should be" if outcome.kept else ""
        tell(f"{len(outcome.written)} files written and read back{same}{removed}")
    else:
        tell(f"all {outcome.kept} files were there already, read and compared")


def _by_uf2(order: Order, advance: Advance, tell: Tell) -> None:
    content, wanted = order.image.merged, _name(order.image.board)
    assert content is not None
    drive = _drive(order.port, wanted, tell)
    before = _names()
    _ask(order)
    tell(f"flashing {drive.folder} by copying")
    flash_uf2.flash(drive, wanted, content, advance)
    tell("all blocks arrived: the board starts")
    line = _line_of_new_port(before)
    if line is None:
        tell("not read back: no serial port of the board came up")
        _wait(order, tell, None)
        return
    with line:
        _read_back(line, order, advance, tell)
        _wait(order, tell, line)


def _drive(port: str, wanted: str, tell: Tell) -> flash_uf2.Drive:
    """Return the drive that is meant; let a board with MicroPython become one."""
    folder = Path(port)
    board = flash_uf2.board_of(folder)
    if board is not None:
        return flash_uf2.Drive(folder, folder, board)
    drive = _known_drive(port, wanted)
    if drive is not None:
        return drive
    name = ports.chosen(port)
    tell(f"asking the MicroPython at {name} for its boot loader")
    with SerialLine(name) as line:
        _to_boot_loader(line)
    deadline = time.monotonic() + _BOOT_S
    while not flash_uf2.drives() and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return flash_uf2.chosen(wanted, flash_uf2.drives())


def _known_drive(port: str, wanted: str) -> flash_uf2.Drive | None:
    """Return the drive that ``auto`` means; None if a board has to be asked to become one.

    Raises:
        FlashError: there is neither.
    """
    there = flash_uf2.drives()
    if port != ports.AUTO or (not there and len(_names()) == 1):
        return None
    return flash_uf2.chosen(wanted, there)


def _name(board: Board) -> str:
    assert board.flashing.drive is not None
    return board.flashing.drive


def _to_boot_loader(line: SerialLine) -> None:
    repl = RawRepl(line)
    repl.enter()
    try:
        repl.execute("import machine\nmachine.bootloader()", 2.0)
    except (LineLost, NoSense):
        # It went without a word, as it should.
        pass


def _names() -> set[str]:
    return {port.name for port in ports.found()}


def _line_of_new_port(before: set[str]) -> SerialLine | None:
    """Return a line to the port that came up since `before`, None if none did."""
    deadline = time.monotonic() + _BOOT_S
    while time.monotonic() < deadline:
        new = sorted(_names() - before)
        try:
            if new:
                return SerialLine(new[0])
        except FlashError as error:
            # It belongs to us a moment after it came up.
            if error.kind not in ("no-permission", "busy", "no-port"):
                raise
        time.sleep(_LOOK_S)
    return None


def _read_back(line: SerialLine, order: Order, advance: Advance, tell: Tell) -> None:
    """Compare what the board's file system holds; nothing is written if all is well."""
    _tell_outcome(flash_repl.flash(line, order.image.files, advance), tell)
    flash_repl.restart(line)


def _by_copy(order: Order, advance: Advance, tell: Tell) -> None:
    """Put the files into the folder of the desktop's MicroPython, each at once or not at all."""
    _ask(order)
    folder, written = Path(order.port), 0
    files = order.image.files
    for number, (path, content) in enumerate(sorted(files.items())):
        written += _put(folder / path, content)
        advance("writing", number + 1, len(files))
    tell(f"{written} of {len(files)} files written to {folder}")
    tell(f"start it with: cd {folder} && micropython main.py")
    _wait(order, tell, None)


def _put(path: Path, content: bytes) -> bool:
    try:
        if path.exists() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except OSError as error:
        raise FlashError(f"cannot write {path}: {error.strerror}") from error
    return True


_WAYS: dict[str, Callable[[Order, Advance, Tell], None]] = {
    "esptool": _by_esptool,
    REPL: _by_repl,
    "uf2": _by_uf2,
    "copy": _by_copy,
}


# -- the board's first words


def _ask(order: Order) -> None:
    if order.hello is not None:
        order.hello()


def _asking(order: Order, advance: Advance) -> Advance:
    """Return `advance`, which asks at its first call: then the chip is in its boot loader."""
    is_first = True

    def asking(what: str, done: int, total: int) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            _ask(order)
        advance(what, done, total)

    return asking


def _wait(order: Order, tell: Tell, line: Line | None) -> None:
    """Wait until the node was heard; meanwhile read what the board writes on its line."""
    if order.hello is None:
        return
    tell(f"waiting for {order.image.node} to say hello")
    written = b""
    deadline = time.monotonic() + order.patience_s
    while not order.hello():
        line, new = _listen(line)
        written = (written + new)[-_TAIL:]
        # The prompt after a traceback: nothing will come any more.
        if (b"Traceback" in written and written.endswith(b">>> ")) or time.monotonic() > deadline:
            raise _not_heard(order, written)
    tell(f"{order.image.node} said hello")


def _listen(line: Line | None) -> tuple[Line | None, bytes]:
    if line is not None:
        try:
            return line, line.read(_LOOK_S)
        except LineLost:
            # It took its port along when it restarted; that is no fault.
            pass
    time.sleep(_LOOK_S)
    return None, b""


def _not_heard(order: Order, written: bytes) -> FlashError:
    lines = [each for each in written.decode(errors="replace").splitlines() if each.strip()]
    said = "".join(f"\n  {each}" for each in lines[-6:] if each != ">>> ")
    return FlashError(
        f"{order.image.node} is flashed, but was not heard"
        + (f"; it wrote:{said}" if said else ""),
        "look at its settings (network, broker), and whether the coordinator's broker is reached "
        "from there",
        kind="no-hello",
    )
