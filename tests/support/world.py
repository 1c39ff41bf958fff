"""One simulated world: real cores, an in-memory broker, virtual time, one seed.

`World` is the clock and the queue of what happens next. `Node` is a machine with a disk, a real
agent core and a simulated runner; `Hand` publishes wants by hand where a test needs no coordinator.
"""

import heapq
import itertools
import random

from fieldconf_microagent import codec, compat, envelope, napping, topics
from fieldconf_microagent.agent import Agent
from support.broker import Broker

DOMAIN = "fc"
# So often in a row an agent may ask to be woken at once.
_RESTLESS = 10


class World:
    """Virtual time in ms, and everything that is due.

    Attributes:
        sleepy: whether the agents' cores sleep whenever they can, as on boards.
    """

    def __init__(self, seed=0):
        self.sleepy = seed % 4 == 1
        self.random = random.Random(seed)
        self.now = 0
        self.queue = []
        self.order = itertools.count()
        self.broker = Broker(self)
        self.nodes = {}

    def at(self, time, function, *arguments):
        heapq.heappush(self.queue, (time, next(self.order), function, arguments))

    def after(self, delay, function, *arguments):
        self.at(self.now + delay, function, *arguments)

    def run(self, ms):
        """Let `ms` pass."""
        self.run_until(lambda: False, ms)

    def run_until(self, condition, ms=600_000):
        """Let time pass until the condition holds; return whether it did within `ms`."""
        end = self.now + ms
        while not condition():
            if not self.queue or self.queue[0][0] > end:
                self.now = end
                return condition()
            self.now, _, function, arguments = heapq.heappop(self.queue)
            function(*arguments)
        return True


def told(kept):
    """Return what a core knows that sleeps, but for the order in sets."""
    disk, more = [codec.unpack(part, 1 << 26, 16, 1 << 22) for part in kept]
    for record in more["records"]:
        record[4].sort(key=repr)
    return disk, more


