"""One-off requests to agents: `do`, and the answers to it."""

import random as random_module
from collections.abc import Sequence
from typing import Any

from fieldconf_microagent import codec, envelope, topics

from .model import Enrolled, Node, World
from .outbox import Outbox

_TTL_S = 60
_MOST_PENDING = 20_000
_MOST_TRIES = 3


class Orders:
    """Sends `do` and matches the answers."""

    def __init__(
        self, world: World, outbox: Outbox, domain: str, random: random_module.Random
    ) -> None:
        self._world = world
        self._outbox = outbox
        self._domain = domain
        self._random = random
        # id → (node, verb, arguments, how often it was sent)
        self._pending: dict[str, tuple[str, str, list[Any], int]] = {}

    def send(self, node: Node | Enrolled, verb: str, arguments: Sequence[Any] = ()) -> None:
        """Ask the agent of `node` for `verb`; see `protocol.md` for verbs and arguments."""
        boot = max(node.live, node.seen[:2])[1]
        self._send(node, boot, verb, list(arguments), 1)

    def rekey(self, one: Enrolled) -> None:
        """Tell a machine that was approved what to make its new key of, under its former key."""
        boot = max(one.live, one.seen[:2])[1]
        request = codec.pack([self._new_id(), boot, _TTL_S, "rekey", [one.nonce, one.enrolment]])
        sealed = envelope.seal(one.former, one.id, "do", request)
        self._outbox.publish(topics.do(self._domain, one.id), sealed)

    def _new_id(self) -> str:
        return f"{self._random.getrandbits(60):015x}"

    def _send(
        self, node: Node | Enrolled, boot: int, verb: str, arguments: list[Any], tries: int
    ) -> None:
        order = self._new_id()
        if len(self._pending) >= _MOST_PENDING:
            del self._pending[next(iter(self._pending))]
        self._pending[order] = (node.id, verb, arguments, tries)
        request = codec.pack([order, boot, _TTL_S, verb, arguments])
        sealed = envelope.seal(node.key, node.id, "do", request)
        self._outbox.publish(topics.do(self._domain, node.id), sealed)

    def on_did(self, node: Node, answer: list[Any]) -> tuple[str, str, Any] | None:
        """Take in an answer; return (verb, status, result), or None where nothing follows.

        An answer from another boot than the one that was meant only tells which it is now.
        """
        pending = self._pending.pop(answer[0], None)
        if pending is None or pending[0] != node.id:
            return None
        _, verb, arguments, tries = pending
        status, result = answer[2], answer[3]
        if status == "stale" and type(result) is int and tries < _MOST_TRIES:
            self._send(node, result, verb, arguments, tries + 1)
            return None
        return verb, status, result
