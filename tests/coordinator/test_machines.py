"""Nodes are made and destroyed in the right order, also over a restart."""

import pytest

from fieldconf_microagent import codec, topics
from support.desk import Desk, component, kinds, orders, template, web_graph, web_template

NESTED = [
    ("/vm", "VM"),
    ("/vm/box", "Box"),
    ("/vm/box/in", "Inner"),
    ("/vm/box/in/web", "Web"),
]


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    desk.settle()
    desk.pass_time(3000)
    return desk


@pytest.fixture
def nested():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), NESTED))
    return desk


def calls(effects):
    return [(e[0], e[1]) for e in effects if e[0] in ("create", "destroy", "probe")]


def test_the_target_is_told_who_the_node_is():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [("/a", "VM", {}, {"size": "big"})]), target="docker")
    node = desk.node("/a")
    app = node.app.id

    (create,) = kinds(desk.effects, "create")
    assert create == (
        "create",
        node.id,
        {
            "fleet": "fleet",
            "application": app,
            "name": "shop",
            "path": "/a",
            "target": "docker",
            "tag": f"fleet/{app}/a",
            "parent": None,
            "data": {"size": "big"},
            "agent": {
                "fleet": "fleet",
                "domain": "fc",
                "node": node.id,
                "key": node.key.hex(),
                "enrolment": 1,
            },
        },
    )
    assert desk.rows["nodes", node.id]["phase"] == "creating"


def test_data_of_an_instance_names_another_target():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [("/a", "VM", {}, {"target": "ssh"}), ("/b", "VM")]))

    assert desk.node("/a").target == "ssh"
    assert desk.node("/b").target == "memory"


def test_a_new_node_is_deploying_until_it_says_hello():
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    assert desk.state("/lb") == "deploying"

    desk.arrive("/lb")

    assert desk.state("/lb") == "deployed-started"
    desk.pass_time(1000)
    assert desk.rows["nodes", desk.node_id("/lb")]["phase"] == "up"


