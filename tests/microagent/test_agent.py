"""The agent's core, on virtual time, with wants published by hand."""

import pytest

from fieldconf_microagent import codec, compat, napping, states, topics
from support.world import DOMAIN, Hand, Node, World, entry, machine

RECIPE = b"r" * 32
NEWER = b"n" * 32


@pytest.fixture(params=["awake", "sleepy"])
def world(request):
    """The core stays in memory, or sleeps whenever it can, as on a board."""
    world = World()
    world.sleepy = request.param == "sleepy"
    return world


@pytest.fixture
def hand(world):
    return Hand(world)


@pytest.fixture
def node(world, hand):
    return Node(world, "n1").start()


def web(**more):
    return entry("/vm/web", "Web", m={"Data": [True, ["ip", "port"]]}, **more)


def data(path="/vm2/data", **more):
    more.setdefault("x", {"Data.ip": None, "Data.port": "5432"})
    return entry(path, "Data", **more)


def pair(world, hand, lost=60_000, **more):
    """Two nodes: n1 runs a web server that imports the data service of n2."""
    one, two = Node(world, "n1").start(), Node(world, "n2").start()
    prov = {"Data": [("app1", "Data", "n2")]}
    hand.want(two, [machine("/vm2"), data()], pub=["Data"], lost=lost)
    hand.want(one, [machine("/vm"), web(**more)], prov=prov, lost=lost)
    return one, two


