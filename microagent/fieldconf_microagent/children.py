"""Looks after started processes: their output, their end, their time limit (CPython only).

One thread watches all of them. It knows nothing of steps and recipes. Its rules:

* A child is a process group. At its time limit, or when it is told to end, the group gets
  SIGTERM, and SIGKILL `GRACE_S` later; it has ended when nobody of the group is left. The groups
  that its children made (Puppet gives one to each command) share its fate; daemons do not.
* A child that ends by itself has ended when its first process has, whoever else it left running:
  a recipe starts services. What is in its pipe by then is read, without waiting for more.
* A child never waits for us to read. We keep the last `TAIL` bytes, and `LOG_RATE` a second.
* The pipe of a service that still writes to it is read on, else the service would be killed by
  its next line. (It would be when the agent ends, too; so services write to files of their own.)
"""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable

#: Bytes of output kept for the text of a problem.
TAIL = 16 * 1024
#: Bytes a second, and bytes at once, that go from a child to the log.
LOG_RATE = 64 * 1024
#: How long a group may take to end after SIGTERM.
GRACE_S = 2.0

# Nothing tells us when a whole group has ended, so we look, only while one is being ended. Where
# the system lacks pidfd_open we look for the end of every child.
_LOOK_EVERY_S = 0.02
# epoll refuses more than 24 days.
_LONGEST_S = 3600.0
_READ = 64 * 1024
# Linux gives a pipe 64 KiB; more than this at the end is a service that goes on writing.
_MOST_LEFT = 1024 * 1024


class Output:
    """What a child printed: its end, and a bounded stream of it for the log."""

    def __init__(self) -> None:
        self.tail = bytearray()
        self._log = bytearray()
        self._left_out = 0
        self._second = 0.0
        self._taken = 0
        self._lock = threading.Lock()

    def add(self, data: bytes) -> None:
        now = time.monotonic()
        with self._lock:
            self.tail += data
            del self.tail[:-TAIL]
            if now - self._second >= 1:
                self._second, self._taken = now, 0
            room = max(0, min(len(data), LOG_RATE - self._taken, LOG_RATE - len(self._log)))
            self._log += data[:room]
            self._taken += room
            self._left_out += len(data) - room

    def take_log(self) -> bytes:
        """Return what came since the last call, and say how much was left out."""
        with self._lock:
            log, left_out = bytes(self._log), self._left_out
            self._log.clear()
            self._left_out = 0
        return log + b"\n[%d bytes left out]\n" % left_out if left_out else log


