"""A whole fleet in the simulated world: a real coordinator core, real agent cores, faults, a seed.

`Coordinator` is the service's part on virtual time: rows on a disk, effects of a batch stored
before anything of it is sent, machines as `support.world.Node`. `Faults` does harm for a while.
`Watch` holds the invariants.
"""

import random

from fieldconf_coordinator.core import rows
from fieldconf_coordinator.core.fleet import Fleet
from fieldconf_microagent import codec, states, topics
from support.world import DOMAIN, Node, World


class Coordinator:
    """A coordinator on a disk that survives, in a process that may not.

    Attributes:
        rows: table → key → row, as committed.
        templates: ref → template.
        history: texts of the events, newest last.
        boards: enrolled machines by id, in use or not.
        die_before, die_after: None, or the number of batches until it dies around a commit.
    """

    def __init__(self, world, templates=None):
        self.world = world
        self.rows = {}
        self.templates = templates or {}
        self.history = []
        self.fleet = None
        self.session = None
        self.lives = 0
        self.epoch = 0
        self.machines = {}
        self.boards = {}
        self.create_ms = lambda: 20
        self.die_before = self.die_after = None
        self.start()

    def start(self):
        self.lives += 1
        self.fleet = Fleet(
            domain=DOMAIN,
            fleet_id="fleet1",
            random=random.Random(self.world.random.random()),
            default_target="local",
            wall=lambda: 1_700_000_000_000 + self.world.now,
        )
        rows = {table: list(by_key.values()) for table, by_key in self.rows.items()}
        self.fleet.restore(rows, self.templates)
        self.pump()
        self._connect(self.lives)
        return self

    def kill(self):
        self.lives += 1
        self.fleet = None
        session, self.session = self.session, None
        if session:
            self.world.broker.cut("coordinator")

    # -- the connection

    def _connect(self, lives):
        if lives != self.lives or self.session:
            return
        self.session = self.world.broker.connect("coordinator", self)
        if self.session is None:
            self.world.after(1000, self._connect, lives)

    def on_connected(self):
        kinds = ("have", "live", "pulse", "did", "get", "log")
        self.world.broker.subscribe(self.session, [f"{DOMAIN}/+/{kind}" for kind in kinds])

    def on_subscribed(self):
        self._event("on_link", True)

    def on_cut(self, session):
        if session is self.session:
            self.session = None
            self._event("on_link", False)
            self.world.after(300, self._connect, self.lives)

    def on_acked(self, slot):
        pass

    def on_message(self, topic, payload):
        kind, node = topics.parse(DOMAIN, topic)[:2]
        self._event("on_message", kind, node, payload)

    # -- the service's part

    def _event(self, name, *arguments):
        if self.fleet:
            getattr(self.fleet, name)(self.world.now, *arguments)
            self.pump()

    def request(self, name, *arguments, **more):
        """Make a request; what it answers is on disk."""
        answer = getattr(self.fleet, name)(self.world.now, *arguments, **more)
        self.pump()
        return answer

    def pump(self):
        effects = self.fleet.take()
        stores = [effect for effect in effects if effect[0] == "store"]
        if stores and self._dies("die_before"):
            return
        for _, table, key, what in stores:
            by_key = self.rows.setdefault(table, {})
            if what is None:
                by_key.pop(key, None)
            else:
                by_key[key] = rows.of(key, what)
        if stores and self._dies("die_after"):
            return
        for effect in effects:
            if effect[0] != "store":
                getattr(self, "_do_" + effect[0])(*effect[1:])
        wake = self.fleet.next_wake()
        if wake is not None:
            self.epoch += 1
            self.world.at(max(wake, self.world.now + 1), self._tick, self.lives, self.epoch)

    def _dies(self, which):
        left = getattr(self, which)
        if left is None:
            return False
        setattr(self, which, left - 1 if left else None)
        if left:
            return False
        self.kill()
        return True

    def _tick(self, lives, epoch):
        if (lives, epoch) == (self.lives, self.epoch):
            self._event("tick")

    def _do_publish(self, topic, payload, qos, retain):
        if self.session:
            self.world.broker.publish(self.session, topic, payload, qos, retain)

    def _do_create(self, node, settings):
        self.world.after(self.create_ms(), self._created, self.lives, node, settings)

    def _created(self, lives, node, settings):
        if settings["target"] == "embedded":
            self.machines[node] = self.boards[node]
        elif node not in self.machines:
            agent = settings["agent"]
            made = Node(self.world, node, bytes.fromhex(agent["key"]), agent["enrolment"])
            self.machines[node] = made
            self.on_machine(made)
            made.start()
        self._answer(lives, node, "created")

    def on_machine(self, node):
        """A machine was made; tests give it its ways here."""

    def _do_destroy(self, node, settings):
        self.world.after(20, self._destroyed, self.lives, node)

    def _do_disown(self, node, settings):
        pass

    def _destroyed(self, lives, node):
        machine = self.machines.pop(node, None)
        if machine and node not in self.boards:
            machine.kill(services=True)
        self._answer(lives, node, "destroyed")

    def _do_probe(self, node, settings):
        outcome = "created" if node in self.machines else "missing"
        self.world.after(20, self._answer, self.lives, node, outcome)

    def _answer(self, lives, node, outcome):
        if lives == self.lives:
            self._event("on_target", node, outcome)

    def _do_serve(self, node, get):
        pass

    def _do_event(self, kind, application, path, node, text):
        self.history.append(f"{kind} {path or node}: {text}")

    def _do_log(self, *arguments):
        pass

    def enrol(self, node_id, board="", tags=()):
        """Enrol a board and switch it on; return it."""
        one = self.fleet.pool.enrol(node_id, board, tags)
        self.pump()
        return self.flashed(one)

    def flashed(self, one):
        """Switch a board on that has this identity."""
        info = {"hw": "hw" + one.id, "mem": 99999, "inst": ["logger", "script"]}
        made = Node(self.world, one.id, one.key, one.enrolment, info=info)
        self.boards[one.id] = made
        self.on_machine(made)
        return made.start()

    # -- what tests ask

    def instances(self, app=None):
        """Return {path: what status tells of it}."""
        status = self.fleet.status(app)
        return {
            instance["path"]: instance
            for application in status["applications"]
            for instance in application["instances"]
        }

    def state(self, path, app=None):
        return self.instances(app)[path]["state"]

    def settled(self, app=None):
        """Tell whether every instance is where it is wished."""
        for instance in self.instances(app).values():
            if instance["leaving"] or instance["state"] != instance["wish"]:
                return False
        return True

    def machine(self, path, app=None):
        return self.machines[self.instances(app)[path]["node"]]


