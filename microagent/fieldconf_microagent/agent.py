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

from . import codec, envelope, messages, states, topics
from .compat import const
from .exports import Exports
from .imports import Imports
from .records import Record, goal, restore
from .steps import Steps
from .tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PULSE_MS = const(300000)
# A step is told of when it takes longer; so one that is over at once costs one have, not two.
_UNSTABLE_MS = const(50)
_ANSWERS = const(16)  # answers to `do` that are kept
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
        self._reason: "str | None" = None  # why the last want was refused
        self._sources: "set[tuple[str, str]]" = set()
        self._recipes: "set[bytes]" = set()
        self._needed: "list[bytes] | None" = None
        self._cache: "dict[str, dict[str, dict[str, str]]]" = {}
        self._report: "dict[str, Any] | None" = None
        self._dirty: "set[str]" = set()
        self._inflight: "set[str]" = set()
        self._subscribed: "set[str]" = set()
        self._answers: "list[list[Any]]" = []
        self._pulse_at = 0
        self._have_at: "int | None" = None  # when to tell of a step that takes its time
        self._changed = self._due = False
        self._effects: "list[tuple[Any, ...]]" = []
        self._have, self._live = topics.have(self.d, self.node), topics.live(self.d, self.node)
        self._handlers = {
            topics.want(self.d, self.node): self._on_want,
            topics.do(self.d, self.node): self._on_do,
            topics.ask(self.d, self.node): self._on_ask,
            topics.put(self.d, self.node): None,  # for the fetcher; the host takes it
            self._live: self._on_own_live,
        }
        if saved:
            try:
                self._restore(saved)
            except (ValueError, KeyError, TypeError) as error:
                # Only a damaged disk leads here. The coordinator sends the want again.
                self._effects.append(("log", "error", "cannot read the saved state: %r" % error))
        self._changed = self._due = True

    # -- events

    def on_link(self, now: int, up: bool) -> None:
        """The connection to the broker is up or down."""
        self.now = now
        self.up, self.ready = up, False
        self._inflight.clear()
        self._subscribed.clear()
        self.imports.on_link(now, up)
        self._due = True

    def on_subscribed(self, now: int) -> None:
        """The broker has acknowledged a subscription."""
        self.now = now
        if self.up and not self.ready:
            self.ready = True
            self._dirty.update(self.exports.published)
            self._dirty.update((self._have, self._live))
            self._pulse_at = now

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

    def on_acked(self, now: int, slot: str) -> None:
        """The broker has taken over what was published for `slot`."""
        self.now = now
        self._inflight.discard(slot)
        published = self.exports.published
        if slot in published and slot not in self._dirty and not self.exports.is_current(slot):
            del published[slot]
            self._changed = True

    def on_ended(self, now: int, path: str, outcome: str, detail: str) -> None:
        """A step has ended: ``done``, ``absent``, ``failed``, ``timeout``, ``cancelled``."""
        self.now = now
        record = self.tree.records.get(path)
        if record is None or record.step is None:
            return
        self.steps.ended(record, now, outcome, detail)
        self._due = True

    def on_recipe(self, now: int, digest: bytes, problem: "str | None") -> None:
        """A recipe is complete, or cannot be had at present."""
        self.now = now
        self._due = True
        if problem is None:
            self._recipes.add(digest)
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
        self._due = True

    def tick(self, now: int) -> None:
        """Time has passed."""
        self.now = now
        for app, prefix, node in self.imports.tick(now):
            ask = codec.pack([app, prefix])
            self._effects.append(("publish", topics.ask(self.d, node), ask, 1, False, None))
        if self._have_at is not None and now >= self._have_at:
            self._have_at = None
            self._dirty.add(self._have)
        if self.ready and now >= self._pulse_at:
            self._pulse_at = now + int(self.settings.get("pulse", _PULSE_MS))
            pulse = codec.pack(self.triple + [self.version])
            self._effects.append(
                ("publish", topics.pulse(self.d, self.node), pulse, 0, False, None)
            )
        self._dirty.update(self.exports.answers(now))
        self._due = True

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
            self.tree.next_wake(),
            self.exports.next_wake(self.now),
        ]
        if self.ready:
            times.append(self._pulse_at)
        known = [time for time in times if time is not None]
        return min(known) if known else None

    def take(self) -> "list[tuple[Any, ...]]":
        """Return what has to be done now, in this order."""
        if self._due or self.imports.changed:
            self._due = False
            self._settle()
        if self.ready and self._dirty:
            self._flush()
        effects, self._effects = self._effects, []
        if self._changed:
            self._changed = False
            effects.insert(0, ("save", self.dump()))
        requests, self.steps.requests = self.steps.requests, []
        effects.extend([("run", request) for request in requests])
        return effects

    # -- messages

    def _refuse(self, source: str, reason: str) -> None:
        self.refused += 1
        if (source, reason) not in self._sources and len(self._sources) < _SOURCES:
            self._sources.add((source, reason))
            self._effects.append(("log", "warning", "refused %s: %s" % (source, reason)))

    def _open(self, kind: str, message: bytes) -> bytes:
        return envelope.open_sealed(self.key, self.node, kind, message)

    def _on_want(self, message: bytes) -> None:
        payload = self._open("want", message)
        try:
            want = messages.want(payload)
        except ValueError as error:
            self._reason = str(error)
            self._dirty.add(self._have)
            raise
        if want["v"] <= self.version:
            return
        self._due = True
        self.version = want["v"]
        self.want = want
        self._reason = self._report = None
        if want["app"] == self.exports.app or not self.tree.order:
            self._adopt()
        else:
            # The instances of the former application go first.
            for record in self.tree.order:
                record.leaving = True
        self._changed = True

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
            self._dirty.add(self._live)  # a will of a former connection; contradict it

    def _on_ask(self, payload: bytes) -> None:
        app, prefix = messages.ask(payload)[:2]
        self.exports.asked(app, prefix)
        self._dirty.update(self.exports.answers(self.now))

    def _on_do(self, message: bytes) -> None:
        request = messages.do(self._open("do", message))
        for answer in self._answers:
            if answer[0] == request[0]:
                return self._answer(answer)
        if request[1] != self.triple[1]:
            return self._answer([request[0], self.triple[1], "stale", self.triple[1]])
        status, result = self._do(request[3], request[4])
        answer = [request[0], self.triple[1], status, result]
        self._answers = self._answers[1 - _ANSWERS :] + [answer]
        # A report may be asked for twice: it need not wait for the disk, nor wear it.
        self._changed = self._changed or request[3] != "report"
        self._answer(answer)
        if status == "ok":
            if request[3] == "forget":
                self._forget()
            elif request[3] == "rekey":
                self._effects.append(("rekey", request[4][0], request[4][1]))
                self._effects.append(("exit", "restart: enrolled anew"))

    def _answer(self, answer: "list[Any]") -> None:
        sealed = envelope.seal(self.key, self.node, "did", codec.pack(answer))
        topic = topics.did(self.d, self.node)
        self._effects.append(("publish", topic, sealed, 1, False, None))

    def _do(self, verb: str, arguments: "list[Any]") -> "tuple[str, Any]":
        if verb == "report":
            self._dirty.add(self._have)
        elif verb == "retry":
            self._due = True
            for record in self.tree.order:
                if not arguments or record.path in arguments:
                    record.begin_anew()
        elif verb == "cancel":
            for path in arguments:
                self._effects.append(("cancel", path))
        elif verb == "forget":
            if self.tree.order:
                return "error", "instances are left: " + self.tree.order[0].path
        elif verb != "rekey" or len(arguments) != 2:
            return "error", "unknown verb: " + verb
        return "ok", None

    def _forget(self) -> None:
        """Leave nothing behind: neither retained messages nor files."""
        self.ready = False
        for topic in sorted(self.exports.published) + [self._have, self._live]:
            self._effects.append(("publish", topic, b"", 1, True, None))
        self._effects.append(("wipe",))
        self._effects.append(("exit", "forgotten by the coordinator"))

    # -- the want

    def _adopt(self) -> None:
        """Make the want the truth that the instances are held against."""
        want = self.want
        self.imports.lost_after = want.get("lost", 0)
        self.imports.set_providers(self.now, want.get("prov", {}))
        named = set()
        for entry in want["i"]:
            named.add(entry["p"])
            record = self.tree.records.get(entry["p"])
            if record is None:
                self.tree.put(Record(entry))
            elif record.entry != entry or record.leaving:
                if record.entry["w"] != entry["w"] and not record.gave_up_stop():
                    record.problem = None  # of what is not wished any more
                record.entry, record.leaving = entry, False
                record.begin_anew()
                if record.problem and record.problem[0] in ("refused", "fetch"):
                    record.problem = None
        for record in self.tree.order:
            if record.path not in named:
                record.leaving = True
        self._dirty.update(self.exports.adopt(want["app"], want["pub"]))
        self._cache.clear()

    def _ready(self, digest: "bytes | None") -> bool:
        return digest is None or digest in self._recipes

    def _fetch(self) -> None:
        needed = set()
        for record in self.tree.order:
            needed.add(record.digest)
            if goal(record) != states.NOT_DEPLOYED:
                needed.add(record.wanted_digest())
        needed.discard(None)
        digests = sorted(digest for digest in needed if digest)
        if digests != self._needed:
            self._needed = digests
            self._recipes.intersection_update(digests)
            self._effects.append(("fetch", digests))

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
        self._changed = self._changed or steps.changed
        steps.changed = False
        for path in steps.dropped:
            self._effects.append(("drop", path))
        steps.dropped.clear()
        self._fetch()
        self._subscribe()
        report = self._instances()
        if report != self._report:
            self._report = report
            if all(states.is_stable(report[path]["s"]) for path in report):
                self._dirty.add(self._have)
            elif self._have_at is None:
                self._have_at = self.now + _UNSTABLE_MS

    def _refresh(self) -> None:
        changed = self.exports.refresh(self.tree, self.settings.get("ip"))
        if changed:
            self._cache.clear()
            self._dirty.update(changed)
        self.tree.refresh()

    def _imports_changed(self) -> None:
        self._cache.clear()
        self._changed = True
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
            topics_now.add(topics.live(self.d, node))
        more, less = topics_now - self._subscribed, self._subscribed - topics_now
        self._subscribed = topics_now
        if more:
            self._effects.append(("subscribe", sorted(more)))
        if less:
            self._effects.append(("unsubscribe", sorted(less)))

    def _flush(self) -> None:
        """Send every document that is due and whose predecessor has been acknowledged."""
        for topic in sorted(self._dirty - {self._have, self._live}) + [self._have, self._live]:
            if topic in self._dirty and topic not in self._inflight:
                self._dirty.discard(topic)
                self._inflight.add(topic)
                self._publish(topic)

    def _publish(self, topic: str) -> None:
        if topic == self._live:
            return self._publish_live(True)
        if topic == self._have:
            self._have_at = None
            payload = self._build_have()
        else:
            self.triple[2] += 1
            payload = self.exports.build(topic, self.triple)
        self._effects.append(("publish", topic, payload, 1, True, topic))

    def _publish_live(self, online: bool) -> None:
        payload = codec.pack(self.triple[:2] + [online])
        self._effects.append(("publish", self._live, payload, 1, True, self._live))

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
            "i": self._report,
            "n": info,
        }
        if self._reason:
            have["r"] = self._reason
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
                "answers": self._answers,
            }
        )

    def _restore(self, saved: bytes) -> None:
        state = codec.unpack(saved, 1 << 26, 16, 1 << 22)  # our own file, not a stranger's
        self.version, self.want = state["v"], state["want"]
        self.exports.published, self._answers = state["published"], state["answers"]
        self.exports.adopt(state["app"], state["pub"])
        self.imports.lost_after = state["lost"]
        providers = {p: [tuple(key) for key in keys] for p, keys in state["prov"].items()}
        self.imports.set_providers(self.now, providers)
        self.imports.load(state["imports"])
        for leaving, dumped in state["records"]:
            record = Record(dumped["entry"])
            record.load(dumped)
            record.leaving = leaving
            if record.step == "deploy" and record.digest is None:
                self._effects.append(("drop", record.path))
            restore(record, state["mark"] == self.mark)
            self.tree.put(record)