class Child:
    """One started process. `status` is set when it has ended, `why` when it was ended.

    It owns `pipe`, the reading end of its output.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", pipe: int, limit_s: float) -> None:
        self.process = process
        self.pipe = pipe
        self.output = Output()
        self.status: int | None = None
        self.why: str | None = None
        self.deadline = time.monotonic() + limit_s
        self.killed = False
        self.reading = True
        self.pidfd = _pidfd(process.pid)
        self._groups = {process.pid}

    def signal(self, number: int) -> None:
        """Send a signal to the groups of a child that has not been seen to end."""
        self._groups |= _groups_below(self.process.pid)
        for group in self._groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, number)

    def group_lives(self) -> bool:
        return any(_lives(group) for group in self._groups)


class Watcher:
    """The thread that watches; `ended(child)` is called in it, once for every child."""

    def __init__(self, ended: Callable[[Child], None]) -> None:
        self._ended = ended
        self._children: list[Child] = []
        self._inbox: deque[Callable[[], None]] = deque()
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rope, False)
        self._selector.register(self._bell, selectors.EVENT_READ, self._heard)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="steps", daemon=True)
        self._thread.start()

    def add(self, child: Child) -> None:
        self._call(lambda: self._add(child))

    def end(self, child: Child, why: str) -> None:
        """Have a child ended; nothing happens when it has ended before."""
        self._call(lambda: self._end(child, why))

    def close(self) -> None:
        """End every child and the thread; returns when all are gone."""
        if self._rope < 0:
            return
        self._call(self._close)
        self._thread.join(GRACE_S + 3)
        rope, self._rope = self._rope, -1
        os.close(rope)

    def _call(self, task: Callable[[], None]) -> None:
        self._inbox.append(task)
        # Full: it is ringing already. Broken: the thread has seen to the task, and was the last.
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._rope, b".")

    # What follows runs in the thread.

    def _run(self) -> None:
        while not (self._closing and not self._children):
            for key, _ in self._selector.select(self._pause()):
                key.data()
            while self._inbox:
                self._inbox.popleft()()
            self._look(time.monotonic())
        for key in list(self._selector.get_map().values()):
            os.close(key.fd)
        self._selector.close()

    def _heard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 4096)

    def _pause(self) -> "float | None":
        """Return how long nothing can be due."""
        if not self._children:
            return None
        if any(child.why or child.pidfd is None for child in self._children):
            return _LOOK_EVERY_S
        first = min(child.deadline for child in self._children)
        return min(_LONGEST_S, max(0.0, first - time.monotonic()))

    def _add(self, child: Child) -> None:
        self._children.append(child)
        os.set_blocking(child.pipe, False)
        self._selector.register(child.pipe, selectors.EVENT_READ, lambda: self._read(child))
        if child.pidfd is not None:
            self._selector.register(
                child.pidfd, selectors.EVENT_READ, lambda: self._look_at(child, time.monotonic())
            )
        if self._closing:
            self._end(child, "cancelled")

    def _end(self, child: Child, why: str) -> None:
        if child in self._children and child.why is None:
            child.why = why
            child.deadline = time.monotonic() + GRACE_S
            child.signal(signal.SIGTERM)

    def _close(self) -> None:
        self._closing = True
        for child in list(self._children):
            self._end(child, "cancelled")

    def _look(self, now: float) -> None:
        for child in list(self._children):
            if child.why is None and now >= child.deadline:
                # One that ended by itself in time has the last word.
                self._look_at(child, now)
                self._end(child, "timeout")
            elif child.why or child.pidfd is None:
                self._look_at(child, now)

    def _look_at(self, child: Child, now: float) -> None:
        """See whether the child has ended, and kill it when it was given time enough."""
        if child not in self._children:
            return
        if child.status is None:
            child.status = child.process.poll()
            if child.status is not None:
                self._forget_pidfd(child)
        if child.why is None:
            if child.status is not None:
                self._finish(child)
        elif child.status is not None and (child.killed or not child.group_lives()):
            # Killed is certain. Its zombies may stay, where process 1 does not look after them.
            self._finish(child)
        elif now >= child.deadline and not child.killed:
            child.killed = True
            child.signal(signal.SIGKILL)

    def _forget_pidfd(self, child: Child) -> None:
        if child.pidfd is not None:
            self._selector.unregister(child.pidfd)
            os.close(child.pidfd)

    def _finish(self, child: Child) -> None:
        left = _MOST_LEFT
        while child.reading and left > 0:
            got = self._read(child)
            if got == 0:
                break
            left -= got
        self._children.remove(child)
        self._ended(child)

    def _read(self, child: Child) -> int:
        """Read what is there; return how much that was."""
        if not child.reading:
            return 0
        try:
            data = os.read(child.pipe, _READ)
        except BlockingIOError:
            return 0
        if data:
            child.output.add(data)
        else:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.reading = False
        return len(data)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True


def _groups_below(pid: int) -> "set[int]":
    """Return the process groups of all that descend from a process, where the system tells."""
    below: dict[int, list[tuple[int, int]]] = {}
    with contextlib.suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
                _, parent, group = stat.read().rpartition(b")")[2].split()[:3]
                below.setdefault(int(parent), []).append((int(name), int(group)))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child, its_group in below.get(waiting.pop(), []):
            found.add(its_group)
            waiting.append(child)
    # Never our own, whatever has happened to the numbers meanwhile.
    return found - {os.getpgrp()}


def _pidfd(pid: int) -> "int | None":
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
