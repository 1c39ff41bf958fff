"""The loop around the agent's core: order of effects, saving, recipes, coming and going."""

import pytest

from fieldconf_microagent import codec, envelope, topics
from fieldconf_microagent.assembling import assemble
from fieldconf_microagent.host import Host
from fieldconf_microagent.main_board import Bed
from fieldconf_microagent.store import Store as FileStore
from fieldconf_targets.memory import MemoryStore, NoRecipes, WrittenSteps

KEY = bytes(range(32))
SETTINGS = {
    "node": "n1",
    "domain": "fc",
    "key": KEY,
    "enrolment": 1,
    "ip": "",
    "keepalive": 60,
    "reconnect": 1000,
}


class Clock:
    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


class Link:
    """Does what the test says, and writes down what it is told."""

    def __init__(self, clock, journal):
        self.clock = clock
        self.journal = journal
        self.coming = []
        self.waits = []
        self.tokens = 0
        self.closed = False

    def connect(self, will):
        self.journal.append(("connect", will))

    def subscribe(self, names):
        self.journal.append(("subscribe", sorted(names)))

    def unsubscribe(self, names):
        self.journal.append(("unsubscribe", sorted(names)))

    def publish(self, topic, payload, qos, retain):
        self.tokens += 1
        self.journal.append(("publish", topic, payload))
        return self.tokens

    def poll(self, timeout_ms):
        self.waits.append(timeout_ms)
        coming, self.coming = self.coming, []
        if not coming:
            self.clock.now += timeout_ms
        return coming

    def address(self):
        return "10.0.0.7"

    def wake(self): ...

    def close(self):
        self.closed = True


class Store(MemoryStore):
    def __init__(self, journal):
        super().__init__()
        self.journal = journal
        self.full = False
        del self._kept["boot"]

    def save(self, name, data):
        if self.full:
            raise OSError(28, "No space left on device")
        self.journal.append(("save", name))
        super().save(name, data)

    def write(self, name, data):
        self.save(name, data)
        self.journal.append(("write", name))

    def sync(self, name):
        self.journal.append(("sync", name))


class Recipes(NoRecipes):
    def __init__(self):
        self.puts = []
        self.wiped = False
        self.rests = [True]

    def rest(self, rests):
        self.rests.append(rests)

    def on_put(self, now, digest, index, total, data):
        self.puts.append((digest, index, total, data))


class Steps(WrittenSteps):
    def __init__(self, wake, journal):
        super().__init__(wake)
        self.journal = journal

    def start(self, request):
        self.journal.append(("run", request["step"]))
        super().start(request)


class World:
    """A host with everything around it; the core of a sleepy one sleeps, as on a board."""

    def __init__(self, sleepy=False):
        self.sleepy = sleepy
        self.journal = []
        self.log = []
        self.clock = Clock()
        self.store = Store(self.journal)
        self.start()

    def start(self):
        self.link = Link(self.clock, self.journal)
        self.recipes = Recipes()
        self.runner = Steps(self.link.wake, self.journal)
        agent = assemble(
            SETTINGS, self.store, "mark", 0, lambda n: 0, installers=["logger"], info={}, parallel=1
        )
        self.host = Host(
            agent,
            self.link,
            self.runner,
            self.recipes,
            self.store,
            self.clock,
            lambda level, text: self.log.append((level, text)),
            lambda: self.journal.append(("wiped",)),
            lambda n: 0,
            Bed(agent.settings, lambda n: 0) if self.sleepy else None,
        )
        self.journal.clear()

    def turn(self, *events):
        self.link.coming = list(events)
        self.host.turn(1000)

    def connected(self):
        """Connect, subscribe, and have everything acknowledged."""
        self.turn()
        self.turn(("up",))
        self.turn(("subscribed",))
        self.without_want()
        self.turn(*[("acked", token) for token in range(1, self.link.tokens + 1)])
        self.journal.clear()
        return self

    def without_want(self):
        """Let the moment pass in which a new node waits for its want."""
        self.clock.now += 50
        self.turn()
        self.turn()

    def kinds(self):
        named = ("publish", "save", "run", "write", "sync")
        return [entry[:2] if entry[0] in named else entry[:1] for entry in self.journal]

    def want(self, **more):
        want = {"v": 1, "app": "a1", "name": "shop", "path": "/vm", "lost": 0, "i": [], "up": []}
        want.update({"pub": [], "prov": {}}, **more)
        sealed = envelope.seal(KEY, "n1", "want", codec.pack(want))
        return ("message", "fc/n1/want", sealed)


