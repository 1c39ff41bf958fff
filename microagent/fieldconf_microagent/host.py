"""Joins the agent's core with what carries its effects out: link, runner, fetcher, store, clock.

One loop in one thread: wait for the link or the next date, tell the core what happened, carry out
what it answers, in its order. The parts are given; which ones, `__main__` and the targets decide.
Nothing is decided here about instances. Where memory is short, the core sleeps between two events:
then `agent` is None, and somebody else keeps what it knows.
"""

from . import codec, envelope, topics
from .compat import const
from .reconnect import Reconnect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .agent import Agent

STATE = "state"
ADDRESS = "address"

_LONGEST_WAIT = const(60000)
_LOGS_MS = const(500)
_SAVE_AGAIN_MS = const(1000)
_LONGEST_LOG = const(8192)
# Events come in bursts; the core stays awake until one is over.
_AWAKE_MS = const(200)


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
        bed: where the core sleeps, see `main_board.Bed`; None where it need not.
    """

    def __init__(
        self,
        agent: "Agent",
        link: "Any",
        runner: "Any",
        fetcher: "Any",
        store: "Any",
        now_ms: "Callable[[], int]",
        log: "Callable[[str, str], object]",
        wipe: "Callable[[], object]",
        random_below: "Callable[[int], int]",
        bed: "Any" = None,
    ) -> None:
        self.agent: "Agent | None" = agent
        self._bed = bed
        self._wake_at: "int | None" = None  # of the core, while it sleeps
        self._sleep_at = 0
        self.link = link
        self.runner = runner
        # Only the runner for boards calls recipes by the clock.
        self._runner_wake = getattr(runner, "next_wake", None)
        self.fetcher = fetcher
        self.store = store
        self.now_ms = now_ms
        self._log = log
        self._wipe = wipe
        self._random_below = random_below
        self._settings = settings = agent.settings
        self._live = codec.pack(agent.triple[:2] + [False])
        self.up = self.ready = False
        self._d, self._node, self._key = settings["domain"], settings["node"], settings["key"]
        self._put = topics.topic(self._d, self._node, "put")
        self._get = topics.topic(self._d, self._node, "get")
        self._logs = topics.topic(self._d, self._node, "log")
        self._reconnect = Reconnect(settings.get("reconnect", 5000))
        self._connect_at: "int | None" = now_ms()
        # token of a publish that is not acknowledged → its slot, or None
        self.slots: "dict[int, str | None]" = {}
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
        self.carry_out()
        for event in self.link.poll(self._wait_ms(longest_ms)):
            self._events[event[0]](*event[1:])
        now = self.now_ms()
        for path, outcome, detail in self.runner.poll():
            self.awake().on_ended(now, path, outcome, detail)
        self.carry_out()
        wake = self._core_wake()
        if wake is not None and wake <= now:
            self.awake().tick(now)
            self.carry_out()
        self._tend_recipes(now)
        self._send_logs(now)
        self._lie_down(now)
        due = self._connect_at is not None and now >= self._connect_at
        if due and self.reachable and self.ended is None:
            self._connect_at = None
            self.link.connect((topics.topic(self._d, self._node, "live"), self._live))

    def _wait_ms(self, longest_ms: int) -> int:
        if self._stopping:
            return 0
        now = self.now_ms()
        dates = [self._core_wake(), self.fetcher.next_wake()]
        dates.append(self._sleep_at if self._bed and self.agent else None)
        dates.append(self._connect_at if self.reachable else None)
        dates.append(self._save_at if self._held else None)
        dates.append(self._logs_at if self.runner.busy() else None)
        for date in dates:
            if date is not None:
                longest_ms = min(longest_ms, max(0, date - now))
        wake = self._runner_wake() if self._runner_wake else None
        return longest_ms if wake is None else min(longest_ms, wake)

    # -- the core's sleep

    def awake(self) -> "Agent":
        """Return the core, awake for some time from now."""
        now = self.now_ms()
        self._sleep_at = now + _AWAKE_MS
        if self.agent is None:
            # Both at once may be more than a board has.
            self.fetcher.rest(True)
            self.agent = self._bed.wake(now)
        return self.agent

    def _core_wake(self) -> "int | None":
        return self.agent.next_wake() if self.agent else self._wake_at

    def _lie_down(self, now: int) -> None:
        """Put the core to bed when nothing is under way."""
        agent = self.agent
        if not self._bed or not agent:
            return
        if self._held or self.ended is not None or not agent.is_idle():
            self._sleep_at = now + _AWAKE_MS
        elif now >= self._sleep_at:
            self._wake_at = agent.next_wake()
            self.agent = None
            self._bed.lay(agent)
            self.fetcher.rest(False)

    # -- what happens

    def _on_up(self) -> None:
        now = self.now_ms()
        self._reconnect.acknowledged(now)
        self._log("info", "connected to the broker")
        if self._settings["address"] == "found":
            self._learn_address(now, self.link.address())
        self.up = True
        self.awake().on_link(now, True)

    def _learn_address(self, now: int, address: "str | None") -> None:
        """Take over by which address the broker is reached, and keep it for a start without one."""
        if address and address != self._settings["ip"]:
            self.awake().on_address(now, address)
            try:
                self.store.save(ADDRESS, address.encode())
            except OSError as error:
                self._log("error", "cannot save the address: %r" % error)

    def _on_down(self, reason: str) -> None:
        now = self.now_ms()
        pause_ms = self._reconnect.pause_ms(now, self._random_below(1000) / 1000)
        self._connect_at = now + pause_ms
        self._log("warning", "no broker at %s; next attempt in %d ms" % (reason, pause_ms))
        self.slots = {}
        if self.up:
            self.up = self.ready = False
            self.awake().on_link(now, False)
            self.fetcher.link(now, False)

    def _on_subscribed(self) -> None:
        now = self.now_ms()
        if not self.ready:
            self.ready = True
            self.awake().on_subscribed(now)
            self.fetcher.link(now, True)

    def _on_message(self, topic: str, payload: bytes) -> None:
        if topic == self._put:
            self._on_put(payload)
        else:
            self.awake().on_message(self.now_ms(), topic, payload)

    def _on_long(self, topic: str, size: int) -> None:
        self.awake().on_long(self.now_ms(), topic, size)

    def _on_put(self, payload: bytes) -> None:
        try:
            piece = envelope.open_sealed(self._key, self._node, "put", payload)
            digest, index, total, data = codec.unpack(piece, views=True)[:4]
        except (ValueError, TypeError) as error:
            self._refused += 1
            if self._refused == 1:
                self._log("warning", "refused %s: %s" % (self._put, error))
            return
        self.fetcher.on_put(self.now_ms(), digest, index, total, data)

    def _on_acked(self, token: int) -> None:
        slot = self.slots.pop(token, None)
        if slot is not None:
            self.awake().on_acked(self.now_ms(), slot)

    # -- what is to be done

    def carry_out(self) -> None:
        """Carry out everything in order; what stands behind a failed save waits for it."""
        while self.ended is None:
            if self.agent:
                new = self.agent.take()
                if self._save_at and new and new[0][0] == "save":
                    # In the place of what could not be saved, or they would fill the memory.
                    self._held[0] = new.pop(0)
                self._held.extend(new)
            if not self._held or (self._save_at and self.now_ms() < self._save_at):
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
            self._save_at = self.now_ms() + _SAVE_AGAIN_MS
            self._tell("error", "cannot save the state; nothing is begun before: %r" % error)

    def _publish(
        self, topic: str, payload: bytes, qos: int, retain: bool, slot: "str | None"
    ) -> None:
        token = self.link.publish(topic, payload, qos, retain)
        if qos:
            self.slots[token] = slot

    def _run(self, request: "dict[str, Any]") -> None:
        digest = request["digest"]
        request["node"] = self._node
        request["recipe_dir"] = self.fetcher.folder(digest) if digest else None
        self.runner.start(request)

    def _fetch(self, digests: "list[bytes]") -> None:
        now = self.now_ms()
        self.fetcher.want(now, digests)
        self.fetcher.collect(digests)
        for digest in digests:
            if self.fetcher.has(digest):
                self.awake().on_recipe(now, digest, None)

    def _tell(self, level: str, text: str) -> None:
        self._log(level, text)
        if level != "info" and self.ready:
            self._publish_log("", level, text.encode())

    def _forget(self) -> None:
        self.store.remove(STATE)
        self._wipe()

    def _rekey(self, nonce: bytes, enrolment: int) -> None:
        from . import settings

        settings.rekey(self._settings["file"], nonce, enrolment)

    def _exit(self, reason: str) -> None:
        self.ended = reason

    # -- now and then

    def _tend_recipes(self, now: int) -> None:
        wake = self.fetcher.next_wake()
        if wake is not None and wake <= now:
            self.fetcher.tick(now)
        gets, done = self.fetcher.take()
        if self.ready:
            for get in gets:
                self.link.publish(self._get, get, 0, False)
        for digest, problem in done:
            self.awake().on_recipe(now, digest, problem)
        if done:
            self.carry_out()

    def _send_logs(self, now: int) -> None:
        if self.ready and now >= self._logs_at:
            self._logs_at = now + _LOGS_MS
            for path, step, data in self.runner.logs():
                for start in range(0, len(data), _LONGEST_LOG):
                    self._publish_log(path, step, data[start : start + _LONGEST_LOG])

    def _publish_log(self, path: str, step: str, data: bytes) -> None:
        self.link.publish(self._logs, codec.pack([path, step, data]), 0, False)

    def _leave(self) -> None:
        # Only now: a board that is switched off never comes here.
        from . import leaving

        leaving.leave(self)
