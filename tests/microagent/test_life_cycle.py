"""The life of instances under whatever comes: what must never happen, and where it ends.

Wishes, an import that comes and goes, new recipes, steps that fail, an agent that is restarted and
a machine that is rebooted, in any order and at any moment.
"""

from hypothesis import given
from hypothesis import strategies as st

from fieldconf_microagent import codec, states, topics
from support.world import DOMAIN, Hand, Node, World, entry, machine

TOP, INNER, OTHER = "/vm/top", "/vm/top/in", "/vm/other"
PATHS = (TOP, INNER, OTHER)
# Imports of the component of a path; the one of OTHER may be missing.
IMPORTS = {TOP: {"Data": [True, ["ip"]]}, INNER: {}, OTHER: {"Data": [False, ["ip"]]}}
RUNS = (states.STARTING, states.STARTED, states.STOPPING)
FAILING = ("deploy", "start", "update", "undeploy")

EVENTS = st.one_of(
    st.tuples(st.just("wish"), st.sampled_from(PATHS), st.sampled_from(states.WISHES)),
    st.tuples(st.just("provide"), st.sampled_from([None, "10.0.0.2", "10.0.0.3"])),
    st.tuples(st.just("recipe"), st.sampled_from(PATHS), st.sampled_from([b"a" * 32, b"b" * 32])),
    st.tuples(st.just("fail"), st.sampled_from(PATHS), st.sampled_from(FAILING)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("reboot")),
)


class Life:
    """A node whose every step is looked at when it begins."""

    def __init__(self):
        self.world = World()
        self.hand = Hand(self.world)
        self.node = Watched(self.world, "n1")
        self.wishes = dict.fromkeys(PATHS, states.STARTED)
        self.digests = dict.fromkeys(PATHS, b"a" * 32)
        self.node.failing, self.node.under_way = set(), set()
        self.node.outcome = self.outcome
        self.seq = 0
        self.node.start()
        self.want()

    def outcome(self, request):
        fails = (request["path"], request["step"]) in self.node.failing
        return ("failed", "as it was told to") if fails else ("done", "")

    def want(self):
        entries = [
            entry(path, path, self.wishes[path], m=IMPORTS[path], d=self.digests[path])
            for path in PATHS
        ]
        self.hand.want(
            self.node, [machine(), *entries], prov={"Data": [("app1", "Data", "n2")]}, lost=0
        )

    def wish(self, path, wish):
        self.wishes[path] = wish
        self.want()

    def recipe(self, path, digest):
        self.digests[path] = digest
        self.want()

    def provide(self, ip):
        self.seq += 1
        items = [] if ip is None else [["/vm2/data", {"ip": ip}]]
        document = codec.pack([1, 1, 1, self.seq, items])
        self.hand.publish(topics.exports(DOMAIN, "app1", "Data", "n2"), document)

    def fail(self, path, step):
        self.node.failing.add((path, step))

    def restart(self):
        self.node.under_way.clear()
        self.node.restart()

    def reboot(self):
        self.node.under_way.clear()
        self.node.kill(services=True)
        self.node.start()

    def expected(self, path):
        above = self.wishes[TOP] if path == INNER else states.STARTED
        wish = self.wishes[path]
        if states.NOT_DEPLOYED in (wish, above):
            return states.NOT_DEPLOYED
        return states.WAITING if (wish, above) == (states.STARTED, states.STOPPED) else wish


class Watched(Node):
    """Knows what must never happen."""

    def _do_run(self, request):
        path, step = request["path"], request["step"]
        assert path not in self.under_way, f"two steps of {path} at once"
        self.under_way.add(path)
        records = self.agent.tree.records
        if step == "start":
            assert path != TOP or request["imports"]["Data"], "started without its import"
            assert path != INNER or records[TOP].state == states.STARTED
        if path == TOP and step == "stop":
            inner = records[INNER].state if INNER in records else states.NOT_DEPLOYED
            assert inner not in RUNS, "stopped under what runs in it"
        if path == TOP and step == "undeploy":
            assert INNER not in records or records[INNER].state == states.NOT_DEPLOYED
        if path == INNER and step == "deploy":
            assert states.is_deployed(records[TOP].state)
        super()._do_run(request)

    def _ended(self, lives, request, outcome):
        if lives == self.lives:
            self.under_way.discard(request["path"])
        super()._ended(lives, request, outcome)


@given(st.lists(st.tuples(EVENTS, st.integers(0, 3000)), max_size=25))
def test_whatever_comes_instances_end_where_they_are_wished(events):
    life = Life()
    for (name, *arguments), ms in events:
        getattr(life, name)(*arguments)
        life.world.run(ms % 40 if ms % 2 else ms)  # in the middle of steps as well as after them

    life.node.failing.clear()
    life.provide("10.0.0.9")
    life.world.run(900_000)

    found = {one.path: one.state for one in life.node.agent.tree.order}
    assert found == {"/vm": states.STARTED, **{path: life.expected(path) for path in PATHS}}
    started = {path for path in PATHS if found[path] == states.STARTED}
    assert life.node.running == started
    for path in started - {INNER}:
        assert life.node.agent.tree.records[path].given["Data"]["/vm2/data"] == {"ip": "10.0.0.9"}
    for path in PATHS:
        there = found[path] != states.NOT_DEPLOYED
        assert life.node.agent.tree.records[path].digest == (life.digests[path] if there else None)
    assert all(one.problem is None for one in life.node.agent.tree.order if one.path in started)
