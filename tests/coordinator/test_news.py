"""What watchers are told: everything once, then what changed, and nothing while nobody watches."""

import pytest

from fieldconf_microagent import states
from support.desk import Desk, web_template


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    return desk


def taken(desk, most=1000):
    """Return what a watcher is told, by kind and key."""
    found = {}
    for row in desk.fleet.news.take(desk.now, most):
        name = row.get("path") if row["kind"] == "instance" else row.get("id") or row.get("name")
        found[row["kind"], name] = row
    return found


def test_watcher_is_told_everything_at_first(desk):
    desk.deploy(web_template())
    desk.settle()

    desk.fleet.news.begin()
    rows = taken(desk)

    assert {path for kind, path in rows if kind == "instance"} == set(desk.paths())
    assert {rows["instance", path]["state"] for path in desk.paths()} == {states.STARTED}
    assert {name for kind, name in rows if kind == "node"} == set(desk.fleet.world.nodes)
    assert not desk.fleet.news.waiting


def test_nothing_is_kept_while_nobody_watches(desk):
    desk.deploy(web_template())
    desk.settle()

    assert not desk.fleet.news.waiting
    desk.fleet.news.begin()
    desk.fleet.news.end()
    desk.fleet.set_wish(desk.now, "shop", None, states.STOPPED)
    assert not desk.fleet.news.waiting


@pytest.fixture
def watched(desk):
    """A settled fleet of which everything was told."""
    desk.deploy(web_template())
    desk.settle()
    desk.pass_time(1000)
    desk.fleet.news.begin()
    taken(desk)
    return desk


def test_many_changes_of_one_node_are_told_once(watched):
    node = watched.node("/web1")
    for state in (states.STOPPED, states.STARTING, states.STARTED):
        instances = {"/web1": {"s": states.STARTED}, "/web1/web": {"s": state}}
        watched.have(node, instances=instances)

    rows = watched.fleet.news.take(watched.now, 1000)

    told = [row["path"] for row in rows if row["kind"] == "instance"]
    assert told == ["/web1", "/web1/web"]


def test_problem_and_missing_imports_are_told(watched):
    entry = {"s": states.UNRESOLVED, "m": ["Data"], "p": ["failed", "no luck", True]}
    instances = {"/web1": {"s": states.STARTED}, "/web1/web": entry}
    watched.have(watched.node("/web1"), instances=instances)

    row = taken(watched)["instance", "/web1/web"]

    assert row["missing"] == ["Data"]
    assert row["problem"] == {"code": "failed", "text": "no luck", "resting": True}
    assert row["settled"] is False


def test_offline_node_is_told_with_its_instances(watched):
    node = watched.node("/web1")
    watched.live(node, online=False)

    rows = taken(watched)

    assert rows["node", node.id]["online"] is False
    assert rows["instance", "/web1/web"]["online"] is False


def test_failed_target_call_is_told(desk):
    desk.deploy(web_template())
    desk.fleet.news.begin()
    taken(desk)
    desk.fleet.on_target(desk.now, desk.node_id("/web1"), "failed", "no room")

    assert "no room" in taken(desk)["instance", "/web1"]["problem"]["text"]


def test_counts_of_the_application_follow(watched):
    watched.live(watched.node("/web1"), online=False)
    entry = {"s": states.STOPPED, "p": ["failed", "no luck", False]}
    instances = {"/web1": {"s": states.STARTED}, "/web1/web": entry}
    watched.have(watched.node("/web1"), instances=instances)

    counts = taken(watched)["application", taken_id(watched)]["instances"]

    assert (counts["total"], counts["settled"], counts["problems"]) == (8, 7, 1)


def test_progress_of_a_change_is_told(watched):
    change = watched.fleet.set_wish(watched.now, "shop", None, states.STOPPED)["change"]
    watched.take()
    began = taken(watched)["change", change]
    watched.settle()
    watched.pass_time(1000)
    ended = taken(watched)["change", change]

    assert (began["outcome"], began["done"], began["total"]) == ("running", 0, 8)
    assert (ended["outcome"], ended["done"], ended["total"]) == ("done", 8, 8)


def test_what_is_gone_is_told(watched):
    node = watched.node_id("/web2")
    watched.fleet.remove(watched.now, "shop", "/web2", force=True)
    watched.take()
    watched.fleet.on_target(watched.now, node, "destroyed")
    watched.take()

    rows = taken(watched)

    assert rows["node", node]["gone"] and rows["instance", "/web2/web"]["gone"]


def test_deleted_application_is_told(watched):
    watched.fleet.set_wish(watched.now, "shop", None, states.NOT_DEPLOYED, force=True)
    watched.take()
    for node in list(watched.fleet.world.nodes):
        watched.fleet.on_target(watched.now, node, "destroyed")
    watched.take()
    taken(watched)
    watched.fleet.delete(watched.now, "shop")
    watched.take()

    rows = watched.fleet.news.take(watched.now, 1000)

    assert {"kind": "application", "name": "shop", "gone": True} in rows
    assert not [row for row in rows if not row.get("gone") and row["kind"] != "change"]


def test_many_nodes_are_told_a_few_at_a_time(desk):
    desk.deploy(web_template(webs=20))
    desk.fleet.news.begin()

    told = []
    while desk.fleet.news.waiting:
        rows = desk.fleet.news.take(desk.now, 5)
        assert len([row for row in rows if row["kind"] == "node"]) <= 5
        told += [row["path"] for row in rows if row["kind"] == "instance"]

    assert sorted(told) == desk.paths()


def test_large_application_is_counted_less_often(watched, monkeypatch):
    monkeypatch.setattr("fieldconf_coordinator.core.news._COUNTED_IN_MS", 0.01)
    app = "application", taken_id(watched)
    watched.live(watched.node("/web1"), online=False)
    assert app in taken(watched)

    watched.live(watched.node("/web2"), online=False)
    rows = taken(watched)
    assert app not in rows and ("instance", "/web2/web") in rows
    assert watched.fleet.news.waiting

    watched.now += 1000
    assert app in taken(watched)
    assert not watched.fleet.news.waiting


def taken_id(desk):
    return desk.fleet.world.applications["shop"].id