def test_a_machine_that_cannot_be_made_is_tried_again_with_growing_pauses():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [("/a", "VM")]))
    node = desk.node("/a")
    pauses = []
    for _ in range(8):
        started = desk.now
        desk.fleet.on_target(desk.now, node.id, "failed", "no such image")
        desk.take()
        while not kinds(desk.pass_time(1000), "create"):
            pass
        pauses.append((desk.now - started) // 1000)

    assert pauses == [1, 2, 4, 8, 16, 32, 300, 300]
    assert desk.shown("/a")["problem"]["text"] == "cannot create the node: no such image"

    desk.fleet.on_target(desk.now, node.id, "created")
    assert desk.shown("/a")["problem"] is None


def test_a_nested_node_waits_until_the_instance_around_it_is_started(nested):
    vm, inner = nested.node("/vm"), nested.node("/vm/box/in")
    assert calls(nested.effects) == [("create", vm.id)]
    assert inner is not None

    nested.live(vm)
    effects = nested.have(
        vm, instances={"/vm": {"s": "deployed-started"}, "/vm/box": {"s": "starting"}}
    )
    assert calls(effects) == []

    effects = nested.have(vm)
    assert calls(effects) == [("create", inner.id)]
    assert kinds(effects, "create")[0][2]["parent"] == vm.id


def test_destroying_goes_step_by_step(desk):
    node = desk.node("/web1")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed")
    effects = desk.take()
    assert desk.want_of(node.id, node.key)["i"] == []
    assert desk.want_of(node.id, node.key)["app"] == ""
    assert calls(effects) == []
    assert desk.rows["nodes", node.id]["phase"] == "emptying"

    # Still there: the load balancer keeps it in its list.
    stopping = {"/web1": {"s": "deployed-started"}, "/web1/web": {"s": "stopping"}}
    effects = desk.have(node, app=node.app.id, instances=stopping)
    assert orders(effects, node) == []
    assert len(desk.want("/lb")["prov"]["Web"]) == 2

    effects = desk.have(node, instances={})
    assert [order[3] for order in orders(effects, node)] == ["forget"]
    assert len(desk.want("/lb")["prov"]["Web"]) == 1
    order = orders(effects, node)[0]

    effects = desk.did(node, order[0])
    assert calls(effects) == [("destroy", node.id)]
    assert desk.state("/web1") == "undeploying"

    desk.fleet.on_target(desk.now, node.id, "destroyed")
    effects = desk.take()
    cleared = {e[1] for e in kinds(effects, "publish") if e[2] == b"" and e[4]}
    assert cleared == {
        topics.want("fc", node.id),
        topics.have("fc", node.id),
        topics.live("fc", node.id),
        topics.exports("fc", node.app.id, "Web", node.id),
    }
    assert ("nodes", node.id) not in desk.rows
    assert ("tombstones", node.id) in desk.rows
    assert desk.state("/web1") == desk.state("/web1/web") == "not-deployed"
    assert desk.node("/web1") is None


def test_a_node_that_does_not_empty_itself_is_destroyed_all_the_same(desk):
    node = desk.node("/web1")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed")
    desk.take()

    assert calls(desk.pass_time(59_000)) == []
    assert [order[3] for order in orders(desk.pass_time(2_000), node)] == ["forget"]
    assert calls(desk.pass_time(10_000)) == [("destroy", node.id)]


def test_a_destroy_that_fails_is_tried_again(desk):
    node = desk.node("/web1")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed", force=True)
    assert calls(desk.take()) == [("destroy", node.id)]

    desk.fleet.on_target(desk.now, node.id, "failed", "no answer")

    assert desk.shown("/web1")["problem"]["text"] == "cannot destroy the node: no answer"
    assert calls(desk.pass_time(1_000)) == [("destroy", node.id)]


def test_node_that_cannot_be_destroyed_is_forgotten_by_force_once_that_is_known(desk):
    node = desk.node("/web1")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed", force=True)
    assert node.phase == "destroying"
    desk.fleet.on_target(desk.now, node.id, "failed", "there is no target 'bench'")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed")
    assert node.phase == "destroying"

    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed", force=True)
    told = [event[5] for event in kinds(desk.take(), "event") if event[1] == "problem"]

    assert desk.node("/web1") is None
    assert node.id in desk.fleet.world.tombstones
    assert told[-1].endswith("could not be destroyed and is forgotten: its machine may still run")
    assert [effect[1] for effect in kinds(desk.effects, "disown")] == [node.id]
    # What the target says later concerns nobody.
    desk.fleet.on_target(desk.now, node.id, "destroyed")
    assert calls(desk.pass_time(600_000)) == []


def test_force_does_not_wait_for_the_node(desk):
    node = desk.node("/data")
    desk.fleet.remove(desk.now, "shop", "/data", force=True)
    effects = desk.take()

    assert calls(effects) == [("destroy", node.id)]
    assert desk.want("/web1")["prov"] == {"Data": []}
    desk.fleet.on_target(desk.now, node.id, "destroyed")
    assert "/data" not in desk.paths()


def undeployed(desk, path):
    node = desk.node(path)
    desk.fleet.set_wish(desk.now, "shop", path, "not-deployed", force=True)
    desk.take()
    desk.fleet.on_target(desk.now, node.id, "destroyed")
    desk.take()
    return node


def test_messages_of_a_destroyed_node_are_cleared_again(desk):
    node = undeployed(desk, "/web1")
    desk.live(node, False)

    topic = topics.live("fc", node.id)
    assert desk.take() == [("publish", topic, b"", 1, True)]
    assert desk.fleet.status()["unknown"] == []


def test_a_tombstone_is_kept_for_thirty_days(desk):
    node = undeployed(desk, "/web1")
    desk.pass_time(29 * 86_400_000)
    assert ("tombstones", node.id) in desk.rows

    desk.pass_time(2 * 86_400_000)
    assert ("tombstones", node.id) not in desk.rows


def test_starting_it_again_makes_a_new_node(desk):
    old = undeployed(desk, "/web1")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "deployed-started")
    effects = desk.take()

    new = desk.node("/web1")
    assert new.id != old.id
    assert calls(effects) == [("create", new.id)]
    assert new.key != old.key
    assert [entry["w"] for entry in desk.want("/web1")["i"]] == ["deployed-started"] * 2
    assert [p[2] for p in desk.want("/lb")["prov"]["Web"]].count(old.id) == 0


def test_a_node_wished_back_while_it_is_destroyed_comes_when_it_is_gone(desk):
    old = desk.node("/web1")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.set_wish(desk.now, "shop", "/web1", "deployed-started")
    assert calls(desk.take()) == [("destroy", old.id)]

    desk.fleet.on_target(desk.now, old.id, "destroyed")

    assert calls(desk.take()) == [("create", desk.node_id("/web1"))]
    assert desk.node_id("/web1") not in (None, old.id)


def test_a_nested_node_goes_before_the_one_around_it_is_emptied(nested):
    nested.settle()
    vm, inner = nested.node("/vm"), nested.node("/vm/box/in")
    nested.fleet.set_wish(nested.now, "shop", None, "not-deployed")
    nested.take()
    assert nested.want_of(vm.id, vm.key)["v"] == 1
    assert nested.want_of(inner.id, inner.key)["i"] == []

    nested.have(inner, instances={})
    nested.live(inner, False)
    assert calls(nested.take()) == [("destroy", inner.id)]
    nested.fleet.on_target(nested.now, inner.id, "destroyed")
    nested.take()

    assert nested.want_of(vm.id, vm.key)["i"] == []


