"""Both ends of a bridge in a test's hand: a board's end of a line, and a broker's socket."""

import os
import pty
import select
import socket
import time
import tty

from fieldconf_microagent.serial_frames import CONNECTING, NONE, Line
from support.waiting import until


class Peer:
    """A board that does what the test says; its end of the cable is a pty.

    Attributes:
        line: the board's end of the stream.
        raw: everything that came from the gateway.
    """

    def __init__(self):
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self.port = os.ttyname(self._slave)
        self.line = Line()
        self.raw = b""
        self._streams = 1000

    def close(self):
        """Pull the cable."""
        if self._master is not None:
            os.close(self._master)
            os.close(self._slave)
            self._master = None

    def turn(self, pause_s=0.01):
        """Carry what is there, both ways."""
        now = time.monotonic_ns() // 1_000_000
        if select.select([self._master], [], [], pause_s)[0]:
            data = os.read(self._master, 4096)
            self.raw += data
            self.line.feed(now, data)
        self.write(self.line.output(now))

    def write(self, data):
        """Write bytes that are no frames, such as what a program prints."""
        if data:
            os.write(self._master, data)

    def until(self, condition):
        """Serve the line until something is so."""

        def served():
            self.turn()
            return condition()

        return until(served, pause_s=0)

    def connect(self):
        """Ask for a connection and wait for what comes of it; return whether it stands."""
        self._streams += 1
        self.line.connect(self._streams)
        self.until(lambda: self.line.state != CONNECTING)
        return self.line.state != NONE

    def send(self, data):
        while data:
            data = data[self.line.send(data) :]
            self.turn(0)

    def reset(self):
        """Forget everything."""
        self.line = Line()


class Ear:
    """A broker's socket: takes connections, and what comes over them."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.url = f"mqtt://127.0.0.1:{self._server.getsockname()[1]}"
        self.connections = []

    def close(self):
        self._server.close()
        for one in self.connections:
            one.close()

    def accepted(self):
        """Take who has come; return how many there were in all."""
        try:
            while True:
                one, _ = self._server.accept()
                one.setblocking(False)
                self.connections.append(one)
        except BlockingIOError:
            return len(self.connections)

    def heard(self, at=-1):
        """Return what has come over a connection since the last call, None after its end."""
        self.accepted()
        data = b""
        try:
            while piece := self.connections[at].recv(65536):
                data += piece
            return data or None
        except BlockingIOError:
            return data
        except ConnectionResetError:
            return None
