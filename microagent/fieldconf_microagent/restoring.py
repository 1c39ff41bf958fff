"""Brings the core back to what was saved; a board loads this when it starts, and lets it go."""

from . import codec, states
from .records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .agent import Agent
    from .imports import Imports


def restore(agent: "Agent", saved: bytes) -> None:
    """Take back what `Agent.dump` returned.

    Raises:
        ValueError, KeyError, TypeError: it did not.
    """
    state = codec.unpack(saved, 1 << 26, 16, 1 << 22)  # our own file, not a stranger's
    agent.version, agent.want = state["v"], state["want"]
    agent.exports.published, agent.answers = state["published"], state["answers"]
    agent.exports.adopt(state["app"], state["pub"])
    agent.imports.lost_after = state["lost"]
    providers = {p: [tuple(key) for key in keys] for p, keys in state["prov"].items()}
    agent.imports.set_providers(agent.now, providers)
    _restore_imports(agent.imports, state["imports"])
    for leaving, dumped in state["records"]:
        record = Record(dumped["entry"])
        for name in Record.SAVED:
            if name in dumped:
                setattr(record, name, dumped[name])
        record.leaving = leaving
        if record.step == "deploy" and record.digest is None:
            agent.effects.append(("drop", record.path))
        _mend(record, state["mark"] == agent.mark)
        agent.tree.put(record)


def _restore_imports(imports: "Imports", saved: "list[Any]") -> None:
    """Take back what `Imports.dump` returned; the providers are set before."""
    keys = imports.keys()
    for key, triple, items in saved[0]:
        if tuple(key) in keys:
            imports.values[tuple(key)] = [tuple(triple), items]
    for node, live in saved[1]:
        imports.live[node] = tuple(live)


def _mend(record: Record, same_mark: bool) -> None:
    """Bring a record that was read from disk in line with what can be true after a restart.

    A step that was cut off is run again, in a way that its recipe must bear. After a restart of the
    node (`same_mark` is false) nothing runs any more.
    """
    step, record.step = record.step, None
    if step == "deploy":
        record.redo = "deploy" if record.digest is not None else None
        record.state = states.STOPPED if record.redo else states.NOT_DEPLOYED
    elif step in ("start", "stop"):
        record.state, record.redo, record.withdrawn = states.STARTED, "start", True
    elif step == "update":
        record.redo = "update"
    elif step == "undeploy":
        record.state, record.redo = states.STOPPED, "undeploy"
    if record.state == states.STARTED and record.redo != "start" and not same_mark:
        record.state, record.given, record.redo = states.STOPPED, None, None
        record.withdrawn = False
