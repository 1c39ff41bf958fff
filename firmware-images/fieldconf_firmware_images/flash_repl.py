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

from .board_files import AGAIN, BoardFiles, Facts, sum_of
from .flash_errors import BoardError, FlashError, NoSense
from .raw_repl import Line, RawRepl

MAIN = "main.py"
SETTINGS = "settings.json"
#: What a `main.py` is kept as that is not ours.
KEPT_MAIN = "main_before_fieldconf.py"
#: In these folders nothing but ours may lie; a file of an older agent could be loaded.
OWN_FOLDERS = ("lib/fieldconf_microagent",)
#: What the agent was told, and what it made of it, for the node that it was then.
STATE_FOLDERS = ("state", "recipes", "parts", "data")
_OURS = b"fieldconf_microagent"
_TRIES = 4

#: What is told while it goes on: what is done, how much of it is done, how much there is.
Advance = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Needs:
    """What files ask of a board; a plain transfer asks nothing.

    Attributes:
        heap: free memory without them, in bytes.
        files: they import each other from folders, and write files that they rename.
        version: of MicroPython, at least.
    """

    heap: int = 0
    files: bool = False
    version: tuple[int, ...] = ()


#: Of the agent; the heap is that of design 16, on a board of 32 bits.
AGENT = Needs(heap=24 * 1024, files=True, version=(1, 20))


@dataclass
class Outcome:
    """What was done to a board.

    Attributes:
        written: paths of files that differed.
        kept: how many files were as they should be.
        removed: paths of files that nobody needs any more.
    """

    facts: Facts
    written: list[str]
    kept: int
    removed: list[str]


def flash(
    line: Line,
    files: Mapping[str, bytes],
    advance: Advance = lambda what, done, total: None,
    needs: Needs = AGENT,
) -> Outcome:
    """Make a board hold `files`, each read back and compared, and leave it in its raw REPL.

    `files` is content by path, as in ``{"lib/fieldconf_microagent/agent.mpy": b"..."}``. A board
    that was another node, or has a new key, forgets what it was told before.

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
        self._files = files
        self._advance = advance
        self._needs = needs
        self._kept: int | None = None
        self._written: list[str] = []
        self._removed: list[str] = []

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
        return Outcome(board.facts, self._written, self._kept or 0, self._removed)

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
        check(board.facts, self._files, self._needs)
        if self._needs.files and _OURS in (board.read(MAIN) or b""):
            board.feed_watchdog()
        differ = self._compare(board, "comparing")
        if self._kept is None:
            self._kept = len(self._files) - len(differ)
        old = self._obsolete(board)
        if not differ and not old:
            return
        check_room(board.facts, self._files, differ)
        if MAIN in self._files and self._needs.files:
            _put_main_aside(board)
            differ[MAIN] = 0
        for path in old:
            board.remove(path)
            self._removed.append(path)
        if self._needs.files and self._is_somebody_else(board):
            for folder in STATE_FOLDERS:
                board.remove_tree(folder)
        self._write(board, sorted(differ, key=lambda path: (path == MAIN, path)))
        if self._compare(board, "verifying"):
            raise NoSense("the files do not read back as they were written", AGAIN, kind="verify")

    def _compare(self, board: BoardFiles, what: str) -> dict[str, int]:
        """Return the paths whose files differ, with the size that each has now."""
        differ = {}
        for number, path in enumerate(sorted(self._files)):
            found = board.digest(path)
            if found != sum_of(self._files[path]):
                differ[path] = found[0] if found else 0
            self._advance(what, number + 1, len(self._files))
        return differ

    def _obsolete(self, board: BoardFiles) -> list[str]:
        if not self._needs.files:
            return []
        there = (path for folder in OWN_FOLDERS for path in board.walk(folder))
        return [path for path in there if path not in self._files]

    def _is_somebody_else(self, board: BoardFiles) -> bool:
        """Tell whether the board has an identity, and gets another one."""
        old, new = board.read(SETTINGS), self._files.get(SETTINGS)
        return old is not None and new is not None and _identity(old) != _identity(new)

    def _write(self, board: BoardFiles, paths: Sequence[str]) -> None:
        total = sum(len(self._files[path]) for path in paths)
        done = 0

        def more(count: int) -> None:
            nonlocal done
            done += count
            self._advance("writing", done, total)

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


# -- what a board must be


def check(facts: Facts, files: Mapping[str, bytes], needs: Needs) -> None:
    """Refuse a board that cannot run the files, before anything is written."""
    if needs.files and not (facts.has_stat and facts.has_rename):
        raise FlashError(
            f"this board cannot hold the agent: {facts.text} has {_kib(facts.heap)} of free "
            "memory and a file system without folders",
            f"the agent needs {_kib(needs.heap)} and MicroPython {_version(needs.version)} or "
            "later: take another board, or one with a newer MicroPython",
            kind="too-small",
        )
    if needs.version and (facts.name != "micropython" or facts.version < needs.version):
        raise FlashError(
            f"this board runs {facts.text}, the agent needs MicroPython "
            f"{_version(needs.version)} or later",
            "flash a newer MicroPython from micropython.org first, or a whole image with --board",
            kind="wrong-board",
        )
    if facts.heap < needs.heap:
        raise FlashError(
            f"this board has too little memory: {facts.text} has {_kib(facts.heap)} free, "
            f"the agent needs {_kib(needs.heap)}",
            "take a board with more memory",
            kind="too-small",
        )
    for path, content in sorted(files.items()):
        # A compiled file begins with "M" and its version; the board's is in the low byte.
        if path.endswith(".mpy") and content[1] != facts.mpy & 0xFF:
            raise FlashError(
                f"{path} is compiled for version {content[1]} of compiled files, {facts.text} "
                f"takes {facts.mpy & 0xFF or 'none'}",
                "make the image for the board's MicroPython, or flash the MicroPython that the "
                "image is for",
                kind="wrong-board",
            )


def check_room(facts: Facts, files: Mapping[str, bytes], differ: Mapping[str, int]) -> None:
    """Refuse a board whose file system is too small, as far as it says its size."""
    block = facts.block
    if not block:
        return

    def blocks(size: int) -> int:
        return -(-size // block) * block

    # Each new file is there beside the old one for a while; main.py goes first.
    grows = sum(blocks(len(files[path])) - blocks(size) for path, size in differ.items())
    needed = max(grows, 0) + max(blocks(len(files[path])) for path in differ or files)
    if needed > facts.free:
        raise FlashError(
            f"the files do not fit: {_kib(needed)} more are needed, the board has "
            f"{_kib(facts.free)} left",
            "remove files from the board, or make its file system anew with a full image",
            kind="too-small",
        )


def _version(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _kib(size: int) -> str:
    return f"{size / 1024:.0f} KB"
