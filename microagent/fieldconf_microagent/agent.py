"""The core of the agent: events and a time in, effects out. No I/O, no clock, no thread.

Events are the `on_…` methods; `take` returns what has to be done about all events since it was
last called, in that order:

    ("save", bytes)                         write the state before anything that follows
    ("subscribe", [topic, …]), ("unsubscribe", [topic, …])
    ("publish", topic, payload, qos, retain, slot)
    ("fetch", [digest, …])                  every recipe that this node needs
    ("run", request), ("cancel", path)      a step, see `_request`
    ("drop", path)                          delete the data folder of an undeployed instance
    ("log", level, text), ("wipe",), ("rekey", nonce, enrolment), ("exit", reason)

Rules kept here:

* Documents are state: each replaces the one before, is built when it can be sent, and has at most
  one copy unacknowledged; a burst of events gives one document.
* On every connect: subscribe to everything, wait until that is acknowledged, then publish
  exports, have, live, pulse, in this order.
* Nothing runs before the state that says so is saved; exports are withdrawn before `stop` runs.
* Only a want with a higher version counts; the highest is remembered for good.
"""

from . import codec, compat, envelope, messages, states, topics
from .compat import const
from .exports import Exports
from .imports import Imports
from .records import Record, goal
from .steps import Steps
from .tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PULSE_MS = const(300000)
# What will be otherwise in a moment is not told: a step that has begun, a want, imports or a recipe
# that are about to come. So a node that comes and starts at once costs one have, not three.
_UNSTABLE_MS = const(50)
# States in which an instance runs with the values that it was started with.
_RUNNING = (states.STARTING, states.STARTED)
# Sources of refused messages that are remembered, so that each is logged once.
_SOURCES = const(32)


