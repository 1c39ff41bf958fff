"""Enrolled machines: boards and boxes that belong to the fleet for good, in use or not.

A node of most targets is made for an application and ends with it. An enrolled machine outlives
applications: one that is free and fits is claimed, used under its own id and key, and given back
empty. While it is in use it is a `Node` like any other; here is what it is in between.

A machine that somebody else flashed joins with a *token*: an id and a first key, made here. What it
says is heard, but nothing uses it before it is approved; then it makes a key of its own, from the
first one and a nonce (HMAC-SHA256), which only this coordinator and it know.

Who is expelled stays known, so that its id goes on with a higher enrolment should it come back.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from fieldconf_microagent import codec, compat, envelope, topics

from ..errors import FleetError
from . import messages, sizes
from .duplicates import is_duplicate
from .lastseen import remember
from .model import EXPELLED, JOINING, READY, Enrolled, Instance, Node, World
from .orders import Orders
from .outbox import Outbox
from .requirements import Offer, what_lacks
from .wants import empty_want, with_version

#: The handler whose nodes are claimed here.
HANDLER = "embedded"

_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_LISTED = 5
_TWO = "is two machines with one identity; enrol one of them anew"


class Pool:
    """Keeps the enrolled machines.

    Args:
        freed: called when there may be one for those who wait.
    """

    def __init__(
        self,
        world: World,
        outbox: Outbox,
        domain: str,
        orders: Orders,
        new_key: Callable[[], bytes],
        wall: Callable[[], int],
        freed: Callable[[], None],
    ) -> None:
        self._world = world
        self._outbox = outbox
        self._domain = domain
        self._orders = orders
        self._new_key = new_key
        self._wall = wall
        self._freed = freed
        self._handlers = {"have": self._on_have, "live": self._on_live, "pulse": self._on_pulse}

    # -- what users ask for

    def enrol(self, node_id: str, board: str = "", tags: Iterable[str] = ()) -> Enrolled:
        """Make an identity and a key for a machine.

        Raises:
            FleetError: the id is refused, or taken.
        """
        if not _ID.fullmatch(node_id):
            hint = "use at most 32 of A-Z a-z 0-9 _ -"
            raise FleetError("bad-name", f"{node_id!r} cannot be the id of a node", hint)
        known = self._world.enrolled.get(node_id)
        if (known is not None and known.phase != EXPELLED) or node_id in self._world.nodes:
            hint = f"'fieldconf enrol {node_id} --anew' gives it another key"
            raise FleetError("conflict", f"there is a node {node_id} already", hint)
        one = Enrolled(node_id, self._new_key())
        if known is not None:
            one.enrolment, one.version, one.seen = known.enrolment + 1, known.version, known.seen
        one.board, one.tags = board, frozenset(tags)
        self._world.enrolled[node_id] = one
        self._world.tombstones.pop(node_id, None)
        self._outbox.delete("tombstones", node_id)
        self._tell(one, "is enrolled")
        self._freed()
        return one

    def token(self, node_id: str, board: str = "", tags: Iterable[str] = ()) -> Enrolled:
        """Make an identity for a machine that has to be approved once it was heard."""
        one = self.enrol(node_id, board, tags)
        one.phase = JOINING
        return one

    def approve(self, node_id: str) -> Enrolled:
        """Accept a machine that came with a token, and have it make a new key.

        Raises:
            FleetError: it has not joined yet, or was approved before.
        """
        one = self.get(node_id)
        if one.phase != JOINING:
            raise FleetError("conflict", f"{node_id} does not wait for approval")
        if one.seen == (0, 0, 0):
            hint = "give its token to the machine, and start that"
            raise FleetError("conflict", f"{node_id} has not been heard yet", hint)
        if one.duplicate:
            marks = " and ".join(one.hardware)
            hint = f"'fieldconf enrol {node_id} --anew' makes another token, for one of them"
            raise FleetError("conflict", f"{marks} both joined as {node_id}", hint)
        one.phase = READY
        # Shorter than any message, so that no MAC of one can pass for the key.
        one.former, one.nonce = one.key, self._new_key()[:16]
        one.key = compat.hmac_sha256(one.former, one.nonce)
        one.enrolment += 1
        self._orders.rekey(one)
        self._tell(one, "is approved")
        return one

    def enrol_anew(self, node_id: str) -> Enrolled:
        """Give a machine another key, and a higher enrolment: what it said before is void.

        Raises:
            FleetError: no such machine is enrolled.
        """
        if not self.has(node_id):
            hint = f"'fieldconf enrol {node_id}' without --anew enrols it"
            raise FleetError("unknown-node", f"no machine {node_id!r} is enrolled", hint)
        one = self.get(node_id)
        one.enrolment += 1
        one.key, one.former, one.nonce = self._new_key(), b"", b""
        one.hardware, one.duplicate = (), False
        node = self._world.nodes.get(node_id)
        if node is not None:
            node.key, node.enrolment = one.key, one.enrolment
            node.hardware, node.duplicate = (), False
            self._outbox.store_node(node)
        self._tell(one, "is enrolled anew")
        return one

    def describe(self, node_id: str, board: str | None, tags: Iterable[str] | None) -> Enrolled:
        """Change what is known of a machine; None: as it is."""
        one = self.get(node_id)
        one.board = one.board if board is None else board
        one.tags = one.tags if tags is None else frozenset(tags)
        self._outbox.store_enrolled(one)
        self._freed()
        return one

    def expel(self, node_id: str) -> None:
        """Have a machine belong to the fleet no more: its key opens nothing from now on.

        Raises:
            FleetError: it is in use, or not enrolled.
        """
        one = self.get(node_id)
        node = self._world.nodes.get(node_id)
        if node is not None:
            where = f"{node.app.name} {node.root.path}"
            raise FleetError("conflict", f"{node_id} is in use by {where}", "undeploy that first")
        one.phase, one.key, one.online = EXPELLED, self._new_key(), False
        self.clear(node_id)
        self._outbox.delete("lastseen", node_id)
        self._tell(one, "is enrolled no more")

    def get(self, node_id: str) -> Enrolled:
        """Return an enrolled machine.

        Raises:
            FleetError: there is none of this id.
        """
        if not self.has(node_id):
            hint = "'fieldconf nodes' lists them"
            raise FleetError("unknown-node", f"no machine {node_id!r} is enrolled", hint)
        return self._world.enrolled[node_id]

    def has(self, node_id: str) -> bool:
        """Tell whether a machine is enrolled."""
        one = self._world.enrolled.get(node_id)
        return one is not None and one.phase != EXPELLED

    # -- claimed and given back

    def claim(self, root: Instance) -> Enrolled | str:
        """Return a free machine that fits a scoped instance, or why there is none.

        One that is online comes before one that is not; then the one that offers least, so that
        what is rare is kept for those who need it.
        """
        free = self.free()
        members = [sizes.Future(one, one.kind, one.values, one.magic) for one in root.members]
        size = sizes.of_wants(members)[root][0]
        lacks = {one.id: _lack(root, size, one) for one in free}
        fitting = [one for one in free if not lacks[one.id]]
        if fitting:
            return min(fitting, key=lambda one: (not one.online, len(one.tags), one.id))
        if not free:
            return f"no enrolled node is free; {self._count()} enrolled, all in use"
        reasons = [f"{name} {lack}" for name, lack in sorted(lacks.items())[:_LISTED]]
        return "no free enrolled node fits: " + "; ".join(reasons)

    def free(self) -> list[Enrolled]:
        """Return those that no application uses."""
        return [
            one
            for one in self._world.enrolled.values()
            if one.phase == READY and not one.nonce and one.id not in self._world.nodes
        ]

    def unused(self) -> list[Enrolled]:
        """Return those that no application uses, whether one may or not."""
        return [
            one
            for one in self._world.enrolled.values()
            if one.phase != EXPELLED and one.id not in self._world.nodes
        ]

    def _count(self) -> str:
        count = sum(one.phase == READY for one in self._world.enrolled.values())
        return {0: "none is", 1: "1 is"}.get(count, f"{count} are")

    def use(self, one: Enrolled, node: Node) -> None:
        """Let a node that is being used begin where the machine is."""
        node.enrolment, node.version, node.held = one.enrolment, one.version, one.version
        node.seen, node.live = one.seen, one.live
        node.online, node.since, node.heard = one.online, one.since, one.heard
        node.info, node.memory, node.address = one.info, one.memory, one.address
        node.last, node.hardware = one.last, one.hardware

    def give_back(self, node: Node) -> None:
        """Take back a machine whose node is gone."""
        one = self._world.enrolled[node.id]
        one.version = node.version
        one.seen, one.live = node.seen, node.live
        one.online, one.since, one.heard = node.online, node.since, node.heard
        one.info, one.memory, one.address = node.info, node.memory, node.address
        one.last, one.hardware, one.duplicate = node.last, node.hardware, node.duplicate
        self._outbox.store_enrolled(one)
        self._freed()

    # -- what free machines say

    def on_message(self, one: Enrolled, kind: str, payload: bytes) -> None:
        """Take in a message of a machine that is not in use.

        Raises:
            ValueError: it is not understood, or not genuine.
        """
        if one.phase == EXPELLED:
            if kind in ("have", "live"):
                self._outbox.publish(topics.topic(self._domain, one.id, kind), b"", 1, True)
            return
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(one, payload)

    def _on_have(self, one: Enrolled, payload: bytes) -> None:
        have = messages.have(self._opened(one, payload))
        triple = (have["e"], have["b"], have["s"])
        if triple[0] < one.enrolment or self._is_duplicate(one, have, triple) or triple < one.seen:
            return
        is_first = one.seen == (0, 0, 0)
        one.seen, one.live = triple, max(one.live, triple[:2])
        before = one.info, one.address
        one.info, one.memory, one.address = messages.about(have["n"])
        if (one.info, one.address) != before:
            remember(self._outbox, one, self._wall())
        holds_newest = have["v"] == one.version
        one.version = max(one.version, have["v"])
        self._set_online(one, True)
        if is_first:
            self._tell(one, "said its first word")
        self._outbox.store_enrolled(one)
        # Of what is free the newest want is empty: who holds that is at it already.
        if (have["app"] or have["i"]) and not holds_newest:
            self._empty(one)

    def _is_duplicate(
        self, one: Enrolled, have: dict[str, Any], triple: tuple[int, int, int]
    ) -> bool:
        def changed(text: str | None) -> None:
            if text is not None:
                self._outbox.event("duplicate", text, node=one.id)
                self._world.touch_enrolled(one)

        return is_duplicate(one, have["n"].get("hw"), triple, changed)

    def _opened(self, one: Enrolled, payload: bytes) -> bytes:
        """Return a have that is genuine; the first one under its new key ends the former one."""
        try:
            opened = envelope.open_sealed(one.key, one.id, "have", payload)
        except envelope.EnvelopeError:
            if not one.nonce:
                raise
            opened = envelope.open_sealed(one.former, one.id, "have", payload)
            self._set_online(one, True)
            self._orders.rekey(one)
            return opened
        if one.nonce:
            one.nonce = b""
            self._freed()
        return opened

    def _empty(self, one: Enrolled) -> None:
        """Tell a free machine, which may run what it was used for once, to run nothing."""
        one.version += 1
        self._outbox.store_enrolled(one)
        body = with_version(codec.pack(empty_want()), one.version)
        sealed = envelope.seal(one.key, one.id, "want", body)
        self._outbox.publish(topics.want(self._domain, one.id), sealed, 1, True)

    def _on_live(self, one: Enrolled, payload: bytes) -> None:
        enrolment, boot, online = messages.live(payload)
        if (enrolment, boot) >= max(one.live, one.seen[:2]):
            one.live = (enrolment, boot)
            self._set_online(one, bool(online))

    def _on_pulse(self, one: Enrolled, payload: bytes) -> None:
        enrolment, boot, _, _ = messages.pulse(payload)
        if (enrolment, boot) >= max(one.live, one.seen[:2]):
            one.live = (enrolment, boot)
            self._set_online(one, True)

    def _set_online(self, one: Enrolled, online: bool) -> None:
        one.heard = self._world.now
        if one.online != online:
            was_away = one.since is not None
            one.online, one.since = online, None if online else self._wall()
            if was_away or not online:
                remember(self._outbox, one, self._wall())
            self._world.touch_enrolled(one)
            if online:
                self._freed()

    def watch(self, latest: int) -> bool:
        """Say ``offline`` for free ones that were not heard since; tell whether any is online."""
        watched = False
        for one in self._world.enrolled.values():
            if one.id in self._world.nodes:
                continue
            if one.online and one.heard < latest:
                live = codec.pack([*max(one.live, one.seen[:2]), False])
                self._outbox.publish(topics.live(self._domain, one.id), live, 1, True)
                self._set_online(one, False)
            watched = watched or one.online
        return watched

    def clear(self, node_id: str) -> None:
        """Clear what is retained of a machine, but for its exports."""
        for kind in ("want", "have", "live"):
            self._outbox.publish(topics.topic(self._domain, node_id, kind), b"", 1, True)

    def _tell(self, one: Enrolled, what: str) -> None:
        self._outbox.store_enrolled(one)
        self._outbox.event("node", f"{one.id} {what}", node=one.id)


def _lack(root: Instance, size: int, one: Enrolled) -> str:
    """Return why a machine cannot run a scoped instance, whose want is so large; "" if it can."""
    if one.duplicate:
        return _TWO
    if one.info and size > sizes.largest(one.info[5]):
        return f"cannot be told all that {root.path} should run, some {size >> 10} KiB"
    return what_lacks(root.data, _offer(one))


def _offer(one: Enrolled) -> Offer:
    return Offer(one.id, one.board, one.tags, one.memory)
