"""Puts files onto a board that runs MicroPython already, through its raw REPL.

What is on the board as it shall be is left alone. Every file is written under another name, read
back, and only then takes its place; `main.py` goes first and comes last, so that half an agent is
never started. Nothing here knows ports.

A board may fall out of the talk: noise on the line, or the watchdog of the agent that ran before.
Then everything is compared anew and what is missing written, up to `_TRIES` times.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from .board_files import BoardFiles, Facts, sum_of
from .flash_errors import FlashError, LineLost, NoSense
from .raw_repl import Line, RawRepl

MAIN = "main.py"
#: What a `main.py` is kept as that is not ours.
KEPT_MAIN = "main_before_fieldconf.py"
#: In these folders nothing but ours may lie; a file of an older agent could be loaded.
OWN_FOLDERS = ("lib/fieldconf_microagent",)
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
    """

    heap: int = 0
    files: bool = False


#: Of the agent; the heap is that of design 16, on a board of 32 bits.
AGENT = Needs(heap=24 * 1024, files=True)


@dataclass
class Outcome:
    """What was done to a board.

    Attributes:
        written: paths of files that differed.
        kept: how many files were as they should be.
        removed: paths of files that nobody needs any more.
    """

    facts: Facts
    written: list[str] = field(default_factory=list)
    kept: int = 0
    removed: list[str] = field(default_factory=list)


def flash(
    line: Line,
    files: Mapping[str, bytes],
    advance: Advance = lambda what, done, total: None,
    needs: Needs = AGENT,
    forget: Sequence[str] = (),
) -> Outcome:
    """Make a board hold `files`, each read back and compared, and leave it in its raw REPL.

    `files` is content by path, as in ``{"lib/fieldconf_microagent/agent.mpy": b"..."}``; the
    folders `forget` are removed when any file is written: they hold what another node left.

    Raises:
        LineLost: the cable; the board is as if it had lost power, and can be flashed again.
        FlashError: the board cannot hold or run the files, and nothing was changed; or it could
            not be made to hold them (`NoSense`), and can be flashed again.
        KeyboardInterrupt: the person stopped it; the board was left at its prompt, tidy.
    """
    repl = RawRepl(line)
    for left in reversed(range(_TRIES)):
        try:
            return _once(repl, files, advance, needs, forget)
        except NoSense as error:
            if error.kind == "no-answer" or not left:
                raise
    raise AssertionError("the last try returns or raises")


def restart(line: Line) -> None:
    """Let a board that was flashed run its main.py."""
    RawRepl(line).restart()


def _once(
    repl: RawRepl, files: Mapping[str, bytes], advance: Advance, needs: Needs, forget: Sequence[str]
) -> Outcome:
    repl.enter()
    # Frees what a program held, without starting it again.
    repl.soft_reset()
    board = BoardFiles(repl)
    try:
        return _bring(board, files, advance, needs, forget)
    except KeyboardInterrupt:
        _stop(repl, board)
        raise


def _stop(repl: RawRepl, board: BoardFiles) -> None:
    """Leave a board tidy after a Ctrl-C, which may have come in the middle of a talk."""
    try:
        repl.enter()
        board.tidy()
        repl.leave()
    except (FlashError, LineLost):
        # It is as after a cut, which the next run mends.
        pass


def _bring(
    board: BoardFiles,
    files: Mapping[str, bytes],
    advance: Advance,
    needs: Needs,
    forget: Sequence[str],
) -> Outcome:
    _check(board.facts, files, needs)
    outcome = Outcome(board.facts)
    differ = _compare(board, files, advance)
    outcome.kept = len(files) - len(differ)
    old = _obsolete(board, files) if needs.files else []
    if not differ and not old:
        return outcome
    _check_room(board, files, differ)
    if MAIN in files and needs.files:
        _put_main_aside(board)
        differ = {**differ, MAIN: 0}
    for path in old:
        board.remove(path)
        outcome.removed.append(path)
    for folder in forget:
        board.remove_tree(folder)
    _write(board, files, sorted(differ, key=lambda path: (path == MAIN, path)), advance, outcome)
    return outcome


def _compare(board: BoardFiles, files: Mapping[str, bytes], advance: Advance) -> dict[str, int]:
    """Return the paths whose files differ, with the size that each has now."""
    differ = {}
    for number, path in enumerate(sorted(files)):
        found = board.digest(path)
        if found != sum_of(files[path]):
            differ[path] = found[0] if found else 0
        advance("comparing", number + 1, len(files))
    return differ


def _obsolete(board: BoardFiles, files: Mapping[str, bytes]) -> list[str]:
    return [path for folder in OWN_FOLDERS for path in board.walk(folder) if path not in files]


def _put_main_aside(board: BoardFiles) -> None:
    """Make sure that nothing starts while files change; keep what somebody else wrote."""
    content = board.read(MAIN)
    if content is not None and _OURS not in content:
        board.rename(MAIN, KEPT_MAIN)
    else:
        board.remove(MAIN)


def _write(
    board: BoardFiles,
    files: Mapping[str, bytes],
    paths: Sequence[str],
    advance: Advance,
    outcome: Outcome,
) -> None:
    total = sum(len(files[path]) for path in paths)
    done = 0

    def more(count: int) -> None:
        nonlocal done
        done += count
        advance("writing", done, total)

    for path in paths:
        board.write(path, files[path], more)
        outcome.written.append(path)


# -- what a board must be


def _check(facts: Facts, files: Mapping[str, bytes], needs: Needs) -> None:
    """Refuse a board that cannot run the files, before anything is written."""
    if needs.files and not (facts.has_stat and facts.has_rename):
        raise FlashError(
            f"this board cannot hold the agent: {facts.text} has {_kib(facts.heap)} of free "
            "memory and a file system without folders",
            f"the agent needs {_kib(needs.heap)} and MicroPython 1.19 or later: take another "
            "board, or one with a newer MicroPython",
            kind="too-small",
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


def _check_room(board: BoardFiles, files: Mapping[str, bytes], differ: Mapping[str, int]) -> None:
    """Refuse a board whose file system is too small, as far as it says its size."""
    block = board.facts.block
    if not block:
        return

    def blocks(size: int) -> int:
        return -(-size // block) * block

    # Each new file is there beside the old one for a while; main.py goes first.
    grows = sum(blocks(len(files[path])) - blocks(size) for path, size in differ.items())
    needed = max(grows, 0) + max(blocks(len(files[path])) for path in differ or files)
    if needed > board.facts.free:
        raise FlashError(
            f"the files do not fit: {_kib(needed)} more are needed, the board has "
            f"{_kib(board.facts.free)} left",
            "remove files from the board, or make its file system anew with a full image",
            kind="too-small",
        )


def _kib(size: int) -> str:
    return f"{size / 1024:.0f} KB"