ONE_INSTANCE = [
    {"p": "/vm", "c": "VM", "t": "target", "w": "deployed-started", "x": {}, "m": {}},
    {"p": "/vm/a", "c": "A", "t": "logger", "w": "deployed-started", "x": {}, "m": {}},
]


@pytest.fixture(params=["awake", "sleepy"])
def world(request):
    return World(request.param == "sleepy")


def test_will_says_offline_for_this_boot(world):
    world.turn()

    assert world.journal[-1] == ("connect", ("fc/n1/live", codec.pack([1, 1, False])))


def test_boot_number_is_raised_on_disk_before_the_first_connection(world):
    assert world.store.load("boot") == b"1"

    world.start()

    assert world.store.load("boot") == b"2"
    assert world.host.awake().triple[1] == 2


def test_documents_follow_the_acknowledged_subscription(world):
    world.turn()
    world.turn(("up",))
    assert ("publish", "fc/n1/have") not in world.kinds()

    world.turn(("subscribed",))
    world.without_want()

    assert [kind for kind in world.kinds() if kind[0] == "publish"] == [
        ("publish", "fc/n1/have"),
        ("publish", "fc/n1/live"),
        ("publish", "fc/n1/pulse"),
    ]


def test_state_is_saved_before_a_step_begins(world):
    world.connected().turn(world.want(i=ONE_INSTANCE))

    begun = world.kinds().index(("run", "deploy"))
    assert ("sync", "state") in world.kinds()[:begun]


def test_update_waits_for_the_state_to_be_written_but_not_for_the_disk(world):
    vm, a = ONE_INSTANCE
    importer = {**a, "m": {"Web": [True, ["port"]]}}
    world.connected().turn(world.want(i=[vm, importer], prov={"Web": [["a1", "Web", "n2"]]}))
    world.turn(("message", "fc/n2/live", codec.pack([1, 1, True])))
    world.turn(exports("80"))
    for _ in range(4):
        world.turn()
    assert world.runner.steps[-1] == ("/vm/a", "start")
    world.journal.clear()

    world.turn(exports("81"))

    order = [kind for kind in world.kinds() if kind[0] in ("write", "run", "sync")]
    assert order[:3] == [("write", "state"), ("run", "update"), ("sync", "state")]


def exports(port):
    items = [["/vm2/web", {"port": port}]]
    return ("message", "fc/x/a1/Web/n2", codec.pack([1, 1, 1, int(port), items]))


def test_state_that_was_not_synced_counts_as_long_as_the_system_runs_on(world, tmp_path):
    store = FileStore(str(tmp_path))
    store.save("state", world.host.awake().dump())
    world.host.awake().version = 7
    store.write("state", world.host.awake().dump())

    def version(mark):
        more = {"installers": [], "info": {}, "parallel": 1}
        return assemble(SETTINGS, store, mark, 0, lambda n: 0, **more).version

    assert version("mark") == 7
    assert version("another mark") == 0
    store.sync("state")
    assert version("another mark") == 7


def test_nothing_is_begun_while_the_state_cannot_be_saved(world):
    world.connected()
    world.store.full = True
    world.turn(world.want(i=ONE_INSTANCE))
    world.turn()

    assert list(world.runner.steps) == []
    assert any("cannot save the state" in text for _, text in world.log)
    logged = [entry for entry in world.journal if entry[1] == "fc/n1/log"]
    assert b"cannot save the state" in logged[0][2]

    world.store.full = False
    world.clock.now += 1000
    world.turn()
    world.turn()

    assert world.runner.steps[0] == ("/vm/a", "deploy")


def test_lost_connection_is_tried_again_with_growing_pauses(world):
    world.turn()
    pauses = []
    for _ in range(4):
        world.journal.clear()
        before = world.clock.now
        world.turn(("down", "nobody there"))
        while not world.journal:
            world.turn()
        pauses.append(world.clock.now - before)

    assert pauses == [0, 1000, 2000, 4000]


