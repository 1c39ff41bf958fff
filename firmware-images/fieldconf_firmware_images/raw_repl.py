"""The raw REPL of MicroPython over any line of bytes: enter it, run code, reset, leave.

It opens no port: whoever calls brings a `Line`. Files on the board are `board_files`' business.

* Code goes by *raw paste* where the board has it (MicroPython 1.14 and later), which paces the
  sender, and by the plain raw REPL in small pieces elsewhere.
* Waiting for an answer is waiting for silence: a board that keeps talking may take as long as it
  likes, up to `_LONGEST` bytes. Before that, strangers may talk: there, time is limited as well.
* An agent of ours that has the line for its own frames gives it back for Return and Ctrl-C, if
  nothing follows for a fifth of a second (`serial_line`): later tries leave it that time.
* Whatever does not fit the protocol is `NoSense`; `enter` makes sense of the line again.
"""

import time
from collections.abc import Callable
from typing import Protocol

from .flash_errors import BoardError, NoSense

_INTERRUPT = b"\x03"
_RAW = b"\x01"
_FRIENDLY = b"\x02"
_END = b"\x04"
_PASTE = b"\x05A\x01"
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_PROMPT = b">>> "

_TRIES = 6
# Silence that ends what a board still had to say when it is interrupted.
_QUIET_S = 0.1
_LONGER_S = 0.3
_BANNER_S = 1.0
# So many times the patience for whoever talks without saying what is waited for.
_CHATTER = 4
# A reset runs the board's boot.py, which may wait for a network.
_RESET_S = 15.0
_ANSWER_S = 5.0
_LONGEST = 256 * 1024
# Old boards have buffers of 64 to 256 bytes behind a plain raw REPL.
_PIECE = 32
_PACE_S = 0.006


class Line(Protocol):
    """A line to a board. Both methods raise `LineLost` when it is gone."""

    def write(self, data: bytes) -> None:
        """Send all of `data`."""

    def read(self, patience_s: float) -> bytes:
        """Return what has come, at once if there is any; b"" after so long without a byte."""


