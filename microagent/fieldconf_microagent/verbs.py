"""Carries out one-off requests of the coordinator; a board loads this when one comes.

A request is answered once for all: whoever repeats it gets the same answer.
"""

from . import codec, envelope, messages, topics
from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .agent import Agent

_ANSWERS = const(16)  # answers that are kept


def carry_out(agent: "Agent", message: bytes) -> None:
    """Do what a message on `do` asks for, and publish the answer.

    Raises:
        ValueError: the message is none, or not genuine.
    """
    request = messages.do(envelope.open_sealed(agent.key, agent.node, "do", message))
    for answer in agent.answers:
        if answer[0] == request[0]:
            return _publish(agent, answer)
    if request[1] != agent.triple[1]:
        return _publish(agent, [request[0], agent.triple[1], "stale", agent.triple[1]])
    status, result = agent.do(request[3], request[4])
    answer = [request[0], agent.triple[1], status, result]
    agent.answers = agent.answers[1 - _ANSWERS :] + [answer]
    # A report may be asked for twice: it need not wait for the disk, nor wear it.
    agent.changed = agent.changed or request[3] != "report"
    _publish(agent, answer)
    if status == "ok":
        if request[3] == "forget":
            _forget(agent)
        elif request[3] == "rekey":
            agent.effects.append(("rekey", request[4][0], request[4][1]))
            agent.effects.append(("exit", "restart: enrolled anew"))


def _publish(agent: "Agent", answer: "list[Any]") -> None:
    sealed = envelope.seal(agent.key, agent.node, "did", codec.pack(answer))
    agent.effects.append(
        ("publish", topics.topic(agent.d, agent.node, "did"), sealed, 1, False, None)
    )


def do(agent: "Agent", verb: str, arguments: "list[Any]") -> "tuple[str, Any]":
    """Do what every node can do."""
    if verb == "report":
        agent.dirty.add(agent.have_topic)
    elif verb == "retry":
        agent.due = True
        for record in agent.tree.order:
            if not arguments or record.path in arguments:
                record.begin_anew()
    elif verb == "cancel":
        for path in arguments:
            agent.effects.append(("cancel", path))
    elif verb == "forget":
        if agent.tree.order:
            return "error", "instances are left: " + agent.tree.order[0].path
    elif verb != "rekey" or len(arguments) != 2:
        return "error", "unknown verb: " + verb
    return "ok", None


def _forget(agent: "Agent") -> None:
    """Leave nothing behind: neither retained messages nor files."""
    agent.ready = False
    for topic in sorted(agent.exports.published) + [agent.have_topic, agent.live_topic]:
        agent.effects.append(("publish", topic, b"", 1, True, None))
    agent.effects.append(("wipe",))
    agent.effects.append(("exit", "forgotten by the coordinator"))
