"""What an action would do is told before, and then happens."""

import pytest

from fieldconf_coordinator.core.fleet import FleetError
from support.desk import Desk, component, template, web_template

STARTED, STOPPED, NOT_DEPLOYED = "deployed-started", "deployed-stopped", "not-deployed"


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template(webs=2, extra=[("/web1/box", "Box"), ("/web1/box/in", "Inner")]))
    desk.settle()
    return desk


def wishes(desk):
    """Path → effective wish, of those that stay."""
    app = desk.fleet.world.applications["shop"]
    return {p: one.effective_wish() for p, one in app.instances.items() if not one.leaving}


def nodes(desk):
    """Return paths of those that have a node that stays."""
    found = desk.fleet.world.nodes.values()
    return {node.root.path for node in found if not node.doomed}


ACTIONS = [
    ("stop", ["/data/data"], 0),
    ("stop", ["/web1/box"], 0),
    ("stop", None, 0),
    ("undeploy", ["/web1"], 0),
    ("undeploy", ["/web1", "/lb/lb"], 0),
    ("undeploy", None, 0),
    ("start", None, 0),
    ("start", ["/web2"], 0),
    ("remove", ["/web1"], 0),
    ("remove", ["/web1/box"], 0),
    ("scale", ["/web2"], 4),
    ("scale", ["/web2"], 1),
    ("scale", ["/web2"], 2),
]


def do(desk, action, paths, count):
    if action == "scale":
        desk.fleet.scale(0, "shop", paths[0], count)
    elif action == "remove":
        for path in paths:
            desk.fleet.remove(0, "shop", path)
    else:
        wish = {"start": STARTED, "stop": STOPPED, "undeploy": NOT_DEPLOYED}[action]
        desk.fleet.set_wish(0, "shop", paths, wish)
    desk.take()


def finish(desk):
    """Let the nodes go that are to go."""
    for node in list(desk.fleet.world.nodes.values()):
        if node.doomed:
            desk.fleet.on_target(0, node.id, "missing")
            desk.fleet.on_target(0, node.id, "destroyed")
    desk.take()


@pytest.mark.parametrize("first", [None, ("undeploy", ["/web2"], 0), ("stop", ["/data/data"], 0)])
@pytest.mark.parametrize(("action", "paths", "count"), ACTIONS)
def test_what_was_foreseen_happens(desk, first, action, paths, count):
    if first is not None:
        do(desk, *first)
        finish(desk)
    before, had = wishes(desk), nodes(desk)
    found = desk.fleet.foresee("shop", action, paths, count)
    assert wishes(desk) == before

    do(desk, action, paths, count)

    after, has = wishes(desk), nodes(desk)
    changed = {p for p in {*before, *after} if before.get(p) != after.get(p)}
    told = {one["path"]: (one["from"], one["to"]) for one in found["instances"]}
    assert told == {p: (before.get(p), after.get(p, "removed")) for p in changed}
    assert {one["path"] for one in found["given_back"]} == had - has
    assert set(found["made"]) == has - had


def test_who_loses_the_last_provider_is_told_down_the_chain(desk):
    found = desk.fleet.foresee("shop", "stop", ["/data/data"])

    lost = {one["path"]: one["prefix"] for one in found["unresolved"]}
    assert lost == {"/web1/web": "Data", "/web2/web": "Data", "/lb/lb": "Web"}
    assert found["resolved"] == []


def test_nobody_loses_what_another_one_serves(desk):
    assert desk.fleet.foresee("shop", "undeploy", ["/web1"])["unresolved"] == []


def test_who_gets_what_it_waits_for_is_told(desk):
    do(desk, "stop", ["/data/data"], 0)

    found = desk.fleet.foresee("shop", "start", ["/data/data"])

    assert [one["path"] for one in found["resolved"]] == ["/lb/lb", "/web1/web", "/web2/web"]
    assert found["unresolved"] == []


