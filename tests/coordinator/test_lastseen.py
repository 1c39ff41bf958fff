"""What a node is and when it was heard last outlives the coordinator."""

import pytest

from support.desk import Desk, kinds, web_template


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template(webs=1))
    desk.settle()
    return desk


def shown(desk, node):
    return next(one for one in desk.fleet.status()["nodes"] if one["id"] == node)


def test_an_offline_node_is_known_after_a_restart(desk):
    node = desk.node("/web1")
    desk.have(node, ip="10.0.0.7")
    desk.pass_time(5000)
    desk.live(node, online=False)
    desk.take()
    before = shown(desk, node.id)
    went = desk.node("/web1").last
    desk.restart()

    after = shown(desk, node.id)
    for name in ("agent", "platform", "installers", "address", "since", "memory", "online"):
        assert after[name] == before[name]
    assert before["address"] == "10.0.0.7"
    assert desk.node("/web1").last == went == before["since"]


def test_its_going_is_told_once_over_a_restart_and_so_is_its_coming_back(desk):
    node = desk.node("/web1")
    desk.live(node, online=False)
    desk.take()
    desk.restart()
    node = desk.node("/web1")

    desk.live(node, online=False)
    assert [event for event in kinds(desk.take(), "event") if "offline" in event[5]] == []
    desk.live(node)
    assert [event[5] for event in kinds(desk.take(), "event")] == [f"{node.id} is online again"]
    desk.restart()
    desk.live(desk.node("/web1"))
    assert kinds(desk.take(), "event") == []


def test_rows_are_written_only_when_something_of_it_changes(desk):
    def written(**more):
        effects = desk.have(desk.node("/web1"), **more) + desk.pass_time(1000)
        return [effect for effect in effects if effect[:2] == ("store", "lastseen")]

    assert written() == []
    assert written(mem=7) == []
    assert len(written(agent="2")) == 1


def test_row_goes_with_the_node(desk):
    node = desk.node("/web1")
    assert ("lastseen", node.id) in desk.rows
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.on_target(0, node.id, "destroyed")
    desk.take()

    assert ("lastseen", node.id) not in desk.rows
