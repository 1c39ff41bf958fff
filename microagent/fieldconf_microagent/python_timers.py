"""Carries out `Instance.every` on CPython, where the process of a step ends with it.

A process of its own goes on calling the functions after the step, as a service would that a script
starts. Its id and start time stand in a file in the instance's data folder; what its functions
print goes to a file beside it, which begins anew with every start.
"""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable

_PID = "/every.pid"
_LOG = "/every.log"
#: How long it may take to end.
_GRACE_S = 2.0
_LOOK_EVERY_S = 0.005

#: [pause in ms, function]
Timer = tuple[int, Callable[[], object]]


def end(data_dir: str) -> None:
    """End the process that a former step left, if there is one; it is gone when this returns."""
    try:
        with open(data_dir + _PID) as file:
            pid, started = file.read().split()
        os.remove(data_dir + _PID)
    except (OSError, ValueError):
        return
    deadline, number = time.monotonic() + _GRACE_S, signal.SIGTERM
    while _started(int(pid)) == started:
        try:
            os.kill(int(pid), number)
        except ProcessLookupError:
            return
        time.sleep(_LOOK_EVERY_S)
        if time.monotonic() > deadline:
            # What a recipe does with SIGTERM is its own business.
            number = signal.SIGKILL


def begin(data_dir: str, timers: list[Timer]) -> None:
    """Leave a process behind that calls these; return in this one.

    It is noted by then who that is: a step that follows at once would not find it else, and two
    would go on.
    """
    sys.stdout.flush()
    child = os.fork()
    if child:
        # The child of the child lives on; nobody has to wait for it.
        if os.waitpid(child, 0)[1]:
            raise OSError("cannot note in the data folder who calls functions by the clock")
        return
    status = 1
    try:
        os.setsid()
        noted, note = os.pipe()
        pid = os.fork()
        if pid:
            _write(data_dir, pid)
        else:
            os.close(note)
            # Ends when that process does, too.
            os.read(noted, 1)
            _live(data_dir, timers)
        status = 0
    finally:
        os._exit(status)


def _write(data_dir: str, pid: int) -> None:
    with open(data_dir + _PID + ".new", "w") as file:
        file.write(f"{pid} {_started(pid)}")
    os.rename(data_dir + _PID + ".new", data_dir + _PID)


def _live(data_dir: str, timers: list[Timer]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(data_dir + _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    due = [time.monotonic() + ms / 1000 for ms, _ in timers]
    # It ends by itself, too, when a later step has left another one.
    while _is_current(data_dir):
        index = due.index(min(due))
        time.sleep(max(0.0, due[index] - time.monotonic()))
        due[index] = max(due[index] + timers[index][0] / 1000, time.monotonic() + 0.001)
        try:
            timers[index][1]()
        except Exception:
            traceback.print_exc()


def _is_current(data_dir: str) -> bool:
    try:
        with open(data_dir + _PID) as file:
            return file.read().split()[:1] == [str(os.getpid())]
    except OSError:
        return False


def _started(pid: int) -> str:
    """Return when a process began, so that a stranger with the same number is left alone.

    "0": there is none, or it has ended and nobody has looked after it yet.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        return "0" if fields[0] == b"Z" else fields[19].decode()
    except (OSError, IndexError):
        return "0"
