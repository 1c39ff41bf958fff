"""`why` leads from an instance to the root cause, in words."""

import pytest

from fieldconf_microagent import codec, envelope
from support.desk import Desk, component, template, web_graph, web_template


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template(webs=1))
    desk.settle()
    return desk


def texts(desk, path, app="shop"):
    return [f"{step['path']} {step['text']}" for step in desk.fleet.why(app, path)]


def unresolved(desk, path, leaf, missing):
    node = desk.node(path)
    told = {path: {"s": "deployed-started"}, leaf: {"s": "unresolved", "m": [missing]}}
    if leaf.endswith("web"):
        told[leaf]["d"] = b"w" * 32
    desk.have(node, instances=told)


def test_nothing_to_say_about_what_is_as_wished(desk):
    assert texts(desk, "/lb/lb") == []


def test_the_chain_leads_to_the_instance_that_was_stopped(desk):
    desk.fleet.set_wish(0, "shop", "/data/data", "deployed-stopped")
    desk.take()
    desk.have(desk.node("/data"))
    unresolved(desk, "/web1", "/web1/web", "Data")
    unresolved(desk, "/lb", "/lb/lb", "Web")

    assert texts(desk, "/lb/lb") == [
        "/lb/lb waits for Web.ip, Web.port",
        "/web1/web exports Web and is unresolved",
        "/web1/web waits for Data",
        "/data/data exports Data and is deployed-stopped",
        "/data/data is wished deployed-stopped",
    ]


def test_a_node_that_is_offline_is_the_root_cause(desk):
    desk.wall = (14 * 60 + 2) * 60_000
    node = desk.node("/web1")
    desk.live(node, False)
    unresolved(desk, "/lb", "/lb/lb", "Web")

    assert texts(desk, "/lb/lb") == [
        "/lb/lb waits for Web.ip, Web.port",
        "/web1/web exports Web",
        f"/web1 node {node.id} is offline since 14:02 UTC",
    ]


def test_a_failed_step_is_the_root_cause(desk):
    told = {
        "/web1": {"s": "deployed-started"},
        "/web1/web": {"s": "deployed-stopped", "p": ["failed", "start: exit status 3", True]},
    }
    desk.have(desk.node("/web1"), instances=told)

    assert texts(desk, "/web1/web") == [
        "/web1/web failed: start: exit status 3; it is tried again every 5 min"
    ]


def test_an_ancestor_that_is_stopped_is_the_root_cause(desk):
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed")

    assert texts(desk, "/web1/web")[0] == "/web1/web is wished not-deployed"


def test_a_wish_that_an_ancestor_keeps_back_leads_to_it(desk):
    """Nothing is under way, and still it does not run."""
    desk.fleet.set_wish(0, "shop", "/web1", "deployed-stopped")
    desk.take()
    told = {"/web1": {"s": "deployed-stopped"}, "/web1/web": {"s": "waiting-for-ancestor"}}
    told["/web1/web"]["d"] = b"w" * 32
    desk.have(desk.node("/web1"), instances=told)

    assert texts(desk, "/web1") == []
    assert texts(desk, "/web1/web") == ["/web1 is wished deployed-stopped"]


@pytest.mark.parametrize("asked", ["/web1", "/web1/web"])
@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"s": "starting"}, "is starting; its step 'start' has to end first"),
        (
            {"s": "deployed-started", "p": ["failed", "stop: exit status 1", False]},
            "failed: stop: exit status 1",
        ),
    ],
)
def test_what_holds_up_the_way_down_is_told(desk, asked, told, said):
    node = desk.node("/web1")
    ours = desk.want("/web1")["app"]
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed")
    desk.take()
    desk.have(node, app=ours, instances={"/web1": {"s": "undeploying"}, "/web1/web": told})

    assert texts(desk, asked) == [
        f"{asked} is wished not-deployed",
        f"/web1 node {node.id} is being emptied before it is destroyed",
        f"/web1/web {said}",
    ]


def test_a_stop_that_fails_is_told(desk):
    desk.fleet.set_wish(0, "shop", "/web1/web", "deployed-stopped")
    desk.take()
    web = {"s": "deployed-started", "p": ["failed", "stop: exit status 1", False]}
    desk.have(desk.node("/web1"), instances={"/web1": {"s": "deployed-started"}, "/web1/web": web})

    assert texts(desk, "/web1/web") == [
        "/web1/web is wished deployed-stopped",
        "/web1/web failed: stop: exit status 1",
    ]


