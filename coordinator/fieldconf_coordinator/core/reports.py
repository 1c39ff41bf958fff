"""What nodes say: haves, live, pulses and answers.

Rules kept here:

* A have counts when its MAC is right and its triple is newer than the last one that counted; after
  a start the last one counts once more, since states are not on disk.
* A have that names a higher version than the row: the coordinator comes from a backup. The row
  becomes that plus one.
* live and pulse are not authenticated: they tell who is online, and nothing else.
* Two missed pulses: the coordinator says ``offline`` for the node, whose will may have been lost.
* Two machines under one id alternate their marks: nothing they say counts until one is enrolled
  anew.
* A leaving instance goes when a have *of the want that does not name it* confirms that it is gone.
"""

from collections.abc import Callable
from typing import Any

from fieldconf_microagent import codec, envelope, states, topics

from . import messages
from .duplicates import is_duplicate
from .lastseen import remember
from .machines import Machines
from .model import Instance, Node, World
from .orders import Orders
from .outbox import Outbox
from .rows import LATE_MS, SOON_MS
from .timers import Timers
from .wants import Wants

PULSE_MS = 300_000
_GRACE_MS = 30_000
_MOST_SHARED = 1_000

_AFTER_CHECK = "it is stopped and started anew: "

_KNOWN_STATES = {state: state for state in states.STATES}


