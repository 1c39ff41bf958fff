"""Files on a board that runs MicroPython, through its raw REPL.

Works with what the board has: without `hashlib` files are read back to compare them, without
`binascii` bytes travel as literals, without `os.rename` a file is written under its own name.
MicroPython 1.9.2 of the micro:bit is the oldest that is tried.

Paths are relative to where the board starts, which is the root of its file system.
"""

import ast
import base64
import hashlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .flash_errors import BoardError, FlashError, NoSense
from .raw_repl import RawRepl

AGAIN = "check cable and power, and run it again: only what differs is written"
# A new file has this name until it is complete; what a cut left behind goes with the next one.
PART = "fieldconf.part"
_SMALLEST, _LARGEST = 64, 4096
# A piece exists several times while it is decoded, beside what the heap has lost to crumbs.
_SHARE = 16
# Collecting garbage, erasing blocks: boards are silent for seconds.
PATIENCE_S = 20.0

# What the board remembers while files go to and fro. Old boards know `os` as `uos`, too.
_PRELUDE = """
import gc,sys
def _m(*n):
 for m in n:
  try:
   return __import__(m)
  except ImportError:
   pass
os=_m('os','uos')
_b=_m('binascii','ubinascii')
_h=_m('hashlib','uhashlib')
def _o(p):
 try:
  return open(p,'rb')
 except OSError:
  pass
def _s(p):
 f=_o(p)
 if not f:
  return
 h=_h.sha256()
 n=0
 while 1:
  d=f.read(256)
  if not d:
   break
  n+=len(d)
  h.update(d)
 f.close()
 return n,h.digest()
def _d(p):
 try:
  os.mkdir(p)
 except OSError:
  pass
def _t(p):
 try:
  n=os.listdir(p)
 except OSError:
  return
 for x in n:
  yield x,os.stat(p+'/'+x)[0]&0x4000!=0
"""

# A watchdog cannot be stopped, and outlives a soft reset; timers do not.
_FEED = """
try:
 import machine
 for n in (60000,30000,8000):
  try:
   _w=machine.WDT(timeout=n)
   break
  except ValueError:
   pass
 _f=machine.Timer(-1)
 _f.init(period=1000,callback=lambda t:_w.feed())
except Exception:
 pass
"""

_FACTS = """
gc.collect()
i=sys.implementation
v=os.statvfs('.') if hasattr(os,'statvfs') else (0,)*5
print((i[0],tuple(i[1])[:3],getattr(i,'_mpy',0),sys.platform,getattr(i,'_machine',''),
gc.mem_free(),hasattr(os,'stat'),hasattr(os,'rename'),hasattr(_h,'sha256'),bool(_b),v[0],v[0]*v[4]))
"""


@dataclass(frozen=True)
class Facts:
    """What a board says of itself.

    Attributes:
        mpy: version of the compiled files that it takes; 0 where it takes none.
        heap: free memory, in bytes.
        block: what the size of a file is rounded up to; 0 where the board does not say.
        free: room for files, in bytes; means nothing where `block` is 0.
    """

    name: str
    version: tuple[int, ...]
    mpy: int
    platform: str
    machine: str
    heap: int
    has_stat: bool
    has_rename: bool
    has_hash: bool
    has_base64: bool
    block: int
    free: int

    @property
    def text(self) -> str:
        """Name and version, as in ``MicroPython 1.24.1 on rp2``."""
        version = ".".join(map(str, self.version))
        name = {"micropython": "MicroPython", "circuitpython": "CircuitPython"}.get(self.name)
        return f"{name or self.name} {version} on {self.machine or self.platform}"


_KINDS = [str, tuple, int, str, str, int, bool, bool, bool, bool, int, int]


