"""A change can be watched until everything is where it is wished."""

import pytest

from support.desk import Desk, template, web_graph, web_template


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template(webs=1))
    return desk


def outcome(desk, number):
    change = desk.fleet.change(str(number))
    return change["outcome"], change["done"], change["total"]


def test_a_deployment_is_done_when_every_instance_is_started(desk):
    assert outcome(desk, 1) == ("running", 0, 6)

    desk.arrive("/data")
    assert outcome(desk, 1) == ("running", 2, 6)

    desk.settle()
    desk.pass_time(1000)
    assert desk.rows["changes", "1"]["outcome"] == "done"
    assert outcome(desk, 1) == ("done", 6, 6)


def test_an_instance_is_not_done_before_its_node_holds_the_want(desk):
    desk.settle()
    desk.fleet.add_instance(0, "shop", "/lb", "more", "Data")
    desk.take()

    assert outcome(desk, 2) == ("running", 0, 1)
    desk.have(desk.node("/lb"))
    assert outcome(desk, 2) == ("done", 1, 1)


def test_an_upgrade_is_done_when_the_new_recipe_runs(desk):
    desk.settle()
    desk.deploy(web_template(webs=1, version="2.0"), {"Web": b"2" * 32})
    node = desk.node("/web1")
    desk.have(node, instances={p.path: {"s": "deployed-started"} for p in node.root.members})
    told = {"/web1": {"s": "deployed-started"}}
    desk.have(node, instances={**told, "/web1/web": {"s": "deployed-started", "d": b"w" * 32}})
    assert outcome(desk, 2)[0] == "running"

    desk.have(node)
    assert outcome(desk, 2)[0] == "done"


def test_removing_is_done_when_the_node_is_gone(desk):
    desk.settle()
    node = desk.node("/web1")
    desk.fleet.remove(desk.now, "shop", "/web1")
    desk.take()
    assert outcome(desk, 2) == ("running", 0, 2)

    desk.have(node, instances={})
    desk.live(node, False)
    assert outcome(desk, 2)[0] == "running"

    desk.fleet.on_target(desk.now, node.id, "destroyed")
    assert outcome(desk, 2) == ("done", 2, 2)


def test_a_later_change_of_the_same_instances_supersedes(desk):
    desk.fleet.set_wish(0, "shop", "/web1", "deployed-stopped")
    assert outcome(desk, 1)[0] == "superseded"

    desk.fleet.set_wish(0, "shop", "/lb", "deployed-stopped")
    assert outcome(desk, 2)[0] == "running"
    desk.fleet.set_wish(0, "shop", "/web1/web", "deployed-stopped")
    assert outcome(desk, 2)[0] == "superseded"
    assert outcome(desk, 3)[0] == "running"


def test_a_child_below_a_stopped_instance_counts_as_done(desk):
    desk.settle()
    desk.fleet.set_wish(0, "shop", "/web1", "deployed-stopped")
    desk.take()
    told = {
        "/web1": {"s": "deployed-stopped"},
        "/web1/web": {"s": "waiting-for-ancestor", "d": b"w" * 32},
    }
    desk.have(desk.node("/web1"), instances=told)

    assert outcome(desk, 2) == ("done", 2, 2)


def test_changes_are_watched_on_after_a_restart(desk):
    desk.restart()
    assert outcome(desk, 1) == ("running", 0, 6)

    desk.settle()
    desk.pass_time(1000)
    assert outcome(desk, 1) == ("done", 6, 6)
    desk.fleet.set_wish(0, "shop", None, "deployed-stopped")
    assert [change["id"] for change in desk.fleet.changes()] == ["2", "1"]


def test_only_the_latest_changes_are_kept():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [("/a", "VM")]))
    for _ in range(60):
        desk.fleet.set_wish(0, "shop", None, "deployed-started")
    desk.take()

    assert len(desk.fleet.changes()) == 50
    assert len([key for key in desk.rows if key[0] == "changes"]) == 50
