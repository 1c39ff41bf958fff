"""The core of the agent: events and a time in, effects out. No I/O, no clock, no thread.

Events are the `on_…` methods; `take` returns what has to be done about all events since it was
last called, in that order:

    ("save", bytes)                         write the state before anything that follows
    ("subscribe", [topic, …]), ("unsubscribe", [topic, …])
    ("publish", topic, payload, qos, retain, slot)
    ("fetch", [digest, …])                  every recipe that this node needs
    ("run", request), ("cancel", path)      a step, see `_request`
    ("drop", path)                          delete the data folder of an undeployed instance
    ("log", level, text), ("wipe",), ("exit", reason)

Rules kept here:

* Documents are state: each replaces the one before, is built when it can be sent, and has at most
  one copy unacknowledged; a burst of events gives one document.
* On every connect: subscribe to everything, wait until that is acknowledged, then publish
  exports, have, live, pulse, in this order.
* Nothing runs before the state that says so is saved; exports are withdrawn before `stop` runs.
* Only a want with a higher version counts; the highest is remembered for good.
"""

from . import codec, envelope, instances, messages, states, topics
from .compat import const
from .imports import Imports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_PULSE_MS = const(300000)
_ANSWER_MS = const(1000)  # exports are repeated at most that often when asked
_ANSWERS = const(16)  # answers to `do` that are kept
_TIMEOUT_MS = const(600000)
# Sources of refused messages that are remembered, so that each is logged once.
_SOURCES = const(32)


