"""Nodes come and go: one for each scoped instance that should be deployed, destroyed in steps.

Destroying is a sequence whose every step is on disk, so that it goes on after a restart:

    up → emptying       the empty want is published
       → forgetting     the have says empty, or the deadline has passed: `do forget`
       → destroying     it answered, went offline, or did not answer: the target's `destroy`
       → clearing       the machine is gone; waits for a connection to the broker
       → (a tombstone)  its retained topics are cleared, the ones under x/ from the record

A node from the pool of enrolled machines is claimed instead of made, and given back empty instead
of forgotten; where none fits, the scoped instance waits until one does.

A nested node is created only when its parent instance is started, and is gone before the node in
which it lies is emptied. A path has one node at a time: a new one comes when the old one is gone.
"""

import random as random_module
from collections.abc import Callable, Iterable
from typing import Any

from fieldconf_microagent import states, topics

from . import placing, requirements
from .enrolled import HANDLER, Pool
from .model import (
    CLEARING,
    CREATING,
    DESTROYING,
    EMPTYING,
    FORGETTING,
    UP,
    WAITING,
    Application,
    Instance,
    Node,
    World,
)
from .orders import Orders
from .outbox import Outbox
from .rows import SOON_MS
from .timers import Timers
from .wants import Wants

EMPTYING_MS = 60_000
FORGETTING_MS = 10_000
TOMBSTONE_MS = 30 * 86_400_000

_FIRST_PAUSE_MS = 1_000
_DOUBLED = 6
_LONGEST_PAUSE_MS = 300_000
# 32 letters and digits, none of which looks like another.
_ALPHABET = "023456789abcdefghijkmnpqrstuvwxy"