class Watch:
    """No instance runs too long without what it needs, while its agent is connected.

    The bound is what the design says: `lost_after`, the time to ask, the time of a stop, after the
    node could know; it starts anew with every connection and whenever a provider comes or goes.
    """

    def __init__(self, coordinator, lost_after, slack=18_000):
        self.coordinator = coordinator
        self.bound = lost_after + slack
        self.since = {}
        self.broken = []
        self._look_again()

    def _look_again(self):
        self.look()
        self.coordinator.world.after(100, self._look_again)

    def look(self):
        now = self.coordinator.world.now
        bad = set()
        for machine in self.coordinator.machines.values():
            if not machine.agent or not machine.agent.ready:
                continue
            for record in machine.agent.tree.order:
                if record.failed_step == "stop":
                    continue  # it tries
                if record.state == states.STARTED and not record.step and record.entry["m"]:
                    if self._lacks(machine, record):
                        bad.add((machine.node, machine.lives, record.path))
        self.since = {key: self.since.get(key, now) for key in bad}
        for key, since in self.since.items():
            if now - since > self.bound:
                self.broken.append((now, *key))

    def _lacks(self, machine, record):
        """Tell whether no machine that is up runs a provider of a mandatory import."""
        for prefix, (mandatory, _) in record.entry["m"].items():
            if mandatory and not any(
                path in provider.running or not provider.agent
                for _, _, node in machine.agent.imports.providers.get(prefix, ())
                for provider in [self.coordinator.machines.get(node)]
                if provider and (provider.agent or self._ended_unnoticed(provider))
                for path in self._exporters(provider, prefix)
                if path != record.path
            ):
                return True
        return False

    def _ended_unnoticed(self, provider):
        """Tell whether a node ended while the broker was down: nobody has said so yet.

        It is noticed when its pulses are missed, which is after the lives that are lived here.
        """
        live = self.coordinator.world.broker.retained.get(topics.live(DOMAIN, provider.node))
        return live is not None and codec.unpack(live)[2]

    @staticmethod
    def _exporters(provider, prefix):
        if not provider.agent:
            return ["?"]
        return [
            record.path
            for record in provider.agent.tree.order
            if any(name.startswith(prefix + ".") for name in record.entry["x"])
        ]