class Agent:
    """One node.

    Args:
        settings: {"domain", "node", "key": bytes, "enrolment": int, "installers": [name, …],
            "info": {…} what the node is, "ip": str or None, "parallel": steps at once,
            "pulse": ms between pulses}.
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
        self.tree = instances.Tree(self.resolve, self._ready, offers)
        self.version = 0
        self.want: "dict[str, Any]" = {"app": "", "path": "", "i": [], "up": [], "pub": []}
        self.app = ""  # the application of the instances here; the want may be ahead of it
        self.path = ""
        self.pub: "list[str]" = []
        self.up = self.ready = False
        self.refused = 0  # messages
        self._reason: "str | None" = None  # why the last want was refused
        self._sources: "set[tuple[str, str]]" = set()
        self._recipes: "set[bytes]" = set()
        self._needed: "list[bytes] | None" = None
        self._items: "dict[str, list[Any]]" = {}  # prefix → what is exported under it
        self._cache: "dict[str, dict[str, dict[str, str]]]" = {}
        self._published: "dict[str, list[str]]" = {}  # topic → [app, prefix]
        self._report: "dict[str, Any] | None" = None
        self._dirty: "set[str]" = set()
        self._inflight: "set[str]" = set()
        self._subscribed: "set[str]" = set()
        self._answers: "list[list[Any]]" = []
        self._answered: "dict[str, int]" = {}
        self._asked: "set[str]" = set()
        self._pulse_at = 0
        self._running = 0
        self._changed = self._due = False
        self._effects: "list[tuple[Any, ...]]" = []
        self._runs: "list[tuple[Any, ...]]" = []
        self._have, self._live = topics.have(self.d, self.node), topics.live(self.d, self.node)
        self._handlers = {
            topics.want(self.d, self.node): self._on_want,
            topics.do(self.d, self.node): self._on_do,
            topics.ask(self.d, self.node): self._on_ask,
            topics.put(self.d, self.node): None,  # for the fetcher; the host takes it
            self._live: self._on_own_live,
        }
        if saved:
            self._restore(saved)
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
            self._dirty.update(self._published)
            self._dirty.update((self._have, self._live))
            self._pulse_at = now
        self._due = True

    def on_message(self, now: int, topic: str, payload: bytes) -> None:
        """A message has arrived; a wrong one is counted, told once per source, and dropped."""
        self.now = now
        self._due = True
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
        known = self._published.get(slot)
        if known and slot not in self._dirty and not self._publishes(known):
            del self._published[slot]
            self._changed = True
        self._due = True

    def on_ended(self, now: int, path: str, outcome: str, detail: str) -> None:
        """A step has ended: ``done``, ``absent``, ``failed``, ``timeout``, ``cancelled``."""
        self.now = now
        record = self.tree.records.get(path)
        if record is None or record.step is None:
            return
        self._running -= 1
        self._ended(record, outcome, detail)
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
        if self.ready and now >= self._pulse_at:
            self._pulse_at = now + int(self.settings.get("pulse", _PULSE_MS))
            pulse = codec.pack(self.triple + [self.version])
            self._effects.append(
                ("publish", topics.pulse(self.d, self.node), pulse, 0, False, None)
            )
        for topic in sorted(self._asked):
            if now >= self._answered.get(topic, now):
                self._asked.discard(topic)
                self._answered[topic] = now + _ANSWER_MS
                self._dirty.add(topic)
        self._due = True

    def shutdown(self, now: int) -> None:
        """The process ends, the instances stay: say so."""
        self.now = now
        if self.ready:
            self.ready = False
            self._publish_live(False)

    def next_wake(self) -> "int | None":
        """Return when `tick` is due, or None."""
        times = [self.imports.next_wake(), self.tree.next_wake()]
        if self.ready:
            times.append(self._pulse_at)
        times.extend([self._answered.get(topic, self.now) for topic in self._asked])
        known = [time for time in times if time is not None]
        return min(known) if known else None

    def take(self) -> "list[tuple[Any, ...]]":
        """Return what has to be done now, in this order."""
        if self._due:
            self._due = False
            self._settle()
            self._flush()
        effects, self._effects = self._effects, []
        if self._changed:
            self._changed = False
            effects.insert(0, ("save", self.dump()))
        effects.extend(self._runs)
        self._runs = []
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
        self.version = want["v"]
        self.want = want
        self._reason = self._report = None
        if want["app"] == self.app or not self.tree.order:
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
        topic = topics.exports(self.d, app, prefix, self.node)
        if topic in self._published:
            self._asked.add(topic)
            self.tick(self.now)

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
        self._changed = True
        self._answer(answer)
        if request[3] == "forget" and status == "ok":
            self._forget()

    def _answer(self, answer: "list[Any]") -> None:
        sealed = envelope.seal(self.key, self.node, "did", codec.pack(answer))
        topic = topics.did(self.d, self.node)
        self._effects.append(("publish", topic, sealed, 1, False, None))

    def _do(self, verb: str, arguments: "list[Any]") -> "tuple[str, Any]":
        if verb == "report":
            self._dirty.add(self._have)
        elif verb == "retry":
            for record in self.tree.order:
                if not arguments or record.path in arguments:
                    record.begin_anew()
        elif verb == "cancel":
            for path in arguments:
                self._effects.append(("cancel", path))
        elif verb == "forget":
            if self.tree.order:
                return "error", "instances are left: " + self.tree.order[0].path
        else:
            return "error", "unknown verb: " + verb
        return "ok", None

    def _forget(self) -> None:
        """Leave nothing behind: neither retained messages nor files."""
        self.ready = False
        for topic in sorted(self._published) + [self._have, self._live]:
            self._effects.append(("publish", topic, b"", 1, True, None))
        self._effects.append(("wipe",))
        self._effects.append(("exit", "forgotten by the coordinator"))

    # -- the want

    def _adopt(self) -> None:
        """Make the want the truth that the instances are held against."""
        want = self.want
        self.app, self.path, self.pub = want["app"], want["path"], sorted(want["pub"])
        self.imports.lost_after = want.get("lost", 0)
        self.imports.set_providers(self.now, want.get("prov", {}))
        named = set()
        for entry in want["i"]:
            named.add(entry["p"])
            record = self.tree.records.get(entry["p"])
            if record is None:
                self.tree.put(instances.Record(entry))
            elif record.entry != entry or record.leaving:
                record.entry, record.leaving = entry, False
                record.begin_anew()
                if record.problem and record.problem[0] in ("refused", "fetch"):
                    record.problem = None
        for record in self.tree.order:
            if record.path not in named:
                record.leaving = True
        for prefix in self.pub:
            topic = topics.exports(self.d, self.app, prefix, self.node)
            if topic not in self._published:
                self._published[topic] = [self.app, prefix]
                self._dirty.add(topic)
        for topic, known in self._published.items():
            if not self._publishes(known):
                self._dirty.add(topic)

    def _publishes(self, known: "list[str]") -> bool:
        return known[0] == self.app and known[1] in self.pub

    def _ready(self, digest: "bytes | None") -> bool:
        return digest is None or digest in self._recipes

    def _fetch(self) -> None:
        needed = set()
        for record in self.tree.order:
            needed.add(record.digest)
            if instances.goal(record) != states.NOT_DEPLOYED:
                needed.add(record.wanted_digest())
        needed.discard(None)
        digests = sorted(digest for digest in needed if digest)
        if digests != self._needed:
            self._needed = digests
            self._recipes.intersection_update(digests)
            self._effects.append(("fetch", digests))

    # -- imports and exports

    def values_of(self, record: instances.Record) -> "dict[str, str]":
        """Return what an instance exports, by full name, with this node's address filled in."""
        return _filled(record.entry, self.settings.get("ip"))

    def _refresh_items(self) -> None:
        """Work out what is exported under each prefix; changes are published."""
        for prefix in self.pub:
            items = []
            for record in self.tree.order:
                if record.publishes():
                    values = _under(prefix, self.values_of(record), record.entry.get("a", {}))
                    if values:
                        items.append([record.path, values])
            items.sort()
            if items != self._items.get(prefix):
                self._items[prefix] = items
                self._cache.clear()
                self._dirty.add(topics.exports(self.d, self.app, prefix, self.node))
        for prefix in [p for p in self._items if p not in self.pub]:
            del self._items[prefix]

    def resolve(self, prefix: str, path: str) -> "dict[str, dict[str, str]]":
        """Return {path: values} of all providers of `prefix`, but for the instance itself."""
        found = self._cache.get(prefix)
        if found is None:
            found = {}
            for app, published, node in self.imports.providers.get(prefix, ()):
                if node == self.node and app == self.app:
                    found.update(dict(self._items.get(published, ())))
            for key, items in self.imports.of(prefix):
                for other, values in items.items():
                    found[other if key[0] == self.app else key[0] + ":" + other] = values
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
        moved = True
        while moved:
            moved = False
            self._refresh_items()
            self.tree.refresh()
            for record in self.tree.order[:]:
                if not record.step and self._step(record):
                    moved = True
            if self.want["app"] != self.app and not self.tree.order:
                self._adopt()
                moved = True
        self._fetch()
        self._subscribe()
        report = self._instances()
        if report != self._report:
            self._report = report
            self._dirty.add(self._have)

    def _imports_changed(self) -> None:
        self._cache.clear()
        self._changed = True
        renewed, self.imports.renewed = self.imports.renewed, False
        for record in self.tree.order:
            imported = record.entry.get("m")
            if imported and record.failed_step:
                if renewed or self.tree.imports_of(record) != record.tried:
                    record.begin_anew()

    def _step(self, record: instances.Record) -> bool:
        """Do what is due for an idle instance; tell whether anything was."""
        if record.leaving and record.state == states.NOT_DEPLOYED and not record.children:
            self.tree.remove(record)
            self._changed = True
            return True
        event = self.tree.decide(record, self.now)
        if event is None:
            return False
        state, step = states.next_step(record.state, event)
        runs = record.entry["t"] != "target"
        if step and runs and self._running >= self.settings.get("parallel", 1):
            return False
        if step != "check":
            self._changed = True
        if step is None:
            record.state = state
        else:
            self._begin(record, state, step, runs)
        return True

    def _begin(self, record: instances.Record, state: str, step: str, runs: bool) -> None:
        cause = record.must if step == "stop" else None
        imported = self.tree.imports_of(record)
        record.state, record.step = state, step
        record.pending, record.tried = (record.wanted_digest(), imported), imported
        if step == "stop":
            record.withdrawn = True
        if runs:
            self._running += 1
            self._runs.append(("run", self._request(record, step, cause, imported)))
        else:
            self._ended(record, "done", "")

    def _ended(self, record: instances.Record, outcome: str, detail: str) -> None:
        before = record.problem
        step = record.ended(self.now, outcome, detail, self.random_below(1000) / 1000)
        if step != "check" or record.problem is not before:
            self._changed = True
        if step == "undeploy" and record.state == states.NOT_DEPLOYED:
            self._effects.append(("drop", record.path))

    def _request(
        self,
        record: instances.Record,
        step: str,
        cause: "str | None",
        imported: "dict[str, dict[str, dict[str, str]]]",
    ) -> "dict[str, Any]":
        """Return all that a runner has to know about a step."""
        entry = record.entry
        new = step in ("deploy", "upgrade")
        return {
            "path": record.path,
            "name": record.path.rpartition("/")[2],
            "component": entry["c"],
            "installer": entry["t"],
            "digest": record.wanted_digest() if new else record.digest,
            "step": step,
            "exports": _locals(entry, self.values_of(record)),
            "ancestors": self._ancestors(record),
            "imports": {p: [[q, v[q]] for q in sorted(v)] for p, v in imported.items()},
            "changed": instances.difference(record.given, imported) if step == "update" else None,
            "cause": cause,
            "application": self.want.get("name", ""),
            "timeout_ms": record.option("timeout", _TIMEOUT_MS),
        }

    def _ancestors(self, record: instances.Record) -> "list[Any]":
        found: "list[Any]" = []
        above = record.parent
        while above:
            found.insert(0, [above.entry["c"], _locals(above.entry, self.values_of(above))])
            above = above.parent
        beyond = [[up["c"], _locals(up, _filled(up, None))] for up in self.want["up"]]
        return beyond + found

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
        if not self.ready:
            return
        for topic in sorted(self._dirty - {self._have, self._live}) + [self._have, self._live]:
            if topic in self._dirty and topic not in self._inflight:
                self._dirty.discard(topic)
                self._inflight.add(topic)
                self._publish(topic)

    def _publish(self, topic: str) -> None:
        if topic == self._live:
            return self._publish_live(True)
        if topic == self._have:
            payload = self._build_have()
        else:
            known = self._published.get(topic)
            payload = b""
            if known and self._publishes(known):
                self.triple[2] += 1
                items = self._items.get(known[1], [])
                payload = codec.pack([messages.FORMAT] + self.triple + [items])
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
            "app": self.app,
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
                "app": self.app,
                "path": self.path,
                "pub": self.pub,
                "prov": self.imports.providers,
                "lost": self.imports.lost_after,
                "imports": self.imports.dump(),
                "records": [[r.leaving, r.dump()] for r in self.tree.order],
                "published": self._published,
                "answers": self._answers,
            }
        )

    def _restore(self, saved: bytes) -> None:
        state = codec.unpack(saved)
        self.version, self.want = state["v"], state["want"]
        self.app, self.path, self.pub = state["app"], state["path"], state["pub"]
        self._published, self._answers = state["published"], state["answers"]
        self.imports.lost_after = state["lost"]
        providers = {p: [tuple(key) for key in keys] for p, keys in state["prov"].items()}
        self.imports.set_providers(self.now, providers)
        self.imports.load(state["imports"])
        for leaving, dumped in state["records"]:
            record = instances.Record(dumped["entry"])
            record.load(dumped)
            record.leaving = leaving
            if record.step == "deploy" and record.digest is None:
                self._effects.append(("drop", record.path))
            instances.restore(record, state["mark"] == self.mark)
            self.tree.put(record)


def _filled(entry: "dict[str, Any]", ip: "str | None") -> "dict[str, str]":
    """Return the exports of an entry; nil stands for the address, and is left out without one."""
    values = {}
    for name, value in entry.get("x", {}).items():
        if value is None:
            value = ip
        if value is not None:
            values[name] = value
    return values


def _under(prefix: str, values: "dict[str, str]", alias: "dict[str, str]") -> "dict[str, str]":
    """Return the values whose full name starts with `prefix`, by local name."""
    head = prefix + "."
    found = {name[len(head) :]: values[name] for name in values if name.startswith(head)}
    for name, original in alias.items():
        if name.startswith(head) and original in values:
            found[name[len(head) :]] = values[original]
    return found


def _locals(entry: "dict[str, Any]", values: "dict[str, str]") -> "dict[str, str]":
    """Return what a recipe sees of an instance: values by local name, the own type's win."""
    found = {}
    for name in sorted(values):
        found[name.partition(".")[2]] = values[name]
    found.update(_under(entry["c"], values, {}))
    found.update(entry.get("l", {}))
    return found
