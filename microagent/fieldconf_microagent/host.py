"""Joins the agent's core with what carries its effects out: link, runner, fetcher, store, clock.

One loop in one thread: wait for the link or the next date, tell the core what happened, carry out
what it answers, in its order. The parts are given; which ones, `__main__` and the targets decide.
Nothing is decided here about instances.
"""

from . import codec, envelope, topics
from .agent import Agent
from .compat import const
from .retry import Reconnect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

STATE = "state"
BOOT = "boot"
ADDRESS = "address"

_LONGEST_WAIT = const(60000)
_LOGS_MS = const(500)
_SAVE_AGAIN_MS = const(1000)
_LEAVE_MS = const(2000)
_LONGEST_LOG = const(8192)


def assemble(
    settings: "dict[str, Any]",
    store: "Any",
    mark: str,
    now: int,
    random_below: "Callable[[int], int]",
    core: "type[Agent]" = Agent,
    **more: "Any",
) -> Agent:
    """Return the core as the store knows it, with its boot number raised on disk.

    Args:
        settings: as `settings.checked` returns them.
        store: where state and boot number are kept.
        mark: the run mark.
        now: in milliseconds.
        random_below: n → a random integer from 0 to n - 1.
        core: the class of the core.
        more: further settings of the core: ``installers``, ``info``, ``parallel``.
    """
    boot = int(store.load(BOOT) or b"0") + 1
    store.save(BOOT, b"%d" % boot)
    known = dict(settings)
    known.update(more)
    known["address"] = "given" if known["ip"] else "found"
    if not known["ip"]:
        known["ip"] = (store.load(ADDRESS) or b"").decode() or None
    known.setdefault("pulse", max(300, known["keepalive"]) * 1000)
    return core(known, _saved(store, mark), mark, boot, now, random_below)


def _saved(store: "Any", mark: str) -> "bytes | None":
    """Return the latest state, synced or not; the latter counts if the system runs on."""
    written: "bytes | None" = store.load_written(STATE)
    if written:
        try:
            if codec.unpack(written)["mark"] == mark:
                return written
        except (ValueError, TypeError, KeyError):
            pass
    saved: "bytes | None" = store.load(STATE)
    return saved


