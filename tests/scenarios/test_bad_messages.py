"""Messages that nobody should send: counted, told once for each source, dropped; the process lives.

Here the cores, with thousands of messages of a seed; `test_bad_messages_on_brokers` has the rest.
"""

import random

import pytest

from fieldconf_coordinator.service.recipes import RecipeStore, pack
from fieldconf_coordinator.service.serving import Serving
from fieldconf_coordinator.service.store import Store
from fieldconf_microagent import codec, envelope, topics
from support.desk import Desk, kinds, web_template
from support.world import DOMAIN, Hand, Node, World, entry, machine

MESSAGES = 4000


class Rubbish:
    """Makes messages from a seed: noise, values of any shape, and genuine ones with damage."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def message(self, genuine):
        """Return something like `genuine`, or nothing like it."""
        kind = self.random.randrange(4)
        if kind == 0:
            return self.noise(self.random.randrange(200))
        if kind == 1:
            return codec.pack(self.value(4))
        if kind == 2:
            return genuine[: self.random.randrange(len(genuine) + 1)]
        damaged = bytearray(genuine)
        for _ in range(self.random.randrange(1, 4)):
            damaged[self.random.randrange(len(damaged))] = self.random.randrange(256)
        return bytes(damaged)

    def noise(self, size):
        return bytes(self.random.randrange(256) for _ in range(size))

    def value(self, depth):
        kind = self.random.randrange(9 if depth else 7)
        if kind == 7:
            return [self.value(depth - 1) for _ in range(self.random.randrange(7))]
        if kind == 8:
            return {self.key(): self.value(depth - 1) for _ in range(self.random.randrange(5))}
        return (
            None,
            self.random.random() < 0.5,
            self.random.choice((0, 1, -1, 255, 2**31, 2**63, 2**64 - 1, -(2**63))),
            self.random.choice((0.5, float("nan"), float("inf"))),
            self.random.choice(("", "/vm/web", "Data", "n1", "\0", "ü" * 40)),
            self.noise(self.random.randrange(40)),
            1,
        )[kind]

    def key(self):
        return self.random.choice(("v", "e", "b", "s", "i", "n", "app", "p", "", "/web", "Data"))

    def like(self, value):
        """Return a value of the same shape as a genuine one, with parts that are of another."""
        if self.random.random() < 0.05:
            return self.value(2)
        if isinstance(value, dict):
            return {
                key: self.like(part) for key, part in value.items() if self.random.random() < 0.95
            }
        if isinstance(value, (list, tuple)):
            return [self.like(part) for part in value]
        return value


# -- the cores


@pytest.fixture
def world():
    return World(seed=1)


@pytest.fixture
def web(world):
    """A node whose web server imports what the node n2 exports."""
    node = Node(world, "n1").start()
    world.run(50)
    hand = world.hand = Hand(world)
    entries = [machine(), entry("/vm/web", "Web", m={"Data": [True, ["ip"]]}, x={"Web.ip": None})]
    hand.want(node, entries, pub=["Web"], prov={"Data": [("app1", "Data", "n2")]})
    world.run(50)
    return node


def exports(seq, items=(("/db", {"ip": "10.0.0.2"}),)):
    return codec.pack([1, 1, 1, seq, [list(item) for item in items]])


def test_whatever_is_sent_to_an_agent_it_lives(world, web):
    rubbish = Rubbish(1)
    want = envelope.seal(web.key, "n1", "want", codec.pack(web.agent.want))
    do = envelope.seal(web.key, "n1", "do", codec.pack(["x", 1, 60, "report", []]))
    genuine = {
        topics.want(DOMAIN, "n1"): want,
        topics.do(DOMAIN, "n1"): do,
        topics.put(DOMAIN, "n1"): want,
        topics.ask(DOMAIN, "n1"): codec.pack(["app1", "Web"]),
        topics.live(DOMAIN, "n1"): codec.pack([1, 1, False]),
        topics.live(DOMAIN, "n2"): codec.pack([0, 1, True]),
        topics.exports(DOMAIN, "app1", "Data", "n2"): exports(1),
        topics.exports(DOMAIN, "app1", "Data", "n3"): exports(1),
        "fc/x/app1/=FF/n2": exports(1),
        "elsewhere": b"?",
    }
    for _ in range(MESSAGES):
        topic = rubbish.random.choice(sorted(genuine))
        web._event("on_message", topic, rubbish.message(genuine[topic]))
        world.run(1)

    assert web.agent.refused > MESSAGES / 4
    assert len(web.logged) <= 32
    assert web.agent.tree.records["/vm/web"].entry["c"] == "Web"


@pytest.mark.parametrize("kind", ["exports", "live", "ask"])
def test_shapes_that_are_nearly_right_do_not_reach_the_recipes_of_an_agent(world, web, kind):
    rubbish = Rubbish(2)
    whole = {
        "exports": [1, 0, 1, 1, [["/db", {"ip": "10.0.0.2", "port": "1"}]]],
        "live": [0, 1, True],
        "ask": ["app1", "Web"],
    }[kind]
    topic = {
        "exports": topics.exports(DOMAIN, "app1", "Data", "n2"),
        "live": topics.live(DOMAIN, "n2"),
        "ask": topics.ask(DOMAIN, "n1"),
    }[kind]
    for seq in range(MESSAGES // 4):
        if kind == "exports":
            whole[3] = seq
        web._event("on_message", topic, codec.pack(rubbish.like(whole)))
        world.run(1)

    for step in web.steps:
        for _, values in step["imports"]["Data"]:
            assert all(type(v) is str for pair in values.items() for v in pair)


def test_genuine_envelopes_around_rubbish_do_not_end_an_agent(world, web):
    rubbish = Rubbish(3)
    for index in range(MESSAGES // 4):
        kind = rubbish.random.choice(("want", "do"))
        whole = dict(web.agent.want, v=index) if kind == "want" else ["x", 1, 60, "retry", ["/vm"]]
        value = rubbish.like(whole)
        if isinstance(value, dict) and rubbish.random.random() < 0.9:
            value["v"] = index  # or the first high version would be the last that counts
        payload = codec.pack(value)
        sealed = envelope.seal(web.key, "n1", kind, payload)
        web._event("on_message", topics.topic(DOMAIN, "n1", kind), sealed)
        world.run(1)


def test_whatever_a_node_sends_its_coordinator_lives(tmp_path):
    """Whoever owns a node owns its key: also genuine envelopes hold rubbish here."""
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    desk.settle()
    desk.effects.clear()
    node = desk.node("/web1")
    rubbish = Rubbish(4)
    store = Store(tmp_path)
    serving = Serving(RecipeStore(tmp_path / "recipes"), DOMAIN)
    want = desk.want_of(node.id, node.key)
    told = {"s": "failed", "p": ["failed", "x", False], "m": ["Data"]}
    info = {"py": "x", "agent": "0", "mem": 1, "inst": ["script"], "hw": "m", "ip": "x"}
    have = {"e": 1, "b": 1, "s": 1, "v": want["v"], "app": want["app"], "n": info}
    have["i"] = {entry["p"]: told for entry in want["i"]}
    whole = {
        "have": have,
        "did": ["id", 1, "ok", None],
        "live": [1, 1, True],
        "pulse": [1, 1, 1, want["v"]],
        "get": [b"w" * 32, 0, b"\1", 1],
        "log": ["/web1/web", "start", b"hello"],
    }
    for index in range(MESSAGES):
        kind = rubbish.random.choice(sorted(whole))
        value = dict(have, s=index + 2) if kind == "have" else whole[kind]
        payload = codec.pack(rubbish.like(value))
        if kind in ("have", "did"):
            payload = envelope.seal(node.key, node.id, kind, payload)
        if rubbish.random.random() < 0.5:
            payload = rubbish.message(payload)
        desk.fleet.on_message(desk.now, kind, node.id, payload)
        desk.pass_time(1)
        effects = desk.take()
        store.commit(effects)
        for _, asking, get in kinds(effects, "serve"):
            serving.add(asking, node.key, codec.pack(get), {b"w" * 32})
        desk.fleet.status()

    store.close()
    assert desk.fleet.status()["dropped"][node.id] > MESSAGES / 4
    assert len([e for e in kinds(desk.effects, "event") if e[1] == "dropped"]) == 1


def test_output_of_invented_instances_and_too_much_of_it_is_not_kept():
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    desk.settle()
    desk.effects.clear()
    node = desk.node("/web1")
    for log in (["/invented", "start", b"x"], ["/web1/web", "start", bytes(1 << 19)]):
        desk.fleet.on_message(desk.now, "log", node.id, codec.pack(log))
    desk.take()

    assert kinds(desk.effects, "log") == []
    assert desk.fleet.status()["dropped"] == {node.id: 1}


def test_pieces_that_wait_are_bounded_however_often_they_are_asked_for(tmp_path):
    recipes = RecipeStore(tmp_path)
    packed = pack("Web", "script", [("big", 0o644, random.Random(1).randbytes(4 << 20))])
    digest = recipes.add(packed)
    blob = max(packed.things, key=lambda key: len(packed.things[key]))
    serving = Serving(recipes, DOMAIN)
    get = codec.pack([blob, 0, b"\xff" * 8, 64])
    for _ in range(400):  # some hundred megabytes
        serving.add("n1", bytes(32), get, {digest})

    sent = []
    link = type(
        "Link", (), {"publish": lambda _, topic, payload, *rest: sent.append(len(payload))}
    )()
    now = 0
    while serving.next_wake() is not None or not sent:
        serving.send(now, link)
        now += 60_000
    assert sum(sent) < 80 << 20
