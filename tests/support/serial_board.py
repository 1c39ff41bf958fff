"""MicroPython on the desktop as a board behind a serial cable: no network, a prompt, a button.

The board's end is a pty on which ``micropython -i main.py`` runs; when that ends, as Ctrl-D at the
prompt makes it, it begins anew: a soft reset. The gateway's end is another pty, and `port` a name
that leads to it, which outlives the cable being pulled. Between them a thread carries bytes.
"""

import os
import pty
import random
import select
import subprocess
import threading
import tty

from support import interpreters
from support.serial_wire import Faults

#: What a board without a network lacks.
NO_SOCKETS = """\
import sys
class Absent:
    def __getattr__(self, name):
        raise ImportError("a board without a network has no socket." + name)
sys.modules["socket"] = Absent()
sys.modules["ssl"] = sys.modules["tls"] = Absent()
"""


class Board:
    """A folder as its flash, a process as its processor, a cable with `faults` to the gateway.

    Attributes:
        port: path of the gateway's end.
        faults: what happens on the cable; rates count per byte, or per 20 ms.
        resets: how often the interpreter was started.
        printed: what went from the board to the gateway so far, faults not counted.
    """

    def __init__(self, folder, port, options=(), seed=0, **faults):
        self.folder = folder
        self.port = port
        self.faults = Faults(**faults)
        self.resets = 0
        self.printed = bytearray()
        self._options = options
        self._dice = random.Random(seed)
        self._own, self._slave = _raw_pty()
        self._far = self._far_slave = None
        self._process = None
        self._is_on = True
        self._lock = threading.Lock()
        self.plug()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # -- what hands can do

    def plug(self):
        """Put the cable in: the port appears."""
        far, slave = _raw_pty()
        new = self.port.with_suffix(".new")
        new.symlink_to(os.ttyname(slave))
        with self._lock:
            self._far, self._far_slave = far, slave
        new.rename(self.port)

    def unplug(self):
        """Pull the cable: the port is gone for whoever has it open. The board goes on."""
        self.port.unlink()
        with self._lock:
            ends, self._far, self._far_slave = (self._far, self._far_slave), None, None
        for end in ends:
            os.close(end)

    def reset(self):
        """Press the button."""
        with self._lock:
            if self._process:
                self._process.kill()
                self._process.wait()
                self._process = None

    def type(self, keys):
        """Type at the board itself, with no gateway in between."""
        os.write(self._own, keys)

    def close(self):
        self._is_on = False
        self._thread.join(10)
        self.reset()
        if self._far is not None:
            self.unplug()
        os.close(self._own)
        os.close(self._slave)

    @property
    def is_running(self):
        return self._is_on

    # -- the cable

    def _run(self):
        while self._is_on:
            self._boot()
            with self._lock:
                far = self._far
                ends = [self._own] if far is None else [self._own, far]
                ready, _, _ = select.select(ends, [], [], 0)
                for end in ready:
                    self._carry(end, far)
            if not ready:
                select.select([self._own], [], [], 0.002)

    def _boot(self):
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self.resets += 1
                self._process = subprocess.Popen(
                    [interpreters.find("micropython"), *self._options, "-i", "main.py"],
                    cwd=self.folder, stdin=self._slave, stdout=self._slave, stderr=self._slave,
                    start_new_session=True,
                )  # fmt: skip

    def _carry(self, end, far):
        data = os.read(end, 2048)
        if end == self._own:
            self.printed += data
        data = self._harmed(data)
        sink = far if end == self._own else self._own
        if sink is not None and data:
            os.write(sink, data)

    def _harmed(self, data):
        dice, faults = self._dice, self.faults
        if faults.cut:
            return b""
        out = bytearray(data)
        for at in range(len(out)):
            if faults.flips and dice.random() < faults.flips:
                out[at] ^= 1 << dice.randrange(8)
        if dice.random() < faults.drops:
            del out[dice.randrange(len(out)) :]
        if dice.random() < faults.doubles:
            out = out * 2
        return bytes(out)


def _raw_pty():
    master, slave = pty.openpty()
    tty.setraw(slave)
    return master, slave