def test_an_instance_around_a_node_is_removed_after_the_node(nested):
    nested.settle()
    vm, inner = nested.node("/vm"), nested.node("/vm/box/in")
    nested.fleet.remove(nested.now, "shop", "/vm/box", force=True)
    nested.take()
    entries = nested.want_of(vm.id, vm.key)["i"]
    assert [(e["p"], e["w"]) for e in entries] == [
        ("/vm", "deployed-started"),
        ("/vm/box", "deployed-started"),
    ]

    nested.fleet.on_target(nested.now, inner.id, "destroyed")
    nested.take()
    assert [e["p"] for e in nested.want_of(vm.id, vm.key)["i"]] == ["/vm"]
    assert nested.paths() == ["/vm", "/vm/box"]

    nested.have(vm)
    assert nested.paths() == ["/vm"]
    assert nested.rows.keys() & {("instances", (vm.app.id, p)) for p in ("/vm/box", "/vm")} == {
        ("instances", (vm.app.id, "/vm"))
    }


def test_what_was_under_way_goes_on_after_a_restart(desk):
    gone, going, emptying = (desk.node(path) for path in ("/web1", "/web2", "/lb"))
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.set_wish(desk.now, "shop", "/lb", "not-deployed")
    desk.take()
    desk.fleet.add_instance(desk.now, "shop", None, "new", "VM")
    desk.take()

    effects = desk.restart()

    assert set(calls(effects)) == {
        ("destroy", gone.id),
        ("probe", going.id),
        ("probe", desk.node_id("/data")),
        ("create", desk.node_id("/new")),
    }
    found = desk.pass_time(61_000)
    assert "forget" in [order[3] for order in orders(found, emptying)]


def test_a_machine_that_is_gone_after_a_restart_is_made_again(desk):
    desk.restart()
    node = desk.node("/web2")
    desk.fleet.on_target(desk.now, node.id, "missing")

    assert calls(desk.take()) == [("create", node.id)]


def test_topics_are_cleared_when_the_broker_is_back(desk):
    node = desk.node("/web1")
    desk.fleet.set_wish(desk.now, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.on_link(desk.now, False)
    desk.fleet.on_target(desk.now, node.id, "destroyed")
    desk.take()
    assert desk.rows["nodes", node.id]["phase"] == "clearing"

    desk.restart()

    assert ("nodes", node.id) not in desk.rows
    assert desk.retained[topics.exports("fc", node.app.id, "Web", node.id)] == b""


def test_a_root_that_is_no_target_is_a_node_all_the_same():
    desk = Desk()
    desk.start()
    desk.deploy(template([component("Solo", "script", ["port=1"])], [("/solo", "Solo")]))

    assert desk.want("/solo")["i"][0]["t"] == "target"
    assert codec.pack(desk.want("/solo"))


def test_a_machine_that_is_being_made_is_destroyed_when_it_is_there():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [("/a", "VM")]))
    node = desk.node("/a")
    desk.fleet.set_wish(0, "shop", None, "not-deployed")
    assert calls(desk.take()) == []

    desk.fleet.on_target(0, node.id, "created")

    assert calls(desk.take()) == [("destroy", node.id)]


def test_a_machine_that_a_former_coordinator_may_be_making_is_waited_for():
    desk = Desk()
    desk.start()
    desk.deploy(template(web_graph(), [("/a", "VM")]))
    node = desk.node("/a")
    desk.fleet.set_wish(0, "shop", None, "not-deployed")
    desk.take()

    assert calls(desk.restart()) == []
    assert calls(desk.pass_time(59_000)) == []
    assert calls(desk.pass_time(20_000)) == [("destroy", node.id)]


def test_a_nested_node_wished_back_waits_for_a_new_node_around_it(nested):
    vm, inner = nested.node("/vm"), nested.node("/vm/box/in")
    nested.fleet.set_wish(nested.now, "shop", None, "not-deployed")
    nested.fleet.set_wish(nested.now, "shop", None, "deployed-started")
    nested.take()
    assert vm.doomed
    assert nested.node("/vm/box/in") is None

    nested.fleet.on_target(nested.now, vm.id, "created")
    nested.fleet.on_target(nested.now, vm.id, "destroyed")
    nested.take()
    nested.settle()

    assert nested.node_id("/vm") != vm.id
    assert nested.node_id("/vm/box/in") not in (None, inner.id)
    assert nested.state("/vm/box/in/web") == "deployed-started"
