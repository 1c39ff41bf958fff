"""Puts the core to sleep and wakes it: what it knows as bytes, and back; a board loads this then.

Other than after a restart (`restoring`) nothing has happened meanwhile: what was published is
published, what runs runs, and dates stay dates of the same clock. So to what is kept on the disk
comes what a restart may forget. Whether a core may sleep, `Agent.is_idle` tells.
"""

from . import codec
from .agent import Agent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .exports import Exports
    from .imports import Imports
    from .records import Record


def asleep(agent: Agent) -> "tuple[bytes, bytes]":
    """Return all that an idle core knows: what belongs on the disk, and the rest."""
    more = {
        "mark": agent.mark,
        "t": agent.triple,
        "up": agent.up,
        "refused": agent.refused,
        "reason": agent.reason,
        "sources": sorted([list(source) for source in agent.sources]),
        "recipes": sorted(agent.recipes),
        "needed": agent.needed,
        "report": agent.report,
        "dirty": sorted(agent.dirty),
        "subscribed": sorted(agent.subscribed),
        "pulse": agent.pulse_at,
        "imports": _of_imports(agent.imports),
        "exports": _of_exports(agent.exports),
        "records": [_of_record(record) for record in agent.tree.order],
    }
    return agent.dump(), codec.pack(more)


def woken(
    settings: "dict[str, Any]",
    kept: "tuple[bytes, bytes]",
    now: int,
    random_below: "Callable[[int], int]",
) -> Agent:
    """Return the core that was put to sleep."""
    more = codec.unpack(kept[1], 1 << 26, 16, 1 << 22)  # our own, not a stranger's
    agent = Agent(settings, kept[0], more["mark"], more["t"][1], now, random_below)
    agent.triple = more["t"]
    agent.up = agent.ready = more["up"]
    agent.refused = more["refused"]
    agent.reason = more["reason"]
    agent.sources = {(source, reason) for source, reason in more["sources"]}
    agent.recipes = set(more["recipes"])
    agent.needed = more["needed"]
    agent.report = more["report"]
    agent.dirty = set(more["dirty"])
    agent.subscribed = set(more["subscribed"])
    agent.pulse_at = more["pulse"]
    _to_imports(agent.imports, more["imports"])
    _to_exports(agent.exports, more["exports"])
    for record, kept_of_it in zip(agent.tree.order, more["records"]):
        _to_record(record, kept_of_it)
    agent.tree.refresh()
    agent.changed = agent.due = agent.imports.changed = False
    return agent


def _of_imports(imports: "Imports") -> "list[Any]":
    asks = [[list(key), ask] for key, ask in imports.asks.items()]
    return [imports.up, imports.gone, asks]


def _to_imports(imports: "Imports", kept: "list[Any]") -> None:
    imports.up, imports.gone = kept[:2]
    imports.asks = {tuple(key): ask for key, ask in kept[2]}


def _of_exports(exports: "Exports") -> "list[Any]":
    return [exports.items, sorted(exports.repeats), exports.answered]


def _to_exports(exports: "Exports", kept: "list[Any]") -> None:
    exports.items = kept[0]
    exports.repeats = set(kept[1])
    exports.answered = kept[2]


def _of_record(r: "Record") -> "list[Any]":
    """Return what of a record the disk does not know."""
    failures = [r.failed_step, r.fails, r.stop_fails, r.check_fails, r.restarts]
    absent = [list(step) for step in r.no_step]
    return [r.problem, r.withdrawn, r.tried, failures, absent, r.retry_at, r.check_at]


def _to_record(r: "Record", kept: "list[Any]") -> None:
    r.problem, r.withdrawn, r.tried, failures, absent, r.retry_at, r.check_at = kept
    r.failed_step, r.fails, r.stop_fails, r.check_fails, r.restarts = failures
    r.no_step = {(step, digest) for step, digest in absent}
