"""A reliable stream of bytes over a serial line: frames, acknowledgements, a sliding window.

Both ends use this: the board (`serial_line`) and the gateway (`bridge`, of the targets). No I/O and
no clock in here: `Line.feed` takes what was read, `Line.output` answers with what is to be written.

A frame is ``kind, stream (4 bytes), seq, ack, payload, CRC-32``, coded so that it holds no zero
byte (COBS), between two zero bytes. What is no frame is passed over: text, noise, halves of frames.

Rules:

* A line carries one stream at a time. The board opens it under an id that was never used, and
  either end answers frames of any other stream with RESET. So an end that was started anew never
  mixes old bytes with new ones, and the other end learns of it.
* CONNECT, ACCEPT, DATA and CLOSE are numbered. They are handed over once and in order, and are
  sent again until they are acknowledged; an acknowledgement names what came early, too, so that
  only what was lost is sent again.
* Everything is bounded: the payload of a frame, the frames under way, what was received and not
  yet taken. What there is no room for is not acknowledged.
* The kinds differ by who sends: an end never takes an echo of its own for the other end.
"""

import binascii

from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# So that a whole frame fits into the 256 bytes of a UART that many boards keep while they are busy.
_PAYLOAD = const(192)
_WINDOW = const(8)
# The longest frame, coded.
_LONGEST = const(206)
_MOST_RECEIVED = const(2048)

_SHORTEST_MS = const(100)
_FIRST_MS = const(600)
_LONGEST_MS = const(3000)

# Never 9, 10 or 13: the first byte behind the code byte tells a frame from a line of text.
_CONNECT = const(1)
_ACCEPT = const(2)
_DATA = const(3)
_CLOSE = const(4)
_ACK = const(5)
_RESET = const(6)
_REPL = const(7)
# Added by the gateway, so that Ctrl-C (3) is never the second byte of what it sends.
_GATEWAY = const(16)
# Stands for "no stream", and for numbers that mean nothing: a board that is at its prompt takes no
# letter for an order, unlike zero bytes, which come out as Ctrl-A. Nor is the CRC of these one.
_NOBODY = const(0x6E6F6E65)
_NOTHING = const(0x30)

NONE = "none"
CONNECTING = "connecting"
OPEN = "open"
ENDED = "ended"


def encode(data: bytes) -> bytes:
    """Return the bytes without a zero byte (COBS)."""
    out = bytearray()
    start = 0
    while True:
        end = data.find(b"\0", start)
        if end < 0:
            end = len(data)
        while end - start > 253:
            out.append(255)
            out.extend(data[start : start + 254])
            start += 254
            if start == len(data):
                return bytes(out)
        out.append(end - start + 1)
        out.extend(data[start:end])
        start = end + 1
        if start > len(data):
            return bytes(out)


def decode(chunk: bytes) -> "bytes | None":
    """Return what `encode` was given, or None if this cannot come from it."""
    out = bytearray()
    at = 0
    while at < len(chunk):
        code = chunk[at]
        end = at + code
        if not code or end > len(chunk):
            return None
        out.extend(chunk[at + 1 : end])
        at = end
        if code < 255 and at < len(chunk):
            out.append(0)
    return bytes(out)


