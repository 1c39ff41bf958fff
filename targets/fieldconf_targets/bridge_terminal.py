"""The person's side of ``fieldconf console``: a terminal, and the line that somebody lends."""

import os
import select
import socket
import sys
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from .bridge import Bridge
from .bridge_console import ask
from .bridge_ports import Port

LEAVE = b"\x1d"  # Ctrl-]


@contextmanager
def borrowed(path: str) -> Iterator[socket.socket]:
    """Give the line of a port: that of the bridge that has it, else of the port itself.

    Raises:
        PortError: nobody bridges it, and it cannot be opened.
    """
    lent = ask(path)
    if lent is not None:
        with lent:
            yield lent
        return
    bridge = Bridge(Port(path), None)
    try:
        bridge.attach()
    except BaseException:
        bridge.close()
        raise
    near, far = socket.socketpair()
    bridge.lender.adopt(far)
    thread = threading.Thread(target=bridge.run, name="console")
    thread.start()
    try:
        with near:
            yield near
    finally:
        bridge.stop(politely=True)
        thread.join()


def talk(line: socket.socket) -> None:
    """Connect this terminal to a line, until Ctrl-] is typed or the line is hung up."""
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    with _raw(keys):
        while True:
            ready, _, _ = select.select([keys, line], [], [])
            if line in ready:
                said = line.recv(4096)
                if not said:
                    return
                os.write(screen, said)
            if keys in ready:
                typed = os.read(keys, 1024)
                line.sendall(typed.partition(LEAVE)[0])
                if not typed or LEAVE in typed:
                    return


@contextmanager
def _raw(fd: int) -> Iterator[None]:
    """Let every key through, and put the terminal back afterwards."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd)
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)
