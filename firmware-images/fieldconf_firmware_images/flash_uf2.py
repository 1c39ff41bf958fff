"""Copies UF2 files onto the drive as which a board's boot loader shows itself.

The boot loader counts the blocks, and starts the board when it saw each once: the drive that
vanishes is its word that all arrived. It cannot be read back here; what runs afterwards can, by
its REPL. Finding out whether an image fits the board is not done here but for the drive's name.
"""

import errno
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .flash_errors import FlashError, LineLost

Advance = Callable[[str, int, int], None]

_INFO = "INFO_UF2.TXT"
_FILE = "fieldconf.uf2"
_MOUNTS = Path("/proc/self/mounts")
# macOS has no such list; its drives are folders here.
_VOLUMES = Path("/Volumes")
_LABELS = Path("/dev/disk/by-label")
_PIECE = 64 * 1024
_LOOK_S = 0.05


@dataclass(frozen=True)
class Drive:
    """A drive that takes UF2 files.

    Attributes:
        folder: where it is mounted.
        device: what is mounted; it vanishes with the board.
        board: which board says it is, as in ``RPI-RP2``.
    """

    folder: Path
    device: Path
    board: str

    def is_there(self) -> bool:
        """Tell whether the boot loader still waits. A folder may outlive the board under it."""
        return self.device.exists() and (self.folder / _INFO).exists()


def drives(mounts: Path = _MOUNTS) -> list[Drive]:
    """Return the drives of boot loaders that are mounted."""
    found = []
    for device, folder in _mounted(mounts):
        board = board_of(folder)
        if board is not None:
            found.append(Drive(folder, device, board))
    return found


def _mounted(mounts: Path) -> list[tuple[Path, Path]]:
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return [(each, each) for each in sorted(_VOLUMES.glob("*"))]
    # Only FAT: to look into every mount might wait for a network.
    rows = [line.split() for line in lines]
    # A blank in a path is written \040 there.
    return [
        (Path(row[0]), Path(row[1].replace("\\040", " ")))
        for row in rows
        if len(row) > 2 and row[2] in ("vfat", "msdos")
    ]


def board_of(folder: Path) -> str | None:
    """Return which board's boot loader a folder is the drive of; None if of none."""
    try:
        lines = (folder / _INFO).read_text(errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip().lower() == "board-id":
            return value.strip()
    return None


def chosen(wanted: str, there: Sequence[Drive], labels: Path = _LABELS) -> Drive:
    """Return the drive of the board that is `wanted`, as in ``RPI-RP2``.

    Raises:
        FlashError: it is not there, there are several, or another board's is there.
    """
    fitting = [drive for drive in there if drive.board == wanted]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        listed = "".join(f"\n  {drive.folder}" for drive in fitting)
        raise FlashError(
            f"there are several drives {wanted}:{listed}",
            "name one of these folders instead of auto",
            kind="several-ports",
        )
    if there:
        raise _wrong_board(there[0], wanted)
    if (labels / wanted).exists():
        raise FlashError(
            f"the drive {wanted} is there, but not mounted",
            f"udisksctl mount -b {labels / wanted}   (or mount it as root), and run it again",
            kind="not-mounted",
        )
    raise FlashError(
        f"no drive {wanted} is there",
        "hold the button BOOTSEL while you plug the board in, and run it again",
        kind="no-port",
    )


def flash(
    drive: Drive,
    wanted: str,
    content: bytes,
    advance: Advance = lambda what, done, total: None,
    patience_s: float = 30.0,
) -> None:
    """Copy a UF2 file onto the drive of the board that is `wanted`, and wait until it starts.

    Raises:
        LineLost: the drive vanished before it had everything.
        FlashError: the drive is another board's, or does not take the file.
    """
    if drive.board != wanted:
        raise _wrong_board(drive, wanted)
    try:
        _copy(drive, content, advance)
    except OSError as error:
        raise _not_copied(drive, error) from error
    deadline = time.monotonic() + patience_s
    while drive.is_there():
        if time.monotonic() > deadline:
            raise FlashError(
                f"the boot loader at {drive.folder} has all of the file, but does not start it",
                "plug the board in anew with BOOTSEL held, and run it again; "
                "is the image for this board?",
                kind="verify",
            )
        time.sleep(_LOOK_S)


def _copy(drive: Drive, content: bytes, advance: Advance) -> None:
    done = 0
    try:
        # Nothing is kept back, so that what is told is true.
        with open(drive.folder / _FILE, "wb", buffering=0) as file:
            while done < len(content):
                done += file.write(content[done : done + _PIECE])
                os.fsync(file.fileno())
                advance("writing", done, len(content))
    except OSError:
        # The board starts as soon as it has the last block: what comes after is talked to nobody.
        if done < len(content) or drive.is_there():
            raise


def _not_copied(drive: Drive, error: OSError) -> FlashError:
    if not drive.is_there() or error.errno in (errno.EIO, errno.ENODEV, errno.ENXIO):
        return LineLost(
            f"the drive {drive.folder} vanished before it had the whole file",
            "plug the board in with BOOTSEL held, and run it again: its boot loader stays",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return FlashError(
            f"you may not write to {drive.folder}",
            "mount it as the user who flashes (udisksctl mount does), or run this as root",
            kind="no-permission",
        )
    return FlashError(
        f"cannot write to {drive.folder}: {error.strerror}",
        "plug the board in anew with BOOTSEL held, and run it again",
    )


def _wrong_board(drive: Drive, wanted: str) -> FlashError:
    return FlashError(
        f"the drive {drive.folder} is of the board {drive.board}, the image is for {wanted}",
        "plug in the right board, or say --board for this one",
        kind="wrong-chip",
    )
