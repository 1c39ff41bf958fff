"""Rules of the core that no story of a fleet breaks by chance, on virtual time."""

import pytest

from fieldconf_microagent import codec, envelope, exports, states, topics
from support.world import DOMAIN, Hand, Node, World, entry, machine

RECIPE = b"r" * 32
NEWER = b"n" * 32
IMPORT = {"Data": [True, ["ip", "port"]]}


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


def recorded(node, effect):
    """Return a list that gets what the core asks for in such effects, from now on."""
    seen = []
    do = getattr(node, "_do_" + effect)
    setattr(node, "_do_" + effect, lambda *more: seen.append(more) or do(*more))
    return seen


def exported(world, node="n1", prefix="Data"):
    """Return the paths whose exports the broker has."""
    return [path for path, _ in codec.unpack(world.broker.retained[_topic(prefix, node)])[4]]


def _topic(prefix, node):
    return topics.exports(DOMAIN, "app1", prefix, node)


def checked(**more):
    return entry("/vm/a", "A", d=RECIPE, o={"check": 1000}, **more)


def failing_checks(node, fails):
    """Let the next checks fail or not, as the list says; then they pass."""
    node.outcome = lambda r: (
        ("failed", "no") if r["step"] == "check" and fails and fails.pop(0) else ("done", "")
    )


# -- documents


def test_a_document_goes_out_anew_only_when_the_former_is_acknowledged(world, hand, node):
    open_copies, most = {}, []
    acked, publish = node.on_acked, node._do_publish

    def on_publish(topic, payload, qos, retain, slot):
        if slot:
            open_copies[slot] = open_copies.get(slot, 0) + 1
            most.append(open_copies[slot])
        publish(topic, payload, qos, retain, slot)

    def on_acked(slot):
        if slot:
            open_copies[slot] -= 1
        acked(slot)

    world.run(1000)
    node._do_publish, node.on_acked = on_publish, on_acked
    world.broker.delay = lambda: 500
    node.duration = lambda request: 400
    hand.want(node, [machine(), *(entry(f"/vm/{n}", "A") for n in range(9))])
    world.run(20_000)

    assert hand.haves["n1"]["i"]["/vm/8"] == {"s": "deployed-started"}
    assert len(most) > 2
    assert max(most) == 1


def test_nothing_is_published_before_the_subscription_is_acknowledged(world, hand):
    node = Node(world, "n1")
    node.on_subscribed = lambda: None
    published = recorded(node, "publish")
    node.start()
    hand.want(node, [machine(), entry("/vm/a", "A", x={"A.b": "1"})], pub=["A"])
    world.run(310_000)
    assert node.state("/vm/a") == states.STARTED

    node.agent.shutdown(world.now)
    node.pump()
    assert published == []


def test_who_is_told_to_end_says_so_as_its_last_word(world, hand, node):
    world.run(1000)
    published = recorded(node, "publish")
    node.agent.shutdown(world.now)
    node.pump()
    world.run(1000)  # it hears itself

    live = codec.pack([1, 1, False])
    assert [effect[:2] for effect in published] == [(topics.live(DOMAIN, "n1"), live)]


def test_the_reason_for_which_a_want_was_refused_is_told_until_one_is_adopted(world, hand, node):
    hand.publish(
        topics.want(DOMAIN, "n1"), envelope.seal(node.key, "n1", "want", codec.pack({"v": "new"}))
    )
    world.run(1000)
    assert isinstance(hand.haves["n1"]["r"], str)

    hand.want(node, [machine()])
    world.run(1000)
    assert "r" not in hand.haves["n1"]


def test_what_is_not_imported_any_more_is_not_heard_any_more(world, hand, node):
    heard = {_topic("Data", "n2"), topics.live(DOMAIN, "n2")}
    importing = entry("/vm/a", "A", m=IMPORT)
    hand.want(node, [machine(), importing], prov={"Data": [("app1", "Data", "n2")]})
    world.run(1000)
    before = set(world.broker.sessions["n1"].filters)
    assert heard <= before

    hand.want(node, [machine()])
    world.run(1000)
    assert world.broker.sessions["n1"].filters == before - heard


# -- what a step is given


def test_an_export_without_a_value_is_the_present_address_of_the_node(world, hand, node):
    seen = {"x": {"A.ip": None}}
    hand.want(node, [machine(**seen), entry("/vm/a", "A", **seen)])
    world.run(1000)
    assert node.steps[-1]["exports"] == {"ip": "10.0.0.1"}
    assert node.steps[-1]["ancestors"] == [["VM", {"ip": "10.0.0.1"}]]

    node.agent.on_address(world.now, "10.9.9.9")
    hand.want(node, [machine(**seen)])
    world.run(1000)
    assert node.steps[-1]["exports"] == {"ip": "10.9.9.9"}


