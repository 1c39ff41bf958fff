"""Runs the agent as a process of a machine with CPython; everything of it lies in one folder.

settings.json   who this node is (`settings`), written by whoever made the node
agent.pid       process id and start time of the agent that holds the folder
state/ recipes/ parts/ data/   what the agent keeps
"""

import contextlib
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from . import compat, installers, settings
from .assembling import assemble
from .fetch import Fetcher
from .host import Host
from .installer_previews import PreviewingAgent
from .link_paho import PahoLink
from .link_several import SeveralLinks
from .messages import FORMAT
from .runner_process import LIMIT, ProcessRunner
from .store import Store
from .version import VERSION

#: Exit status when the settings are refused or the folder has an agent already.
REFUSED = 2


def main(folder: str) -> int:
    """Run the agent of this folder until SIGTERM or SIGINT; return the exit status."""
    # While it starts there is nothing to say goodbye to.
    _on_end(lambda *_: sys.exit(0))
    file = os.path.join(folder, "settings.json")
    if not os.path.exists(file):
        _log("error", f"there is no {file}; 'fieldconf enrol NODE -o settings.json' makes one")
        return REFUSED
    try:
        known = settings.read(file)
        held = _hold(folder)
    except (settings.SettingsError, OSError) as error:
        _log("error", str(error))
        return REFUSED
    try:
        reason = run(folder, known)
        _log("info", reason)
        while reason.startswith("restart"):
            reason = run(folder, settings.read(file))
            _log("info", reason)
        return 0
    except OSError as error:
        _log("error", f"cannot go on: {error}")
        return 1
    finally:
        held()


def run(folder: str, known: dict[str, Any]) -> str:
    """Run the agent in this thread and return why it ended."""
    data = os.path.join(folder, "data")
    clock = compat.Clock()
    link = make_link(known)
    found = installers.load(known, _log)
    lacking = installers.lacking(found)
    offers = tuple(sorted(set(found) - set(lacking)))
    runner = ProcessRunner(data, link.wake, installers=found)
    fetcher = Fetcher(folder)

    def wipe() -> None:
        fetcher.want(clock.now_ms(), [])
        fetcher.collect([])
        compat.remove_tree(data)

    store = Store(os.path.join(folder, "state"))
    agent = assemble(
        known,
        store,
        compat.run_mark(),
        clock.now_ms(),
        compat.random_below,
        PreviewingAgent,
        installers=list(offers),
        lacking=lacking,
        info=about(offers, known.get("simulate") is True),
        parallel=LIMIT,
    )
    host = Host(agent, link, runner, fetcher, store, clock.now_ms, _log, wipe, compat.random_below)
    _on_end(lambda *_: host.stop())
    return host.run()


def _on_end(handler: Callable[..., object]) -> None:
    """Have the signals handled that ask a process to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def make_link(known: dict[str, Any]) -> PahoLink | SeveralLinks:
    """Return the link that these settings ask for."""
    links = [_link_to(url, known) for url in settings.brokers(known)]
    return links[0] if len(links) == 1 else SeveralLinks(links)


def _link_to(url: str, known: dict[str, Any]) -> PahoLink:
    return PahoLink(
        url,
        known["node"],
        known["keepalive"],
        known["user"] or None,
        known["password"] or None,
        known["ca"] or None,
    )


def about(installers: tuple[str, ...], simulates: bool = False) -> dict[str, Any]:
    """Return what this node is, for the coordinator's inventory."""
    return {
        **({"sim": True} if simulates else {}),
        "py": compat.platform_info(),
        "agent": VERSION,
        "mem": compat.mem_free(),
        "inst": sorted(installers),
        "fmt": [FORMAT],
        "hw": compat.hardware_mark(),
    }


def _hold(folder: str) -> Callable[[], None]:
    """Make this process the only agent of the folder; return how to let go of it."""
    lock = os.open(os.path.join(folder, "agent.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise OSError(f"cannot start: another agent runs in {folder}") from None
    pid_file = os.path.join(folder, "agent.pid")
    with open(pid_file + ".new", "w") as file:
        file.write(f"{os.getpid()} {_start_time()}\n")
    os.replace(pid_file + ".new", pid_file)

    def let_go() -> None:
        # Not the pid file: the next agent may have replaced it by now.
        os.close(lock)

    return let_go


def _start_time() -> int:
    """Return when this process began, in ticks since boot; 0 where that cannot be known."""
    try:
        return int(compat.read_file("/proc/self/stat").rpartition(b")")[2].split()[19])
    except OSError:
        return 0


def _log(level: str, text: str) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    # The log often lies on the disk whose being full it tells of.
    with contextlib.suppress(OSError):
        print(f"{stamp} {level}: {text}", file=sys.stderr, flush=True)