def test_a_machine_that_cannot_be_made_is_the_root_cause():
    desk = Desk()
    desk.start()
    desk.deploy(web_template(webs=1))
    assert texts(desk, "/web1/web") == [
        f"/web1 node {desk.node_id('/web1')} is being created and has not said hello yet"
    ]

    desk.fleet.on_target(0, desk.node_id("/web1"), "failed", "no such image")
    assert texts(desk, "/web1/web") == ["/web1 cannot create the node: no such image"]


def test_a_machine_that_died_and_cannot_be_made_again_is_told(desk):
    node = desk.node("/web1")
    desk.live(node, False)
    desk.fleet.on_target(0, node.id, "missing")
    desk.fleet.on_target(0, node.id, "failed", "there is no port")

    for path in ("/web1", "/web1/web"):
        assert texts(desk, path) == ["/web1 cannot create the node: there is no port"]
    desk.live(node)
    desk.have(node, boot=2)
    assert texts(desk, "/web1") == []


def test_a_nested_node_waits_for_what_is_around_it():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [("/vm", "VM"), ("/vm/b", "Box"), ("/vm/b/in", "Inner")]))

    assert texts(desk, "/vm/b/in") == [
        "/vm/b/in waits until /vm/b is started",
        f"/vm node {desk.node_id('/vm')} is being created and has not said hello yet",
    ]


def test_a_refused_want_is_the_root_cause(desk):
    node = desk.node("/web1")
    desk.fleet.add_instance(0, "shop", "/web1", "more", "Data")
    desk.take()
    want = desk.want("/web1")
    told = {path: {"s": "deployed-started"} for path in ("/web1", "/web1/web")}
    seq = desk.seq[node.id] = 90
    document = {"e": 1, "b": 1, "s": seq, "v": want["v"], "app": node.app.id, "i": told}
    document.update(n={}, r="too large")
    sealed = envelope.seal(node.key, node.id, "have", codec.pack(document))
    desk.fleet.on_message(0, "have", node.id, sealed)

    assert texts(desk, "/web1/more") == [f"/web1 node {node.id} refuses what is wanted: too large"]


def test_missing_bindings_and_exporters_are_named():
    desk = Desk()
    desk.start()
    parts = [
        component("VM", "target", children=["C", "D"]),
        component("C", imports=["external SHOP.port"], ancestors=["VM"]),
        component("D", imports=["E.port"], ancestors=["VM"]),
    ]
    desk.deploy(template(parts, [("/a", "VM"), ("/a/c", "C"), ("/a/d", "D")]))
    node = desk.node("/a")
    desk.live(node)
    told = {
        "/a": {"s": "deployed-started"},
        "/a/c": {"s": "unresolved", "m": ["SHOP"]},
        "/a/d": {"s": "unresolved", "m": ["E"]},
    }
    desk.have(node, instances=told)

    assert texts(desk, "/a/c") == [
        "/a/c waits for SHOP.port",
        "/a/c SHOP is not bound to an application",
    ]
    assert texts(desk, "/a/d") == ["/a/d waits for E.port", "/a/d no instance exports E"]


def test_a_cycle_is_cut_at_the_first_instance_that_repeats_and_named():
    desk = Desk()
    desk.start()
    parts = [
        component("VM", "target", children=["A", "B"]),
        component("A", exports=["x=1"], imports=["B.y"], ancestors=["VM"]),
        component("B", exports=["y=1"], imports=["A.x"], ancestors=["VM"]),
    ]
    desk.deploy(template(parts, [("/vm", "VM"), ("/vm/a", "A"), ("/vm/b", "B")]))
    node = desk.node("/vm")
    desk.live(node)
    told = {
        "/vm": {"s": "deployed-started"},
        "/vm/a": {"s": "unresolved", "m": ["B"]},
        "/vm/b": {"s": "unresolved", "m": ["A"]},
    }
    desk.have(node, instances=told)

    assert texts(desk, "/vm/a") == [
        "/vm/a waits for B.y",
        "/vm/b exports B and is unresolved",
        "/vm/b waits for A.x",
        "/vm/a exports A and is unresolved",
        "/vm/a waits for itself: /vm/a → /vm/b → /vm/a; make the import of A in /vm/b optional",
    ]
