"""Find, watch and end processes of this box by what identifies them for good.

A process id alone is used again; with its start time it is not. Linux tells both in ``/proc``;
elsewhere a process id has to do, and processes cannot be found by their environment.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

_PROC = Path("/proc")


def started(pid: int) -> int:
    """Return when the process was started, in ticks since boot; 0 where this cannot be known.

    Raises:
        ProcessLookupError: there is no such process, or only its exit status is left of it.
    """
    try:
        # The name in parentheses may hold blanks: what follows it begins with the third field.
        fields = (_PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        if (_PROC / "self").exists():
            raise ProcessLookupError(pid) from None
        os.kill(pid, 0)
        return 0
    if fields[0] in (b"Z", b"X"):
        raise ProcessLookupError(pid)
    return int(fields[19])


def is_alive(pid: int, start: int) -> bool:
    """Tell whether the process of that id and start time still runs."""
    try:
        return started(pid) == start
    except (ProcessLookupError, PermissionError):
        return False


def read_pid_file(path: Path) -> tuple[int, int] | None:
    """Return ``(pid, start time)`` as `write_pid_file` wrote it, or None without such a file."""
    try:
        pid, start = path.read_text().split()
        return int(pid), int(start)
    except (OSError, ValueError):
        return None


def write_pid_file(path: Path, pid: int) -> None:
    """Write the process and its start time, in one step."""
    new = path.with_suffix(".new")
    new.write_text(f"{pid} {started(pid)}\n")
    os.replace(new, path)


def with_environment(name: str, value: str) -> list[int]:
    """Return the processes whose environment had this variable when they began."""
    wanted = f"{name}={value}".encode()
    found = []
    for entry in _PROC.glob("[0-9]*"):
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                started(int(entry.name))
                found.append(int(entry.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def end(pids: Sequence[int], patience_s: float = 5.0) -> None:
    """Ask the processes to end, wait, and kill what is left after `patience_s`."""
    known = {pid: start for pid in pids if (start := _start_or_none(pid)) is not None}
    signal_all(list(known), signal.SIGTERM)
    if not wait_gone(known, patience_s):
        kill([pid for pid, start in known.items() if is_alive(pid, start)])


def kill(pids: Sequence[int], patience_s: float = 5.0) -> None:
    """Kill the processes at once and wait until they are gone."""
    known = {pid: start for pid in pids if (start := _start_or_none(pid)) is not None}
    signal_all(list(known), signal.SIGKILL)
    wait_gone(known, patience_s)


def signal_all(pids: Sequence[int], number: int) -> None:
    """Send a signal to those of the processes that still exist."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def wait_gone(known: dict[int, int], patience_s: float) -> bool:
    """Wait until none of the processes, by start time, runs; tell whether it came to that."""
    deadline = time.monotonic() + patience_s
    while any(is_alive(pid, start) for pid, start in known.items()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _start_or_none(pid: int) -> int | None:
    try:
        return started(pid)
    except (ProcessLookupError, PermissionError):
        return None
