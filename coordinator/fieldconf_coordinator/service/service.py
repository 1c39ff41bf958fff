"""The coordinator's loop: joins the core with broker, store, recipes, targets and requests.

One thread calls the core. What came in together is one batch, in this order: everything is told to
the core, its rows are committed in one transaction, then messages are published and target calls
begun, and only then requests get their answers. So what was acknowledged is on disk, and nothing
goes out that a restart would not know of.

When a commit fails (a full disk), what nodes and targets told waits, with all that follows from it,
until there is room. A request that would change something is refused, and never happened: the core
is made anew from what is on disk.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from fieldconf_dsl.model import Template
from fieldconf_microagent import codec, compat
from fieldconf_targets.registry import handlers, offers

from ..brokers.broker import BrokerLink
from ..brokers.supervised import Broker, is_free
from ..core.fleet import Fleet
from ..core.model import Enrolled
from ..core.naming import meant_path
from ..core.outbox import Effect
from ..core.ports import first_of
from ..errors import FleetError, RequestError, StoreError
from .feed import Feed
from .outputs import Outputs
from .recipes import RecipeStore
from .serving import Serving
from .store import Store
from .templates import Kept, TemplateError, Templates
from .workers import Workers

_LONGEST_WAIT_MS = 1000
_BROKER_S = 0.25
_FULL_S = 1.0
_MOST_UNSAVED = 10_000

_log = logging.getLogger(__name__)

_STOPPING = RequestError("stopped", "the coordinator is stopping")


@dataclass(frozen=True)
class Options:
    """How a service is run.

    Attributes:
        domain: first segment of every topic.
        target: where nodes come from when nothing else is said.
        keepalive_s: of agents and coordinator.
        reconnect_ms: how long agents wait at most before their first attempt to reconnect.
        machines_s: how often targets are asked for machines that have died.
    """

    domain: str = "fc"
    target: str = "local"
    keepalive_s: int = 60
    reconnect_ms: int = 5000
    machines_s: float = 3.0


@dataclass
class Request:
    """What somebody asked for, and where the answer goes."""

    handler: "Handler"
    arguments: dict[str, Any]
    answer: "Future[Any]" = field(default_factory=Future)


class Service:
    """Runs a fleet from a data folder.

    Args:
        data: the folder.
        store: opened, which keeps others out of the folder.
        broker: need not run yet.
        options: how to run.
    """

    def __init__(
        self, data: Path, store: Store, broker: Broker, options: Options = Options()
    ) -> None:
        self.data = data
        self.store = store
        self.broker = broker
        self.options = options
        self.outputs = Outputs()
        self.feed = Feed()
        self.connected = False
        #: When the last turn began (monotonic).
        self.turned_at = time.monotonic()
        self._clock = compat.Clock()
        self.recipes = RecipeStore(data / "recipes")
        self.templates = Templates(data / "templates", self.recipes)
        self.fleet_id = self._fleet_id()
        self._keys: dict[str, bytes] = {}
        self._logins: dict[str, bytes] = {}
        self.link = BrokerLink(broker, options.domain, self.fleet_id, options.keepalive_s)
        self.workers = Workers(self.fleet_id, data / "nodes", self._home, self.link.wake)
        self._serving = Serving(self.recipes, options.domain)
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._stopping = self._closed = self._logins_changed = False
        self._rows: list[Effect] = []
        # Effects that wait for room on the disk, why, and when to try again.
        self._unsaved: list[Effect] = []
        self._full: StoreError | None = None
        self._full_until = 0.0
        # Nobody may come in once the last request was answered.
        self._door = threading.Lock()
        self._broker_at = self._machines_at = 0.0
        self._carriers: dict[str, Callable[..., None]] = {
            "store": self._know,
            "publish": self.link.publish,
            "create": lambda node, settings: self.workers.begin("create", node, settings),
            "destroy": lambda node, settings: self.workers.begin("destroy", node, settings),
            "disown": lambda node, settings: self.workers.begin("disown", node, settings),
            "probe": lambda node, settings: self.workers.begin("probe", node, settings),
            "serve": self._serve,
            "event": self._event,
            "log": self._log,
        }
        self._restore()
        self._collect()

    # -- called from other threads

    def ask(self, name: str, arguments: dict[str, Any]) -> Any:
        """Carry out a request in the service's thread and return its answer.

        Raises:
            RequestError: it is refused.
        """
        if name not in REQUESTS:
            raise RequestError("bad-request", f"there is no request {name!r}")
        if name == "deploy":
            # Reading and packing takes a while, which the loop need not wait for.
            arguments["kept"] = self.keep(Path(arguments.pop("path")))
        return self.call(REQUESTS[name], arguments)

    def keep(self, path: Path) -> Kept:
        """Copy, check and pack a template; this takes a while, in the caller's thread.

        Raises:
            RequestError: it is refused, or cannot be kept.
        """
        try:
            return self.templates.keep(path)
        except TemplateError as error:
            found = [{**problem.as_json(), "text": str(problem)} for problem in error.problems]
            raise RequestError("bad-template", str(error), problems=found) from error
        except OSError as error:
            raise RequestError("disk", f"cannot keep the template: {error}") from error

    def call(self, handler: "Handler", arguments: dict[str, Any]) -> Any:
        """Have `handler` called in the service's thread; return its answer when all is saved.

        Raises:
            RequestError: it is refused.
        """
        try:
            return self._queue(Request(handler, arguments)).result()
        except FleetError as error:
            raise RequestError(error.code, error.message, error.hint) from error
        except StoreError as error:
            hint = "nothing has changed; make room on the disk and ask again"
            raise RequestError("disk", str(error), hint) from error

    def store_row(self, table: str, key: Any, row: Mapping[str, Any] | None) -> None:
        """Have a row written, or deleted with None, along with what is under way.

        Only for handlers: it is committed before the request gets its answer, or it is refused.
        """
        self._rows.append(("store", table, key, row))

    def _queue(self, request: Request) -> "Future[Any]":
        with self._door:
            if self._closed:
                raise _STOPPING
            self._requests.put(request)
        self.link.wake()
        return request.answer

    def wall_ms(self) -> int:
        """Return ms since 1970."""
        return time.time_ns() // 1_000_000

    def disk_error(self) -> str | None:
        """Return why nothing can be saved at present, or None."""
        return None if self._full is None else str(self._full)

    def stop(self) -> None:
        """Let `run` return soon; may be called from a signal handler."""
        self._stopping = True
        self.link.wake()

    # -- the loop

    def run(self) -> None:
        """Run until `stop` is called."""
        try:
            while not self._stopping:
                self.turn(_LONGEST_WAIT_MS)
        finally:
            self.close()

    def close(self) -> None:
        """Refuse what still waits and let go of everything; nodes live on."""
        with self._door:
            if self._closed:
                return
            self._stopping = self._closed = True
        for request in self._waiting():
            _give(request, _STOPPING)
        self.fleet.write_late()
        self._commit([*self._unsaved, *self._rows, *self.fleet.take()], True)
        if not self.fleet.world.nodes:
            self.link.release()
        self.link.close()
        self.workers.close()
        self.recipes.close()

    def turn(self, longest_ms: int) -> None:
        """Wait at most `longest_ms` for something to happen, and do all that follows from it."""
        self.turned_at = time.monotonic()
        events = self.link.poll(self._wait_ms(longest_ms), self._clock.now_ms())
        now = self._clock.now_ms()
        for event in events:
            if event[0] == "link":
                self.fleet.on_link(now, event[1])
                self.connected = event[1]
            else:
                self.fleet.on_message(now, *event[1:])
        for node, outcome, detail in self.workers.results():
            self.fleet.on_target(now, node, outcome, detail)
        self._look_after(time.monotonic(), now)
        wake = self.fleet.next_wake()
        if wake is not None and wake <= now:
            self.fleet.tick(now)
        self._carry_out([])
        answers = [(request, self._handle(request, now)) for request in self._waiting()]
        if answers and self._carry_out(answers):
            for request, answer in answers:
                _give(request, answer)
        self._serving.send(now, self.link)
        self.feed.turn(now, self.fleet.news, self.store)

    def _wait_ms(self, longest_ms: int) -> int:
        if self._stopping or not self._requests.empty():
            return 0
        now = self._clock.now_ms()
        feed = self.feed.next_wake(self.fleet.news)
        dates = (self.fleet.next_wake(), self._serving.next_wake(), feed)
        known = [max(0, date - now) for date in dates if date is not None]
        return int(min([longest_ms, _BROKER_S * 1000, *known]))

    def _waiting(self) -> list[Request]:
        found = []
        while True:
            try:
                found.append(self._requests.get_nowait())
            except Empty:
                return found

    def _handle(self, request: Request, now: int) -> Any:
        try:
            return request.handler(self, now, request.arguments)
        except (FleetError, RequestError) as error:
            return error
        except (TypeError, ValueError, KeyError) as error:
            _log.exception("request %r failed", request.handler)
            return RequestError("bad-request", f"cannot understand the request: {error!r}")

    # -- effects

    def _carry_out(self, answers: list[tuple[Request, Any]]) -> bool:
        """Carry out what the core wants; tell whether the answers hold."""
        new = self._rows + self.fleet.take()
        effects = self._unsaved + new
        self._rows, self._unsaved = [], []
        changes = bool(answers) and any(effect[0] == "store" for effect in new)
        error = self._commit(effects, changes)
        if error is not None and (changes or len(effects) > _MOST_UNSAVED):
            self._undo(error, answers)
            return False
        if error is not None:
            self._unsaved = effects
            return True
        for effect in sorted(effects, key=lambda effect: effect[0] != "store"):
            if self._logins_changed and effect[0] != "store":
                self._admit()
            self._carriers[effect[0]](*effect[1:])
        return True

    def _commit(self, effects: list[Effect], at_once: bool) -> StoreError | None:
        """Save what has to be; return why that is impossible at present."""
        kinds = {effect[0] for effect in effects}
        if not kinds & {"store", "event"}:
            return None
        now_s = time.monotonic()
        if self._full is not None and now_s < self._full_until and not at_once:
            return self._full
        was_full, self._full = self._full, None
        try:
            self.store.commit(effects)
        except StoreError as error:
            if was_full is None:
                _log.error("%s; what depends on it waits", error)
            self._full, self._full_until = error, now_s + _FULL_S
            # Nothing waits for what is only told.
            return error if "store" in kinds else None
        if was_full is not None:
            _log.info("there is room on the disk again")
        return None

    def _undo(self, error: StoreError, answers: list[tuple[Request, Any]]) -> None:
        """Refuse the requests, and go back to what is on disk."""
        for request, _ in answers:
            _give(request, error)
        self._restore()
        self.feed.restart(self.fleet.news)
        self.fleet.on_link(self._clock.now_ms(), self.connected)

    def _know(self, table: str, node: Any, what: Any) -> None:
        """Keep the key of a node that came, and drop what is kept of one that went."""
        if table not in ("nodes", "enrolled"):
            return
        if what is not None:
            self._keys[node] = what.key
            login = self._login(node)
            self._logins_changed |= self._logins.get(node) != login
            self._logins[node] = login
        elif node not in self.fleet.world.enrolled:
            del self._keys[node], self._logins[node]
            self.outputs.forget(node)
            self._logins_changed = True

    def _login(self, node: str) -> bytes:
        """Return what a node's password at the broker follows from: it outlives an approval."""
        one = self.fleet.world.enrolled.get(node)
        return (one.former or one.key) if one is not None else self._keys[node]

    def _admit(self) -> None:
        """Let the nodes log in at the broker."""
        words = ((node, self.broker.password(key)) for node, key in self._logins.items())
        try:
            self.broker.admit((node, word) for node, word in words if word is not None)
            self._logins_changed = False
        except OSError as error:
            _log.error("cannot let new nodes log in at the broker: %s", error)

    def _serve(self, node: str, get: list[Any]) -> None:
        if node in self._keys:
            allowed = self.fleet.allowed_digests(node)
            self._serving.add(node, self._keys[node], codec.pack(get), allowed)

    def _event(self, kind: str, app: str, path: str, node: str, text: str) -> None:
        self.feed.has_events = True
        _log.info("%s", " ".join(word for word in (app, path, text) if word))

    def _log(self, node: str, path: str, step: str, data: bytes) -> None:
        self.outputs.add(node, path, step, data)
        known = self.fleet.world.nodes.get(node)
        if known is not None:
            self.feed.log(known.app.name, path, step, data)

    def _home(self, node: str, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return an agent's settings: who it is, and how it reaches the broker."""
        home = {
            **settings["agent"],
            "fleet": self.fleet_id,
            "broker": self.broker.url,
            "keepalive": self.options.keepalive_s,
            "reconnect": self.options.reconnect_ms,
        }
        password = self.broker.password(bytes.fromhex(settings["agent"]["key"]))
        return home if password is None else {**home, "user": node, "password": password}

    def home_of(self, one: Enrolled) -> Mapping[str, Any]:
        """Return the settings of the agent on an enrolled machine."""
        agent = {
            "domain": self.options.domain,
            "node": one.id,
            "key": one.key.hex(),
            "enrolment": one.enrolment,
        }
        return {**self._home(one.id, {"agent": agent}), "broker": self.broker.outer}

    # -- start, and now and then

    def _fleet_id(self) -> str:
        known = self.store.setting("fleet")
        if known is None:
            known = compat.hex(compat.random_bytes(5))
            self.store.commit([("store", "settings", "fleet", {"name": "fleet", "value": known})])
        return str(known)

    def _restore(self) -> None:
        self.fleet = self._restored()
        self._logins = {node: self._login(node) for node in self._keys}
        self._admit()

    def _restored(self) -> Fleet:
        """Return the core as the store knows it."""
        rows = self.store.load()
        fleet = Fleet(
            self.options.domain,
            self.fleet_id,
            random.SystemRandom(),
            self.options.target,
            lambda: time.time_ns() // 1_000_000,
            lambda port: not is_free(port),
            first_of(self.fleet_id),
            offers,
        )
        refs = {row["ref"] for row in rows.get("applications", ())}
        try:
            fleet.restore(rows, {ref: self.templates.load(ref) for ref in refs})
        except TemplateError as error:
            raise StoreError(f"cannot start: {error}; restore it from a backup") from error
        tables = (rows.get("enrolled", ()), rows.get("nodes", ()))
        self._keys = {row["id"]: row["key"] for table in tables for row in table}
        return fleet

    def _collect(self) -> None:
        """Delete templates that nobody uploaded or uses, and recipes that no application uses."""
        rows = list(self.store.load().get("applications", ()))
        uploaded = {row["id"] for row in self.store.rows("templates")}
        self.templates.collect({row["ref"] for row in rows} | uploaded)
        self.recipes.collect({digest for row in rows for digest in row["digests"].values()})

    def _look_after(self, seconds: float, now: int) -> None:
        if seconds >= self._broker_at:
            self._broker_at = seconds + _BROKER_S
            if self._logins_changed:
                self._admit()
            if said := self.broker.tend(seconds):
                _log.warning("%s", said)
        if seconds >= self._machines_at:
            self._machines_at = seconds + self.options.machines_s
            self.workers.look()


def _give(request: Request, answer: Any) -> None:
    if isinstance(answer, Exception):
        request.answer.set_exception(answer)
    else:
        request.answer.set_result(answer)


# -- requests: name → what answers it, given the service, the time and the arguments

Handler = Callable[[Service, int, dict[str, Any]], Any]


def _deploy(service: Service, now: int, asked: dict[str, Any]) -> Any:
    kept = asked["kept"]
    check_targets(service, kept.template, asked.get("target"))
    name = asked.get("name") or kept.template.name
    answer = service.fleet.deploy(
        now,
        kept.template,
        kept.ref,
        kept.digests,
        name,
        asked.get("target"),
        asked.get("simulate", False),
    )
    warnings = [{**problem.as_json(), "text": str(problem)} for problem in kept.warnings]
    return {**answer, "name": name, "warnings": warnings}


def check_targets(service: Service, template: Template, chosen: str | None) -> None:
    """Refuse a target that does not exist: its nodes could neither be made nor be given back."""
    asked = {chosen, template.settings.get("target")}
    asked |= {instance.data.get("target") for instance in template.instances}
    known = {*handlers(), *service.fleet.world.targets}
    unknown = sorted(target for target in asked if target and target not in known)
    if unknown:
        hint = "known are: " + ", ".join(sorted(known))
        raise RequestError("bad-target", f"there is no target {unknown[0]!r}", hint)


def _status(service: Service, now: int, asked: dict[str, Any]) -> Any:
    told = service.fleet.status(asked.get("app"))
    broker = {"url": service.broker.url, "connected": service.connected}
    return {**told, "fleet": service.fleet_id, "broker": broker, "disk": service.disk_error()}


def _logs(service: Service, now: int, asked: dict[str, Any]) -> Any:
    app = service.fleet.status(asked["app"])["applications"][0]
    nodes = {one["node"] for one in app["instances"] if one["node"]}
    path = asked.get("path")
    if path is not None and path not in {one["path"] for one in app["instances"]}:
        hint = "'fieldconf status' lists them"
        said = meant_path(path, [one["path"] for one in app["instances"]])
        raise RequestError("unknown-instance", f"there is no instance {said}", hint)
    return service.outputs.of(nodes, path)


def _wish(service: Service, now: int, asked: dict[str, Any]) -> Any:
    force = asked.get("force", False)
    return service.fleet.set_wish(now, asked["app"], asked.get("path"), asked["wish"], force)


REQUESTS: dict[str, Handler] = {
    "status": _status,
    "deploy": _deploy,
    "wish": _wish,
    "scale": lambda s, now, a: s.fleet.scale(now, a["app"], a["path"], a["count"]),
    "remove": lambda s, now, a: s.fleet.remove(now, a["app"], a["path"], a.get("force", False)),
    "delete": lambda s, now, a: s.fleet.delete(now, a["app"]),
    "retry": lambda s, now, a: s.fleet.retry(now, a["app"], a.get("path")),
    "cancel": lambda s, now, a: s.fleet.cancel(now, a["app"], a["path"]),
    "why": lambda s, now, a: s.fleet.why(a["app"], a["path"]),
    "change": lambda s, now, a: s.fleet.change(a["id"]),
    "changes": lambda s, now, a: s.fleet.changes(),
    "events": lambda s, now, a: s.store.events(a.get("app")),
    "logs": _logs,
}