class BoardFiles:
    """The files of a board whose raw REPL takes code, until the board is reset.

    Args:
        smaller: how often to halve the pieces that its memory would allow.
    """

    def __init__(self, repl: RawRepl, smaller: int = 0) -> None:
        self._repl = repl
        repl.execute(_PRELUDE)
        self.facts = self._facts()
        share = self.facts.heap // _SHARE >> smaller
        whole = min(_LARGEST, 1 << max(share, 1).bit_length() - 1)
        self.piece = max(_SMALLEST, whole)

    def digest(self, path: str) -> tuple[int, bytes] | None:
        """Return size and SHA-256 of a file as it is on the board, None if there is none."""
        if self.facts.has_hash:
            answer = self.ask(f"_s({path!r}) or ()", tuple)
            if answer and [type(each) for each in answer] != [int, bytes]:
                raise _nonsense(repr(answer).encode())
            return answer or None
        content = self.read(path)
        return None if content is None else sum_of(content)

    def read(self, path: str) -> bytes | None:
        """Return the content of a file, None if there is none."""
        if not self.ask(f"_o({path!r}) is not None", bool):
            return None
        self._repl.execute(f"f=_o({path!r})")
        content = b""
        while piece := self.ask(f"f.read({self.piece // 2})", bytes):
            content += piece
        self._repl.execute("f.close()")
        return content

    def write(self, path: str, content: bytes, advance: Callable[[int], None]) -> None:
        """Put a file onto the board: its old content, or none, stays until the new is proved.

        Boards that cannot rename lose the old content at once, and hold the new one in the end.
        `advance` is told how many more bytes are on the board.

        Raises:
            NoSense: what the board holds is not what was sent; the old file is still there.
        """
        self._make_folders(path)
        name = PART if self.facts.has_rename else path
        self._repl.execute(f"f=open({name!r},'wb')\nw=f.write", PATIENCE_S)
        for start in range(0, len(content), self.piece):
            piece = content[start : start + self.piece]
            self._repl.execute(f"w({self.literal(piece)})", PATIENCE_S)
            advance(len(piece))
        self._repl.execute("f.close()", PATIENCE_S)
        if self.digest(name) != sum_of(content):
            raise NoSense(f"{path} does not read back as it was written", AGAIN, kind="verify")
        if name != path:
            self._repl.execute(f"os.rename({name!r},{path!r})", PATIENCE_S)

    def rename(self, path: str, new: str) -> None:
        """Give a file another name, in place of what had it."""
        self._repl.execute(f"os.rename({path!r},{new!r})", PATIENCE_S)

    def remove(self, path: str) -> None:
        """Remove a file; nothing happens if there is none."""
        try:
            self._repl.execute(f"os.remove({path!r})", PATIENCE_S)
        except BoardError as error:
            if "OSError" not in error.traceback:
                raise

    def walk(self, folder: str) -> Iterator[str]:
        """Yield the paths of all files below a folder; none if there is no such folder."""
        for name, is_folder in self._entries(folder):
            path = f"{folder}/{name}"
            if is_folder:
                yield from self.walk(path)
            else:
                yield path

    def remove_tree(self, folder: str) -> None:
        """Remove a folder with all that is in it; nothing happens if there is none."""
        for name, is_folder in self._entries(folder):
            if is_folder:
                self.remove_tree(f"{folder}/{name}")
            else:
                self.remove(f"{folder}/{name}")
        try:
            self._repl.execute(f"os.rmdir({folder!r})", PATIENCE_S)
        except BoardError as error:
            if "OSError" not in error.traceback:
                raise

    def feed_watchdog(self) -> None:
        """Feed the watchdog that a program left behind, until the board is reset."""
        self._repl.execute(_FEED)

    def tidy(self) -> None:
        """Close and remove a file that was being written."""
        if self.facts.has_rename:
            self._repl.execute("try:\n f.close()\nexcept NameError:\n pass", PATIENCE_S)
            self.remove(PART)

    def _entries(self, folder: str) -> list[tuple[str, bool]]:
        """Return what is in a folder: name, and whether that is a folder as well."""
        found: list[tuple[str, bool]] = self.ask(f"list(_t({folder!r}))", list)
        for each in found:
            if not isinstance(each, tuple) or [type(part) for part in each] != [str, bool]:
                raise _nonsense(repr(each).encode())
        return found

    def _make_folders(self, path: str) -> None:
        parents = path.split("/")[:-1]
        for count in range(1, len(parents) + 1):
            self._repl.execute(f"_d({'/'.join(parents[:count])!r})", PATIENCE_S)

    def literal(self, piece: bytes) -> str:
        if self.facts.has_base64:
            return f"_b.a2b_base64({base64.b64encode(piece).decode()!r})"
        return repr(piece)

    def _facts(self) -> Facts:
        try:
            values = _value(self._repl.execute(_FACTS), tuple)
            if [type(each) for each in values] != _KINDS:
                raise _nonsense(repr(values).encode())
            return Facts(*values)
        except BoardError as error:
            raise FlashError(
                f"this board's Python cannot say what it is: {error.text}",
                "flash a MicroPython from micropython.org for this board first",
                kind="too-small",
            ) from error

    def ask(self, expression: str, kind: type) -> Any:
        return _value(self._repl.execute(f"print({expression})", PATIENCE_S), kind)


def sum_of(content: bytes) -> tuple[int, bytes]:
    """Return size and SHA-256, as `BoardFiles.digest` does."""
    return len(content), hashlib.sha256(content).digest()


def _value(printed: bytes, kind: type) -> Any:
    """Return the value that the board printed, as far as it is one of this kind."""
    try:
        with warnings.catch_warnings():
            # Noise makes escapes that mean nothing.
            warnings.simplefilter("ignore")
            value = ast.literal_eval(printed.decode().strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise _nonsense(printed) from error
    if type(value) is not kind:
        raise _nonsense(printed)
    return value


def _nonsense(printed: bytes) -> NoSense:
    return NoSense(f"the board answered {printed[:60]!r}", AGAIN)
