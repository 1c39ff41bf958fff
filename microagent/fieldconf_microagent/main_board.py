"""Runs the agent on MicroPython: a board, or the `micropython` command with a folder.

The folder holds what it does on a machine (`main_cpython`), but for lock and pid file: nobody else
runs here.
"""

import gc

from . import compat, settings
from .fetch import Fetcher
from .host import Host, assemble
from .link_mqtt import MqttLink
from .messages import FORMAT
from .runner_inline import InlineRunner
from .store import Store
from .version import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

INSTALLERS = ("logger", "python")


def main(folder: str) -> int:
    """Run the agent of this folder; return the exit status when it is told to go."""
    known = settings.read(folder + "/settings.json")
    host = make_host(folder, known)
    gc.collect()
    _log("info", host.run())
    return 0


def make_host(folder: str, known: "dict[str, Any]") -> Host:
    """Return the agent with all its parts."""
    data = folder + "/data"
    clock = compat.Clock()
    link = MqttLink(
        known["broker"],
        known["node"],
        known["keepalive"],
        known["user"] or None,
        known["password"] or None,
    )
    runner = InlineRunner(data, link.wake)
    # A window of two 4 KiB pieces: more would have to be held at once.
    fetcher = Fetcher(folder, 2)

    def wipe() -> None:
        fetcher.want(clock.now_ms(), [])
        fetcher.collect([])
        compat.remove_tree(data)

    store = Store(folder + "/state")
    agent = assemble(
        known,
        store,
        # Always new: whatever ran, ran in this process.
        compat.hex(compat.random_bytes(8)),
        clock.now_ms(),
        compat.random_below,
        installers=list(INSTALLERS),
        info={
            "py": compat.platform_info(),
            "agent": VERSION,
            "mem": compat.mem_free(),
            "inst": list(INSTALLERS),
            "fmt": [FORMAT],
            "hw": compat.hardware_mark(),
        },
        parallel=1,
    )
    return Host(agent, link, runner, fetcher, store, clock.now_ms, _log, wipe, compat.random_below)


def _log(level: str, text: str) -> None:
    print(level + ": " + text)