class Line:
    """One end of a serial line.

    Args:
        is_gateway: which of the two ends it is.

    Attributes:
        stream: id of the stream, 0 where there is none.
        state: "none"; "connecting": asked for, by the board; "open"; "ended": by the other end.
        received: what came, in order, and was not yet taken with `take`.
        rest: what came after the last zero byte.
        repl: the other end asked for the board's prompt, or (gateway) was told that it is free.
        damaged: how many pieces that were no frames were passed over.
        resent: how many frames were sent again.
    """

    def __init__(self, is_gateway: bool = False) -> None:
        self._mine = _GATEWAY if is_gateway else 0
        self.rest = b""
        self.repl = False
        self.damaged = self.resent = 0
        self._control = b""
        # Ids of streams that are over: a late copy of their CONNECT must not end the next one.
        self._past: "list[int]" = []
        self._rtt = self._deviation = 0
        self.stream = 0
        self._begin(0, NONE)

    def _begin(self, stream: int, state: str) -> None:
        if self.stream:
            self._past = self._past[-7:]
            self._past.append(self.stream)
        self.stream = stream
        self.state = state
        self.received = bytearray()
        # Numbered frames: [seq, kind, payload, when it was sent last (a count), ms, how often,
        # whether to send it again, whether the other end has it]; those under way are first.
        self._queue: "list[list[Any]]" = []
        self._under_way = self._seq = self._sent = 0
        self._size = 2
        self._timer = self._doubled = 0
        self._next = 0
        self._early: "dict[int, tuple[int, bytes]]" = {}
        self._owes_ack = self._closing = False

    # -- the stream

    def connect(self, stream: int) -> None:
        """Open a stream (board); `stream` is a random id from 1 to 2**32 - 1."""
        self._begin(stream, CONNECTING)
        self._enqueue(_CONNECT, b"")

    def accept(self) -> None:
        """Let the stream that the board asks for be open (gateway)."""
        self.state = OPEN
        self._enqueue(_ACCEPT, b"")

    def room(self) -> int:
        """Return how many bytes `send` would take."""
        if self.state != OPEN or self._closing:
            return 0
        return int((_WINDOW - len(self._queue)) * _PAYLOAD)

    def send(self, data: bytes) -> int:
        """Take bytes that are to be sent, as many as there is room for; return the count."""
        count = min(len(data), self.room())
        for start in range(0, count, _PAYLOAD):
            self._enqueue(_DATA, bytes(data[start : min(start + _PAYLOAD, count)]))
        return count

    def take(self, count: int) -> bytearray:
        """Return the first `count` bytes that were received, and forget them."""
        taken = self.received[:count]
        self.received = self.received[count:]
        self._deliver()
        return taken

    def close(self) -> None:
        """End the stream behind what was sent; it is done when `is_idle`."""
        if not self._closing:
            self._closing = True
            self._enqueue(_CLOSE, b"")

    def reset(self) -> None:
        """End the stream at once, and tell the other end."""
        if self.stream:
            self._tell(_RESET, self.stream)
            self.forget()

    def forget(self) -> None:
        """Let go of a stream that both ends have ended."""
        self._begin(0, NONE)

    def hello(self) -> None:
        """Tell the board that this gateway has just been started and knows of no stream."""
        self._tell(_RESET, _NOBODY)

    def tell_repl(self) -> None:
        """Ask for the board's prompt (gateway), or tell that it is free now (board)."""
        self._tell(_REPL, _NOBODY)

    def is_idle(self) -> bool:
        """Tell whether everything that was sent is acknowledged."""
        return not self._queue

    def is_closed(self) -> bool:
        """Tell whether `close` was called, and the other end has everything."""
        return self._closing and not self._queue

    def _enqueue(self, kind: int, payload: bytes) -> None:
        self._queue.append([self._seq, kind, payload, 0, 0, 0, False, False])
        self._seq = (self._seq + 1) & 255

    def _tell(self, kind: int, stream: int) -> None:
        if len(self._control) < _LONGEST:
            self._control += self._frame(kind, stream, _NOTHING, _NOTHING, b"")

    # -- what was read

    def feed(self, now: int, data: bytes) -> None:
        """Take in what was read."""
        chunks = (self.rest + data).split(b"\0")
        # One byte more than a frame can have: the rest of what is too long does not matter.
        self.rest = chunks.pop()[: _LONGEST + 1]
        for chunk in chunks:
            if chunk:
                frame = decode(chunk) if len(chunk) <= _LONGEST else None
                if not frame or not self._take(now, frame):
                    self.damaged += 1

    def _take(self, now: int, frame: bytes) -> bool:
        """Act on a frame; tell whether it was one."""
        crc = int.from_bytes(frame[-4:], "big")
        if len(frame) < 11 or binascii.crc32(frame[:-4]) != crc:
            return False
        kind = frame[0] ^ self._mine ^ _GATEWAY
        stream = int.from_bytes(frame[1:5], "big")
        if kind == _REPL:
            self.repl = True
        elif kind == _RESET:
            if stream == _NOBODY and self.state == CONNECTING and not self._mine:
                # The gateway was not there yet, or another one was.
                self.connect((stream ^ self.stream) | 1)
            elif stream in (self.stream, _NOBODY):
                self.forget()
        elif kind == _CONNECT and self._mine and stream not in self._past:
            if stream != self.stream:
                self._begin(stream, CONNECTING)
            self._numbered(frame[5], kind, b"")
        elif kind < _CONNECT or kind > _ACK:
            return False
        elif not stream or stream != self.stream:
            self._tell(_RESET, stream)
        else:
            self._acknowledged(now, frame[6], frame[7] if kind == _ACK else 0)
            if kind != _ACK:
                self._numbered(frame[5], kind, frame[7:-4])
        return True

    def _numbered(self, seq: int, kind: int, payload: bytes) -> None:
        self._owes_ack = True
        if (seq - self._next) & 255 < _WINDOW:
            self._early[seq] = (kind, payload)
        self._deliver()

    def _deliver(self) -> None:
        while self._next in self._early and len(self.received) < _MOST_RECEIVED:
            kind, payload = self._early.pop(self._next)
            self._next = (self._next + 1) & 255
            self._owes_ack = True
            if kind == _ACCEPT:
                self.state = OPEN
            elif kind == _CLOSE:
                self.state = ENDED
            self.received.extend(payload)

    def _acknowledged(self, now: int, ack: int, mask: int) -> None:
        if not self._queue:
            return
        count = (ack - self._queue[0][0]) & 255
        if count > self._under_way:
            return
        if count:
            last = self._queue[count - 1]
            if last[5] == 1 and not last[7]:
                self._measured(now - last[4])
            self._queue = self._queue[count:]
            self._under_way -= count
            self._size = min(self._size + count, _WINDOW)
            self._timer = now
            self._doubled = 0
        self._note_early(ack, mask)

    def _note_early(self, ack: int, mask: int) -> None:
        """Let be sent again whatever was sent before something that has arrived already."""
        latest = 0
        frames = self._queue[: self._under_way]
        for frame in frames:
            if mask >> ((frame[0] - ack - 1) & 255) & 1:
                frame[7] = True
                latest = max(latest, frame[3])
        for frame in frames:
            frame[6] = frame[6] or (not frame[7] and frame[3] < latest)

    def _measured(self, ms: int) -> None:
        if self._rtt:
            self._deviation += (abs(ms - self._rtt) - self._deviation) >> 2
            self._rtt += (ms - self._rtt) >> 3
        else:
            self._rtt = ms + 1
            self._deviation = ms >> 1

    # -- what is to be written

    def next_wake(self) -> "int | None":
        """Return when `output` has something to say though nothing was read; None for never."""
        return self._timer + self._patience() if self._under_way else None

    def _patience(self) -> int:
        ms = self._rtt + 4 * self._deviation if self._rtt else _FIRST_MS
        return int(min(max(ms, _SHORTEST_MS) << self._doubled, _LONGEST_MS))

    def output(self, now: int) -> bytes:
        """Return what is to be written now."""
        out, self._control = self._control, b""
        if self._under_way and now - self._timer >= self._patience():
            # Whatever is lost behind this one, the answer will tell.
            self._queue[0][6] = True
            self._doubled = min(self._doubled + 1, 5)
            self._size = 1
            self._timer = now
        for index, frame in enumerate(self._queue):
            if index < self._under_way:
                if frame[6]:
                    self.resent += 1
                    out += self._sent_now(now, frame)
            elif index < self._size:
                if not index:
                    self._timer = now
                self._under_way += 1
                out += self._sent_now(now, frame)
        return out + self._ack()

    def _sent_now(self, now: int, frame: "list[Any]") -> bytes:
        self._sent += 1
        frame[3:7] = [self._sent, now, frame[5] + 1, False]
        if not self._early:
            self._owes_ack = False
        return self._frame(frame[1], self.stream, frame[0], self._next, frame[2])

    def _ack(self) -> bytes:
        if not self._owes_ack or not self.stream:
            return b""
        self._owes_ack = False
        mask = 0
        for seq in self._early:
            mask |= 1 << ((seq - self._next - 1) & 255)
        return self._frame(_ACK, self.stream, 0, self._next, bytes((mask & 255,)))

    def _frame(self, kind: int, stream: int, seq: int, ack: int, payload: bytes) -> bytes:
        head = bytes((kind | self._mine,)) + stream.to_bytes(4, "big") + bytes((seq, ack))
        body = head + payload
        # In front, too: what was written before may be half a frame, or text.
        return b"\0" + encode(body + binascii.crc32(body).to_bytes(4, "big")) + b"\0"