def test_an_instance_is_deployed_and_started_and_reported(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    world.run(1000)

    assert node.ran() == ["/vm/a deploy", "/vm/a start"]
    have = hand.haves["n1"]
    assert have["v"] == 1
    assert have["i"] == {
        "/vm": {"s": "deployed-started"},
        "/vm/a": {"s": "deployed-started", "d": RECIPE},
    }


def test_the_same_or_an_older_want_changes_nothing(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A")], version=5)
    world.run(1000)
    hand.want(node, [machine()], version=5)
    hand.want(node, [machine()], version=4)
    world.run(1000)

    assert node.state("/vm/a") == states.STARTED
    assert hand.haves["n1"]["v"] == 5


def test_an_instance_waits_for_its_import_and_is_told_its_values(world, hand):
    one, two = Node(world, "n1").start(), Node(world, "n2").start()
    prov = {"Data": [("app1", "Data", "n2")]}
    hand.want(one, [machine(), web()], prov=prov)
    world.run(1000)

    assert one.state("/vm/web") == states.UNRESOLVED
    assert hand.haves["n1"]["i"]["/vm/web"]["m"] == ["Data"]

    hand.want(two, [machine("/vm2"), data()], pub=["Data"])
    world.run(1000)

    assert one.state("/vm/web") == states.STARTED
    start = one.steps[-1]
    assert start["step"] == "start"
    assert start["imports"] == {"Data": [["/vm2/data", {"ip": "10.0.0.2", "port": "5432"}]]}


def test_a_node_that_comes_and_starts_at_once_tells_it_with_one_have(world, hand):
    two = Node(world, "n2").start()
    hand.want(two, [machine("/vm2"), data()], pub=["Data"])
    world.run(1000)
    one = Node(world, "n1")
    prov = {"Data": [("app1", "Data", "n2")]}
    hand.want(one, [machine(), web(d=RECIPE)], prov=prov)

    one.start()
    world.run(1000)

    assert one.state("/vm/web") == states.STARTED
    assert hand.haves["n1"]["i"]["/vm/web"]["s"] == states.STARTED
    assert hand.haves["n1"]["s"] == 1


def test_a_step_that_takes_its_time_is_told_of(world, hand, node):
    node.duration = lambda request: 5000
    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(500)

    assert hand.haves["n1"]["i"]["/vm/a"]["s"] == states.DEPLOYING


def test_a_node_without_a_want_reports_soon(world, hand, node):
    world.run(500)

    assert hand.haves["n1"]["v"] == 0
    assert node.agent.next_wake() - world.now > 1000


def test_a_lost_import_stops_and_its_return_starts(world, hand):
    one, two = pair(world, hand)
    world.run(1000)
    hand.want(two, [machine("/vm2"), data(w="deployed-stopped")], pub=["Data"])
    world.run(1000)

    assert one.state("/vm/web") == states.UNRESOLVED
    assert one.steps[-1]["step"] == "stop"
    assert one.steps[-1]["cause"] == "import-lost"

    hand.want(two, [machine("/vm2"), data()], pub=["Data"])
    world.run(1000)

    assert one.ran("/vm/web") == ["deploy", "start", "stop", "start"]


def test_exports_are_withdrawn_before_stop_runs(world, hand):
    _, two = pair(world, hand)
    world.run(1000)
    two.duration = lambda request: 5000
    hand.want(two, [machine("/vm2"), data(w="deployed-stopped")], pub=["Data"])
    world.run(1000)

    assert two.state("/vm2/data") == states.STOPPING
    topic = topics.exports(DOMAIN, "app1", "Data", "n2")
    assert codec.unpack(world.broker.retained[topic])[4] == []


def test_a_changed_value_runs_update_with_the_difference(world, hand):
    one, two = pair(world, hand)
    world.run(1000)
    changed = data(x={"Data.ip": None, "Data.port": "6000"})
    hand.want(two, [machine("/vm2"), changed], pub=["Data"])
    world.run(1000)

    assert one.ran("/vm/web") == ["deploy", "start", "update"]
    values = {"ip": "10.0.0.2", "port": "6000"}
    assert one.steps[-1]["changed"] == {
        "added": {},
        "removed": {},
        "changed": {"Data": [["/vm2/data", values]]},
    }


def test_changes_during_a_step_give_one_update_when_it_has_ended(world, hand):
    one, two = pair(world, hand)
    world.run(1000)
    one.duration = lambda request: 2000
    for port in ("6000", "6001", "6002"):
        changed = data(x={"Data.ip": None, "Data.port": port})
        hand.want(two, [machine("/vm2"), changed], pub=["Data"])
        world.run(300)
    world.run(6000)

    assert one.ran("/vm/web") == ["deploy", "start", "update", "update"]
    assert one.steps[-1]["imports"]["Data"][0][1]["port"] == "6002"


def test_an_import_lost_and_back_during_a_step_runs_nothing(world, hand):
    one, two = pair(world, hand)
    world.run(1000)
    one.duration = lambda request: 5000
    changed = data(x={"Data.ip": None, "Data.port": "6000"})
    hand.want(two, [machine("/vm2"), changed], pub=["Data"])
    world.run(500)
    gone = data(x={"Data.ip": None, "Data.port": "6000"}, w="deployed-stopped")
    hand.want(two, [machine("/vm2"), gone], pub=["Data"])
    world.run(500)
    hand.want(two, [machine("/vm2"), changed], pub=["Data"])
    world.run(20_000)

    assert one.ran("/vm/web") == ["deploy", "start", "update"]


def test_optional_imports_never_block_and_their_values_update(world, hand):
    one, two = Node(world, "n1").start(), Node(world, "n2").start()
    optional = entry("/vm/web", "Web", m={"Data": [False, ["*"]]})
    hand.want(one, [machine(), optional], prov={"Data": [("app1", "Data", "n2")]})
    world.run(1000)
    assert one.state("/vm/web") == states.STARTED

    hand.want(two, [machine("/vm2"), data()], pub=["Data"])
    world.run(1000)

    assert one.ran("/vm/web") == ["deploy", "start", "update"]


def test_an_instance_imports_from_its_siblings_but_not_from_itself(world, hand, node):
    peers = {"m": {"Peer": [False, ["port"]]}}
    entries = [machine()]
    for name in ("a", "b"):
        entries.append(entry("/vm/" + name, "Peer", x={"Peer.port": name}, **peers))
    hand.want(node, entries, pub=["Peer"], prov={"Peer": [("app1", "Peer", "n1")]})
    world.run(1000)

    last = {request["path"]: request["imports"]["Peer"] for request in node.steps}
    assert last == {
        "/vm/a": [["/vm/b", {"port": "b"}]],
        "/vm/b": [["/vm/a", {"port": "a"}]],
    }


def test_stopping_a_parent_keeps_the_wishes_of_its_children(world, hand, node):
    def tree(wish):
        return [machine(), entry("/vm/a", "A", w=wish), entry("/vm/a/b", "B")]

    hand.want(node, tree("deployed-started"))
    world.run(1000)
    hand.want(node, tree("deployed-stopped"))
    world.run(1000)

    assert node.ran()[4:] == ["/vm/a/b stop", "/vm/a stop"]
    assert node.steps[-2]["cause"] == "ancestor"
    assert node.steps[-1]["cause"] == "wanted"
    assert node.state("/vm/a/b") == states.WAITING

    hand.want(node, tree("deployed-started"))
    world.run(1000)

    assert node.ran()[6:] == ["/vm/a start", "/vm/a/b start"]


def test_undeploying_goes_deepest_first_with_every_step(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A"), entry("/vm/a/b", "B")])
    world.run(1000)
    hand.want(node, [machine()])
    world.run(1000)

    assert node.ran()[4:] == ["/vm/a/b stop", "/vm/a stop", "/vm/a/b undeploy", "/vm/a undeploy"]
    assert list(hand.haves["n1"]["i"]) == ["/vm"]


def test_a_failed_start_is_told_and_tried_again_at_growing_pauses(world, hand, node):
    node.outcome = lambda r: ("failed", "exit status 3") if r["step"] == "start" else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A"), entry("/vm/b", "B")])
    world.run(500)

    problem = hand.haves["n1"]["i"]["/vm/a"]["p"]
    assert problem == ["failed", "start: exit status 3", False]
    assert node.state("/vm/a") == states.STOPPED

    world.run(600_000)
    starts = node.ran("/vm/a").count("start")
    assert 8 <= starts <= 10
    assert hand.haves["n1"]["i"]["/vm/a"]["p"][2] is True

    node.outcome = lambda request: ("done", "")
    hand.do(node, "retry", "/vm/a")
    world.run(1000)
    assert node.state("/vm/a") == states.STARTED
    assert "p" not in hand.haves["n1"]["i"]["/vm/a"]


def test_what_lies_in_an_instance_is_deployed_anew_after_it(world, hand, node):
    def entries(digest):
        stopped = {"wish": "deployed-stopped", "d": digest}
        return [machine(), entry("/vm/a", "A", **stopped), entry("/vm/a/in", "In", **stopped)]

    hand.want(node, entries(RECIPE))
    world.run(1000)
    node.duration = lambda r: 2000
    hand.want(node, entries(NEWER))
    world.run(1000)
    assert node.ran("/vm/a/in") == ["deploy"]

    world.run(10_000)
    assert node.ran("/vm/a") == node.ran("/vm/a/in") == ["deploy", "deploy"]


def test_what_failed_and_is_not_wished_any_more_wakes_nobody(world, hand, node):
    entries = [machine(), entry("/vm/a", "A"), entry("/vm/a/in", "In")]
    failing = ("/vm/a/in", "start")
    node.outcome = lambda r: ("failed", "no") if (r["path"], r["step"]) == failing else ("done", "")
    hand.want(node, entries)
    world.run(10_000)
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped"), entries[2]])
    world.run(1000)
    tries = len(node.steps)

    world.run(200_000)  # the world counts how often it wakes

    assert len(node.steps) == tries
    assert node.agent.next_wake() > world.now


def test_what_runs_is_checked_while_its_update_fails(world, hand):
    one, two = pair(world, hand, d=RECIPE, o={"check": 1000})
    one.outcome = lambda r: ("failed", "no") if r["step"] == "update" else ("done", "")
    world.run(5000)
    hand.want(two, [machine("/vm2"), data(x={"Data.ip": None, "Data.port": "1"})], pub=["Data"])
    world.run(100_000)
    before = len([r for r in one.steps if r["step"] == "check"])
    world.run(10_000)

    assert "update" in one.ran("/vm/web")
    assert 9 <= len([r for r in one.steps if r["step"] == "check"]) - before <= 11


def test_steps_that_wait_for_their_turn_do_not_wake_the_agent(world, hand):
    node = Node(world, "n1", parallel=1).start()
    node.duration = lambda r: 60_000 if r["path"] == "/vm/slow" else 5
    node.outcome = lambda r: ("failed", "no") if r["path"] == "/vm/bad" else ("done", "")
    hand.want(node, [machine(), entry("/vm/slow", "S"), entry("/vm/bad", "B")])

    world.run(300_000)

    assert node.state("/vm/slow") == states.STARTED
    assert node.ran("/vm/bad").count("deploy") > 3


def test_a_stop_that_fails_three_times_counts_as_done(world, hand, node):
    node.outcome = lambda r: ("timeout", "after 1 s") if r["step"] == "stop" else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A"), entry("/vm/a/b", "B")])
    world.run(1000)
    hand.want(node, [machine(), entry("/vm/a", "A", w="deployed-stopped"), entry("/vm/a/b", "B")])
    world.run(30_000)

    assert node.ran("/vm/a/b").count("stop") == 3
    assert node.ran("/vm/a").count("stop") == 3
    assert node.state("/vm/a") == states.STOPPED
    assert hand.haves["n1"]["i"]["/vm/a"]["p"] == ["timeout", "stop: after 1 s", False]


def test_an_agent_that_restarts_adopts_what_runs(world, hand):
    one, two = pair(world, hand)
    world.run(1000)
    before = len(one.steps), len(two.steps)
    one.restart()
    two.restart()
    world.run(20_000)

    assert (len(one.steps), len(two.steps)) == before
    assert hand.haves["n1"]["b"] == 2
    assert one.state("/vm/web") == states.STARTED


def test_a_node_that_reboots_starts_again_without_the_network(world, hand):
    one, _ = pair(world, hand)
    world.run(1000)
    one.kill(services=True)
    one.start(connect=False)
    world.run(1000)

    assert one.ran("/vm/web") == ["deploy", "start", "start"]
    assert one.running == {"/vm/web"}


@pytest.mark.parametrize(
    ("step", "again"),
    [("deploy", ["deploy", "start"]), ("start", ["stop", "start"]), ("stop", ["stop", "start"])],
)
def test_a_step_that_was_cut_off_is_run_again(world, hand, node, step, again):
    hand.want(node, [machine(), entry("/vm/a", "A")])
    if step == "stop":
        world.run(1000)
        hand.want(node, [machine(), entry("/vm/a", "A", w="deployed-stopped")])
    node.duration = lambda request: 10_000 if request["step"] == step else 5
    world.run(1000)
    assert node.steps[-1]["step"] == step
    node.kill()
    count = len(node.steps)
    node.duration = lambda request: 5
    node.start()
    hand.want(node, [machine(), entry("/vm/a", "A")], version=9)
    world.run(20_000)

    assert [request["step"] for request in node.steps[count:]] == again
    assert node.state("/vm/a") == states.STARTED


def test_a_silent_exporter_is_dropped_after_lost_after(world, hand):
    one, two = pair(world, hand, lost=2000)
    world.run(1000)
    two.kill(services=True)
    world.run(1500)
    assert one.state("/vm/web") == states.STARTED

    world.run(1000)
    assert one.state("/vm/web") == states.UNRESOLVED

    two.start()
    world.run(5000)
    assert one.state("/vm/web") == states.STARTED


def test_an_agent_that_is_back_in_time_disturbs_nobody(world, hand):
    one, two = pair(world, hand, lost=2000)
    world.run(1000)
    two.kill()
    world.run(1500)
    two.start()
    world.run(20_000)

    assert one.ran("/vm/web") == ["deploy", "start"]


def test_lost_after_runs_only_while_the_importer_is_connected(world, hand):
    one, two = pair(world, hand, lost=2000)
    world.run(1000)
    world.broker.stop()
    two.kill(services=True)
    world.run(30_000)
    assert one.state("/vm/web") == states.STARTED


def test_everything_heals_with_a_broker_that_forgot(world, hand):
    one, _ = pair(world, hand)
    world.run(1000)
    world.broker.stop(wipe=True)
    world.run(5000)
    world.broker.running = True
    world.run(30_000)

    assert one.ran("/vm/web") == ["deploy", "start"]
    assert topics.have(DOMAIN, "n1") in world.broker.retained
    assert topics.exports(DOMAIN, "app1", "Data", "n2") in world.broker.retained
    one.restart()
    world.run(20_000)
    assert one.state("/vm/web") == states.STARTED


def test_an_importer_asks_who_was_not_heard(world, hand):
    one, _ = pair(world, hand)
    world.run(1000)
    world.broker.retained.clear()
    one.disk["state"] = None
    one.restart()
    hand.want(one, [machine(), web()], prov={"Data": [("app1", "Data", "n2")]}, version=5)
    world.run(12_000)

    assert topics.ask(DOMAIN, "n2") in hand.messages
    assert one.state("/vm/web") == states.STARTED


def test_a_false_will_is_contradicted(world, hand, node):
    world.run(1000)
    hand.publish(topics.live(DOMAIN, "n1"), codec.pack([1, 1, False]))
    world.run(1000)

    assert codec.unpack(world.broker.retained[topics.live(DOMAIN, "n1")]) == [1, 1, True]


def test_a_prefix_that_nobody_imports_any_more_is_cleared(world, hand, node):
    hand.want(node, [machine(), data("/vm/data")], pub=["Data"])
    world.run(1000)
    topic = topics.exports(DOMAIN, "app1", "Data", "n1")
    assert topic in world.broker.retained

    hand.want(node, [machine(), data("/vm/data")])
    world.run(1000)
    assert topic not in world.broker.retained


def test_another_application_empties_the_former_first(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(1000)
    hand.want(node, [machine(), entry("/vm/a", "A")], app="app2")
    world.run(1000)

    assert node.ran("/vm/a") == ["deploy", "start", "stop", "undeploy", "deploy", "start"]
    assert hand.haves["n1"]["app"] == "app2"


def test_a_failing_check_starts_the_instance_anew(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE, o={"check": 1000})])
    world.run(2500)
    node.running.clear()
    world.run(3500)
    assert hand.haves["n1"]["i"]["/vm/a"]["p"][0] == "check"
    world.run(3000)

    assert node.ran("/vm/a") == ["deploy", "start", "stop", "start"]
    assert node.steps[-1]["step"] in ("check", "start")
    assert node.running == {"/vm/a"}
    assert "p" not in hand.haves["n1"]["i"]["/vm/a"]


def test_without_a_check_step_none_is_tried_twice(world, hand, node):
    node.outcome = lambda r: ("absent", "") if r["step"] == "check" else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE, o={"check": 1000})])
    world.run(60_000)

    assert [r["step"] for r in node.steps] == ["deploy", "start", "check"]