def test_pieces_of_recipes_reach_the_fetcher_and_forged_ones_do_not(world):
    world.connected()
    piece = codec.pack([b"d" * 32, 0, 4, b"data"])

    world.turn(("message", "fc/n1/put", envelope.seal(KEY, "n1", "put", piece)))
    world.turn(("message", "fc/n1/put", envelope.seal(bytes(32), "n1", "put", piece)))
    world.turn(("message", "fc/n1/put", b"\xc1"))

    assert world.recipes.puts == [(b"d" * 32, 0, 4, b"data")]
    assert sum("refused fc/n1/put" in text for _, text in world.log) == 1


def test_address_that_reaches_the_broker_is_told_and_kept(world):
    world.connected()
    assert world.store.load("address") == b"10.0.0.7"

    world.start()

    assert world.host.awake().settings["ip"] == "10.0.0.7"


def test_forgotten_agent_clears_its_topics_and_wipes_itself_before_it_goes(world):
    world.connected()
    order = codec.pack(["1", 1, 60, "forget", []])
    world.turn(("message", "fc/n1/do", envelope.seal(KEY, "n1", "do", order)))

    cleared = [entry[1] for entry in world.journal if entry[0] == "publish" and not entry[2]]
    assert cleared == [topics.have("fc", "n1"), topics.live("fc", "n1")]
    assert world.kinds().index(("publish", "fc/n1/did")) < world.kinds().index(("wiped",))
    assert world.store.load("state") is None
    assert world.host.run() == "forgotten by the coordinator"
    assert world.link.closed


def test_stopped_agent_says_goodbye_and_leaves_its_instances(world):
    world.connected().turn(world.want(i=ONE_INSTANCE))
    world.turn()
    world.host.stop()

    assert world.host.run() == "stopped"

    goodbye = [entry for entry in world.journal if entry[1:2] == ("fc/n1/live",)][-1]
    assert codec.unpack(goodbye[2]) == [1, 1, False]
    assert ("/vm/a", "stop") not in world.runner.steps
    assert world.link.closed


def test_loop_sleeps_until_the_next_date(world):
    world.connected()
    assert asleep(world) or not world.sleepy
    world.link.waits.clear()

    world.host.turn(60000)

    # Nothing is due before the next pulse.
    assert world.link.waits == [60000]


def asleep(world):
    """Acknowledge everything until the core sleeps."""
    for _ in range(20):
        if world.host.agent is None:
            return True
        world.turn(*[("acked", token) for token in range(1, world.link.tokens + 1)])
        world.clock.now += 100
    return False


def test_the_core_of_a_board_sleeps_between_two_events():
    world = World(sleepy=True).connected()
    world.turn(world.want(i=ONE_INSTANCE))
    for _ in range(3):
        world.clock.now += 1000
        world.turn()
    assert world.host.agent, "what it has said is not acknowledged"

    assert asleep(world)
    assert world.recipes.rests[-1] is False
    world.journal.clear()
    world.turn()
    assert world.host.agent is None and world.journal == []

    world.turn(world.want(v=2, i=[]))
    assert world.recipes.rests[-1] is True
    assert world.host.agent.version == 2
    assert ("save", "state") in world.kinds()


def test_a_sleeping_core_is_woken_at_its_date():
    world = World(sleepy=True).connected()
    assert asleep(world)
    world.journal.clear()
    world.clock.now = 299_000
    world.turn()
    world.turn()

    assert ("publish", "fc/n1/pulse") in world.kinds()


def test_a_core_that_cannot_save_does_not_sleep():
    world = World(sleepy=True).connected()
    world.store.full = True
    world.turn(world.want(i=ONE_INSTANCE))
    assert not asleep(world)

    world.store.full = False
    world.clock.now += 1000
    assert asleep(world)
    assert ("run", "deploy") in world.kinds()


def test_while_the_state_cannot_be_saved_only_the_newest_is_kept(world):
    world.connected()
    world.store.full = True
    for version in range(1, 20):
        world.turn(world.want(v=version, i=ONE_INSTANCE))
    assert [effect[0] for effect in world.host._held].count("save") == 1

    world.store.full = False
    world.clock.now += 1000
    world.turn()
    world.turn()
    assert codec.unpack(world.store.load("state"))["v"] == 19
    assert world.runner.steps[0] == ("/vm/a", "deploy")
