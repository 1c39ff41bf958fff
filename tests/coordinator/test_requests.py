"""What users ask for happens whole, or is refused and leaves everything as it was."""

import pytest

from fieldconf_coordinator.core import ports
from fieldconf_coordinator.core.fleet import FleetError
from support.desk import (
    WEB_DIGEST,
    Desk,
    component,
    kinds,
    orders,
    template,
    web_graph,
    web_template,
)


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    desk.settle()
    return desk


def refused(desk, call):
    """Return the code of the refusal of `call`, which must leave no trace."""
    before = repr(desk.fleet.status())
    with pytest.raises(FleetError) as caught:
        call()
    assert repr(desk.fleet.status()) == before
    assert [e for e in desk.take() if e[0] != "event"] == []
    return caught.value.code


# -- deploy


def test_a_new_application_is_started_whole(desk):
    listed = desk.fleet.status()["applications"][0]["instances"]

    assert {one["state"] for one in listed} == {"deployed-started"}
    assert desk.paths() == [
        *("/data", "/data/data", "/lb", "/lb/lb"),
        *("/web1", "/web1/web", "/web2", "/web2/web"),
    ]


def test_a_plan_tells_whose_exports_change_with_their_component(desk):
    other = web_template()
    other.graph.components["Data"] = component(
        "Data", exports=["ip", "port=5432"], ancestors=["VM", "Box"]
    )

    plan = desk.fleet.plan(other, {}, "shop")

    assert plan["change"] == ["/data/data"]
    assert desk.fleet.plan(web_template(), {}, "shop")["change"] == []


def test_the_last_name_of_an_instance_is_enough_to_suggest_it(desk):
    with pytest.raises(FleetError, match=r"'lb2' .did you mean '/lb'") as caught:
        desk.fleet.set_wish(desk.now, "shop", "lb2", "deployed-started", False)
    assert caught.value.hint == "'fieldconf status' lists them"
    with pytest.raises(FleetError, match=r"'web' .did you mean '/web1/web'"):
        desk.fleet.set_wish(desk.now, "shop", "web", "deployed-started", False)


def test_who_names_the_application_as_a_path_is_told_how_to_mean_all_of_it(desk):
    with pytest.raises(FleetError) as caught:
        desk.fleet.set_wish(desk.now, "shop", "shop", "not-deployed", False)

    assert caught.value.hint == "shop is the application: for all of it, 'fieldconf … --app shop'"


def test_what_cannot_be_scaled_is_told_with_what_can(desk):
    with pytest.raises(FleetError) as caught:
        desk.fleet.scale(desk.now, "shop", "/web1/web", 2)

    assert "with all that lies in them: /data, /lb, /web1, /web2;" in caught.value.hint


def test_a_plan_tells_whose_imports_change_with_their_component(desk):
    other = web_template()
    other.graph.components["Lb"] = component("Lb", imports=["Web.ip"], ancestors=["VM"])

    assert desk.fleet.plan(other, {"Web": WEB_DIGEST}, "shop")["change"] == ["/lb/lb"]


def test_a_plan_tells_whose_settings_change(desk):
    other = web_template(settings={"Data.check.every": "7s"})

    assert desk.fleet.plan(other, {"Web": WEB_DIGEST}, "shop")["change"] == ["/data/data"]


def test_a_new_version_alone_changes_the_application_and_no_instance(desk):
    wants = {path: desk.want(path) for path in ("/data", "/lb", "/web1", "/web2")}
    newer = web_template(version="2.0")
    plan = desk.fleet.plan(newer, {"Web": WEB_DIGEST}, "shop")
    desk.deploy(newer)

    assert [plan[what] for what in ("add", "remove", "upgrade", "change")] == [[], [], [], []]
    assert {path: desk.want(path) for path in wants} == wants
    assert desk.fleet.status("shop")["applications"][0]["version"] == "2.0"


def test_nodes_that_are_there_do_not_move_to_another_target(desk):
    def again():
        desk.fleet.deploy(desk.now, web_template(), "shop-1.0", {}, "shop", "embedded", False)

    assert refused(desk, again) == "conflict"


def test_an_application_without_nodes_takes_another_target(desk):
    desk.fleet.set_wish(desk.now, "shop", None, "not-deployed", True)
    for node in list(desk.fleet.world.nodes):
        desk.fleet.on_target(desk.now, node, "destroyed")

    desk.deploy(web_template(), target="embedded")

    assert desk.fleet.status()["applications"][0]["target"] == "embedded"


