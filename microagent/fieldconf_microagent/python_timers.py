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

#: [pause in ms, function]
Timer = tuple[int, Callable[[], object]]


def end(data_dir: str) -> None:
    """End the process that a former step left, if there is one."""
    try:
        with open(data_dir + _PID) as file:
            pid, started = file.read().split()
        os.remove(data_dir + _PID)
    except (OSError, ValueError):
        return
    if _started(int(pid)) == started:
        os.kill(int(pid), signal.SIGTERM)


def begin(data_dir: str, timers: list[Timer]) -> None:
    """Leave a process behind that calls these; return in this one."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        # The child of the child lives on; nobody has to wait for it.
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if not os.fork():
            _live(data_dir, timers)
    finally:
        os._exit(0)


def _live(data_dir: str, timers: list[Timer]) -> None:
    log = os.open(data_dir + _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    with open(data_dir + _PID + ".new", "w") as file:
        file.write(f"{os.getpid()} {_started(os.getpid())}")
    os.rename(data_dir + _PID + ".new", data_dir + _PID)
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
    """Return when a process began, so that a stranger with the same number is left alone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return "0"
