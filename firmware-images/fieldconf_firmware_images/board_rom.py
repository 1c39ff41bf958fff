"""The ROMFS of a board that runs MicroPython, through its raw REPL.

MicroPython gives it as memory that `vfs.rom_ioctl` erases and writes, or, as on the RP2, as a
device of blocks; both can be read as bytes. The beginning of an image is written last: MicroPython
mounts nothing that a cut left half written.
"""

from collections.abc import Callable

from .board_files import AGAIN, PATIENCE_S, BoardFiles, sum_of
from .flash_errors import NoSense
from .raw_repl import RawRepl

_FOLDER = "/rom"
# No flash is written in larger units, and none erases in smaller ones than 4 KiB.
_UNIT = 256

# Goes on with what `board_files` has put there: `_m`, `_h`.
_PRELUDE = """
_v=_m('vfs')
_r=_v.rom_ioctl(2,0) if hasattr(_v,'rom_ioctl') else -1
_i=getattr(_r,'ioctl',None)
def _z():
 if isinstance(_r,int):
  return 0
 return _i(4,0)*_i(5,0) if _i else len(_r)
def _c(r):
 if r and r<0:
  raise OSError(-r)
 return r or 0
def _e(n):
 try:
  _v.umount('/rom')
 except OSError:
  pass
 if not _i:
  return _c(_v.rom_ioctl(3,0,n))
 for a in range(0,n,_i(5,0)):
  _c(_i(6,a//_i(5,0)))
 return 0
def _w(o,b):
 if not _i:
  return _c(_v.rom_ioctl(4,0,o,b))
 _r.writeblocks(o//_i(5,0),b,o%_i(5,0))
def _y(n):
 h=_h.sha256()
 d=memoryview(_r)
 for a in range(0,n,256):
  h.update(bytes(d[a:min(a+256,n)]))
 return h.digest()
"""


class BoardRom:
    """The first ROMFS of the board whose files are `board`.

    Attributes:
        size: how many bytes it has; 0 where there is none.
    """

    def __init__(self, repl: RawRepl, board: BoardFiles) -> None:
        self._repl = repl
        self._board = board
        repl.execute(_PRELUDE, PATIENCE_S)
        self.size: int = board.ask("_z()", int)

    def files(self) -> list[str]:
        """Return the paths of the files in it, as in ``lib/x.mpy``, as far as it is mounted."""
        return [path.removeprefix(_FOLDER + "/") for path in self._board.walk(_FOLDER)]

    def holds(self, content: bytes) -> bool:
        """Tell whether it begins with this image."""
        if self._board.facts.has_hash:
            digest: bytes = self._board.ask(f"_y({len(content)})", bytes)
            return digest == sum_of(content)[1]
        return all(
            self._board.ask(f"bytes(memoryview(_r)[{at}:{at + _UNIT}])", bytes)[: len(piece)]
            == piece
            for at, piece in _pieces(content, _UNIT)
        )

    def write(self, content: bytes, advance: Callable[[int], None]) -> None:
        """Put an image there; `advance` is told how many more bytes are on the board.

        Raises:
            NoSense: what the board holds is not what was sent; there is no ROMFS then.
        """
        unit = max(self._board.ask(f"_e({len(content)})", int), _UNIT)
        first, *others = _pieces(content, max(self._board.piece, unit))
        for at, piece in [*others, first]:
            filled = piece.ljust(-(-len(piece) // unit) * unit, b"\xff")
            self._repl.execute(f"_w({at},{self._board.literal(filled)})", PATIENCE_S)
            advance(len(piece))
        # Some ports keep bytes back until they are told that this is all; others know no such word.
        self._repl.execute("_i or _v.rom_ioctl(5,0)", PATIENCE_S)
        if not self.holds(content):
            raise NoSense("the ROMFS does not read back as it was written", AGAIN, kind="verify")

    def clear(self) -> None:
        """Take its image away."""
        self._repl.execute(f"_e({_UNIT})", PATIENCE_S)


def _pieces(content: bytes, size: int) -> list[tuple[int, bytes]]:
    return [(at, content[at : at + size]) for at in range(0, len(content), size)]