def test_deploying_again_adds_removes_and_upgrades_by_path(desk):
    port = desk.shown("/web1/web")["exports"]["Web.port"]
    new = template(
        web_graph(),
        [
            ("/data", "VM"),
            ("/data/data", "Data", {"port": "5432"}),
            ("/web1", "VM"),
            ("/web1/web", "Web"),
            ("/web3", "VM"),
            ("/web3/web", "Web"),
        ],
        version="2.0",
    )
    digests = {"Web": b"2" * 32}
    plan = desk.fleet.plan(new, digests, "shop")
    assert plan == {
        "application": "shop",
        "new": False,
        "add": ["/web3", "/web3/web"],
        "remove": ["/lb", "/lb/lb", "/web2", "/web2/web"],
        "upgrade": ["/web1/web"],
        "change": ["/data/data"],
    }

    desk.deploy(new, digests)

    assert desk.want("/data")["i"][1]["x"]["Data.port"] == "5432"
    assert desk.want("/web1")["i"][1]["d"] == b"2" * 32
    assert desk.shown("/web1/web")["exports"]["Web.port"] == port
    assert desk.want("/web3")["v"] == 1
    assert desk.shown("/lb")["leaving"] and desk.node("/lb").doomed
    assert desk.fleet.status("shop")["applications"][0]["version"] == "2.0"
    assert desk.rows["applications", desk.node("/data").app.id]["ref"] == "shop-2.0"


def test_instances_added_at_run_time_stay(desk):
    desk.fleet.scale(0, "shop", "/web1", 3)
    desk.fleet.add_instance(0, "shop", "/lb", "extra", "Data")
    desk.deploy(web_template(version="2.0"))

    assert not desk.shown("/web3")["leaving"]
    assert not desk.shown("/lb/extra")["leaving"]


def test_instances_added_below_what_is_removed_go_with_it(desk):
    desk.fleet.add_instance(0, "shop", "/web2", "extra", "Data")
    desk.deploy(web_template(webs=1, version="2.0"))

    assert desk.shown("/web2/extra")["leaving"]


def test_what_is_leaving_comes_back_with_a_template_that_names_it(desk):
    desk.fleet.remove(0, "shop", "/lb/lb")
    desk.take()
    desk.deploy(web_template())

    assert not desk.shown("/lb/lb")["leaving"]
    assert [entry["p"] for entry in desk.want("/lb")["i"]] == ["/lb", "/lb/lb"]


def test_a_wish_survives_a_new_version(desk):
    desk.fleet.set_wish(0, "shop", "/lb/lb", "deployed-stopped")
    desk.deploy(web_template(version="2.0"))

    assert desk.want("/lb")["i"][1]["w"] == "deployed-stopped"


UNACCEPTABLE = {
    "another template under the name": lambda: template(web_graph(), [], name="other"),
    "a setting that is no duration": lambda: web_template(settings={"lost-after": "soon"}),
    "data that is no duration": lambda: template(
        web_graph(), [("/x", "VM", {}, {"check.every": "never"})]
    ),
    "a component lost that an added instance has": lambda: template(
        [component("VM", "target", children=["Web"]), component("Web", ancestors=["VM"])],
        [("/data", "VM"), ("/lb", "VM")],
    ),
    "a machine that becomes a program": lambda: template(
        [component("VM", "script"), component("Data", "script")], [("/lb", "VM")]
    ),
}


@pytest.mark.parametrize("make", UNACCEPTABLE.values(), ids=UNACCEPTABLE)
def test_a_template_that_is_not_acceptable_changes_nothing(desk, make):
    desk.fleet.add_instance(0, "shop", "/lb", "extra", "Data")
    desk.take()

    refused(desk, lambda: desk.fleet.deploy(0, make(), "new", {}, "shop"))


@pytest.mark.parametrize("name", ["", "9lives", "a/b", "x" * 65, "ünï"])
def test_names_of_applications_are_checked(desk, name):
    assert refused(desk, lambda: desk.fleet.deploy(0, web_template(), "r", {}, name)) == "bad-name"


# -- random ports


def values(desk, app="shop"):
    listed = desk.fleet.status(app)["applications"][0]["instances"]
    return {one["path"]: one["exports"].get("Web.port") for one in listed if "web" in one["path"]}


def test_nodes_on_one_box_share_its_ports(desk):
    desk.deploy(web_template(webs=1), name="second")

    assert values(desk)["/web1/web"] == "10000"
    assert values(desk)["/web2/web"] == "10001"
    assert values(desk, "second")["/web1/web"] == "10002"


def test_machines_of_their_own_have_all_ports():
    desk = Desk(default_target="docker")
    desk.start()
    desk.deploy(web_template(extra=[("/web1/more", "Web")]))

    assert values(desk)["/web1/web"] == "10001"
    assert values(desk)["/web1/more"] == "10000"
    assert values(desk)["/web2/web"] == "10000"


def test_a_port_that_somebody_chose_is_not_given_away():
    desk = Desk()
    desk.start()
    what = [("/a", "VM"), ("/a/web1", "Web"), ("/a/web2", "Web", {"port": "10000"})]
    desk.deploy(template(web_graph(), what))

    assert values(desk) == {"/a/web1": "10001", "/a/web2": "10000"}


