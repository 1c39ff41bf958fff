"""Puts files onto a board that runs MicroPython already, through its raw REPL.

What is on the board as it shall be is left alone. Every file is written under another name, read
back, and only then takes its place; `main.py` goes first and comes last, so that half an agent is
never started. Nothing here knows ports.

A board may fall out of the talk: noise on the line, or the watchdog of the agent that ran before.
Then everything is compared anew and what is missing written in smaller pieces, `_TRIES` times in
all. Noise may turn code into other code, too: hence the comparison at the end.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import agent_files, romfs_image
from .board_files import AGAIN, BoardFiles, Facts, sum_of
from .board_needs import AGENT, Needs, check, check_room, why_not_in_place
from .board_rom import BoardRom
from .flash_errors import BoardError, FlashError, NoSense
from .raw_repl import Line, RawRepl

MAIN = "main.py"
SETTINGS = agent_files.SETTINGS
#: What a `main.py` is kept as that is not ours.
KEPT_MAIN = "main_before_fieldconf.py"
#: In this folder nothing but ours may lie; a file of an older agent could be loaded.
OWN_FOLDER = agent_files.FOLDER
#: What the agent was told, and what it made of it, for the node that it was then.
STATE_FOLDERS = ("state", "recipes", "parts", "data")
_OURS = b"fieldconf_microagent"
_TRIES = 4

#: What is told while it goes on: what is done, how much of it is done, how much there is.
Advance = Callable[[str, int, int], None]


@dataclass
class Outcome:
    """What was done to a board.

    Attributes:
        written: paths of files that differed.
        kept: how many files were as they should be.
        removed: paths of files that nobody needs any more.
        rom: where its modules run in place.
    """

    facts: Facts
    written: list[str]
    kept: int
    removed: list[str]
    rom: "InRom"


@dataclass
class InRom:
    """What became of a board's ROMFS.

    Attributes:
        used: how many bytes of it the agent takes; 0 if the agent is among the files.
        size: how many it has.
        is_written: they differed before.
        why: the agent is among the files, though there it takes more memory than the board may
            have; empty where that does not matter.
    """

    used: int = 0
    size: int = 0
    is_written: bool = False
    why: str = ""


def flash(
    line: Line,
    files: Mapping[str, bytes],
    advance: Advance = lambda what, done, total: None,
    needs: Needs = AGENT,
) -> Outcome:
    """Make a board hold `files`, each read back and compared, and leave it in its raw REPL.

    `files` is content by path, as in ``{"lib/fieldconf_microagent/agent.mpy": b"..."}``. The
    agent's modules go into the board's ROMFS, where it has one. A board that was another node, or
    has a new key, forgets what it was told before.

    Raises:
        LineLost: the cable; the board is as if it had lost power, and can be flashed again.
        FlashError: the board cannot hold or run the files, and nothing was changed; or it could
            not be made to hold them (`NoSense`), and can be flashed again.
        KeyboardInterrupt: the person stopped it; the board was left at its prompt, tidy.
    """
    job = _Job(RawRepl(line), files, advance, needs)
    for number in range(_TRIES):
        try:
            return job.run(smaller=number)
        except NoSense as error:
            if error.kind == "no-answer" or number == _TRIES - 1:
                raise
        except BoardError as error:
            if told := _meaning(error, is_last=number == _TRIES - 1):
                raise told from error
    raise AssertionError("the last try returns or raises")


def restart(line: Line) -> None:
    """Let a board that was flashed run its main.py."""
    RawRepl(line).restart()


class _Job:
    """What shall be on which board, until it is."""

    def __init__(
        self, repl: RawRepl, files: Mapping[str, bytes], advance: Advance, needs: Needs
    ) -> None:
        self._repl = repl
        self._all = self._files = files
        self._image = b""
        self._advance = advance
        self._needs = needs
        self._kept: int | None = None
        self._written: list[str] = []
        self._removed: list[str] = []
        self._in_rom = InRom()

    def run(self, smaller: int) -> Outcome:
        """Try it once; each time `smaller` is higher, pieces are smaller."""
        self._repl.enter()
        # Frees what a program held, without starting it again.
        self._repl.soft_reset()
        board = BoardFiles(self._repl, smaller)
        try:
            self._bring(board)
        except KeyboardInterrupt:
            self._stop(board)
            raise
        kept = self._kept or 0
        return Outcome(board.facts, self._written, kept, self._removed, self._in_rom)

    def _stop(self, board: BoardFiles) -> None:
        """Leave a board tidy after a Ctrl-C, which may have come in the middle of a talk."""
        try:
            self._repl.enter()
            board.tidy()
            self._repl.leave()
        except FlashError:
            # It is as after a cut, which the next run mends.
            pass

    def _bring(self, board: BoardFiles) -> None:
        check(board.facts, self._all, self._needs)
        if self._needs.files and _OURS in (board.read(MAIN) or b""):
            board.feed_watchdog()
        rom = self._divide(board)
        differ, is_other = self._compare(board, rom, "comparing")
        if self._kept is None:
            self._kept = len(self._files) - len(differ)
        old = self._obsolete(board)
        if not (differ or old or is_other):
            return
        check_room(board.facts, self._files, differ)
        if MAIN in self._files and self._needs.files:
            _put_main_aside(board)
            differ[MAIN] = 0
        self._remove(board, old, rom)
        if self._needs.files and self._is_somebody_else(board):
            for folder in STATE_FOLDERS:
                board.remove_tree(folder)
        self._write(board, rom if is_other else None, differ)
        if any(self._compare(board, rom, "verifying")):
            raise NoSense("the files do not read back as they were written", AGAIN, kind="verify")

    def _divide(self, board: BoardFiles) -> BoardRom | None:
        """Return where the agent runs in place; None if it is among the files."""
        own = agent_files.in_place(self._all)
        self._files = self._all
        if not (own and self._needs.files):
            return None
        rom = BoardRom(self._repl, board)
        self._image = romfs_image.pack(own)
        others = [path for path in rom.files() if not agent_files.is_in_place(path)]
        why = why_not_in_place(board.facts, rom.size, len(self._image), bool(others))
        self._in_rom = InRom(0, rom.size, self._in_rom.is_written, why)
        if why or not rom.size:
            return None
        self._in_rom.used = len(self._image)
        self._files = {path: self._all[path] for path in self._all if path not in own}
        return rom

    def _compare(
        self, board: BoardFiles, rom: BoardRom | None, what: str
    ) -> tuple[dict[str, int], bool]:
        """Return the paths whose files differ, with the size that each has now; does the ROMFS?"""
        differ = {}
        total = len(self._files) + bool(rom)
        for number, path in enumerate(sorted(self._files)):
            found = board.digest(path)
            if found != sum_of(self._files[path]):
                differ[path] = found[0] if found else 0
            self._advance(what, number + 1, total)
        is_other = False
        if rom:
            is_other = not rom.holds(self._image)
            self._advance(what, total, total)
        return differ, is_other

    def _obsolete(self, board: BoardFiles) -> list[str]:
        if not self._needs.files:
            return []
        return [path for path in board.walk(OWN_FOLDER) if path not in self._files]

    def _remove(self, board: BoardFiles, paths: Sequence[str], rom: BoardRom | None) -> None:
        for path in paths:
            board.remove(path)
            self._removed.append(path)
        if rom:
            # An empty folder, too, would be where the board looks for the agent.
            board.remove_tree(OWN_FOLDER)

    def _is_somebody_else(self, board: BoardFiles) -> bool:
        """Tell whether the board has an identity, and gets another one."""
        old, new = board.read(SETTINGS), self._files.get(SETTINGS)
        return old is not None and new is not None and _identity(old) != _identity(new)

    def _write(self, board: BoardFiles, rom: BoardRom | None, differ: Mapping[str, int]) -> None:
        paths = sorted(differ, key=lambda path: (path == MAIN, path))
        total = sum(len(self._files[path]) for path in paths) + (len(self._image) if rom else 0)
        done = 0

        def more(count: int) -> None:
            nonlocal done
            done += count
            self._advance("writing", done, total)

        if rom:
            rom.write(self._image, more)
            self._in_rom.is_written = True
        for path in paths:
            board.write(path, self._files[path], more)
            if path not in self._written:
                self._written.append(path)


def _put_main_aside(board: BoardFiles) -> None:
    """Make sure that nothing starts while files change; keep what somebody else wrote."""
    content = board.read(MAIN)
    if content is not None and _OURS not in content:
        board.rename(MAIN, KEPT_MAIN)
    else:
        board.remove(MAIN)


def _identity(settings: bytes) -> tuple[object, ...] | None:
    try:
        known = json.loads(settings)
        return tuple(known.get(name) for name in ("fleet", "node", "key"))
    except (ValueError, AttributeError):
        return None


# What a board may say that is no noise: how its last line begins, what it means, what to do.
_MEANINGS = (
    (
        ("OSError: 28", "OSError: [Errno 28]"),
        "the file system of the board is full",
        "remove files from the board, or make its file system anew with a full image",
    ),
    (
        ("OSError: 30", "OSError: [Errno 30]"),
        "the board does not let its files be written",
        "eject its drive from this computer, or press its reset button, and run it again",
    ),
    (
        ("OSError: 5", "OSError: [Errno 5]", "OSError: 19", "OSError: [Errno 19]"),
        "the flash of the board cannot be written",
        "make its file system anew with a full image; if that fails as well, the flash is worn",
    ),
)


def _meaning(error: BoardError, is_last: bool) -> FlashError | None:
    """Return what to tell the person; None where another try may help."""
    said = error.text.removeprefix("the board says ")
    for beginnings, text, hint in _MEANINGS:
        if any(said == each or said.startswith(each + " ") for each in beginnings):
            return FlashError(text, hint, kind="board")
    if not is_last:
        return None
    if said.startswith("MemoryError"):
        return FlashError(
            "the board has too little memory", "take a board with more", kind="too-small"
        )
    return NoSense(f"code reached the board garbled: {error.text}", AGAIN)