class Node:
    """A machine: a disk that survives, an agent core that may not, and steps that take time.

    Attributes:
        disk: what a power cut leaves.
        running: paths of the services that really run here.
        steps: every request that was run, oldest first.
        outcome: request → (outcome, detail); steps do as it says.
        duration: request → ms.
        cut_power: None, or the number of effects after which the power fails.
    """

    def __init__(
        self, world, node, key=b"k" * 32, enrolment=1, installers=("script", "logger"), **more
    ):
        self.world = world
        self.node = node
        self.key = key
        self.enrolment = enrolment
        self.installers = installers
        self.more = more
        self.disk = {"state": None, "boot": 0, "recipes": set(), "mark": 0}
        self.running = set()
        self.steps = []
        self.outcome = lambda request: ("done", "")
        self.duration = lambda request: 5
        self.fetch_ms = lambda: 3
        self.wiped = False
        self.agent = None
        self.session = None
        self.connected = False
        self.epoch = 0
        self.lives = 0
        self.cut_power = None
        self.restless = 0
        self.logged = []
        world.nodes[node] = self

    # -- its life

    def start(self, connect=True):
        """Switch on; the run mark is the same unless `reboot` or a power cut came before."""
        self.lives += 1
        self.disk["boot"] += 1
        settings = {
            "domain": DOMAIN,
            "node": self.node,
            "key": self.key,
            "enrolment": self.enrolment,
            "installers": self.installers,
            "info": {"hw": "hw-" + self.node, "inst": list(self.installers)},
            "ip": "10.0.0." + self.node.strip("n"),
            "parallel": 4,
            **self.more,
        }
        self.agent = Agent(
            settings,
            self.disk["state"],
            str(self.disk["mark"]),
            self.disk["boot"],
            self.world.now,
            lambda n: self.world.random.randrange(n),
        )
        self.pump()
        if connect:
            self.connect()
        return self

    def kill(self, services=False, will_after=0):
        """End the agent at once; with `services` the whole machine is switched off."""
        self.lives += 1
        self.agent = None
        if services:
            self.running.clear()
            self.disk["mark"] += 1
        session, self.session = self.session, None
        self.connected = False
        if session:
            self.world.broker.cut(self.node, will_after)

    def restart(self):
        self.kill()
        return self.start()

    def connect(self):
        if self.agent is None or self.session:
            return
        live = topics.live(DOMAIN, self.node)
        will = (live, codec.pack([*self.agent.triple[:2], False]))
        self.session = self.world.broker.connect(self.node, self, will)
        if self.session is None:
            self.world.after(1000, self._reconnect, self.lives)

    def _reconnect(self, lives):
        if lives == self.lives:
            self.connect()

    # -- what the broker says

    def on_connected(self):
        self.connected = True
        self._event("on_link", True)

    def on_cut(self, session):
        if session is not self.session:
            return
        self.session = None
        self.connected = False
        if self.agent:
            self._event("on_link", False)
            self.world.after(500 + self.world.random.randrange(1000), self._reconnect, self.lives)

    def on_subscribed(self):
        self._event("on_subscribed")

    def on_message(self, topic, payload):
        self._event("on_message", topic, payload)

    def on_acked(self, slot):
        if slot:
            self._event("on_acked", slot)

    # -- the host's part

    def _event(self, name, *arguments):
        if self.agent:
            getattr(self.agent, name)(self.world.now, *arguments)
            self.pump()

    def pump(self):
        lives = self.lives
        for effect in self.agent.take():
            if self.cut_power is not None:
                self.cut_power -= 1
                if self.cut_power < 0:
                    self.cut_power = None
                    self.kill(services=True)
                    return
            getattr(self, "_do_" + effect[0])(*effect[1:])
            if lives != self.lives:
                return
        self._sleep()
        self._wake()

    def _sleep(self):
        """Do what boards do to have more memory, as often as can be."""
        agent = self.agent
        if self.world.sleepy and agent.is_idle():
            kept = napping.asleep(agent)
            self.agent = napping.woken(agent.settings, kept, self.world.now, agent.random_below)
            assert told(napping.asleep(self.agent)) == told(kept)

    def _wake(self):
        wake = self.agent.next_wake()
        if wake is not None:
            self.epoch += 1
            self.world.at(max(wake, self.world.now + 1), self._tick, self.lives, self.epoch)

    def _tick(self, lives, epoch):
        if (lives, epoch) == (self.lives, self.epoch):
            self._event("tick")
            wake = self.agent and self.agent.next_wake()
            self.restless = self.restless + 1 if wake and wake <= self.world.now else 0
            # A real one would take a whole processor, and the battery.
            assert self.restless < _RESTLESS, f"{self.node} wants to be woken without end"

    def _do_save(self, state):
        self.disk["state"] = state

    def _do_subscribe(self, filters):
        if self.session:
            self.world.broker.subscribe(self.session, filters)

    def _do_unsubscribe(self, filters):
        if self.session:
            self.world.broker.unsubscribe(self.session, filters)

    def _do_publish(self, topic, payload, qos, retain, slot):
        if self.session:
            self.world.broker.publish(self.session, topic, payload, qos, retain, slot)

    def _do_fetch(self, digests):
        for digest in digests:
            wait = 0 if digest in self.disk["recipes"] else self.fetch_ms()
            self.world.after(wait, self._fetched, self.lives, digest)

    def _fetched(self, lives, digest):
        if lives == self.lives:
            self.disk["recipes"].add(digest)
            self._event("on_recipe", digest, None)

    def _do_run(self, request):
        self.steps.append(request)
        outcome = self.outcome(request)
        if request["step"] == "check" and outcome == ("done", ""):
            up = request["path"] in self.running
            outcome = ("done", "") if up else ("failed", "no such process")
        self.world.after(self.duration(request), self._ended, self.lives, request, outcome)

    def _ended(self, lives, request, outcome):
        # A step that was begun goes on when only the agent died; what it did stays done.
        if outcome[0] == "done" and request["step"] == "start":
            self.running.add(request["path"])
        if outcome[0] == "done" and request["step"] in ("stop", "undeploy"):
            self.running.discard(request["path"])
        if lives == self.lives:
            self._event("on_ended", request["path"], *outcome)

    def _do_cancel(self, path):
        pass

    def _do_drop(self, path):
        pass

    def _do_log(self, level, text):
        self.logged.append(text)

    def _do_wipe(self):
        self.disk.update(state=None, recipes=set())
        self.wiped = True

    def _do_rekey(self, nonce, enrolment):
        self.key = compat.hmac_sha256(self.key, nonce)
        self.enrolment = enrolment

    def _do_exit(self, reason):
        session, self.session, self.agent = self.session, None, None
        self.lives += 1
        self.connected = False
        self.world.after(50, self.world.broker.disconnect, session)
        if reason.startswith("restart"):
            self.world.after(100, self.start)

    # -- what tests ask

    def state(self, path):
        return self.agent.tree.records[path].state

    def ran(self, path=None):
        """Return the steps that were run, as "path step" or, for one path, as "step"."""
        return [
            r["step"] if path else r["path"] + " " + r["step"]
            for r in self.steps
            if path in (None, r["path"]) and r["step"] != "check"
        ]


