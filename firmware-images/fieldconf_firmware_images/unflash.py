"""Takes an agent off a board again: what `flash_repl` put there, and what the agent kept since.

MicroPython and all other files stay. The settings go last, so that a board on which this was cut
is still known as the node's, and the next try goes on.
"""

import json

from .agent_files import is_in_place
from .board_files import AGAIN, PART, BoardFiles
from .board_rom import BoardRom
from .flash_errors import BoardError, FlashError, NoSense
from .flash_repl import KEPT_MAIN, MAIN, OWN_FOLDER, SETTINGS, STATE_FOLDERS
from .raw_repl import Line, RawRepl

_OURS = b"fieldconf_microagent"
_TRIES = 4
# Where nothing else lies.
_EMPTY_LIB = "try:\n os.rmdir('lib')\nexcept OSError:\n pass"


def unflash(line: Line, fleet: str, node: str) -> bool:
    """Make a board forget that it is this node, and restart it; its former main.py runs again.

    Returns False for a board that is another node by now: it is left alone.

    Raises:
        LineLost: the cable; run it again.
        FlashError: the board cannot be talked to, or keeps its files.
    """
    repl = RawRepl(line)
    for number in range(_TRIES):
        try:
            repl.enter()
            repl.soft_reset()
            cleared = _cleared(repl, BoardFiles(repl, number), fleet, node)
            repl.restart()
            return cleared
        except (NoSense, BoardError) as error:
            # Noise on the line, which turns code into other code, too.
            if error.kind == "no-answer" or number == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def _cleared(repl: RawRepl, board: BoardFiles, fleet: str, node: str) -> bool:
    settings = board.read(SETTINGS)
    if settings is not None and _identity(settings) != (fleet, node):
        return False
    main = board.read(MAIN)
    if main is not None and _OURS in main:
        board.remove(MAIN)
        main = None
    # Without settings no agent has run: what has these names is somebody else's.
    for folder in (OWN_FOLDER, *(STATE_FOLDERS if settings is not None else ())):
        board.remove_tree(folder)
    rom = BoardRom(repl, board)
    in_rom = rom.files()
    if in_rom and all(map(is_in_place, in_rom)):
        rom.clear()
    repl.execute(_EMPTY_LIB)
    board.remove(PART)
    if main is None and board.digest(KEPT_MAIN):
        board.rename(KEPT_MAIN, MAIN)
    board.remove(SETTINGS)
    if board.digest(SETTINGS):
        raise FlashError("the board does not let its files be removed", AGAIN, kind="board")
    return True


def _identity(settings: bytes) -> tuple[object, object] | None:
    try:
        known = json.loads(settings)
        return known.get("fleet"), known.get("node")
    except (ValueError, AttributeError):
        return None