class Agent:
    """One node.

    Args:
        settings: {"domain", "node", "key": bytes, "enrolment": int, "installers": [name, …],
            "lacking": {installer: why the node cannot run it}, "info": {…} what the node is,
            "simulate": True when no step is to be run, "ip": str or None, "parallel": steps at
            once, "pulse": ms between pulses}.
        saved: the bytes last saved, or None.
        mark: the run mark; another one than the saved means that the node restarted.
        boot: raised on disk before every start.
        random_below: n → a random integer from 0 to n - 1.
    """

    def __init__(
        self,
        settings: "dict[str, Any]",
        saved: "bytes | None",
        mark: str,
        boot: int,
        now: int,
        random_below: "Callable[[int], int]",
    ) -> None:
        self.settings = settings
        self.node: str = settings["node"]
        self.d: str = settings["domain"]
        self.key: bytes = settings["key"]
        self.triple = [settings["enrolment"], boot, 0]
        self.mark = mark
        self.now = now
        self.random_below = random_below
        self.imports = Imports(self.node, random_below)
        offers = tuple(sorted(settings["installers"])) + ("target",)
        lacking = settings.get("lacking", {})
        simulate = settings.get("simulate") is True
        self.tree = Tree(self.resolve, self._ready, offers, lacking, simulate)
        self.version = 0
        self.want: "dict[str, Any]" = {"app": "", "path": "", "i": [], "up": [], "pub": []}
        self.steps = Steps(self.tree, settings.get("parallel", 1), random_below)
        self.exports = Exports(self.d, self.node)
        self.up = self.ready = False
        self.refused = 0  # messages
        self.reason: "str | None" = None  # why the last want was refused
        self.sources: "set[tuple[str, str]]" = set()
        self.recipes: "set[bytes]" = set()
        self.needed: "list[bytes] | None" = None
        self._cache: "dict[str, dict[str, dict[str, str]]]" = {}
        self.report: "dict[str, Any] | None" = None
        self.dirty: "set[str]" = set()
        self._inflight: "set[str]" = set()
        self.subscribed: "set[str]" = set()
        self.answers: "list[list[Any]]" = []
        self.pulse_at = 0
        self._have_at: "int | None" = None  # before then there is no have, and no live
        self.changed = self.due = False
        self.effects: "list[tuple[Any, ...]]" = []
        self.want_topic, self.have_topic, self.live_topic = (
            topics.topic(self.d, self.node, "want"),
            topics.topic(self.d, self.node, "have"),
            topics.topic(self.d, self.node, "live"),
        )
        self._handlers = {
            self.want_topic: self._on_want,
            topics.topic(self.d, self.node, "do"): self._on_do,
            topics.topic(self.d, self.node, "ask"): self._on_ask,
            topics.topic(self.d, self.node, "put"): None,  # for the fetcher; the host takes it
            self.live_topic: self._on_own_live,
        }
        if saved:
            from . import restoring

            try:
                restoring.restore(self, saved)
            except (ValueError, KeyError, TypeError) as error:
                # Only a damaged disk leads here. The coordinator sends the want again.
                self.effects.append(("log", "error", "cannot read the saved state: %r" % error))
            compat.unload("restoring")
        self.changed = self.due = True

    # -- events

    def on_link(self, now: int, up: bool) -> None:
        """The connection to the broker is up or down."""
        self.now = now
        self.up, self.ready = up, False
        self._inflight.clear()
        self.subscribed.clear()
        self.imports.on_link(now, up)
        self.due = True

    def on_subscribed(self, now: int) -> None:
        """The broker has acknowledged a subscription."""
        self.now = now
        if self.up and not self.ready:
            self.ready = True
            self.dirty.update(self.exports.published)
            self.dirty.update((self.have_topic, self.live_topic))
            if not self.version:
                self._have_at = now + _UNSTABLE_MS
            self.pulse_at = now

    def on_message(self, now: int, topic: str, payload: bytes) -> None:
        """A message has arrived; a wrong one is counted, told once per source, and dropped."""
        self.now = now
        if not payload:
            return
        try:
            if topic in self._handlers:
                handler = self._handlers[topic]
                if handler:
                    handler(payload)
            else:
                self._on_other(topic, payload)
        except ValueError as error:
            self._refuse(topic, str(error))

    def on_long(self, now: int, topic: str, size: int) -> None:
        """A message has come for which there is no room."""
        from . import wants

        self.now = now
        self._refuse(topic, wants.on_long(self, topic, size))
        compat.unload("wants")

    def on_acked(self, now: int, slot: str) -> None:
        """The broker has taken over what was published for `slot`."""
        self.now = now
        self._inflight.discard(slot)
        published = self.exports.published
        if slot in published and slot not in self.dirty and not self.exports.is_current(slot):
            del published[slot]
            self.changed = True

    def on_ended(self, now: int, path: str, outcome: str, detail: str) -> None:
        """A step has ended: ``done``, ``absent``, ``failed``, ``timeout``, ``cancelled``."""
        self.now = now
        record = self.tree.records.get(path)
        if record is None or record.step is None:
            return
        self.steps.ended(record, now, outcome, detail)
        self.due = True

    def on_recipe(self, now: int, digest: bytes, problem: "str | None") -> None:
        """A recipe is complete, or cannot be had at present."""
        self.now = now
        self.due = True
        if problem is None:
            self.recipes.add(digest)
        for record in self.tree.order:
            if record.wanted_digest() == digest and record.digest != digest:
                if problem is not None:
                    record.problem = ["fetch", problem, False]
                elif record.problem and record.problem[0] == "fetch":
                    record.problem = None

    def on_address(self, now: int, ip: "str | None") -> None:
        """The address of this node has changed."""
        self.now = now
        self.settings["ip"] = ip
        self.due = True

    def tick(self, now: int) -> None:
        """Time has passed."""
        self.now = now
        for app, prefix, node in self.imports.tick(now):
            ask = codec.pack([app, prefix])
            self.effects.append(("publish", topics.topic(self.d, node, "ask"), ask, 1, False, None))
        if self._have_at is not None:
            if now >= self._have_at:
                self._have_at = None
        elif self.ready and now >= self.pulse_at:
            self.pulse_at = now + int(self.settings.get("pulse", _PULSE_MS))
            pulse = codec.pack(self.triple + [self.version])
            self.effects.append(
                ("publish", topics.topic(self.d, self.node, "pulse"), pulse, 0, False, None)
            )
        self.dirty.update(self.exports.answers(now))
        self.due = True

    def shutdown(self, now: int) -> None:
        """The process ends, the instances stay: say so."""
        self.now = now
        if self.ready:
            self.ready = False
            self._publish_live(False)

    def next_wake(self) -> "int | None":
        """Return when `tick` is due, or None."""
        times = [
            self._have_at,
            self.imports.next_wake(),
            # While all that may run at once do run, only the end of one lets another begin.
            None if self.steps.is_full() else self.tree.next_wake(),
            self.exports.next_wake(self.now),
        ]
        if self.ready and self._have_at is None:
            times.append(self.pulse_at)
        known = [time for time in times if time is not None]
        return min(known) if known else None

    def is_idle(self) -> bool:
        """Tell whether nothing is under way: until the next event or date nothing will change."""
        if self.due or self.changed or self.effects or self.imports.changed:
            return False
        if self.ready != self.up or self._inflight or self._have_at is not None:
            return False
        if self.ready and self.dirty:
            return False
        return not any([record.step for record in self.tree.order])

    def take(self) -> "list[tuple[Any, ...]]":
        """Return what has to be done now, in this order."""
        if self.due or self.imports.changed:
            self.due = False
            self._settle()
        if self.ready and self.dirty:
            self._flush()
        effects, self.effects = self.effects, []
        if self.changed:
            self.changed = False
            effects.insert(0, ("save", self.dump()))
        requests, self.steps.requests = self.steps.requests, []
        effects.extend([("run", request) for request in requests])
        return effects

    # -- messages

    def _refuse(self, source: str, reason: str) -> None:
        self.refused += 1
        if (source, reason) not in self.sources and len(self.sources) < _SOURCES:
            self.sources.add((source, reason))
            self.effects.append(("log", "warning", "refused %s: %s" % (source, reason)))

    def _on_want(self, message: bytes) -> None:
        from . import wants

        payload = envelope.open_sealed(self.key, self.node, "want", message)
        try:
            want = wants.read(payload, self.settings.get("most", codec.MAX_BYTES))
        except ValueError as error:
            self.reason = str(error)
            self.dirty.add(self.have_topic)
            raise
        finally:
            compat.unload("wants")
        if want["v"] <= self.version:
            return
        self.due = True
        self.version = want["v"]
        self.want = want
        self.reason = self.report = None
        if want["app"] == self.exports.app or not self.tree.order:
            self._adopt()
        else:
            # The instances of the former application go first.
            for record in self.tree.order:
                record.leaving = True
        self.changed = True

    def _on_other(self, topic: str, payload: bytes) -> None:
        parts = topics.parse(self.d, topic)
        if parts is None:
            return
        if len(parts) == 4:
            key = (parts[1], parts[2], parts[3])
            self.imports.on_exports(self.now, key, messages.exports(payload))
        elif parts[0] == "live":
            self.imports.on_live(self.now, parts[1], messages.live(payload))

    def _on_own_live(self, payload: bytes) -> None:
        live = messages.live(payload)
        if live[:2] == tuple(self.triple[:2]) and not live[2]:
            self.dirty.add(self.live_topic)  # a will of a former connection; contradict it

    def _on_ask(self, payload: bytes) -> None:
        app, prefix = messages.ask(payload)[:2]
        self.exports.asked(app, prefix)
        self.dirty.update(self.exports.answers(self.now))

    def _on_do(self, message: bytes) -> None:
        # Rare: a board loads it each time.
        from . import verbs

        try:
            verbs.carry_out(self, message)
        finally:
            # Also when it refuses: what it imports would hold the core in memory.
            compat.unload("verbs")

    def do(self, verb: str, arguments: "list[Any]") -> "tuple[str, Any]":
        """Do what a request asks for; return how that went."""
        from .verbs import do

        return do(self, verb, arguments)

    # -- the want

    def _adopt(self) -> None:
        """Make the want the truth that the instances are held against."""
        want = self.want
        self.imports.lost_after = want.get("lost", 0)
        self.imports.set_providers(self.now, want.get("prov", {}))
        former = [(record, goal(record)) for record in self.tree.order]
        named = set()
        for entry in want["i"]:
            named.add(entry["p"])
            record = self.tree.records.get(entry["p"])
            if record is None:
                self.tree.put(Record(entry))
            elif record.entry != entry or record.leaving:
                if record.entry["x"] != entry["x"] and record.state in _RUNNING:
                    record.redo = "update"  # it was started with others
                record.entry, record.leaving = entry, False
                record.begin_anew()
                if record.problem and record.problem[0] in ("refused", "fetch"):
                    record.problem = None
        for record in self.tree.order:
            if record.path not in named:
                record.leaving = True
        _begin_what_is_wished_anew(former)
        self.dirty.update(self.exports.adopt(want["app"], want["pub"]))
        self._cache.clear()

    def _ready(self, digest: "bytes | None") -> bool:
        return digest is None or digest in self.recipes

    def _fetch(self) -> None:
        needed = set()
        for record in self.tree.order:
            needed.add(record.digest)
            if goal(record) != states.NOT_DEPLOYED:
                needed.add(record.wanted_digest())
        needed.discard(None)
        digests = sorted(digest for digest in needed if digest)
        if digests != self.needed:
            self.needed = digests
            self.recipes.intersection_update(digests)
            self.effects.append(("fetch", digests))

    # -- imports

    def resolve(self, prefix: str, path: str) -> "dict[str, dict[str, str]]":
        """Return {path: values} of all providers of `prefix`, but for the instance itself."""
        found = self._cache.get(prefix)
        if found is None:
            found = {}
            for app, published, node in self.imports.providers.get(prefix, ()):
                if node == self.node and app == self.exports.app:
                    found.update(dict(self.exports.items.get(published, ())))
            for key, items in self.imports.of(prefix):
                for other, values in items.items():
                    own = key[0] == self.exports.app
                    found[other if own else key[0] + ":" + other] = values
            self._cache[prefix] = found
        if path in found:
            return {other: values for other, values in found.items() if other != path}
        return found

    # -- steps

    def _settle(self) -> None:
        """Take every step that is due, until nothing more follows without waiting."""
        if self.imports.changed:
            self.imports.changed = False
            self._imports_changed()
        steps = self.steps
        steps.ip, steps.beyond = self.settings.get("ip"), self.want["up"]
        steps.application = self.want.get("name", "")
        moved = True
        while moved:
            self._refresh()
            moved = steps.take(self.now)
            if self.want["app"] != self.exports.app and not self.tree.order:
                self._adopt()
                moved = True
        self.changed = self.changed or steps.changed
        steps.changed = False
        for path in steps.dropped:
            self.effects.append(("drop", path))
        steps.dropped.clear()
        self._fetch()
        self._subscribe()
        report = self._instances()
        if report != self.report:
            self.report = report
            self.dirty.add(self.have_topic)
            stable = all(states.is_stable(report[path]["s"]) for path in report)
            if stable and not self.imports.asks and self.recipes.issuperset(self.needed or ()):
                self._have_at = None
            elif self._have_at is None:
                self._have_at = self.now + _UNSTABLE_MS

    def _refresh(self) -> None:
        changed = self.exports.refresh(self.tree, self.settings.get("ip"))
        if changed:
            self._cache.clear()
            self.dirty.update(changed)
        self.tree.refresh()

    def _imports_changed(self) -> None:
        self._cache.clear()
        self.changed = True
        renewed, self.imports.renewed = self.imports.renewed, False
        for record in self.tree.order:
            imported = record.entry.get("m")
            if imported and record.failed_step:
                if renewed or self.tree.imports_of(record) != record.tried:
                    record.begin_anew()

    # -- documents out

    def _subscribe(self) -> None:
        if not self.up:
            return
        topics_now = set(self._handlers)
        for app, prefix, node in self.imports.keys():
            topics_now.add(topics.exports(self.d, app, prefix, node))
            topics_now.add(topics.topic(self.d, node, "live"))
        more, less = topics_now - self.subscribed, self.subscribed - topics_now
        self.subscribed = topics_now
        if more:
            self.effects.append(("subscribe", sorted(more)))
        if less:
            self.effects.append(("unsubscribe", sorted(less)))

    def _flush(self) -> None:
        """Send every document that is due and whose predecessor has been acknowledged."""
        last = [self.have_topic, self.live_topic]
        due = sorted(self.dirty.difference(last))
        for topic in due if self._have_at is not None else due + last:
            if topic in self.dirty and topic not in self._inflight:
                self.dirty.discard(topic)
                self._inflight.add(topic)
                self._publish(topic)

    def _publish(self, topic: str) -> None:
        if topic == self.live_topic:
            return self._publish_live(True)
        if topic == self.have_topic:
            payload = self._build_have()
        else:
            self.triple[2] += 1
            payload = self.exports.build(topic, self.triple)
        self.effects.append(("publish", topic, payload, 1, True, topic))

    def _publish_live(self, online: bool) -> None:
        payload = codec.pack(self.triple[:2] + [online])
        self.effects.append(("publish", self.live_topic, payload, 1, True, self.live_topic))

    def _instances(self) -> "dict[str, Any]":
        found = {}
        for record in self.tree.order:
            told: "dict[str, Any]" = {"s": record.state}
            if record.problem:
                told["p"] = list(record.problem)
            if record.digest:
                told["d"] = record.digest
            if record.missing and record.state == states.UNRESOLVED:
                told["m"] = record.missing
            found[record.path] = told
        return found

    def _build_have(self) -> bytes:
        self.triple[2] += 1
        info = dict(self.settings.get("info", {}))
        info["ip"] = self.settings.get("ip")
        have = {
            "e": self.triple[0],
            "b": self.triple[1],
            "s": self.triple[2],
            "v": self.version,
            "app": self.exports.app,
            "i": self.report,
            "n": info,
        }
        if self.reason:
            have["r"] = self.reason
        return envelope.seal(self.key, self.node, "have", codec.pack(have))

    # -- the disk

    def dump(self) -> bytes:
        """Return all that has to survive a restart."""
        return codec.pack(
            {
                "mark": self.mark,
                "v": self.version,
                "want": self.want,
                "app": self.exports.app,
                "pub": self.exports.prefixes,
                "prov": self.imports.providers,
                "lost": self.imports.lost_after,
                "imports": self.imports.dump(),
                "records": [[r.leaving, r.dump()] for r in self.tree.order],
                "published": self.exports.published,
                "answers": self.answers,
            }
        )


def _begin_what_is_wished_anew(former: "list[tuple[Record, str]]") -> None:
    """Drop problems of what is not wished any more, by an instance or by what is above it."""
    for record, before in former:
        if goal(record) != before:
            record.begin_anew()
            if not record.gave_up_stop():
                record.problem = None