class RawRepl:
    """The raw REPL of the board at the other end of `line`.

    Args:
        clock: seconds that only go up.

    Attributes:
        heard: the end of what the board wrote while it was asked for its REPL.
    """

    def __init__(self, line: Line, clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._input = bytearray()
        self._has_paste = True
        self.heard = b""

    def enter(self) -> None:
        """Stop what runs on the board and make it take code; also when it does already.

        Raises:
            NoSense: nobody answers as MicroPython does.
        """
        for number in range(_TRIES):
            # The carriage return ends what somebody may have typed halfway.
            self._line.write(b"\r" + _INTERRUPT + _INTERRUPT)
            self._drain(_QUIET_S + (_LONGER_S if number else 0))
            self._line.write(b"\r" + _RAW)
            if self._find(_BANNER, _BANNER_S):
                # What came twice, because the board was slow, is no answer to anything later.
                self._drain()
                return
        raise NoSense(
            f"no MicroPython answers on this line; {_quoted(self.heard)}",
            "press the board's reset button and try again; a board without MicroPython "
            "needs its firmware first",
            kind="no-answer",
        )

    def execute(self, code: str, patience_s: float = _ANSWER_S) -> bytes:
        """Run `code` on the board and return what it printed.

        Args:
            code: Python, as the board's version understands it.
            patience_s: how long the board may say nothing.

        Raises:
            BoardError: the code ended with an exception; the board takes more.
            NoSense: the answer was garbled; call `enter` before anything else.
        """
        data = code.encode()
        if not self._paste(data):
            self._send(data)
        printed = self._until(_END, patience_s)
        problem = self._until(_END, _ANSWER_S)
        self._expect(b">")
        if problem:
            raise BoardError(problem.decode(errors="replace"))
        return printed

    def soft_reset(self) -> None:
        """Empty the board's memory without running its main.py; it takes code afterwards."""
        self._line.write(_END)
        if not self._find(_BANNER, _RESET_S):
            raise NoSense("the board did not come back from a soft reset", _AGAIN)
        self._drain()

    def restart(self) -> None:
        """Leave the raw REPL and let the board run its main.py."""
        self._line.write(b"\r" + _FRIENDLY)
        self._find(_PROMPT, _BANNER_S)
        self._line.write(_END)

    def leave(self) -> None:
        """Stop what runs, and leave the board at the prompt that people use."""
        self._line.write(b"\r" + _INTERRUPT + _FRIENDLY)

    # -- sending code

    def _paste(self, data: bytes) -> bool:
        """Send code by raw paste; return False where the board has none."""
        if not self._has_paste:
            return False
        self._line.write(_PASTE)
        answer = self._take(2)
        if answer == b"ra":
            # An old board took it for "begin anew", and says so.
            self._expect(_BANNER[2:])
        if answer in (b"ra", b"R\x00"):
            self._has_paste = False
            return False
        if answer != b"R\x01":
            raise self._nonsense(answer)
        self._send_paced(data)
        return True

    def _send_paced(self, data: bytes) -> None:
        window = int.from_bytes(self._take(2), "little")
        room, sent = window, 0
        while sent < len(data):
            for mark in self._waiting(0.0 if room else _ANSWER_S):
                if mark == _END[0]:
                    # It has had enough: it tells why where the output comes.
                    self._line.write(_END)
                    return
                if mark != _RAW[0]:
                    raise self._nonsense(bytes([mark]))
                room += window
            self._line.write(data[sent : sent + room])
            sent, room = sent + room, 0
        self._line.write(_END)
        while (last := self._take(1)) == _RAW:
            pass
        if last != _END:
            raise self._nonsense(last)

    def _waiting(self, patience_s: float) -> bytes:
        """Return the marks that have come while a paste goes on."""
        if not self._input:
            self._input += self._line.read(patience_s)
        if not self._input and patience_s:
            raise NoSense("the board stopped taking code", _AGAIN)
        marks = bytes(self._input)
        # After an end come output and errors.
        cut = marks.find(_END) + 1 or len(marks)
        self._input = self._input[cut:]
        return marks[:cut]

    def _send(self, data: bytes) -> None:
        """Send code by the plain raw REPL, at a pace that old boards follow."""
        for start in range(0, len(data), _PIECE):
            self._line.write(data[start : start + _PIECE])
            # Boards do not echo here: this is nothing but a pause, unless something is wrong.
            self._input += self._line.read(_PACE_S)
        self._line.write(_END)
        self._expect(b"OK")

    # -- reading

    def _expect(self, wanted: bytes) -> None:
        got = self._take(len(wanted))
        if got != wanted:
            raise self._nonsense(got)

    def _take(self, count: int) -> bytes:
        while len(self._input) < count:
            self._more(_ANSWER_S)
        data = bytes(self._input[:count])
        del self._input[:count]
        return data

    def _until(self, mark: bytes, patience_s: float) -> bytes:
        while (at := self._input.find(mark)) < 0:
            if len(self._input) > _LONGEST:
                raise NoSense("the board does not stop talking", _AGAIN)
            self._more(patience_s)
        data = bytes(self._input[:at])
        del self._input[: at + len(mark)]
        return data

    def _more(self, patience_s: float) -> None:
        data = self._line.read(patience_s)
        if not data:
            raise NoSense("the board stopped answering", _AGAIN)
        self._input += data

    def _find(self, mark: bytes, patience_s: float) -> bool:
        """Skip what comes until `mark`; return False when there is silence before."""
        passed = 0
        deadline = self._clock() + _CHATTER * patience_s
        while (at := self._input.find(mark)) < 0:
            data = self._line.read(patience_s)
            self._remember(data)
            passed += len(data)
            if not data or passed > _LONGEST or self._clock() > deadline:
                return False
            # The mark may have come in two halves.
            self._input = self._input[-len(mark) :] + data
        del self._input[: at + len(mark)]
        return True

    def _drain(self, quiet_s: float = _QUIET_S) -> None:
        self._input.clear()
        deadline = self._clock() + _CHATTER * quiet_s
        while data := self._line.read(quiet_s):
            self._remember(data)
            if self._clock() > deadline:
                return

    def _remember(self, data: bytes) -> None:
        self.heard = (self.heard + data)[-200:]

    def _nonsense(self, got: bytes) -> NoSense:
        got += bytes(self._input[:40])
        return NoSense(f"the board answered {got!r}, which makes no sense here", _AGAIN)


_AGAIN = "check cable and power, close what else uses the port, and run it again"


def _quoted(heard: bytes) -> str:
    text = " ".join(heard.decode("ascii", "replace").split())
    return f"it said: {text[-80:]!r}" if text else "there is silence"
