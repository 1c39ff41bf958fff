"""A coordinator that was killed goes on as if nothing had happened."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fieldconf_coordinator.core.fleet import FleetError
from fieldconf_microagent import topics
from support.desk import Desk, kinds, orders, template, web_graph, web_template


def wants(desk):
    nodes = desk.fleet.world.nodes.values()
    return {node.id: desk.want_of(node.id, node.key) for node in nodes if node.version}


def settled():
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    desk.settle()
    return desk


def test_restored_wants_are_the_same_and_of_the_same_versions():
    desk = settled()
    desk.fleet.set_wish(0, "shop", "/web1", "deployed-stopped")
    desk.fleet.scale(0, "shop", "/web1", 4)
    desk.fleet.remove(0, "shop", "/lb/lb")
    desk.take()
    before, rows = wants(desk), dict(desk.rows)

    desk.retained.clear()
    effects = desk.restart()
    desk.pass_time(1000)

    assert wants(desk) == before
    assert [e for e in effects if e[0] == "store"] == []
    assert desk.rows == rows


def test_states_are_unknown_until_nodes_are_heard():
    desk = settled()
    desk.restart()
    assert desk.state("/lb/lb") == "unknown"

    # The broker still has the last have; it counts once more.
    desk.have(desk.node("/lb"), seq=desk.seq[desk.node_id("/lb")])
    assert desk.state("/lb/lb") == "deployed-started"


def test_nodes_that_say_nothing_are_asked():
    desk = settled()
    quiet, heard = desk.node_id("/lb"), desk.node_id("/data")
    desk.restart()
    desk.live(desk.fleet.world.nodes[heard])
    found = desk.pass_time(2500)

    asked = orders(found, desk.fleet.world.nodes[quiet])
    assert [order[3] for order in asked] == ["report"]
    assert orders(found, desk.fleet.world.nodes[heard]) == []


def test_wants_of_many_nodes_are_published_a_few_at_a_time():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [(f"/vm{n}", "VM") for n in range(1200)]))
    desk.retained.clear()
    desk.restart()
    first = len(desk.retained)
    desk.pass_time(1000)

    assert first < 1200
    assert len(desk.retained) == 1200


def test_what_was_cleared_just_before_a_stop_is_cleared_once_more():
    desk = settled()
    node = desk.node("/web1")
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.on_target(0, node.id, "destroyed")
    desk.take()
    topic = topics.exports("fc", node.app.id, "Web", node.id)

    effects = desk.restart()
    assert ("publish", topic, b"", 1, True) in effects

    desk.wall += 3_600_000
    assert not [e for e in kinds(desk.restart(), "publish") if e[2] == b""]


PATHS = (
    "/data",
    "/data/data",
    "/lb",
    "/lb/lb",
    "/web1",
    "/web1/web",
    "/web2",
    "/vm",
    "/vm/box",
    "/vm/box/in",
    None,
)
STEPS = st.one_of(
    st.tuples(
        st.just("set_wish"),
        st.sampled_from(PATHS),
        st.sampled_from(("not-deployed", "deployed-stopped", "deployed-started")),
    ),
    st.tuples(st.just("scale"), st.sampled_from(("/web1", "/lb")), st.integers(1, 4)),
    st.tuples(st.just("remove"), st.sampled_from(PATHS[:-1])),
    st.tuples(st.just("deploy"), st.integers(0, 3)),
    st.tuples(st.just("settle")),
    st.tuples(st.just("destroyed")),
    st.tuples(st.just("time"), st.integers(0, 90_000)),
)


def carry_out(desk, step):
    name, *arguments = step
    if name == "deploy":
        extra = [("/vm", "VM"), ("/vm/box", "Box"), ("/vm/box/in", "Inner")]
        desk.deploy(web_template(arguments[0], f"1.{arguments[0]}", extra))
    elif name == "settle":
        desk.settle()
    elif name == "time":
        desk.pass_time(arguments[0])
    elif name == "destroyed":
        for node in [n for n in desk.fleet.world.nodes.values() if n.phase == "destroying"]:
            desk.fleet.on_target(desk.now, node.id, "destroyed")
    else:
        getattr(desk.fleet, name)(desk.now, "shop", *arguments)


def finish(desk):
    """Let everything that is under way come to its end."""
    for _ in range(20):
        for node in list(desk.fleet.world.nodes.values()):
            desk.live(node)
            if node.version:
                desk.have(node)
            desk.fleet.on_target(desk.now, node.id, "created")
            if node.phase == "destroying":
                desk.fleet.on_target(desk.now, node.id, "destroyed")
        desk.take()
        desk.pass_time(11_000)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=12), st.integers(0, 12))
def test_a_kill_at_any_moment_changes_nothing_in_the_end(steps, killed_after):
    desk = Desk()
    desk.start()
    carry_out(desk, ("deploy", 2))
    for number, step in enumerate(steps):
        try:
            carry_out(desk, step)
        except FleetError:
            pass
        desk.take()
        if number == killed_after:
            before = wants(desk)
            rows = {key: row for key, row in desk.rows.items() if key[0] != "tombstones"}
            desk.restart()
            desk.pass_time(1000)
            assert {n: w for n, w in wants(desk).items() if n in before} == {
                n: w for n, w in before.items() if n in desk.fleet.world.nodes
            }
            assert {key for key in rows if key[0] == "instances"} == {
                key for key in desk.rows if key[0] == "instances"
            }
    finish(desk)

    for app in desk.fleet.world.applications.values():
        for instance in app.instances.values():
            assert instance.is_settled(), (instance.path, instance.state, instance.wish)
            assert not instance.leaving
    named = {
        provider[2]
        for want in wants(desk).values()
        for providers in want["prov"].values()
        for provider in providers
    }
    assert named <= set(desk.fleet.world.nodes)
    assert {key[1] for key in desk.rows if key[0] == "nodes"} == set(desk.fleet.world.nodes)