def test_one_variable_under_several_prefixes_gets_one_port():
    desk = Desk()
    desk.start()
    part = component("B", "target", ["random A.port", "random B.port", "random B.admin"])
    desk.deploy(template([part], [("/b", "B")]))

    assert desk.shown("/b")["exports"] == {
        "A.port": "10000",
        "B.port": "10000",
        "B.admin": "10001",
    }


def test_no_port_left_is_refused_whole(desk, monkeypatch):
    monkeypatch.setattr(ports, "END", ports.FIRST + 3)

    assert refused(desk, lambda: desk.fleet.scale(0, "shop", "/web1", 4)) == "no-port"
    assert "/web3" not in desk.paths()


# -- wishes


def test_stop_changes_one_instance_alone(desk):
    desk.fleet.set_wish(0, "shop", "/web1", "deployed-stopped")
    desk.take()

    entries = {entry["p"]: entry["w"] for entry in desk.want("/web1")["i"]}
    assert entries == {"/web1": "deployed-stopped", "/web1/web": "deployed-started"}


def test_stop_without_a_path_stops_all_and_deploys_nothing(desk):
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.set_wish(0, "shop", None, "deployed-stopped")
    listed = desk.fleet.status()["applications"][0]["instances"]

    assert {one["wish"] for one in listed if "web1" not in one["path"]} == {"deployed-stopped"}
    assert {one["wish"] for one in listed if "web1" in one["path"]} == {"not-deployed"}


def test_undeploying_a_node_covers_all_below_it(desk):
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed")

    assert desk.shown("/web1/web")["wish"] == "not-deployed"
    assert desk.shown("/web2/web")["wish"] == "deployed-started"


def test_undeploying_an_instance_leaves_its_node(desk):
    desk.fleet.set_wish(0, "shop", "/web1/web", "not-deployed")
    desk.take()

    assert not desk.node("/web1").doomed
    assert desk.want("/web1")["i"][1]["w"] == "not-deployed"


def test_a_wish_that_is_there_already_changes_nothing(desk):
    desk.fleet.set_wish(0, "shop", None, "deployed-started")

    assert not kinds(desk.take(), "publish")


# -- scale, add, remove


def test_scale_copies_a_root_with_all_below_it(desk):
    told = desk.fleet.scale(0, "shop", "/web1", 4)
    effects = desk.take()

    assert told["paths"] == ["/web3", "/web4"]
    assert [e[2]["path"] for e in kinds(effects, "create")] == ["/web3", "/web4"]
    assert sorted(values(desk).values(), key=str)[:4] == ["10000", "10001", "10002", "10003"]
    assert len(desk.want("/lb")["prov"]["Web"]) == 4


def test_only_deployed_copies_count(desk):
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed")
    assert desk.fleet.scale(0, "shop", "/web1", 1)["paths"] == []

    assert desk.fleet.scale(0, "shop", "/web1", 3)["paths"] == ["/web1", "/web3"]

    wishes = {path: desk.shown(path)["wish"] for path in ("/web1", "/web1/web", "/web3/web")}
    assert set(wishes.values()) == {"deployed-started"}


def test_copies_of_what_is_not_deployed_are_deployed(desk):
    for web in ("/web1", "/web2"):
        desk.fleet.set_wish(0, "shop", web, "not-deployed")

    assert desk.fleet.scale(0, "shop", "/web2", 3)["paths"] == ["/web1", "/web2", "/web3"]
    assert desk.shown("/web3/web")["wish"] == "deployed-started"


def test_scale_fills_gaps_first(desk):
    desk.fleet.remove(0, "shop", "/web1", force=True)
    desk.fleet.on_target(0, desk.node_id("/web1"), "destroyed")
    desk.take()

    assert desk.fleet.scale(0, "shop", "/web2", 3)["paths"] == ["/web1", "/web3"]


def test_shrinking_removes_the_highest_numbers(desk):
    desk.fleet.scale(0, "shop", "/web1", 11)
    told = desk.fleet.scale(0, "shop", "/web", 2)

    assert told["paths"] == [f"/web{n}" for n in (11, 10, 9, 8, 7, 6, 5, 4, 3)]
    assert desk.shown("/web11/web")["leaving"] and not desk.shown("/web2")["leaving"]


def test_scaling_an_unnumbered_root_numbers_its_copies(desk):
    assert desk.fleet.scale(0, "shop", "/lb", 3)["paths"] == ["/lb1", "/lb2"]
    assert desk.fleet.scale(0, "shop", "/lb", 1)["paths"] == ["/lb2", "/lb1"]


