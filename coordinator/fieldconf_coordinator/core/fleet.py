"""The coordinator's core: wishes and reports in, wants and target calls out.

No I/O, no threads, no clock. One thread calls it: events and requests come in with a monotonic
time in ms, effects are fetched with `take` and carried out by the service. The effects of one
`take` are one batch: every ``store`` of it is committed *before* anything of it is published or
created, and before the caller of a request gets its answer.

Effects are tuples:

``("store", table, key, what)``
    upsert of the row that `rows.of` makes of `what`, or delete where that is None.
``("publish", topic, payload, qos, retain)``
    an empty payload with `retain` clears the topic.
``("create", node_id, settings)``, ``("destroy", …)``, ``("disown", …)``, ``("probe", …)``
    calls of the node's target; results come back with `on_target`. `settings` is

        {"fleet": "…", "application": id, "name": application, "path": "/vm1", "target": "local",
         "tag": "<fleet>/<application id>/vm1", "parent": node id or None, "data": {…},
         "agent": {"domain": "fc", "node": id, "key": hex, "enrolment": 1, "lost": 60000}}
``("serve", node_id, [digest, first, bitmap, most])``
    a node asks for pieces of a recipe it may have.
``("event", kind, application, path, node, text)``
    for the history; application, path and node may be "".
``("log", node_id, path, step, bytes)``
    output of a script.
"""

import random as random_module
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fieldconf_dsl.model import Template
from fieldconf_microagent import topics
from fieldconf_microagent.envelope import EnvelopeError

from ..errors import FleetError as FleetError
from . import ports, restoring, status
from .changes import Changes
from .enrolled import Pool
from .fitting import OffersOf
from .inventory import Inventory
from .machines import TOMBSTONE_MS, Identity, Machines
from .model import CREATING, EMPTYING, FORGETTING, UP, Definition, Node, World
from .news import News
from .orders import Orders
from .outbox import Effect, Outbox
from .reports import PULSE_MS, Reports
from .requests import Requests
from .timers import Timers
from .wants import Wants
from .why import Why

# After a connection is up: all wants are published, so many at a time.
_GREET_MS = 20
_GREETED_AT_ONCE = 500
# Nodes that were not heard by then are asked for their have.
_REPORT_AFTER_MS = 2_000
_LOOK_MS = 200
_OVERDUE_MS = 5_000
_MOST_SOURCES = 1_000
# What was cleared just before a stop may not have left the box.
_RECENT_MS = 600_000
_DAY_MS = 86_400_000
_ASKED = frozenset((CREATING, UP, EMPTYING, FORGETTING))