class Machines:
    """Creates and destroys nodes, in the right order."""

    def __init__(
        self,
        world: World,
        outbox: Outbox,
        wants: Wants,
        orders: Orders,
        timers: Timers,
        identity: "Identity",
    ) -> None:
        self._world = world
        self._outbox = outbox
        self.pool = Pool(
            world,
            outbox,
            identity.domain,
            orders,
            identity.new_key,
            identity.wall,
            lambda: timers.set_earliest("claim", world.now),
        )
        self._wants = wants
        self._orders = orders
        self._timers = timers
        self._identity = identity
        # Id of a node → those nested in it that wait for it.
        self._waiting: dict[str, dict[str, Node]] = {}
        # Nodes whose rows may lag behind.
        self._late: dict[str, Node] = {}
        # Scoped instances that no enrolled machine fits at present → their application.
        self._unclaimed: dict[Instance, Application] = {}

    # -- what should be there

    def assign(self, app: Application, roots: Iterable[Instance], force: bool = False) -> None:
        """Give each of these scoped instances a node, or take it away, as is wished."""
        for root in sorted(roots, key=_choosy_first):
            if app.instances.get(root.path) is not root:
                continue
            wanted = root.effective_wish() != states.NOT_DEPLOYED
            if root.node is not None:
                if not wanted:
                    self.doom(root.node, force)
            elif wanted:
                if not self._is_leaving_around(root):
                    self._new(app, root)
                continue
            elif root.leaving:
                self._remove_members(app, root)
            if self._unclaimed.pop(root, None) is not None:
                root.problem = None

    @staticmethod
    def _is_leaving_around(root: Instance) -> bool:
        """Tell whether the node around has to go first; the next one gets what is nested."""
        above = root.parent.scope.node if root.parent is not None else None
        return root.parent is not None and (above is None or above.doomed)

    def _new(self, app: Application, root: Instance) -> None:
        target = self._identity.target_of(app, root)
        if placing.handler_of(self._world, target) == HANDLER:
            node = self._claimed(app, root, target)
            if node is None:
                return
        else:
            node_id = self._identity.new_id(self._world)
            node = Node(node_id, self._identity.new_key(), target, app, root)
            # It will report by itself once it is there: nobody has to ask it.
            node.heard = self._world.now
        root.node = self._world.nodes[node.id] = node
        self._wants.providers.refresh(node)
        self._outbox.store_node(node)
        if root.parent is not None and root.parent.scope.node is not None:
            # The want of the node around names what is nested in it a little longer.
            self._wants.mark(root.parent.scope.node)
        self._begin(node)

    def _claimed(self, app: Application, root: Instance, target: str) -> Node | None:
        """Return a node on an enrolled machine, or None: the instance waits for one that fits."""
        found = self.pool.claim(root)
        if isinstance(found, str):
            if root.problem is None or root.problem[1] != found:
                self._outbox.event("problem", found, app.name, root.path)
            root.problem = ("failed", found, False)
            self._unclaimed[root] = app
            self._world.touch(app, root)
            return None
        if self._unclaimed.pop(root, None) is not None:
            root.problem = None
        node = Node(found.id, found.key, target, app, root)
        self.pool.use(found, node)
        return node

    def claim_again(self) -> None:
        """Look once more for machines for those who wait for one."""
        for root, app in list(self._unclaimed.items()):
            if app.instances.get(root.path) is not root:
                del self._unclaimed[root]
            elif root.node is None:
                self.assign(app, [root])

    def _begin(self, node: Node) -> None:
        """Have the machine made, unless the instance around it is not started yet."""
        parent = node.root.parent
        if parent is not None and parent.state != states.STARTED:
            above = parent.scope.node
            if above is not None:
                self._waiting.setdefault(above.id, {})[node.id] = node
            return
        node.phase = CREATING
        node.root.state = states.DEPLOYING
        self._outbox.store_node(node)
        self._create(node)

    def _create(self, node: Node) -> None:
        node.calling = True
        self._outbox.call("create", node)

    def resume(self, node: Node) -> None:
        """Go on with a node after a restart of the coordinator."""
        if node.phase == WAITING:
            if node.doomed:
                self.advance(node)
            else:
                self._begin(node)
        elif node.phase == CREATING:
            if node.doomed:
                self.advance(node, is_sure=False)
            else:
                self._create(node)
        elif node.phase == UP:
            if node.doomed:
                self.advance(node)
            else:
                self._outbox.call("probe", node)
        elif node.phase == EMPTYING:
            self._timers.set(("phase", node.id), self._world.now + EMPTYING_MS)
        elif node.phase == FORGETTING:
            self._timers.set(("phase", node.id), self._world.now + FORGETTING_MS)
        elif node.phase == DESTROYING:
            self._outbox.call("destroy", node)
        else:
            self.advance(node)

    def store_late(self, node: Node, within_ms: int = SOON_MS) -> None:
        """Have the row of a node written with the next commit, or after a while."""
        self._late[node.id] = node
        self._timers.set_earliest("late", self._world.now + within_ms)
        self._world.touch(node.app, node.root)

    def write_late(self) -> None:
        """Bring the rows of all nodes up to date."""
        for node in self._late.values():
            if node.id in self._world.nodes:
                self._outbox.store_node(node)
        self._late = {}

    # -- what happened

    def on_have(self, node: Node) -> None:
        """Go on with what waited for a word of this node."""
        if node.phase == EMPTYING:
            gone = all(m.state == states.NOT_DEPLOYED for m in node.root.members)
            if gone and node.held == node.version:
                self._forget(node)
        elif node.phase == CREATING:
            node.phase = UP
            node.tries = 0
            self.store_late(node)
        waiting = self._waiting.pop(node.id, None)
        if waiting:
            for nested in waiting.values():
                if nested.phase == WAITING and not nested.doomed:
                    self._begin(nested)

    def on_target(self, node: Node, outcome: str, detail: str) -> None:
        """Take in the end of a target call."""
        if outcome in ("created", "failed"):
            node.calling = False
            if node.phase == FORGETTING or (node.phase == EMPTYING and not node.was_heard):
                self._destroy(node)
                return
        if outcome == "failed":
            self._target_failed(node, detail)
        elif outcome == "created" and node.phase == CREATING:
            node.phase = UP
            node.tries = 0
            node.root.problem = None
            self.store_late(node)
        elif outcome == "missing":
            self._target_missing(node)
        elif outcome == "destroyed" and node.phase == DESTROYING:
            node.phase = CLEARING
            self._outbox.store_node(node)
            self.advance(node)

    def _target_failed(self, node: Node, detail: str) -> None:
        verb = {CREATING: "create", DESTROYING: "destroy"}.get(node.phase)
        if verb is None:
            return
        node.tries += 1
        pause = _LONGEST_PAUSE_MS
        if node.tries <= _DOUBLED:
            pause = _FIRST_PAUSE_MS << node.tries - 1
        text = f"cannot {verb} the node: {detail}"
        before, node.root.problem = node.root.problem, ("failed", text, node.tries > _DOUBLED)
        node.app.moved = True
        self._world.touch(node.app, node.root)
        if before is None or before[1] != text:
            self._event("problem", text, node)
        self._timers.set(("phase", node.id), self._world.now + pause)

    def _target_missing(self, node: Node) -> None:
        if node.phase in (EMPTYING, FORGETTING):
            self._destroy(node)
        elif node.phase == UP and not node.doomed:
            self._event("node", f"the machine of {node.id} is gone; it is made again", node)
            self._set_phase(node, CREATING)
            self._create(node)

    def on_offline(self, node: Node) -> None:
        """It said goodbye: having been asked to forget, it has."""
        if node.phase == FORGETTING:
            self._destroy(node)

    def on_forgot(self, node: Node) -> None:
        """It answered `forget`."""
        if node.phase == FORGETTING:
            self._destroy(node)

    def on_timer(self, node: Node) -> None:
        """The deadline of a phase, or the pause after a failed call, has passed."""
        if node.phase == EMPTYING:
            self._event("node", f"{node.id} did not empty itself in time", node)
            self._forget(node)
        elif node.phase == FORGETTING:
            self._destroy(node)
        elif node.phase == CREATING:
            self._create(node)
        elif node.phase == DESTROYING:
            self._outbox.call("destroy", node)

    def retry(self, node: Node) -> None:
        """Make the next attempt of a failed target call now."""
        node.tries = 0
        if node.root.problem is not None and node.phase in (CREATING, DESTROYING):
            self._timers.clear(("phase", node.id))
            self.on_timer(node)

    # -- destroying

    def doom(self, node: Node, force: bool = False) -> None:
        """Begin to destroy a node; with `force` without waiting for what runs there."""
        if force and not node.calling and node.phase in (CREATING, UP, EMPTYING, FORGETTING):
            node.doomed = True
            for nested in node.root.nested:
                if nested.node is not None:
                    self.doom(nested.node, force)
            self._destroy(node)
        elif force and node.phase == DESTROYING and node.tries:
            self._give_up(node)
        elif not node.doomed:
            node.doomed = True
            self._outbox.store_node(node)
            self.advance(node)

    def _give_up(self, node: Node) -> None:
        """Forget a node that its target could not destroy: perhaps the target is gone itself."""
        text = f"{node.id} could not be destroyed and is forgotten: its machine may still run"
        self._event("problem", text, node)
        node.root.problem = None
        self._outbox.call("disown", node)
        self._set_phase(node, CLEARING)
        self.advance(node)

    def advance(self, node: Node, is_sure: bool = True) -> None:
        """Take the next step of destroying, if nothing is nested in the node any more.

        Not `is_sure`: a former coordinator may have had the machine made, and died meanwhile.
        """
        if not node.doomed or any(nested.node is not None for nested in node.root.nested):
            return
        if node.phase == WAITING:
            self._set_phase(node, CLEARING)
        elif node.phase in (CREATING, UP):
            self._empty(node, is_sure)
        if node.phase == CLEARING and (self._world.link or not node.version):
            self._gone(node)

    def _empty(self, node: Node, is_sure: bool) -> None:
        self._set_phase(node, EMPTYING)
        # Now and not later: an older have must not pass for the answer to the empty want.
        self._wants.renew(node)
        node.root.state = states.UNDEPLOYING
        self._timers.set(("phase", node.id), self._world.now + EMPTYING_MS)
        if is_sure and not (node.was_heard or node.online or node.calling):
            # Nothing was ever deployed there.
            self._destroy(node)

    def _forget(self, node: Node) -> None:
        if self._is_enrolled(node):
            self._destroy(node)
            return
        self._set_phase(node, FORGETTING)
        self._wants.providers.drop(node)
        self._timers.set(("phase", node.id), self._world.now + FORGETTING_MS)
        self._orders.send(node, "forget")

    def _destroy(self, node: Node) -> None:
        if node.calling:
            # What is still being made cannot be destroyed for good.
            self._timers.set(("phase", node.id), self._world.now + FORGETTING_MS)
            return
        self._set_phase(node, DESTROYING)
        self._wants.providers.drop(node)
        if self._is_enrolled(node):
            # It lives on, and may be offline: what it finds when it returns is to be empty.
            self._wants.renew(node)
        node.tries = 0
        node.root.state = states.UNDEPLOYING
        self._timers.clear(("phase", node.id))
        self._outbox.call("destroy", node)

    def _gone(self, node: Node) -> None:
        """The machine is gone: clear its topics, and remember its id so that it stays gone."""
        app, root = node.app, node.root
        self._timers.clear(("phase", node.id))
        self._wants.providers.drop(node)
        del self._world.nodes[node.id]
        self._waiting.pop(node.id, None)
        self._outbox.delete("nodes", node.id)
        if self._is_enrolled(node):
            self._clear_exports(node.id, node.pubs)
            self.pool.give_back(node)
            self._event("node", f"{node.id} is free", node)
        else:
            self._bury(node)
        root.node = None
        app.moved = True
        self._world.touch(app, root)
        for member in root.members:
            member.state, member.problem = states.NOT_DEPLOYED, None
            member.missing, member.digest = (), None
        above = root.parent.scope.node if root.parent is not None else None
        # May be wished again by now.
        self.assign(app, [root, *_below(root)])
        self.drop_unborn(app, root)
        if above is not None:
            self._wants.mark(above)
            self.advance(above)

    def _bury(self, node: Node) -> None:
        until = self._identity.wall() + TOMBSTONE_MS
        self._world.tombstones[node.id] = (until, node.pubs)
        row = {"node": node.id, "until": until, "pubs": [list(pub) for pub in node.pubs]}
        self._outbox.store("tombstones", node.id, row)
        self._outbox.delete("lastseen", node.id)
        if self._world.tags.pop(node.id, None) is not None:
            self._outbox.delete("tags", node.id)
        self.clear_topics(node.id, node.pubs)
        self._event("node", f"{node.id} is gone", node)

    def _is_enrolled(self, node: Node) -> bool:
        return node.id in self._world.enrolled

    def drop_unborn(self, app: Application, root: Instance) -> None:
        """Take the leaving instances of a node that is not there out of the model."""
        if root.node is not None or app.instances.get(root.path) is not root:
            return
        for member in reversed(list(root.members)):
            if member.leaving:
                self._world.drop(app, member)
                self._outbox.delete("instances", (app.id, member.path))

    def _remove_members(self, app: Application, root: Instance) -> None:
        """Take a scoped instance that nobody runs, and what lies on its node, out of the model."""
        for nested in list(root.nested):
            self._remove_members(app, nested)
        for member in reversed(list(root.members)):
            self._world.drop(app, member)
            self._outbox.delete("instances", (app.id, member.path))
        app.moved = True

    def clear_topics(self, node_id: str, pubs: Iterable[tuple[str, str]]) -> None:
        """Clear all that is retained of a node."""
        self.pool.clear(node_id)
        self._clear_exports(node_id, pubs)

    def _clear_exports(self, node_id: str, pubs: Iterable[tuple[str, str]]) -> None:
        domain = self._identity.domain
        for app_id, prefix in pubs:
            self._outbox.publish(topics.exports(domain, app_id, prefix, node_id), b"", 1, True)

    def _set_phase(self, node: Node, phase: str) -> None:
        node.phase = phase
        node.app.moved = True
        self._outbox.store_node(node)

    def _event(self, kind: str, text: str, node: Node) -> None:
        self._outbox.event(kind, text, node.app.name, node.root.path, node.id)