def test_a_recipe_sees_short_names_and_its_own_type_comes_first():
    values = {"Alpha.port": "1", "Web.port": "2", "Zeta.port": "3", "Zeta.long.name": "4"}
    made = entry("/vm/web", "Web", x={**values, "Web.ip": None})

    seen = {"port": "2", "long.name": "4"}
    assert exports.local(made, None) == seen
    assert exports.local(made, "10.0.0.1") == {**seen, "ip": "10.0.0.1"}
    assert exports.local({**made, "l": {"port": "9", "own": "5"}}, None) == {
        **seen,
        "port": "9",
        "own": "5",
    }


def test_an_alias_is_exported_with_the_value_that_it_stands_for():
    values, alias = {"Data.port": "1"}, {"Store.at": "Data.port", "Store.who": "Data.gone"}

    assert exports.under("Store", values, alias) == {"at": "1"}
    assert exports.under("Data", values, alias) == {"port": "1"}


def test_the_recipe_that_runs_is_kept_until_another_has_taken_its_place(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    world.run(1000)
    fetches = recorded(node, "fetch")
    node.fetch_ms = lambda: 5000
    hand.want(node, [machine(), entry("/vm/a", "A", d=NEWER)])
    world.run(1000)
    assert fetches == [([NEWER, RECIPE],)]

    world.run(10_000)
    assert fetches[-1] == ([NEWER],)


def test_what_is_to_be_undeployed_keeps_its_recipe_until_it_is(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    world.run(1000)
    fetches = recorded(node, "fetch")
    node.duration = lambda request: 5000
    hand.want(node, [machine()])
    world.run(1000)
    assert fetches == []

    world.run(20_000)
    assert fetches == [([],)]


def test_a_new_recipe_whose_deployment_was_cut_off_is_deployed_over_by_the_old(world, hand, node):
    node.outcome = lambda r: ("absent" if r["step"] == "upgrade" else "done", "")
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    world.run(1000)
    node.duration = lambda r: 10_000 if r["step"] == "deploy" else 5
    hand.want(node, [machine(), entry("/vm/a", "A", d=NEWER)])
    world.run(1000)
    assert (node.steps[-1]["step"], node.steps[-1]["digest"]) == ("deploy", NEWER)
    node.kill()
    count = len(node.steps)
    node.duration = lambda request: 5
    # After the cut the newer one has to be fetched again, which takes longer than the other wish.
    node.disk["recipes"].discard(NEWER)
    node.fetch_ms = lambda: 5000
    hand.want(node, [machine(), entry("/vm/a", "A", d=RECIPE)])
    node.start()
    world.run(30_000)

    done = [(r["step"], r["digest"]) for r in node.steps[count:]]
    assert done == [("deploy", RECIPE), ("start", RECIPE)]


def test_what_was_cut_off_while_deployed_anew_can_be_undeployed(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", d=RECIPE)])
    world.run(1000)
    node.duration = lambda request: 10_000
    hand.want(node, [machine(), entry("/vm/a", "A", "deployed-stopped", d=NEWER)])
    world.run(1000)
    node.kill()
    count = len(node.steps)
    node.disk["recipes"].discard(NEWER)
    node.fetch_ms = lambda: 5000
    hand.want(node, [machine()])
    node.start()
    world.run(60_000)

    assert [(r["step"], r["digest"]) for r in node.steps[count:]] == [("undeploy", RECIPE)]
    assert list(hand.haves["n1"]["i"]) == ["/vm"]


def test_what_was_cut_off_while_it_started_exports_nothing_until_it_has(world, hand):
    node = Node(world, "n1", parallel=1).start()
    entries = [machine(), entry("/vm/0", "Slow"), entry("/vm/a", "A", x={"Data.port": "1"})]
    node.duration = lambda r: 10_000 if r["path"] == "/vm/a" else 5
    hand.want(node, entries, pub=["Data"])
    world.run(15_000)
    assert node.state("/vm/a") == states.STARTING
    node.kill(services=True)
    node.duration = lambda r: 10_000
    node.start()
    world.run(5000)
    assert node.steps[-1]["path"] == "/vm/0", "the other waits for its turn"
    assert exported(world) == []

    world.run(60_000)
    assert exported(world) == ["/vm/a"]


@pytest.mark.parametrize("failing", ["deploy", "start"])
def test_a_problem_goes_when_what_is_above_is_to_be_undeployed(world, hand, node, failing):
    fails = ("/vm/a/in", failing)
    node.outcome = lambda r: ("failed", "no") if (r["path"], r["step"]) == fails else ("done", "")
    inner = entry("/vm/a/in", "In")
    hand.want(node, [machine(), entry("/vm/a", "A"), inner])
    world.run(100_000)
    assert hand.haves["n1"]["i"]["/vm/a/in"]["p"][1] == failing + ": no"

    hand.want(node, [machine(), entry("/vm/a", "A", "not-deployed"), inner])
    world.run(1000)
    assert hand.haves["n1"]["i"]["/vm/a/in"] == {"s": "not-deployed"}

    node.outcome = lambda r: ("done", "")
    hand.want(node, [machine(), entry("/vm/a", "A"), inner])
    world.run(1000)
    assert hand.haves["n1"]["i"]["/vm/a/in"] == {"s": "deployed-started"}


def test_a_refusal_goes_when_what_is_above_is_to_be_undeployed(world, hand, node):
    inner = entry("/vm/a/in", "In", installer="cobbler")
    hand.want(node, [machine(), entry("/vm/a", "A"), inner])
    world.run(1000)
    assert hand.haves["n1"]["i"]["/vm/a/in"]["p"][0] == "refused"

    hand.want(node, [machine(), entry("/vm/a", "A", "not-deployed"), inner])
    world.run(1000)
    assert hand.haves["n1"]["i"]["/vm/a/in"] == {"s": "not-deployed"}


# -- checks


def test_exports_are_withdrawn_as_soon_as_checks_say_that_it_is_down(world, hand, node):
    entries = [machine(), checked(x={"Data.port": "1"}), entry("/vm/a/in", "In")]
    hand.want(node, entries, pub=["Data"])
    world.run(1500)
    assert exported(world) == ["/vm/a"]

    node.running.discard("/vm/a")
    node.duration = lambda r: 10_000 if r["path"] == "/vm/a/in" else 5
    world.run(4000)
    assert node.steps[-1]["path"] == "/vm/a/in", "it is stopped first"
    assert node.state("/vm/a") == states.STARTED
    assert exported(world) == []

    node.duration = lambda r: 5
    world.run(30_000)
    assert exported(world) == ["/vm/a"]


def test_only_checks_that_fail_in_a_row_count(world, hand, node):
    fails = [True, True, False] * 4
    failing_checks(node, fails)
    hand.want(node, [machine(), checked()])
    world.run(20_000)

    assert fails == []
    assert node.ran("/vm/a") == ["deploy", "start"]


def test_checks_count_from_nought_after_a_new_start(world, hand, node):
    fails = [True, True, True, True, True, False]
    failing_checks(node, fails)
    hand.want(node, [machine(), checked()])
    world.run(30_000)

    assert fails == []
    assert node.ran("/vm/a") == ["deploy", "start", "stop", "start"]


def test_who_passed_its_check_again_is_started_anew_without_a_longer_pause(world, hand, node):
    began = []
    node.duration = lambda r: began.append((world.now, r["step"])) or 5
    fails = [True, True, True, False] * 6
    failing_checks(node, fails)
    hand.want(node, [machine(), checked()])
    world.run(60_000)

    stops = [at for at, step in began if step == "stop"]
    starts = [at for at, step in began if step == "start"][1:]
    assert len(stops) == len(starts) == 6
    assert max(start - stop for start, stop in zip(starts, stops, strict=True)) < 3000


def test_checks_that_pass_write_nothing(world, hand, node):
    hand.want(node, [machine(), checked()])
    world.run(5500)
    saves = recorded(node, "save")
    world.run(60_000)

    assert saves == []


def test_what_checks_have_decided_is_saved_before_anything_follows(world, hand, node):
    hand.want(node, [machine(), checked(), {**checked(), "p": "/vm/a/in"}])
    world.run(1500)
    node.duration = lambda r: 10_000 if r["path"] == "/vm/a/in" else 5
    node.running.discard("/vm/a")
    world.run(5000)
    assert node.steps[-1]["step"] == "check", "that of the inner one still runs"
    node.kill()
    node.start(connect=False)

    assert hand.haves["n1"]["i"]["/vm/a"]["p"][0] == "check"
    assert node.agent.tree.records["/vm/a"].problem[0] == "check"
