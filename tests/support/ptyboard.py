"""MicroPython for the desktop as a board behind a serial line.

Its flash is a folder; its line is a pty, whose name `board.port` is what a serial port's name would
be. As on a board

* `main.py` runs at power-on and after a soft reset from the friendly REPL, not from the raw one;
* Ctrl-C stops it, and the REPL takes over when it ends;
* a reset leaves the line as it is: the process ends and another takes its place.

Between the two is a relay that tests may use to spoil what passes (`board.spoil`), and that can
pull the cable (`board.unplug`), as a USB port vanishes when the board loses power.
"""

import os
import re
import select
import signal
import subprocess
import threading
import time
import tty
from pathlib import Path

from support import interpreters, rom

_BLOCK = 4096
_PAUSE_S = 0.005
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_FRIENDLY = b'Type "help()" for more information.'


class PtyBoard:
    """A board whose files are in `folder`.

    Args:
        options: of the interpreter, such as ``("-X", "heapsize=48k")``.
        link: a path that shall lead to the port whenever it is there, as in /dev/serial/by-id.
        in_rom: (file, way): what its ROMFS holds, and as what its firmware gives it.

    Attributes:
        port: what a program opens.
        spoil: function from (is it the board's, bytes) to the bytes that are passed on.
        resets: how often MicroPython started again.
        taken: bytes that came from the host so far.
    """

    def __init__(self, folder, options=(), link=None, in_rom=None):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._command = [interpreters.find("micropython"), *options]
        self._start = ["-i", "main.py"], []
        if in_rom:
            rom.need()
            self._command = rom.command(in_rom[0], *options)
            firmware = ["-i", str(rom.FIRMWARE), in_rom[1]]
            self._start = [*firmware, "main.py"], [*firmware, ""]
        self._link = link
        self.spoil = lambda from_board, data: data
        self.resets = self.taken = 0
        self._is_raw = False
        self._said = b""
        self._process = self._thread = None
        self._wake, self._waker = os.pipe()
        self.plug()

    def plug(self):
        """Give the board power and a line."""
        if self._thread:
            self._thread.join(10)
        self._host, host_end = os.openpty()
        tty.setraw(host_end)
        self.port = os.ttyname(host_end)
        # Nobody but the host holds the port: who else does is told to be in the way.
        os.close(host_end)
        if self._link:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.port)
            self.port = str(self._link)
        self._is_plugged = True
        self._is_raw = False
        self._boot()
        self._thread = threading.Thread(target=self._relay, daemon=True)
        self._thread.start()

    def unplug(self):
        """Pull the cable, which takes the power too."""
        if self._link:
            # The next pty gets the number of this one, and may be somebody else's.
            self._link.unlink(missing_ok=True)
        self._is_plugged = False
        os.write(self._waker, b"x")
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    def close(self):
        self.unplug()
        os.close(self._wake)
        os.close(self._waker)

    def _boot(self):
        """Start MicroPython, with main.py as boards do."""
        self._board, board_end = os.openpty()
        tty.setraw(board_end)
        starts = not self._is_raw and (self.folder / "main.py").exists()
        self._process = subprocess.Popen(
            self._command + self._start[not starts],
            stdin=board_end,
            stdout=board_end,
            stderr=board_end,
            cwd=self.folder,
            env={**os.environ, "MICROPYPATH": ":lib:.frozen"},
            start_new_session=True,
        )
        os.close(board_end)
        self._hides = b"" if self._is_raw else None

    def _relay(self):
        while self._is_plugged:
            ready, _, _ = select.select([self._host, self._board, self._wake], [], [])
            if self._wake in ready:
                os.read(self._wake, 1)
            if self._host in ready:
                self._from_host()
            if self._board in ready and self._is_plugged:
                self._from_board()
        self._process.kill()
        self._process.wait()
        os.close(self._host)
        os.close(self._board)

    def _from_host(self):
        try:
            data = os.read(self._host, _BLOCK)
        except OSError:
            # Nobody has the port open.
            time.sleep(_PAUSE_S)
            return
        self.taken += len(data)
        data = self.spoil(False, data)
        if b"\x03" in data and self._takes_interrupts():
            self._process.send_signal(signal.SIGINT)
        _write(self._board, data)

    def _takes_interrupts(self):
        """Tell whether code runs that Ctrl-C stops: on the desktop that is a signal, which the
        prompt does without, and `micropython.kbd_intr(-1)` turns off."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(re.search(r"SigCgt:\s*(\w+)", status)[1], 16) >> signal.SIGINT - 1 & 1

    def _from_board(self):
        try:
            data = os.read(self._board, _BLOCK)
        except OSError:
            self._reset()
            return
        self._notice(data)
        if self._hides is not None:
            self._is_raw = True
            # After a reset in the raw REPL the board is in it again, without a friendly word.
            self._hides += data
            if b">>> " in self._hides:
                _write(self._board, b"\x01")
            at = self._hides.find(_BANNER)
            if at < 0:
                return
            data, self._hides = self._hides[at:], None
        data = self.spoil(True, data)
        if self._is_plugged:
            _write(self._host, data)

    def _notice(self, data):
        """Find in what the board says which of its two prompts it is at."""
        self._said = (self._said + data)[-_BLOCK:]
        raw, friendly = self._said.rfind(_BANNER), self._said.rfind(_FRIENDLY)
        if raw != friendly:
            self._is_raw = raw > friendly
            self._said = self._said[max(raw, friendly) + 1 :]

    def _reset(self):
        self._process.wait()
        os.close(self._board)
        self.resets += 1
        _write(self._host, b"MPY: soft reboot\r\n")
        self._boot()


def _write(end, data):
    while data:
        data = data[os.write(end, data) :]