class Fleet:
    """All applications and nodes that one coordinator leads.

    Args:
        domain: first segment of every topic.
        fleet_id: made at the first start and kept for good.
        random: where ids and keys come from; a seeded one makes a run repeatable.
        default_target: where nodes come from when nothing else is said.
        wall: returns ms since 1970, for stamps that people read and that outlive a restart.
        port_is_taken: tells whether somebody else uses a port of the coordinator's box.
        first_port: where random ports on the coordinator's box begin.
        offers_of: handler and properties of a target → the installers that its nodes will have,
            with why they cannot be used or ""; None where that is not known before.
    """

    def __init__(
        self,
        domain: str = "fc",
        fleet_id: str = "",
        random: random_module.Random | None = None,
        default_target: str = "local",
        wall: Callable[[], int] = lambda: 0,
        port_is_taken: Callable[[int], bool] = lambda port: False,
        first_port: int = ports.FIRST,
        offers_of: OffersOf = lambda handler, properties: None,
    ) -> None:
        self.domain = domain
        self.fleet_id = fleet_id
        chosen = random if random is not None else random_module.SystemRandom()
        self._wall = wall
        self.world = world = World()
        identity = Identity(world, domain, fleet_id, chosen, default_target, wall)
        world.port_is_taken = port_is_taken
        world.first_port = first_port
        self._outbox = outbox = Outbox(world, identity.settings)
        self._timers = timers = Timers()
        self._wants = wants = Wants(world, outbox, domain)
        self._orders = orders = Orders(world, outbox, domain, chosen)
        self._changes = changes = Changes(world, outbox, wall)
        self._machines = machines = Machines(world, outbox, wants, orders, timers, identity)
        self._reports = Reports(world, outbox, wants, machines, orders, timers, domain, wall)
        self._requests = Requests(
            world, outbox, wants, machines, orders, changes, identity, offers_of
        )
        self._inventory = Inventory(world, outbox, machines.pool)
        #: What changed, for whoever watches.
        self.news = News(world, changes)
        self.pool: Pool = machines.pool
        self._to_resume: list[Node] = []
        self._is_resumed = True
        self._greeting: list[str] = []
        self._asking: list[str] = []
        self._up_since = 0
        #: Source → how many of its messages were dropped.
        self.dropped: dict[str, int] = {}
        self.unknown: dict[str, int] = {}
        self._handlers: dict[str, Callable[[Node, bytes], None]] = {
            "have": self._reports.on_have,
            "live": self._reports.on_live,
            "pulse": self._reports.on_pulse,
            "did": self._reports.on_did,
            "get": self._reports.on_get,
            "log": self._reports.on_log,
        }
        self._due: dict[str, Callable[[], object]] = {
            "greet": self._greet,
            "report": self._report,
            "overdue": self._overdue,
            "look": self._changes.look,
            "late": self._reports.write_late,
            "silence": self._reports.watch,
            "claim": machines.claim_again,
            "more": lambda: None,  # the next batch is what it is about
            "bury": lambda: self._bury(self.world.now),
        }

    # -- events

    def restore(self, stored: restoring.Rows, templates: Mapping[str, Template]) -> None:
        """Take over what the store holds: once, before anything else.

        Args:
            stored: table → rows, as `Store.load` returns them.
            templates: `ref` of each application row → its template.
        """
        restoring.restore(self.world, self._wants, stored, templates)
        self._changes.restore(stored.get("changes", ()), stored.get("undos", ()))
        self._to_resume = list(self.world.nodes.values())
        self._is_resumed = False

    def on_link(self, now: int, up: bool) -> None:
        """The connection to the broker came (its subscriptions are acknowledged) or went."""
        self._at(now)
        self.world.link = up
        if not up:
            return
        self._up_since = now
        for node in list(self.world.nodes.values()):
            node.heard = now - 1  # counts as unheard until it says something
            self._machines.advance(node)
        for one in self.world.enrolled.values():
            one.heard = now - 1
        self._greeting = list(self.world.nodes)
        self._timers.set("greet", now)
        self._timers.set("report", now + _REPORT_AFTER_MS)
        self._timers.set("silence", now + PULSE_MS)
        self._bury(now)

    def on_message(self, now: int, kind: str, node: str, payload: bytes) -> None:
        """A message arrived: kind is have, live, pulse, did, get or log."""
        self._at(now)
        handler = self._handlers.get(kind)
        if handler is None or not payload:
            return
        known = self.world.nodes.get(node)
        enrolled = self.world.enrolled.get(node)
        if known is None and enrolled is None:
            self._stranger(kind, node)
            return
        try:
            if known is not None:
                handler(known, payload)
            elif enrolled is not None:
                self.pool.on_message(enrolled, kind, payload)
        except EnvelopeError as error:
            self._drop(node, kind, error.reason)
        except ValueError as error:
            self._drop(node, kind, str(error))

    def on_target(self, now: int, node: str, outcome: str, detail: str = "") -> None:
        """A target call ended: created, destroyed, failed, missing (`probe` found no machine)."""
        self._at(now)
        known = self.world.nodes.get(node)
        if known is not None:
            self._machines.on_target(known, outcome, detail)

    def tick(self, now: int) -> None:
        """Do what is due."""
        self._at(now)
        for key in self._timers.due(now):
            if isinstance(key, tuple):
                node = self.world.nodes.get(key[1])
                if node is not None:
                    self._machines.on_timer(node)
            else:
                self._due[str(key)]()

    def write_late(self) -> None:
        """Bring on disk what may lag behind: the process ends."""
        self._reports.write_late()

    def next_wake(self) -> int | None:
        """Return when `tick` has to be called, or None."""
        return self._timers.next()

    def take(self) -> list[Effect]:
        """Return the effects since the last call, and forget them."""
        self._wants.flush()
        now = self.world.now
        if self._wants.unheld:
            self._timers.set_earliest("overdue", now + _OVERDUE_MS)
        if self._changes.running and any(a.moved for a in self.world.applications.values()):
            self._timers.set_earliest("look", now + _LOOK_MS)
        if self._outbox.has_rows:
            self._reports.write_late()
        effects = self._outbox.take()
        if self._outbox.is_full or self._wants.is_behind:
            self._timers.set_earliest("more", now)
        return effects

    # -- what is due

    def _at(self, now: int) -> None:
        self.world.now = now
        if not self._is_resumed:
            self._is_resumed = True
            for node in sorted(self._to_resume, key=lambda node: node.root.path):
                self._machines.resume(node)
            self._to_resume = []
            for app in self.world.applications.values():
                self._machines.assign(app, [r for r in app.scoped() if r.node is None])

    def _greet(self) -> None:
        """Publish what is retained, for a broker that may have lost it; not all at once."""
        now, self._greeting = self._greeting[:_GREETED_AT_ONCE], self._greeting[_GREETED_AT_ONCE:]
        for node_id in now:
            if node_id in self.world.nodes:
                self._wants.publish(self.world.nodes[node_id])
        if self._greeting and self.world.link:
            self._timers.set("greet", self.world.now + _GREET_MS)

    def _report(self) -> None:
        """Ask the nodes that said nothing since the connection is up; not all at once."""
        if not self._asking:
            self._asking = [
                node.id
                for node in self.world.nodes.values()
                if node.heard < self._up_since and node.phase in _ASKED
            ]
            self._asking += [one.id for one in self.pool.free() if one.heard < self._up_since]
        now, self._asking = self._asking[:_GREETED_AT_ONCE], self._asking[_GREETED_AT_ONCE:]
        for node_id in now:
            node = self.world.nodes.get(node_id) or self.world.enrolled.get(node_id)
            if node is not None and node.heard < self._up_since:
                self._orders.send(node, "report")
        if self._asking and self.world.link:
            self._timers.set("report", self.world.now + _GREET_MS)

    def _overdue(self) -> None:
        """Send wants again that were not confirmed, and ask, should the have have got lost."""
        if self.world.link:
            for node in self._wants.overdue():
                self._wants.publish(node)
                self._orders.send(node, "report")

    def _bury(self, now: int) -> None:
        """Forget old tombstones; clear once more what a stop of the coordinator left behind."""
        wall = self._wall()
        for node_id, (until, pubs) in list(self.world.tombstones.items()):
            if until <= wall:
                del self.world.tombstones[node_id]
                self._outbox.delete("tombstones", node_id)
            elif until > wall + TOMBSTONE_MS - _RECENT_MS:
                self._machines.clear_topics(node_id, pubs)
        self._timers.set("bury", now + _DAY_MS)

    def _stranger(self, kind: str, node: str) -> None:
        """A message of a node that is not ours: gone for good, or never known."""
        if node in self.world.tombstones:
            if kind in ("have", "live"):
                self._outbox.publish(topics.topic(self.domain, node, kind), b"", 1, True)
        elif node in self.unknown or len(self.unknown) < _MOST_SOURCES:
            if node not in self.unknown:
                self._outbox.event("unknown", f"node {node} is not known here", node=node)
            self.unknown[node] = self.unknown.get(node, 0) + 1

    def _drop(self, node: str, kind: str, reason: str) -> None:
        if node not in self.dropped:
            if len(self.dropped) >= _MOST_SOURCES:
                return
            text = f"a message of {node} is dropped ({kind}: {reason}); further ones are counted"
            self._outbox.event("dropped", text, node=node)
        self.dropped[node] = self.dropped.get(node, 0) + 1

    # -- requests

    def deploy(
        self,
        now: int,
        template: Template,
        ref: str,
        digests: Mapping[str, bytes],
        name: str,
        target: str | None = None,
        simulate: bool = False,
    ) -> dict[str, Any]:
        """Make an application, or change the one of that name to this template.

        Args:
            now: as everywhere.
            template: loaded and free of errors.
            ref: under which the service finds this template again; it stands in the row.
            digests: component → digest of its recipe's manifest; none for no recipe.
            name: of the application.
            target: where its nodes come from.
            simulate: no step of a recipe is to be run; one that is simulated stays so.

        Returns:
            ``{"change": id, "application": id}``.

        Raises:
            FleetError: nothing has changed. So for all requests.
        """
        self._at(now)
        return self._requests.deploy(template, ref, digests, name, target, simulate)

    def plan(
        self,
        template: Template,
        digests: Mapping[str, bytes],
        name: str,
        target: str | None = None,
        simulate: bool = False,
    ) -> dict[str, Any]:
        """Tell what `deploy` would do: ``{"add": [path…], "remove": […], "upgrade": […], …}``."""
        return self._requests.shown_plan(template, digests, name, target, simulate)

    def foresee(
        self, app: str, action: str, paths: list[str] | None, count: int = 0
    ) -> dict[str, Any]:
        """Tell what one of `foresight.ACTIONS` would do; see `foresight.foresee`."""
        return self._requests.foresee(app, action, paths, count)

    def set_wish(
        self, now: int, app: str, path: str | list[str] | None, wish: str, force: bool = False
    ) -> dict[str, Any]:
        """Wish one instance, several, or all with None, into one of `states.WISHES`.

        A scoped instance that comes or goes takes all below it along; any other change is about
        that instance alone. With `force` nodes that should go are destroyed without waiting.
        """
        self._at(now)
        paths = [path] if isinstance(path, str) else path
        return self._requests.set_wish(app, paths, wish, force)

    def scale(self, now: int, app: str, root_path: str, count: int) -> dict[str, Any]:
        """Have `count` copies of a root instance with its children: ``<base><n>``."""
        self._at(now)
        return self._requests.scale(app, root_path, count)

    def add_instance(
        self,
        now: int,
        app: str,
        parent: str | None,
        name: str,
        component: str,
        exports: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Add an instance below `parent`, or a root with None; it is wished started."""
        self._at(now)
        return self._requests.add_instance(app, parent, name, component, exports or {}, data or {})

    def remove(self, now: int, app: str, path: str, force: bool = False) -> dict[str, Any]:
        """Take an instance and all below it out of the application."""
        self._at(now)
        return self._requests.remove(app, path, force)

    def delete(self, now: int, app: str) -> dict[str, Any]:
        """Forget an application of which nothing is deployed."""
        self._at(now)
        return self._requests.delete(app)

    def retry(self, now: int, app: str, path: str | None = None) -> dict[str, Any]:
        """Try again at once what failed."""
        self._at(now)
        return self._requests.order(app, path, "retry")

    def cancel(self, now: int, app: str, path: str) -> dict[str, Any]:
        """End the step that runs."""
        self._at(now)
        return self._requests.order(app, path, "cancel")

    def preview(self, now: int, app: str, path: str, step: str | None) -> dict[str, Any]:
        """Have the log tell what a step would change; None: the next step."""
        self._at(now)
        return self._requests.order(app, path, "preview", [step])

    def bind(self, now: int, app: str, prefix: str, applications: list[str]) -> dict[str, Any]:
        """Let the external imports of `prefix` be served by these applications."""
        self._at(now)
        return self._requests.bind(app, prefix, applications)

    def define_target(self, now: int, definition: Definition) -> None:
        """Make a target, or change one; nodes that are there already stay as they are."""
        self._at(now)
        self._requests.placing.define(definition)

    def undefine_target(self, now: int, target_id: str) -> None:
        """Delete a target that nothing uses."""
        self._at(now)
        self._requests.placing.undefine(target_id)

    def target_uses(self, target_id: str) -> list[str]:
        """Return what uses a target: ids of nodes, names of applications and their elements."""
        return self._requests.placing.uses(target_id)

    def place_template(
        self, now: int, template: Template, element: str, target_id: str | None
    ) -> None:
        """Like `place`, for the applications that are made from a template of this name later."""
        self._at(now)
        self._requests.placing.place_template(template, element, target_id)

    def forget_template(self, now: int, name: str) -> None:
        """Drop what was placed for a template of which no version is left."""
        self._at(now)
        self._requests.placing.forget_template(name)

    def place(self, now: int, app: str, element: str, target_id: str | None) -> None:
        """Have a target make the nodes of an instance's path, of ``@Component``, or of all ("").

        With None it is what it would be otherwise. See `placing`.
        """
        self._at(now)
        self._requests.placing.place(self._requests.application(app), element, target_id)

    def pool_at(self, now: int) -> Pool:
        """Return the enrolled machines, to ask something of."""
        self._at(now)
        return self.pool

    def tag_node(self, now: int, node: str, tags: Iterable[str]) -> None:
        """Give a node these tags and no others."""
        self._at(now)
        self._inventory.tag(node, tags)

    def status(self, app: str | None = None) -> dict[str, Any]:
        """Return applications with their instances, and nodes.

            {"applications": [{"id", "name", "template", "version", "target", "bindings",
                "instances": [{"path", "component", "installer", "state", "wish", "problem",
                    "node", "online", "address", "exports", "missing", "leaving"}, …]}, …],
             "nodes": [{"id", "application", "path", "target", "phase", "online", "want", "have",
                "address", "agent", "platform", "memory", "installers", "refused", "duplicate"}],
             "unknown": [node id, …], "dropped": {source: count}}

        `state` is of `states`, or ``unknown``: the node was not heard since the start.
        """
        apps = self.world.applications
        chosen = [apps[name] for name in sorted(apps)]
        if app is not None:
            chosen = [self._requests.application(app)]
        return {
            "applications": [status.application(self.world, one) for one in chosen],
            "nodes": [
                status.node(self.world, node)
                for node in self.world.nodes.values()
                if node.app in chosen
            ],
            "unknown": sorted(self.unknown),
            "dropped": dict(self.dropped),
        }

    def why(self, app: str, path: str) -> list[dict[str, Any]]:
        """Return the reasons why an instance is not where it is wished, the root cause last.

        Each is ``{"path": "/lb", "text": "waits for Web"}``; none: it is where it is wished.
        """
        found = self._requests.application(app)
        return Why(self.world).reasons(found, self._requests.instance(found, path))

    def changes(self) -> list[dict[str, Any]]:
        """Return the latest changes, newest first, as `change` does."""
        return self._changes.show_all()

    def change(self, change_id: str) -> dict[str, Any]:
        """Return one change.

        ``{"id", "application", "text", "outcome": "running" or "done" or …,
        "done": 3, "total": 5, "steps": [{"path", "wish", "state", "problem", "done"}, …],
        "started": wall ms, "ended": wall ms or None}``
        """
        return self._changes.show(change_id)

    def change_ids(self) -> list[str]:
        """Return the ids of the latest changes, newest first."""
        return self._changes.ids()

    def running_changes(self) -> list[str]:
        """Return the ids of the changes that are under way."""
        return self._changes.running_of(self.world.by_id)

    def progress(self, change_id: str) -> dict[str, Any] | None:
        """Return a change as `change` does, but without its steps; None if it is forgotten."""
        return self._changes.progress(change_id)

    def cancel_change(self, now: int, change_id: str) -> dict[str, Any]:
        """Put back what a change wished, and end its steps that run.

        Returns:
            ``{"change": id of the change that watches the way back, None where there is none,
            "stays": sentences about what is not put back, "sent", "offline"}``: how many steps are
            ended, and ids of nodes that cannot be told to.
        """
        self._at(now)
        return self._requests.cancel_change(change_id)

    def allowed_digests(self, node: str) -> frozenset[bytes]:
        """Return the digests of the manifests that the node's want names."""
        known = self.world.nodes.get(node)
        if known is None or known.doomed:
            return frozenset()
        digests = (member.kind.digest for member in known.root.members)
        return frozenset(digest for digest in digests if digest is not None)
