"""Writes images into the flash of Espressif's chips, with esptool's library.

Everything is compared in pieces first, by hashes that the chip makes of its flash; only pieces
that differ are written. So a second run goes on where the first one was cut. In the end all of it
is hashed once more: chips that claim more flash than they have write in circles.

esptool comes with the extra ``boards`` and is imported when it is used. How an
image is made is not known here, nor whether it starts.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import ports
from .flash_errors import FlashError, NoSense
from .needs import module
from .serial_line import gone

Part = tuple[int, bytes]
Advance = Callable[[str, int, int], None]

# Erased at once by the chip, hence quick; a quarter of a second on most lines.
_PIECE = 0x10000
_ROM_BAUD = 115200
_CONNECT_ATTEMPTS = 4


def flash(
    port: str,
    chip: str,
    parts: Sequence[Part],
    baud: int = 460800,
    advance: Advance = lambda what, done, total: None,
) -> bool:
    """Make the flash of the chip at `port` hold `parts`, and start the board.

    Returns whether the board was restarted; lines without control wires, as those through a
    network, leave that to a person.

    `chip` is esptool's name for it, as in ``esp32c3``; `parts` are (offset, content), offsets at
    borders of 4 KiB.

    Raises:
        LineLost: the cable; some pieces are written, and will not be written again.
        FlashError: wrong chip, too little flash: nothing was written; or the flash does not hold
            what was written to it.
    """
    ports.check(port)
    with _told_plainly(port):
        esp = _connect(port)
        try:
            return _write(esp, port, chip, parts, baud, advance)
        finally:
            esp._port.close()


def _connect(port: str) -> Any:
    try:
        return _cmds().detect_chip(
            port,
            connect_mode="default-reset" if _has_wires(port) else "no-reset",
            connect_attempts=_CONNECT_ATTEMPTS,
        )
    except _fatal() as error:
        raise _not_connected(port, error) from error


def _write(
    esp: Any, port: str, chip: str, parts: Sequence[Part], baud: int, advance: Advance
) -> bool:
    cmds = _cmds()
    _check_chip(esp, port, chip)
    esp = cmds.run_stub(esp)
    # esptool would wait for the port to come back, and then lose count.
    esp.WRITE_FLASH_ATTEMPTS = 1
    if baud > _ROM_BAUD:
        esp.change_baud(baud)
    cmds.attach_flash(esp)
    _check_size(cmds.detect_flash_size(esp), port, parts)
    total = sum(len(content) for _, content in parts)
    done = 0
    for offset, piece in pieces(parts):
        cmds.write_flash(esp, [(offset, piece)], skip_flashed=True)
        done += len(piece)
        advance("writing", done, total)
    _verify(esp, parts, advance)
    if not _has_wires(port):
        return False
    esp.hard_reset()
    return True


def pieces(parts: Sequence[Part]) -> Iterator[Part]:
    """Yield the parts in pieces that end where the flash's blocks of 64 KiB do."""
    for offset, content in parts:
        start = 0
        while start < len(content):
            end = start + _PIECE - (offset + start) % _PIECE
            yield offset + start, content[start:end]
            start = end


def _verify(esp: Any, parts: Sequence[Part], advance: Advance) -> None:
    for number, (offset, content) in enumerate(parts):
        if esp.flash_md5sum(offset, len(content)) != hashlib.md5(content).hexdigest():
            raise _not_verified(f"{len(content):,} bytes at {offset:#x}")
        advance("verifying", number + 1, len(parts))


def _has_wires(port: str) -> bool:
    """Tell whether the line can reset the board: not through a network or a pseudo-terminal."""
    return "://" not in port and not os.path.realpath(port).startswith("/dev/pts/")


# -- refusals and faults in words


def _check_chip(esp: Any, port: str, chip: str) -> None:
    found = str(esp.CHIP_NAME)
    if found.lower().replace("-", "") != chip.lower().replace("-", ""):
        raise FlashError(
            f"the board at {port} has the chip {found}, the image is for {chip}",
            f"take another board, or say --board with one that has {found}",
            kind="wrong-chip",
        )


def _check_size(size: str | None, port: str, parts: Sequence[Part]) -> None:
    there = module("esptool.util", "esptool").flash_size_bytes(size)
    needed = max(offset + len(content) for offset, content in parts)
    if there is not None and needed > there:
        raise FlashError(
            f"the board at {port} has {size} of flash, the image needs {needed / 2**20:.1f} MB",
            "make the image for this size of flash, or take a board with more",
            kind="too-small",
        )


def _not_connected(port: str, error: Exception) -> FlashError:
    text = str(error)
    if "Could not open" in text:
        return ports.not_opened(port, error)
    return FlashError(
        f"no chip of Espressif's answers at {port}: {text.splitlines()[0]}",
        "hold the button BOOT (or IO0, FLASH) while you press and release RESET (or EN), "
        "and run it again",
        kind="no-answer",
    )


def _not_verified(what: str) -> NoSense:
    return NoSense(
        f"the flash does not hold what was written: {what}",
        "run it again, with another cable or socket if it stays; then the flash is too small or "
        "broken",
        kind="verify",
    )


@contextmanager
def _told_plainly(port: str) -> Iterator[None]:
    """Keep esptool from printing, and say in our words what it raises."""
    logger = module("esptool.logger", "esptool")
    before = logger.EspLog.instance
    logger.log.set_logger(_quiet(logger))
    try:
        yield
    except _fatal() as error:
        text = str(error).splitlines()[0]
        if "MD5" in text or "written flash region" in text:
            raise _not_verified(text) from error
        raise NoSense(
            f"the chip at {port} stopped making sense: {text}",
            "run it again; if it stays, try another cable or a lower speed (--baud 115200)",
        ) from error
    except (module("serial", "pyserial").SerialException, OSError) as error:
        raise gone(port) from error
    finally:
        logger.EspLog.instance = before


def _quiet(logger: Any) -> Any:
    """Return a logger that drops everything: whoever calls says what a person should know."""

    def drop(*args: Any, **more: Any) -> None:
        pass

    names = ("print", "note", "warning", "error", "stage", "progress_bar", "set_verbosity")
    return type("Quiet", (logger.TemplateLogger,), dict.fromkeys(names, drop))()


def _cmds() -> Any:
    return module("esptool.cmds", "esptool")


def _fatal() -> Any:
    return module("esptool.util", "esptool").FatalError