def test_a_new_recipe_with_upgrade_stops_nothing(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    world.run(1000)
    hand.want(node, [machine(), entry("/vm/a", "A", d=NEWER)])
    world.run(1000)

    assert node.ran("/vm/a") == ["deploy", "start", "upgrade"]
    assert node.steps[-1]["digest"] == NEWER
    assert hand.haves["n1"]["i"]["/vm/a"]["d"] == NEWER


def test_a_new_recipe_without_upgrade_stops_deploys_and_starts(world, hand, node):
    node.outcome = lambda r: ("absent", "") if r["step"] == "upgrade" else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE), entry("/vm/a/b", "B")])
    world.run(1000)
    hand.want(node, [machine(), entry("/vm/a", "A", d=NEWER), entry("/vm/a/b", "B")])
    world.run(1000)

    assert node.ran()[4:] == [
        "/vm/a upgrade",
        "/vm/a/b stop",
        "/vm/a stop",
        "/vm/a deploy",
        "/vm/a start",
        "/vm/a/b start",
    ]
    stop = [r for r in node.steps if r["step"] == "stop"][-1]
    assert (stop["cause"], stop["digest"]) == ("upgrade", RECIPE)


def test_what_the_node_cannot_run_is_refused_with_a_reason(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", installer="puppet")])
    world.run(1000)

    code, text, _ = hand.haves["n1"]["i"]["/vm/a"]["p"]
    assert code == "refused"
    assert text == "this node has no installer 'puppet', only: logger, script, target"


def test_a_tool_that_the_node_lacks_is_named(world, hand):
    node = Node(world, "n2", lacking={"puppet": "needs puppet: install puppet-agent"}).start()
    hand.want(node, [machine(), entry("/vm/a", "A", installer="puppet"), entry("/vm/b", "B")])
    world.run(1000)

    said = "the installer 'puppet' needs puppet: install puppet-agent"
    assert hand.haves["n2"]["i"]["/vm/a"]["p"] == ["refused", said, False]
    assert node.state("/vm/b") == states.STARTED


def test_an_instance_whose_entry_says_so_is_simulated_whatever_its_installer(world, hand, node):
    real, tried = entry("/vm/a", "A"), entry("/vm/b", "B", installer="puppet", o={"simulate": 1})
    hand.want(node, [machine(), real, tried])
    world.run(1000)
    hand.want(node, [machine(), real])
    world.run(1000)

    assert node.state("/vm/a") == states.STARTED
    assert {(r["path"], r["step"], r["simulate"]) for r in node.steps} == {
        ("/vm/a", "deploy", False),
        ("/vm/a", "start", False),
        *(("/vm/b", step, True) for step in ("deploy", "start", "stop", "undeploy")),
    }


def test_a_node_may_simulate_everything(world, hand):
    node = Node(world, "n2", installers=(), simulate=True).start()
    hand.want(node, [machine(), entry("/vm/a", "A", installer="puppet")])
    world.run(1000)

    assert node.state("/vm/a") == states.STARTED
    assert all(request["simulate"] for request in node.steps)


def test_bad_messages_are_counted_told_once_and_dropped(world, hand, node):
    for payload in (b"\xc1", b"", b"x" * 2_000_000, b"\x91" * 5000, codec.pack([2, "n1"])):
        for _ in range(3):
            hand.publish(topics.want(DOMAIN, "n1"), payload)
    hand.want(node, [machine(), entry("/vm/a", "A")], version=3)
    world.run(1000)

    assert node.state("/vm/a") == states.STARTED
    assert node.agent.refused == 12
    assert len(node.logged) == 3


def test_do_is_answered_once_per_id_and_not_by_another_boot(world, hand, node):
    world.run(1000)
    hand.do(node, "report", id="a")
    hand.do(node, "report", id="b", boot=7)
    hand.do(node, "dance", id="c")
    world.run(1000)

    assert hand.answers["a"][2] == "ok"
    assert hand.answers["b"][2:] == ["stale", 1]
    assert hand.answers["c"][2:] == ["error", "unknown verb: dance"]


def test_forget_clears_every_topic_and_wipes(world, hand, node):
    hand.want(node, [machine(), data("/vm/data")], pub=["Data"])
    world.run(1000)
    hand.do(node, "forget", id="early")
    world.run(1000)
    assert hand.answers["early"][2] == "error"

    hand.want(node, [], app="")
    world.run(1000)
    hand.do(node, "forget", id="now")
    world.run(1000)

    assert hand.answers["now"][2] == "ok"
    assert node.wiped and node.agent is None
    assert [t for t in world.broker.retained if not t.endswith("/want")] == []


def test_what_was_stopped_after_the_power_failed_in_every_moment_comes_back(world, hand):
    """The power fails after each effect of a deployment once; the end is always the same."""
    for cut in range(60):
        inner = World(cut)
        by_hand = Hand(inner)
        node = Node(inner, "n1").start()
        by_hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE), entry("/vm/a/b", "B")])
        node.cut_power = cut
        inner.run(2000)
        if node.agent is None:
            node.start()
            inner.run(20_000)
        assert node.state("/vm/a/b") == states.STARTED, cut
        assert node.running == {"/vm/a", "/vm/a/b"}, cut