class Hand:
    """Publishes wants by hand and keeps what nodes say."""

    def __init__(self, world):
        self.world = world
        self.haves = {}
        self.answers = {}
        self.messages = {}
        self.versions = {}
        self.session = world.broker.connect("hand", self)
        world.broker.subscribe(self.session, [DOMAIN + "/#"])

    def on_connected(self):
        pass

    def on_subscribed(self):
        pass

    def on_acked(self, slot):
        pass

    def on_cut(self, session):
        pass

    def on_message(self, topic, payload):
        self.messages.setdefault(topic, []).append(payload)
        kind, name = topics.parse(DOMAIN, topic)[:2]
        if kind == "have" and payload:
            node = self.world.nodes[name]
            opened = envelope.open_sealed(node.key, name, "have", payload)
            self.haves[name] = codec.unpack(opened)
        if kind == "did":
            node = self.world.nodes[name]
            answer = codec.unpack(envelope.open_sealed(node.key, name, "did", payload))
            self.answers[answer[0]] = answer

    def want(self, node, entries, app="app1", pub=(), prov=None, lost=60_000, version=None):
        """Publish a want; `entries` are as `entry` makes them."""
        self.versions[node.node] = version or self.versions.get(node.node, 0) + 1
        payload = codec.pack(
            {
                "v": self.versions[node.node],
                "app": app,
                "name": "shop",
                "path": entries[0]["p"] if entries else "",
                "lost": lost,
                "i": entries,
                "up": [],
                "pub": list(pub),
                "prov": {p: [list(key) for key in keys] for p, keys in (prov or {}).items()},
            }
        )
        sealed = envelope.seal(node.key, node.node, "want", payload)
        self.publish(topics.want(DOMAIN, node.node), sealed)

    def do(self, node, verb, *arguments, id="d1", boot=None):
        boot = node.agent.triple[1] if boot is None else boot
        payload = codec.pack([id, boot, 60, verb, list(arguments)])
        sealed = envelope.seal(node.key, node.node, "do", payload)
        self.publish(topics.do(DOMAIN, node.node), sealed, retain=False)

    def publish(self, topic, payload, retain=True):
        self.world.broker.publish(self.session, topic, payload, 1, retain)


def entry(path, component, wish="deployed-started", installer="script", **more):
    """Return an entry of a want; exports `x`, imports `m`, digest `d` and so on in `more`."""
    made = {"p": path, "c": component, "t": installer, "w": wish, "x": {}, "m": {}}
    made.update(more)
    return made


def machine(path="/vm", **more):
    return entry(path, "VM", installer="target", **more)
