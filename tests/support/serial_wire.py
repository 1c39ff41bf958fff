"""Two ends of a serial line and the cable between them, on virtual time, with faults from a seed.

No process, no pty: `Wire` holds what is on its way at a given speed, and flips, loses, doubles and
inserts bytes, or is cut. An end writes bytes that name their stream and place, so that whatever is
mixed up, doubled or lost shows at the other end.
"""

import random

from fieldconf_microagent.serial_frames import CONNECTING, ENDED, NONE, OPEN, Line

BYTES_PER_MS = 11  # 115,200 baud
STEP_MS = 4


class Wire:
    """One direction of a cable."""

    def __init__(self, dice, faults):
        self.dice = dice
        self.faults = faults
        self.bytes = bytearray()
        self.carried = 0

    def write(self, data):
        self.bytes += data

    def read(self):
        """Return what arrives within one step, with its faults."""
        count = BYTES_PER_MS * STEP_MS
        out, self.bytes = bytearray(self.bytes[:count]), self.bytes[count:]
        self.carried += len(out)
        if self.faults.cut:
            return b""
        for at in range(len(out)):
            if self.dice.random() < self.faults.flips:
                out[at] ^= 1 << self.dice.randrange(8)
        if self.dice.random() < self.faults.drops and out:
            del out[self.dice.randrange(len(out)) :]
        if self.dice.random() < self.faults.doubles:
            out = out * 2
        if self.dice.random() < self.faults.noise:
            out += self.dice.choice(
                [b"warning: half a line", b"\0", b"\r\n>>> ", self.dice.randbytes(9)]
            )
        return bytes(out)


class Faults:
    """How often what happens; rates are of bytes for flips, of steps for the others."""

    def __init__(self, flips=0.0, drops=0.0, doubles=0.0, noise=0.0):
        self.flips, self.drops, self.doubles, self.noise = flips, drops, doubles, noise
        self.cut = False

    def stop(self):
        self.__init__()


def text(stream, direction, length):
    """Return what one end writes into a stream: no piece of it can be taken for another."""
    return random.Random(f"{stream} {direction}").randbytes(length)


class World:
    """A board and a gateway that write to each other, and note what they read.

    Attributes:
        read: {(stream, direction): bytes that came out at the other end}.
        ended: streams that the gateway saw end in order.
    """

    def __init__(self, seed, faults=None, length=3000):
        self.dice = random.Random(seed)
        self.faults = faults or Faults()
        self.length = length
        self.now = 0
        self.up, self.down = Wire(self.dice, self.faults), Wire(self.dice, self.faults)
        self.board, self.gateway = Line(), Line(True)
        self.written = {}
        self.read = {}
        self.ended = set()
        self.longest_buffer = 0

    # -- what may happen to the ends

    def reset_board(self):
        self.board = Line()

    def restart_gateway(self):
        self.gateway = Line(True)
        self.gateway.hello()

    # -- time

    def run(self, ms, until=lambda: False):
        """Let time pass until something is so; return whether it became so."""
        end = self.now + ms
        while self.now < end:
            if until():
                return True
            self.now += STEP_MS
            self._turn(self.board, self.down, self.up, "up")
            self._turn(self.gateway, self.up, self.down, "down")
        return until()

    def _turn(self, line, source, sink, direction):
        heard = source.read()
        if heard:
            line.feed(self.now, heard)
        self._note(line, "down" if direction == "up" else "up")
        self._act(line, direction)
        # A port that is full takes nothing for a while.
        if len(sink.bytes) < 4096:
            sink.write(line.output(self.now))

    def _note(self, line, direction):
        self.longest_buffer = max(self.longest_buffer, len(line.received))
        if line.received and self.dice.random() < 0.5:
            known = self.read.setdefault((line.stream, direction), bytearray())
            known += line.take(len(line.received))

    def _act(self, line, direction):
        if line is self.board and line.state == NONE:
            line.connect(self.dice.randrange(1, 1 << 32))
            self.connected = self.now
        elif line is self.board and line.state == CONNECTING:
            # As the client of MQTT does: what was acknowledged may have been forgotten since.
            if self.now - self.connected > 10_000:
                line.reset()
        elif line is self.gateway and line.state == CONNECTING:
            line.accept()
        elif line is self.gateway and line.state == ENDED and not line.received:
            self.ended.add(line.stream)
        if line.state == OPEN:
            key = line.stream, direction
            done = self.written.setdefault(key, 0)
            if done < self.length:
                wish = self.dice.choice([1, 4, 50, 700])
                rest = text(*key, self.length)[done : done + wish]
                self.written[key] += line.send(rest)

    # -- what must be so

    def check(self):
        """What came out of a stream is what went into it, from the start, without a gap."""
        for (stream, direction), got in self.read.items():
            assert got == text(stream, direction, self.length)[: len(got)]

    def is_done(self):
        """Tell whether the latest stream has carried everything both ways."""
        return all(
            len(self.read.get((self.board.stream, direction), "")) == self.length
            for direction in ("up", "down")
        )