def test_a_damaged_state_is_told_and_replaced_by_the_next_want(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(1000)
    node.kill()
    node.disk["state"] = node.disk["state"][:-7]
    node.start()
    world.run(1000)

    assert any("cannot read the saved state" in line for line in node.logged)
    assert node.state("/vm/a") == states.STARTED


def test_a_problem_goes_with_the_wish_that_led_to_it(world, hand, node):
    node.outcome = lambda r: ("failed", "exit status 3") if r["step"] == "start" else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(500)
    assert "p" in hand.haves["n1"]["i"]["/vm/a"]

    hand.want(node, [machine(), entry("/vm/a", "A", w="deployed-stopped")])
    world.run(500)
    assert hand.haves["n1"]["i"]["/vm/a"] == {"s": "deployed-stopped"}


def test_what_could_not_be_stopped_is_told_until_a_step_works(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(500)
    node.outcome = lambda r: ("failed", "exit status 3") if r["step"] == "stop" else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A", w="deployed-stopped")])
    world.run(60_000)
    assert hand.haves["n1"]["i"]["/vm/a"]["s"] == "deployed-stopped"

    hand.want(node, [machine(w="deployed-stopped"), entry("/vm/a", "A")])
    world.run(500)
    assert hand.haves["n1"]["i"]["/vm/a"]["p"][1] == "stop: exit status 3"

    hand.want(node, [machine(w="deployed-stopped"), entry("/vm/a", "A", w="deployed-stopped")])
    world.run(500)
    assert hand.haves["n1"]["i"]["/vm/a"]["p"][1] == "stop: exit status 3"

    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(500)
    assert hand.haves["n1"]["i"]["/vm/a"] == {"s": "deployed-started"}


def test_what_exports_other_values_is_updated_with_them(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", x={"A.port": "1000"})])
    world.run(500)
    assert node.steps[-1]["exports"]["port"] == "1000"

    hand.want(node, [machine(), entry("/vm/a", "A", x={"A.port": "2000"})])
    world.run(500)

    assert node.ran("/vm/a") == ["deploy", "start", "update"]
    assert node.steps[-1]["exports"]["port"] == "2000"


def test_what_has_no_update_is_started_anew_with_the_new_values(world, hand, node):
    node.outcome = lambda r: ("absent" if r["step"] == "update" else "done", "")
    hand.want(node, [machine(), entry("/vm/a", "A", x={"A.port": "1000"})])
    world.run(500)

    hand.want(node, [machine(), entry("/vm/a", "A", x={"A.port": "2000"})])
    world.run(500)

    assert node.ran("/vm/a") == ["deploy", "start", "update", "stop", "start"]
    assert node.steps[-2]["cause"] == "upgrade"
    assert node.steps[-1]["exports"]["port"] == "2000"
    assert hand.haves["n1"]["i"]["/vm/a"] == {"s": "deployed-started"}


def test_values_that_change_while_it_starts_are_not_missed(world, hand, node):
    node.duration = lambda request: 1000
    hand.want(node, [machine(), entry("/vm/a", "A", x={"A.port": "1000"})])
    world.run(1500)
    assert node.steps[-1]["step"] == "start"

    hand.want(node, [machine(), entry("/vm/a", "A", x={"A.port": "2000"})])
    world.run(10_000)

    assert node.ran("/vm/a") == ["deploy", "start", "update"]
    assert node.steps[-1]["exports"]["port"] == "2000"


def test_values_that_change_while_it_is_stopped_start_nothing(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", x={"A.port": "1"})])
    world.run(500)

    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", x={"A.port": "2"})])
    world.run(500)

    assert node.ran("/vm/a") == ["deploy"]


def test_the_core_sleeps_only_while_nothing_is_under_way(world, hand, node):
    seen = []
    node.duration = lambda request: seen.append(node.agent.is_idle()) or 5
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    assert node.agent.is_idle(), "the want has not arrived yet"
    world.run(1000)

    assert node.ran() == ["/vm/a deploy", "/vm/a start"]
    assert seen == [False, False]
    assert node.agent.is_idle()


def test_who_has_slept_knows_what_failed_and_when_to_try_again(world, hand, node):
    node.outcome = lambda request: ("failed", "no luck")
    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(10_000)
    agent = node.agent
    kept = napping.asleep(agent)
    woken = napping.woken(agent.settings, kept, world.now, agent.random_below)

    assert woken.next_wake() == agent.next_wake() > world.now
    assert woken.tree.records["/vm/a"].fails == agent.tree.records["/vm/a"].fails == 4
    assert woken.take() == []


def test_what_could_not_be_deployed_anew_can_be_undeployed(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", d=RECIPE)])
    world.run(1000)
    node.outcome = lambda request: ("failed", "no") if request["step"] == "deploy" else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", d=NEWER)])
    world.run(1000)
    told = hand.haves["n1"]["i"]["/vm/a"]
    assert (told["s"], told["d"]) == ("deployed-stopped", RECIPE)
    assert told["p"][:2] == ["failed", "deploy: no"]

    hand.want(node, [machine(), entry("/vm/a", "A", "not-deployed", d=NEWER)])
    world.run(1000)
    assert node.ran()[-1] == "/vm/a undeploy"
    assert hand.haves["n1"]["i"]["/vm/a"]["s"] == "not-deployed"


def test_what_was_loaded_for_a_request_goes_though_it_is_refused(node, monkeypatch):
    gone = []
    monkeypatch.setattr(compat, "unload", lambda *names: gone.extend(names))
    node.agent.on_message(0, topics.topic(DOMAIN, "n1", "do"), b"not sealed by anybody")
    assert node.agent.refused == 1
    assert gone == ["verbs"]


def test_what_failed_half_way_to_a_new_recipe_is_deployed_anew_on_the_way_back(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", d=RECIPE)])
    world.run(1000)
    node.outcome = lambda request: ("failed", "no") if request["digest"] == NEWER else ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", d=NEWER)])
    world.run(1000)
    node.steps.clear()

    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    world.run(1000)
    assert [(step["step"], step["digest"]) for step in node.steps] == [
        ("deploy", RECIPE), ("start", RECIPE)
    ]  # fmt: skip


def test_a_step_that_failed_is_tried_at_once_when_its_provider_came_back(world, hand):
    one, two = pair(world, hand)
    one.outcome = lambda request: (
        ("failed", "no luck") if request["step"] == "start" else ("done", "")
    )
    world.run(100_000)
    one.outcome = lambda request: ("done", "")
    one.steps.clear()
    assert one.agent.next_wake() - world.now > 5000

    two.kill()
    two.start()
    world.run(5000)
    assert "/vm/web start" in one.ran()