@pytest.mark.parametrize(
    ("path", "count"),
    [("/nothing", 2), ("/web1/web", 2), ("/web1", 0), ("/web1", 10**6)],
    ids=["unknown", "no root", "none", "too many"],
)
def test_scale_refuses_what_it_cannot_do(desk, path, count):
    refused(desk, lambda: desk.fleet.scale(0, "shop", path, count))


def test_an_instance_can_be_added_below_another(desk):
    told = desk.fleet.add_instance(0, "shop", "/web1", "web-b", "Web", {"port": "80"})
    desk.take()

    assert told["path"] == "/web1/web-b"
    assert desk.want("/web1")["i"][2]["x"] == {"Web.ip": None, "Web.port": "80"}
    assert desk.rows["instances", (desk.node("/web1").app.id, "/web1/web-b")]["added"]


@pytest.mark.parametrize(
    ("parent", "name", "kind"),
    [
        ("/web1", "web", "Web"),
        ("/web1/web", "x", "Data"),
        ("/web1", "x", "Nothing"),
        (None, "x", "Web"),
        ("/nothing", "x", "Web"),
        ("/web1", "a/b", "Web"),
    ],
    ids=["taken", "not a child", "no component", "not a root", "no parent", "bad name"],
)
def test_an_instance_that_the_graph_forbids_is_refused(desk, parent, name, kind):
    refused(desk, lambda: desk.fleet.add_instance(0, "shop", parent, name, kind))


def test_what_nobody_runs_is_removed_at_once(desk):
    desk.fleet.set_wish(0, "shop", "/web1", "not-deployed", force=True)
    desk.fleet.on_target(0, desk.node_id("/web1"), "destroyed")
    app = desk.node("/lb").app.id
    desk.take()

    desk.fleet.remove(0, "shop", "/web1/web")
    desk.take()
    assert "/web1/web" not in desk.paths()

    desk.fleet.remove(0, "shop", "/web1")
    desk.take()
    assert "/web1" not in desk.paths()
    assert not [key for key in desk.rows if key == ("instances", (app, "/web1"))]


# -- the rest


def test_an_application_is_deleted_only_when_nothing_is_deployed(desk):
    assert refused(desk, lambda: desk.fleet.delete(0, "shop")) == "conflict"
    nodes = list(desk.fleet.world.nodes)
    desk.fleet.set_wish(0, "shop", None, "not-deployed", force=True)
    for node in nodes:
        desk.fleet.on_target(0, node, "destroyed")
    desk.fleet.delete(0, "shop")
    desk.take()

    assert {table for table, _ in desk.rows} <= {"tombstones", "changes", "undos"}
    assert desk.fleet.status()["applications"] == []


def test_retry_cancel_and_preview_go_to_the_node(desk):
    node = desk.node("/web1")
    desk.fleet.retry(0, "shop", "/web1/web")
    desk.fleet.cancel(0, "shop", "/web1/web")
    desk.fleet.retry(0, "shop", "/web1")
    desk.fleet.preview(0, "shop", "/web1/web", None)
    sent = orders(desk.take(), node)

    assert [order[3:] for order in sent] == [
        ["retry", ["/web1/web"]],
        ["cancel", ["/web1/web"]],
        ["retry", []],
        ["preview", ["/web1/web", None]],
    ]
    assert len({order[0] for order in sent}) == 4


def test_a_binding_needs_an_application_with_that_prefix(desk):
    assert refused(desk, lambda: desk.fleet.bind(0, "shop", "SHOP", ["shop"])) == "conflict"
    assert refused(desk, lambda: desk.fleet.bind(0, "shop", "X", ["no"])) == "unknown-application"


@pytest.mark.parametrize("path", ["/nothing", ""])
def test_unknown_things_are_named(desk, path):
    assert refused(desk, lambda: desk.fleet.why("shop", path)) == "unknown-instance"
    assert refused(desk, lambda: desk.fleet.why("no", path)) == "unknown-application"
    assert refused(desk, lambda: desk.fleet.change("77")) == "unknown-change"


def test_port_that_somebody_else_uses_is_passed_over(desk):
    desk.fleet.world.port_is_taken = lambda port: port in (10000, 10002)
    desk.deploy(web_template(webs=2), name="third")

    assert values(desk, "third")["/web1/web"] == "10003"


def test_a_tree_is_what_lies_below_and_not_what_begins_alike(desk):
    for name in ("web1-a", "web1 b", "web10", "web1.c"):
        desk.fleet.add_instance(0, "shop", None, name, "VM")
    app = desk.fleet.world.applications["shop"]

    assert [one.path for one in app.tree("/web1")] == ["/web1", "/web1/web"]
    assert [one.path for one in app.tree("/web1-a")] == ["/web1-a"]
    assert app.tree("/nothing") == []
    desk.fleet.add_instance(0, "shop", "/web1", "new", "Data")
    assert [one.path for one in app.tree("/web1")] == ["/web1", "/web1/new", "/web1/web"]