class Reports:
    """Takes in what nodes say."""

    def __init__(
        self,
        world: World,
        outbox: Outbox,
        wants: Wants,
        machines: Machines,
        orders: Orders,
        timers: Timers,
        domain: str,
        wall: Callable[[], int],
    ) -> None:
        self._world = world
        self._outbox = outbox
        self._wants = wants
        self._machines = machines
        self._orders = orders
        self._timers = timers
        self._domain = domain
        self._wall = wall
        self._learnt: dict[str, Node] = {}  # nodes of which it is not on disk yet what they are
        self._shared: dict[Any, Any] = {}  # equal values of many nodes, once

    # -- have

    def on_have(self, node: Node, message: bytes) -> None:
        have = messages.have(envelope.open_sealed(node.key, node.id, "have", message))
        info = have["n"]
        triple = (have["e"], have["b"], have["s"])
        if self._is_duplicate(node, info.get("hw"), triple):
            return
        if triple < node.seen or (triple == node.seen and node.fresh):
            return
        self._note_triple(node, triple)
        self._note_info(node, have)
        if have["v"] > node.version:
            self._ahead(node, have["v"])
        self._wants.on_held(node, have["v"])
        told = have["i"] if have["app"] == node.app.id else {}
        leaving = False
        for instance in node.root.members:
            self._note_instance(node, instance, told.get(instance.path))
            leaving = leaving or instance.leaving
        if leaving and node.held == node.version and not node.doomed:
            self._drop_gone(node)
        node.app.moved = True
        self._machines.on_have(node)
        self._world.touch(node.app, node.root)

    def _note_triple(self, node: Node, triple: tuple[int, int, int]) -> None:
        self._machines.store_late(node, SOON_MS if triple[:2] != node.seen[:2] else LATE_MS)
        node.seen = triple
        node.fresh = True
        node.heard = self._world.now

    def write_late(self) -> None:
        """Bring on disk what nodes have said of themselves."""
        self._machines.write_late()
        for node in self._learnt.values():
            if node.id in self._world.nodes:
                remember(self._outbox, node, self._wall())
        self._learnt = {}

    def _note_info(self, node: Node, have: dict[str, Any]) -> None:
        found, node.memory, address = messages.about(have["n"])
        if (found, address) != (node.info, node.address):
            node.info = self._once(found)
            node.address = address
            self._learnt[node.id] = node
            self._timers.set_earliest("late", self._world.now + SOON_MS)
        refused = have.get("r")
        refused = refused[:1000] if type(refused) is str else None
        if refused and refused != node.refused:
            self._event("problem", f"{node.id} refuses its want: {refused}", node)
        node.refused = refused

    def _once(self, value: Any) -> Any:
        """Return an equal value that other nodes use already."""
        return self._shared.setdefault(value, value) if len(self._shared) < _MOST_SHARED else value

    def _note_instance(self, node: Node, instance: Instance, told: Any) -> None:
        if told is None:
            instance.state, instance.missing, instance.digest = states.NOT_DEPLOYED, (), None
            instance.problem = None
            return
        state = told["s"]
        instance.state = _KNOWN_STATES.get(state, state)
        instance.digest = instance.kind.digest
        if told.get("d") != instance.digest:
            instance.digest = messages.digest(told.get("d"))
        missing = told.get("m")
        instance.missing = messages.names(missing) if missing else ()
        self._note_problem(node, instance, messages.problem(told.get("p")))

    def _note_problem(
        self, node: Node, instance: Instance, found: tuple[str, str, bool] | None
    ) -> None:
        """Take in a problem or its end; an agent forgets a failed check once it started anew."""
        before, instance.problem = instance.problem, found
        text = None
        if found is not None and (before or ("", ""))[:2] != found[:2]:
            what = _AFTER_CHECK if found[0] == "check" else ""
            text = f"{found[0]}: {what}{found[1]}"
        elif found is None and before and before[0] == "check" and instance.state == states.STARTED:
            text = "started anew after its check had failed"
        if text is not None:
            self._outbox.event("problem", text, node.app.name, instance.path, node.id)

    def _drop_gone(self, node: Node) -> None:
        nested = {above for one in node.root.nested for above in one.ancestors()}
        gone = [
            instance
            for instance in reversed(node.root.members)
            if instance.leaving and instance.state == states.NOT_DEPLOYED
            if instance not in nested and not instance.is_scoped
        ]
        for instance in gone:
            self._world.drop(node.app, instance)
            self._outbox.delete("instances", (node.app.id, instance.path))
        if gone:
            self._wants.providers.refresh(node)

    def _ahead(self, node: Node, version: int) -> None:
        text = f"{node.id} has want {version}, newer than {node.version}: an old store was restored"
        self._event("version", text, node)
        node.version = version
        node.sum = b""
        self._wants.renew(node)

    def _is_duplicate(self, node: Node, mark: Any, triple: tuple[int, int, int]) -> bool:
        """Tell whether what this node says does not count, since it is two machines."""

        def changed(text: str | None) -> None:
            if text is None:
                self._machines.store_late(node)
            else:
                self._outbox.store_node(node)
                self._event("duplicate", text, node)

        return triple[0] < node.enrolment or is_duplicate(node, mark, triple, changed)

    # -- online or not

    def on_live(self, node: Node, payload: bytes) -> None:
        enrolment, boot, online = messages.live(payload)
        if (enrolment, boot) < max(node.live, node.seen[:2]):
            return
        node.live = self._once((enrolment, boot))
        if online:
            self._is_online(node)
        else:
            self._is_offline(node)

    def on_pulse(self, node: Node, payload: bytes) -> None:
        enrolment, boot, _, version = messages.pulse(payload)
        if (enrolment, boot) < max(node.live, node.seen[:2]):
            return
        node.live = self._once((enrolment, boot))
        self._is_online(node)
        if (enrolment, boot) != node.seen[:2] or not node.fresh:
            # Its have got lost.
            self._orders.send(node, "report")
        elif version != node.version:
            self._wants.on_held(node, version)
            self._world.touch(node.app, node.root)

    def _is_online(self, node: Node) -> None:
        node.heard = self._world.now
        if node.online:
            return
        if node.since is not None:
            self._event("node", f"{node.id} is online again", node)
            node.since = None
            remember(self._outbox, node, self._wall())
        node.online = True
        node.app.moved = True
        self._world.touch(node.app, node.root)
        self._timers.set_earliest("silence", self._world.now + PULSE_MS)
        self._wants.on_online(node)

    def _is_offline(self, node: Node) -> None:
        if node.online or node.since is None:
            node.online, node.since = False, self._wall()
            remember(self._outbox, node, node.since)
            self._event("node", f"{node.id} is offline", node)
            node.app.moved = True
            self._world.touch(node.app, node.root)
        self._machines.on_offline(node)

    def watch(self) -> None:
        """Say ``offline`` for nodes that missed two pulses."""
        if not self._world.link:
            return
        latest = self._world.now - 2 * PULSE_MS - _GRACE_MS
        watched = self._machines.pool.watch(latest)
        for node in list(self._world.nodes.values()):
            if node.online and node.heard < latest:
                live = codec.pack([*max(node.live, node.seen[:2]), False])
                self._outbox.publish(topics.live(self._domain, node.id), live, 1, True)
                self._is_offline(node)
            watched = watched or node.online
        if watched:
            self._timers.set_earliest("silence", self._world.now + PULSE_MS // 2)

    # -- the rest

    def on_did(self, node: Node, message: bytes) -> None:
        answer = messages.did(envelope.open_sealed(node.key, node.id, "did", message))
        self._is_online(node)
        told = self._orders.on_did(node, answer)
        if told is None:
            return
        verb, status, result = told
        if verb == "forget":
            self._machines.on_forgot(node)
        elif status != "ok":
            self._event("order", f"{node.id} answers {verb} with {status}: {result}", node)

    def on_get(self, node: Node, payload: bytes) -> None:
        self._outbox.put("serve", node.id, messages.get(payload))

    def on_log(self, node: Node, payload: bytes) -> None:
        path, step, data = messages.log(payload)
        # What is kept is bounded for each path, so that nobody may invent any.
        if not path or path in node.app.instances:
            self._outbox.put("log", node.id, path, step, data)

    def _event(self, kind: str, text: str, node: Node) -> None:
        self._outbox.event(kind, text, node.app.name, node.root.path, node.id)
