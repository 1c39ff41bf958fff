"""A cancelled change leaves nothing running away: its steps end, and what it wished is put back."""

import pytest

from fieldconf_coordinator.core.fleet import FleetError
from support.desk import Desk, orders, template, web_graph, web_template


@pytest.fixture
def desk():
    """A fleet in which all is as it is wished."""
    desk = Desk()
    desk.start()
    desk.deploy(web_template(webs=2))
    desk.settle()
    desk.pass_time(1000)
    return desk


def wishes(desk):
    return {
        path: (one.wish, one.leaving)
        for path, one in desk.fleet.world.applications["shop"].instances.items()
    }


def cancel(desk, begun):
    told = desk.fleet.cancel_change(desk.now, begun["change"])
    desk.take()
    return told


def outcome(desk, change):
    return desk.fleet.change(str(change))["outcome"]


def test_a_cancelled_deployment_leaves_nothing_deployed():
    desk = Desk()
    desk.start()
    begun = desk.deploy(web_template(webs=1))
    desk.arrive("/data")

    told = cancel(desk, begun)
    for node in list(desk.fleet.world.nodes.values()):
        desk.fleet.on_target(desk.now, node.id, "created")
        if node.phase == "emptying":
            desk.have(node)
        desk.fleet.on_target(desk.now, node.id, "destroyed")
    for node in list(desk.fleet.world.nodes.values()):
        order = orders(desk.effects, node)[-1]
        desk.did(node, order[0])
        desk.fleet.on_target(desk.now, node.id, "destroyed")
    desk.pass_time(1000)

    assert outcome(desk, begun["change"]) == "cancelled"
    assert desk.fleet.world.nodes == {}
    assert {wish for wish, _ in wishes(desk).values()} == {"not-deployed"}
    assert outcome(desk, told["change"]) == "done"
    assert told["stays"] == []


ASKED = {
    "stop": lambda f: f.set_wish(0, "shop", "/data/data", "deployed-stopped"),
    "stop all": lambda f: f.set_wish(0, "shop", None, "deployed-stopped"),
    "undeploy a node": lambda f: f.set_wish(0, "shop", "/web1", "not-deployed"),
    "remove": lambda f: f.remove(0, "shop", "/web1"),
    "add": lambda f: f.add_instance(0, "shop", "/lb", "more", "Data"),
    "scale up": lambda f: f.scale(0, "shop", "/web1", 5),
    "scale down": lambda f: f.scale(0, "shop", "/web1", 1),
}


@pytest.mark.parametrize("asked", ASKED)
def test_what_a_change_wished_is_put_back(desk, asked):
    before = wishes(desk)
    begun = ASKED[asked](desk.fleet)
    desk.take()
    assert wishes(desk) != before

    told = cancel(desk, begun)

    assert {p: w for p, w in wishes(desk).items() if not w[1]} == before
    assert outcome(desk, begun["change"]) == "cancelled"
    assert outcome(desk, told["change"]) == "running"
    assert told["stays"] == []


def test_the_way_back_survives_a_restart(desk):
    before = wishes(desk)
    begun = desk.fleet.scale(0, "shop", "/web1", 1)
    desk.take()
    assert ("undos", begun["change"]) in desk.rows
    desk.restart()

    cancel(desk, begun)

    assert wishes(desk) == before
    assert ("undos", begun["change"]) not in desk.rows


def test_no_way_back_is_kept_of_what_is_done(desk):
    assert [key for key in desk.rows if key[0] == "undos"] == []


def test_a_node_that_was_to_go_is_made_again(desk):
    begun = desk.fleet.remove(0, "shop", "/web1")
    desk.take()
    old = desk.node("/web1")
    cancel(desk, begun)
    desk.fleet.on_target(0, old.id, "missing")
    desk.fleet.on_target(0, old.id, "destroyed")
    desk.take()

    assert desk.node("/web1").id != old.id
    assert desk.node("/web1").phase == "creating"


def test_what_is_gone_already_is_told(desk):
    desk.fleet.add_instance(0, "shop", "/lb", "more", "Data")
    desk.settle()
    begun = desk.fleet.remove(0, "shop", "/lb/more")
    desk.take()
    lb = desk.node("/lb")
    told = {p.path: {"s": "deployed-started"} for p in lb.root.members if p.path != "/lb/more"}
    desk.fleet.world.now = desk.now
    # It is dropped with the have; the change is looked at a moment later.
    desk.have(lb, instances=told)

    assert cancel(desk, begun)["stays"] == ["/lb/more is gone already: add it again"]


def test_another_version_stays_and_that_is_told(desk):
    begun = desk.deploy(web_template(webs=2, version="2.0"), {"Web": b"2" * 32})

    told = cancel(desk, begun)

    assert told["change"] is None
    assert told["stays"] == ["shop stays changed to version 2.0: deploy another one to go back"]


def test_a_binding_is_put_back(desk):
    other = template(web_graph(), [("/vm", "VM")], "other", exports_prefix="SHOP")
    desk.deploy(other, {}, name="other")
    desk.fleet.bind(0, "shop", "SHOP", ["other"])
    app = desk.fleet.world.applications["shop"]
    bound = list(app.bindings["SHOP"])
    desk.fleet.set_wish(0, "shop", "/lb", "deployed-stopped")
    begun = desk.fleet.bind(0, "shop", "SHOP", [])
    desk.take()

    cancel(desk, begun)

    assert app.bindings["SHOP"] == bound


def test_steps_end_after_what_is_wished_was_put_back(desk):
    """In this order, since the agent would begin the same step again."""
    web = desk.node("/web1")
    begun = desk.fleet.set_wish(0, "shop", "/web1/web", "deployed-stopped")
    desk.take()
    desk.have(web, instances={"/web1": {"s": "deployed-started"}, "/web1/web": {"s": "stopping"}})
    told = desk.fleet.cancel_change(desk.now, begun["change"])
    effects = desk.take()

    topics = [effect[1] for effect in effects if effect[0] == "publish" and web.id in effect[1]]
    assert topics == [f"fc/{web.id}/want", f"fc/{web.id}/do"]
    assert [order[3:] for order in orders(effects, web)] == [["cancel", ["/web1/web"]]]
    assert (told["sent"], told["offline"]) == (1, [])


def test_what_is_done_cannot_be_cancelled(desk):
    with pytest.raises(FleetError, match="change 1 has ended: done"):
        desk.fleet.cancel_change(0, "1")


def test_cancelling_can_be_cancelled(desk):
    begun = desk.fleet.set_wish(0, "shop", "/web1", "not-deployed")
    wanted = wishes(desk)
    told = cancel(desk, begun)
    assert wishes(desk) != wanted

    cancel(desk, told)

    assert wishes(desk) == wanted


def test_several_instances_are_one_change_and_come_back_together(desk):
    before = wishes(desk)
    begun = desk.fleet.set_wish(0, "shop", ["/web1", "/web1/web", "/lb"], "not-deployed")
    desk.take()
    assert desk.fleet.change(begun["change"])["text"] == "undeploy /web1, /web1/web, /lb"

    cancel(desk, begun)

    assert wishes(desk) == before