def test_start_that_will_have_to_wait_tells_for_what(desk):
    do(desk, "undeploy", None, 0)

    found = desk.fleet.foresee("shop", "start", ["/lb"])

    lost = {one["path"]: one["prefix"] for one in found["unresolved"]}
    assert lost == {"/lb/lb": "Web"}
    assert found["made"] == ["/lb"]


def bound(desk):
    """Bind another application to a database."""
    graph = [component("VM", "target", children=["Db"]),
             component("Db", exports=["port=1"], ancestors=["VM"])]  # fmt: skip
    store = template(graph, [("/vm", "VM"), ("/vm/db", "Db")], "store", exports_prefix="STORE",
                     external_exports={"Db.port": "STORE.port"})  # fmt: skip
    graph = [component("VM", "target", children=["App"]),
             component("App", imports=["external STORE.port"], ancestors=["VM"])]  # fmt: skip
    desk.deploy(store, {}, name="store")
    desk.deploy(template(graph, [("/vm", "VM"), ("/vm/app", "App")], "user"), {}, name="user")
    desk.fleet.bind(0, "user", "STORE", ["store"])
    desk.take()


def test_importers_in_other_applications_are_told(desk):
    bound(desk)

    found = desk.fleet.foresee("store", "undeploy", ["/vm"])

    assert found["unresolved"] == [{"application": "user", "path": "/vm/app", "prefix": "STORE"}]
    assert [one["path"] for one in found["instances"]] == ["/vm", "/vm/db"]


def test_what_cannot_be_done_is_refused_as_the_action_would_be(desk):
    with pytest.raises(FleetError, match="no instance"):
        desk.fleet.foresee("shop", "stop", ["/nothing"])
    desk.fleet.remove(0, "shop", "/web1")
    with pytest.raises(FleetError, match="is being removed"):
        desk.fleet.foresee("shop", "start", ["/web1"])


def test_scaling_is_foreseen_by_the_name_of_all_copies_and_within_the_same_bounds(desk):
    assert "/web" not in desk.paths()
    assert desk.fleet.foresee("shop", "scale", ["/web"], 3)["made"] == ["/web3"]
    for count in (0, 1_000_000):
        with pytest.raises(FleetError, match=f"cannot have {count} copies"):
            desk.fleet.foresee("shop", "scale", ["/web"], count)
        with pytest.raises(FleetError, match=f"cannot have {count} copies"):
            desk.fleet.scale(0, "shop", "/web", count)


def test_what_lies_in_somebody_who_waits_waits_too_and_so_on(desk):
    graph = [
        component("VM", "target", children=["Source", "Outer", "User"]),
        component("Source", exports=["x=1"], ancestors=["VM"]),
        component("Outer", imports=["Source.x"], children=["Inside"], ancestors=["VM"]),
        component("Inside", exports=["y=1"], ancestors=["Outer"]),
        component("User", imports=["Inside.y"], ancestors=["VM"]),
    ]
    paths = [("/vm", "VM"), ("/vm/s", "Source"), ("/vm/o", "Outer"), ("/vm/o/i", "Inside")]
    desk.deploy(template(graph, [*paths, ("/vm/u", "User")], "deep"), {}, name="deep")

    found = desk.fleet.foresee("deep", "stop", ["/vm/s"])

    lost = {one["path"]: one["prefix"] for one in found["unresolved"]}
    assert lost == {"/vm/o": "Source", "/vm/o/i": "", "/vm/u": "Inside"}


def test_nobody_serves_himself(desk):
    graph = [
        component("VM", "target", children=["Peer"]),
        component("Peer", exports=["x=1"], imports=["Peer.x"], ancestors=["VM"]),
    ]
    peers = [("/vm", "VM"), ("/vm/a", "Peer"), ("/vm/b", "Peer")]
    desk.deploy(template(graph, peers, "peers"), {}, name="peers")

    found = desk.fleet.foresee("peers", "stop", ["/vm/a"])

    assert [one["path"] for one in found["unresolved"]] == ["/vm/b"]