class Faults:
    """Harm, drawn from the world's random numbers, until `end`."""

    KINDS = (
        "agent",
        "reboot",
        "absence",
        "power",
        "coordinator",
        "commit",
        "cut",
        "broker",
        "wipe",
        "step",
        "will",
    )

    def __init__(self, coordinator, end):
        self.coordinator = coordinator
        self.world = coordinator.world
        self.end = end
        # Some lives are wild, some quiet enough for long absences to be felt.
        self.every = self.world.random.choice((4000, 12_000, 40_000))
        self.done = []
        broker = self.world.broker
        broker.doubled, broker.lossy, broker.shuffle = 0.1, 0.2, True
        broker.delay = lambda: 1 + int(self.world.random.expovariate(0.2))
        self.world.at(end, self._calm)
        self._next()

    def _next(self):
        after = 1 + self.world.random.randrange(self.every)
        if self.world.now + after < self.end:
            self.world.after(after, self._strike)

    def _strike(self):
        kind = self.world.random.choice(self.KINDS)
        if self.every > 4000 and self.world.random.random() < 0.5:
            kind = "absence"
        self.done.append((self.world.now, kind))
        getattr(self, "_" + kind)()
        self._next()

    def _some(self):
        machines = self.coordinator.machines
        return machines[self.world.random.choice(sorted(machines))] if machines else None

    def _agent(self):
        node = self._some()
        if node and node.agent:
            node.kill(will_after=self.world.random.randrange(3000))
            self.world.after(self.world.random.randrange(9000), self._start, node)

    def _reboot(self):
        node = self._some()
        if node and node.agent:
            node.kill(services=True, will_after=self.world.random.randrange(3000))
            self.world.after(self.world.random.randrange(9000), self._start, node)

    def _absence(self):
        """A node is away for longer than others wait for it."""
        node = self._some()
        if node and node.agent:
            services = self.world.random.random() < 0.5
            node.kill(services, will_after=self.world.random.randrange(3000))
            self.world.after(30_000 + self.world.random.randrange(30_000), self._start, node)

    def _power(self):
        node = self._some()
        if node and node.agent:
            node.cut_power = self.world.random.randrange(6)
            self.world.after(self.world.random.randrange(9000), self._start, node)

    def _start(self, node):
        there = [*self.coordinator.machines.values(), *self.coordinator.boards.values()]
        if node.agent is None and node in there and not node.wiped:
            node.start()

    def _coordinator(self):
        if self.coordinator.fleet:
            self.coordinator.kill()
            self.world.after(self.world.random.randrange(9000), self._revive)

    def _commit(self):
        which = self.world.random.choice(("die_before", "die_after"))
        setattr(self.coordinator, which, self.world.random.randrange(4))
        self.world.after(self.world.random.randrange(9000), self._revive)

    def _revive(self):
        if self.coordinator.fleet is None:
            self.coordinator.start()

    def _cut(self):
        node = self._some()
        if node:
            self.world.broker.cut(node.node, self.world.random.randrange(3000))

    def _broker(self, wipe=False):
        self.world.broker.stop(wipe)
        self.world.after(self.world.random.randrange(5000), self._broker_back)

    def _wipe(self):
        self._broker(wipe=True)

    def _broker_back(self):
        self.world.broker.running = True

    def _step(self):
        node = self._some()
        if node:
            left = [self.world.random.randrange(4)]

            def outcome(request):
                left[0] -= 1
                return ("failed", "exit status 1") if left[0] >= 0 else ("done", "")

            node.outcome = outcome

    def _will(self):
        """A will of a former session comes late."""
        node = self._some()
        if node and node.session:
            self.world.broker._send_will(node.session)

    def _calm(self):
        broker = self.world.broker
        broker.doubled = broker.lossy = 0.0
        broker.shuffle, broker.running, broker.delay = False, True, lambda: 1
        self.coordinator.die_before = self.coordinator.die_after = None
        boards = self.coordinator.boards
        for node in {**self.coordinator.machines, **boards}.values():
            node.outcome = lambda request: ("done", "")
            node.cut_power = None
            self._start(node)
        self._revive()


def new_world(seed, templates=None):
    """Return a coordinator in a world of its own."""
    world = World(seed)
    return Coordinator(world, templates)