def _choosy_first(root: Instance) -> tuple[int, int, str]:
    """Sort parents before children; of those, who can be served by few before who takes any."""
    return root.path.count("/"), -requirements.count(root.data), root.path


def _below(root: Instance) -> list[Instance]:
    found = []
    for nested in root.nested:
        found += [nested, *_below(nested)]
    return found


class Identity:
    """Who this coordinator is, and what it makes up: ids, keys, and the settings of nodes."""

    def __init__(
        self,
        world: World,
        domain: str,
        fleet_id: str,
        random: random_module.Random,
        default_target: str,
        wall: Callable[[], int],
    ) -> None:
        self._world = world
        self.domain = domain
        self.fleet_id = fleet_id
        self.random = random
        self.default_target = default_target
        self.wall = wall

    def new_id(self, world: World) -> str:
        """Return an id that no node has or had."""
        while True:
            node_id = "n" + self.text(9)
            taken = (world.nodes, world.tombstones, world.enrolled)
            if not any(node_id in ids for ids in taken):
                return node_id

    def new_key(self) -> bytes:
        return self.random.getrandbits(256).to_bytes(32, "big")

    def text(self, length: int) -> str:
        """Return random letters and digits."""
        bits = self.random.getrandbits(5 * length)
        return "".join(_ALPHABET[bits >> 5 * place & 31] for place in range(length))

    def target_of(self, app: Application, root: Instance) -> str:
        """Return where the node of a scoped instance comes from."""
        return placing.target_of(self._world, app, root) or self.default_target

    def handler_of(self, app: Application, root: Instance) -> str:
        """Return the handler of that target."""
        return placing.handler_of(self._world, self.target_of(app, root))

    def settings(self, node: Node) -> dict[str, Any]:
        """Return what the target has to know of a node."""
        app, root = node.app, node.root
        above = root.parent.scope.node if root.parent is not None else None
        return {
            "fleet": self.fleet_id,
            "application": app.id,
            "name": app.name,
            "path": root.path,
            "target": placing.handler_of(self._world, node.target),
            "tag": f"{self.fleet_id}/{app.id}{root.path}",
            "parent": above.id if above is not None else None,
            "data": placing.properties_of(self._world, node.target, root),
            "agent": {
                "fleet": self.fleet_id,
                "domain": self.domain,
                "node": node.id,
                "key": node.key.hex(),
                "enrolment": node.enrolment,
            },
        }