class Host:
    """Runs one agent.

    Args:
        agent: made by `assemble`.
        link: fulfils the contract in `link_paho`.
        runner: fulfils the contract in `runner_process`.
        fetcher: a `fetch.Fetcher` or its like.
        store: a `store.Store` or its like.
        now_ms: the clock.
        log: called with level and text.
        wipe: called to delete what runner and fetcher keep, when the node is forgotten.
        random_below: n → a random integer from 0 to n - 1.
    """

    def __init__(
        self,
        agent: Agent,
        link: "Any",
        runner: "Any",
        fetcher: "Any",
        store: "Any",
        now_ms: "Callable[[], int]",
        log: "Callable[[str, str], object]",
        wipe: "Callable[[], object]",
        random_below: "Callable[[int], int]",
    ) -> None:
        self.agent = agent
        self.link = link
        self.runner = runner
        # Only the runner for boards calls recipes by the clock.
        self._runner_wake = getattr(runner, "next_wake", None)
        self.fetcher = fetcher
        self.store = store
        self._now_ms = now_ms
        self._log = log
        self._wipe = wipe
        self._random_below = random_below
        settings = agent.settings
        self._d, self._node, self._key = settings["domain"], settings["node"], settings["key"]
        self._put = topics.topic(self._d, self._node, "put")
        self._get = topics.topic(self._d, self._node, "get")
        self._logs = topics.topic(self._d, self._node, "log")
        self._reconnect = Reconnect(settings.get("reconnect", 5000))
        self._connect_at: "int | None" = now_ms()
        # token of a publish that is not acknowledged → its slot, or None
        self._slots: "dict[int, str | None]" = {}
        self._held: "list[tuple[Any, ...]]" = []
        self._save_at = 0
        self._logs_at = 0
        self._refused = 0
        self._stopping = False
        self.ended: "str | None" = None
        #: False while there is no network, so that no attempt to connect is wasted on it.
        self.reachable = True
        self._events: "dict[str, Any]" = {
            "up": self._on_up,
            "down": self._on_down,
            "subscribed": self._on_subscribed,
            "message": self._on_message,
            "acked": self._on_acked,
            "long": self._on_long,
        }
        self._effects: "dict[str, Any]" = {
            "subscribe": link.subscribe,
            "unsubscribe": link.unsubscribe,
            "publish": self._publish,
            "run": self._run,
            "cancel": runner.cancel,
            "fetch": self._fetch,
            "drop": runner.forget,
            "log": self._tell,
            "wipe": self._forget,
            "rekey": self._rekey,
            "exit": self._exit,
        }

    def run(self, tend: "Callable[[], int] | None" = None) -> str:
        """Run until the agent is told to go, or `stop` is called; return why.

        Before every turn `tend` is called, and says how many ms it may take.
        """
        while self.ended is None and not self._stopping:
            self.turn(tend() if tend else _LONGEST_WAIT)
        self._leave()
        return self.ended or "stopped"

    def stop(self) -> None:
        """Let `run` return soon; may be called from a signal handler or another thread."""
        self._stopping = True
        self.link.wake()

    def turn(self, longest_ms: int) -> None:
        """Wait at most `longest_ms` for something to happen, and do all that follows from it."""
        self._carry_out()
        for event in self.link.poll(self._wait_ms(longest_ms)):
            self._events[event[0]](*event[1:])
        now = self._now_ms()
        for path, outcome, detail in self.runner.poll():
            self.agent.on_ended(now, path, outcome, detail)
        self._carry_out()
        wake = self.agent.next_wake()
        if wake is not None and wake <= now:
            self.agent.tick(now)
            self._carry_out()
        self._tend_recipes(now)
        self._send_logs(now)
        due = self._connect_at is not None and now >= self._connect_at
        if due and self.reachable and self.ended is None:
            self._connect_at = None
            live = codec.pack(self.agent.triple[:2] + [False])
            self.link.connect((topics.topic(self._d, self._node, "live"), live))

    def _wait_ms(self, longest_ms: int) -> int:
        if self._stopping:
            return 0
        now = self._now_ms()
        dates = [self.agent.next_wake(), self.fetcher.next_wake()]
        dates.append(self._connect_at if self.reachable else None)
        dates.append(self._save_at if self._held else None)
        dates.append(self._logs_at if self.runner.busy() else None)
        for date in dates:
            if date is not None:
                longest_ms = min(longest_ms, max(0, date - now))
        wake = self._runner_wake() if self._runner_wake else None
        return longest_ms if wake is None else min(longest_ms, wake)

    # -- what happens

    def _on_up(self) -> None:
        now = self._now_ms()
        self._reconnect.acknowledged(now)
        self._log("info", "connected to the broker")
        if self.agent.settings["address"] == "found":
            self._learn_address(now, self.link.address())
        self.agent.on_link(now, True)

    def _learn_address(self, now: int, address: "str | None") -> None:
        """Take over by which address the broker is reached, and keep it for a start without one."""
        if address and address != self.agent.settings["ip"]:
            self.agent.on_address(now, address)
            try:
                self.store.save(ADDRESS, address.encode())
            except OSError as error:
                self._log("error", "cannot save the address: %r" % error)

    def _on_down(self, reason: str) -> None:
        now = self._now_ms()
        pause_ms = self._reconnect.pause_ms(now, self._random_below(1000) / 1000)
        self._connect_at = now + pause_ms
        self._log("warning", "no broker at %s; next attempt in %d ms" % (reason, pause_ms))
        self._slots = {}
        if self.agent.up:
            self.agent.on_link(now, False)
            self.fetcher.link(now, False)

    def _on_subscribed(self) -> None:
        now = self._now_ms()
        first = not self.agent.ready
        self.agent.on_subscribed(now)
        if first:
            self.fetcher.link(now, True)

    def _on_message(self, topic: str, payload: bytes) -> None:
        if topic == self._put:
            self._on_put(payload)
        else:
            self.agent.on_message(self._now_ms(), topic, payload)

    def _on_long(self, topic: str, size: int) -> None:
        self.agent.on_long(self._now_ms(), topic, size)

    def _on_put(self, payload: bytes) -> None:
        try:
            piece = envelope.open_sealed(self._key, self._node, "put", payload)
            digest, index, total, data = codec.unpack(piece, views=True)[:4]
        except (ValueError, TypeError) as error:
            self._refused += 1
            if self._refused == 1:
                self._log("warning", "refused %s: %s" % (self._put, error))
            return
        self.fetcher.on_put(self._now_ms(), digest, index, total, data)

    def _on_acked(self, token: int) -> None:
        slot = self._slots.pop(token, None)
        if slot is not None:
            self.agent.on_acked(self._now_ms(), slot)

    # -- what is to be done

    def _carry_out(self) -> None:
        """Carry out everything in order; what stands behind a failed save waits for it."""
        while self.ended is None:
            self._held.extend(self.agent.take())
            if not self._held or (self._save_at and self._now_ms() < self._save_at):
                return
            self._save_at = 0
            while self._held and not self._save_at:
                effect = self._held.pop(0)
                if effect[0] == "save":
                    self._save(effect)
                else:
                    self._effects[effect[0]](*effect[1:])

    def _save(self, effect: "tuple[Any, ...]") -> None:
        """Save the state before what follows; `update` steps need not wait for the disk.

        The state is written before they begin. That it is not yet synced matters only when the
        system is cut off now, and then they are void: instances are started again.
        """
        try:
            self.store.write(STATE, effect[1])
            for run in [held for held in self._held if held[0] == "run"]:
                if run[1]["step"] == "update":
                    self._held.remove(run)
                    self._run(run[1])
            self.store.sync(STATE)
        except OSError as error:
            self._held.insert(0, effect)
            self._save_at = self._now_ms() + _SAVE_AGAIN_MS
            self._tell("error", "cannot save the state; nothing is begun before: %r" % error)

    def _publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, slot: "str | None"
    ) -> None:
        token = self.link.publish(topic, payload, qos, retain)
        if qos:
            self._slots[token] = slot

    def _run(self, request: "dict[str, Any]") -> None:
        digest = request["digest"]
        request["node"] = self._node
        request["recipe_dir"] = self.fetcher.folder(digest) if digest else None
        self.runner.start(request)

    def _fetch(self, digests: "list[bytes]") -> None:
        now = self._now_ms()
        self.fetcher.want(now, digests)
        self.fetcher.collect(digests)
        for digest in digests:
            if self.fetcher.has(digest):
                self.agent.on_recipe(now, digest, None)

    def _tell(self, level: str, text: str) -> None:
        self._log(level, text)
        if level != "info" and self.agent.ready:
            self._publish_log("", level, text.encode())

    def _forget(self) -> None:
        self.store.remove(STATE)
        self._wipe()

    def _rekey(self, nonce: bytes, enrolment: int) -> None:
        from . import settings

        settings.rekey(self.agent.settings["file"], nonce, enrolment)

    def _exit(self, reason: str) -> None:
        self.ended = reason

    # -- now and then

    def _tend_recipes(self, now: int) -> None:
        wake = self.fetcher.next_wake()
        if wake is not None and wake <= now:
            self.fetcher.tick(now)
        gets, done = self.fetcher.take()
        if self.agent.ready:
            for get in gets:
                self.link.publish(self._get, get, 0, False)
        for digest, problem in done:
            self.agent.on_recipe(now, digest, problem)
        if done:
            self._carry_out()

    def _send_logs(self, now: int) -> None:
        if self.agent.ready and now >= self._logs_at:
            self._logs_at = now + _LOGS_MS
            for path, step, data in self.runner.logs():
                for start in range(0, len(data), _LONGEST_LOG):
                    self._publish_log(path, step, data[start : start + _LONGEST_LOG])

    def _publish_log(self, path: str, step: str, data: bytes) -> None:
        self.link.publish(self._logs, codec.pack([path, step, data]), 0, False)

    def _leave(self) -> None:
        """Say goodbye, as far as the broker listens, and let go of everything."""
        now = self._now_ms()
        if self.ended is None:
            self.agent.shutdown(now)
            self._carry_out()
        until = now + _LEAVE_MS
        while self._slots and self.agent.up and self._now_ms() < until:
            for event in self.link.poll(50):
                if event[0] == "acked":
                    self._slots.pop(event[1], None)
                elif event[0] == "down":
                    self._slots = {}
        self.runner.close()
        self.link.close()
