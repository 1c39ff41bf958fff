"""Every node is wanted what the model says, under versions that only rise."""

import pytest

from fieldconf_coordinator.core.wants import with_version
from fieldconf_microagent import codec, topics
from support.desk import WEB_DIGEST, Desk, component, kinds, template, web_graph, web_template


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    return desk


def test_a_want_says_everything_about_a_node(desk):
    app = desk.fleet.world.applications["shop"].id
    data = desk.node_id("/data")

    assert desk.want("/web1") == {
        "v": 1,
        "app": app,
        "name": "shop",
        "path": "/web1",
        "lost": 60000,
        "i": [
            {
                "p": "/web1",
                "c": "VM",
                "t": "target",
                "w": "deployed-started",
                "x": {"VM.ip": None},
                "m": {},
            },
            {
                "p": "/web1/web",
                "c": "Web",
                "t": "script",
                "w": "deployed-started",
                "x": {"Web.ip": None, "Web.port": "10000"},
                "m": {"Data": [True, ["*"]]},
                "d": WEB_DIGEST,
            },
        ],
        "up": [],
        "pub": ["Web"],
        "prov": {"Data": [[app, "Data", data]]},
    }


def test_the_version_is_the_last_key_of_a_packed_want():
    content = {"app": "", "i": [], "lost": 1, "name": "", "path": "", "prov": {}, "pub": []}

    assert with_version(codec.pack(content), 300) == codec.pack({**content, "v": 300})


def test_every_importer_gets_all_providers_sorted(desk):
    app = desk.fleet.world.applications["shop"].id
    webs = sorted((desk.node_id("/web1"), desk.node_id("/web2")))

    assert desk.want("/lb")["prov"] == {"Web": [[app, "Web", node] for node in webs]}


def test_only_what_somebody_imports_is_published(desk):
    assert desk.want("/data")["pub"] == ["Data"]
    assert desk.want("/lb")["pub"] == []


def test_a_version_rises_only_with_the_content(desk):
    assert desk.rows["nodes", desk.node_id("/lb")]["version"] == 1

    desk.deploy(web_template())
    assert desk.want("/lb")["v"] == 1

    desk.fleet.set_wish(0, "shop", "/lb/lb", "deployed-stopped")
    effects = desk.take()

    assert desk.want("/lb")["v"] == 2
    assert desk.rows["nodes", desk.node_id("/lb")]["version"] == 2
    published = [effect[1] for effect in kinds(effects, "publish")]
    assert published == [topics.want("fc", desk.node_id("/lb"))]


def test_the_row_comes_before_the_want_it_is_about(desk):
    desk.fleet.set_wish(0, "shop", "/lb/lb", "deployed-stopped")
    order = [effect[0] for effect in desk.take()]

    assert order.index("publish") > max(i for i, kind in enumerate(order) if kind == "store")


def test_exporters_get_the_prefix_before_importers_get_the_provider():
    desk = Desk()
    desk.start()
    parts = web_graph()
    desk.deploy(template(parts, [("/a-lb", "VM"), ("/web", "VM"), ("/web/web", "Web")]))

    desk.fleet.add_instance(0, "shop", "/a-lb", "lb", "Lb")
    published = [effect[1] for effect in kinds(desk.take(), "publish")]

    assert published == [
        topics.want("fc", desk.node_id("/web")),
        topics.want("fc", desk.node_id("/a-lb")),
    ]


def test_a_stopped_exporter_stays_in_the_list(desk):
    before = desk.want("/web1")["prov"]
    desk.fleet.set_wish(0, "shop", "/data/data", "deployed-stopped")
    desk.take()

    assert desk.want("/web1")["prov"] == before


def test_a_removed_exporter_stays_in_the_list_until_it_is_gone(desk):
    desk.settle()
    before = desk.want("/web1")["prov"]
    node = desk.node("/data")
    running = {"/data": {"s": "deployed-started"}, "/data/data": {"s": "deployed-started"}}

    desk.fleet.remove(0, "shop", "/data/data")
    desk.take()
    assert [entry["p"] for entry in desk.want("/data")["i"]] == ["/data"]
    assert desk.want("/data")["pub"] == ["Data"]
    assert desk.want("/web1")["prov"] == before
    assert desk.shown("/data/data")["leaving"]

    desk.have(node, instances=running)
    assert desk.want("/web1")["prov"] == before

    desk.have(node, instances={"/data": {"s": "deployed-started"}})
    assert desk.want("/web1")["prov"] == {"Data": []}
    assert "/data/data" not in desk.paths()
    assert ("instances", (node.app.id, "/data/data")) not in desk.rows


def test_an_older_have_does_not_confirm_that_an_instance_is_gone(desk):
    desk.settle()
    node = desk.node("/data")
    desk.fleet.remove(0, "shop", "/data/data")

    desk.have(node, version=1, instances={"/data": {"s": "deployed-started"}})

    assert "/data/data" in desk.paths()


def test_nodes_that_have_nothing_to_do_with_a_change_hear_nothing(desk):
    desk.deploy(web_template(webs=1), name="other")
    desk.fleet.add_instance(0, "shop", "/lb", "data", "Data")
    published = {effect[1].split("/")[1] for effect in kinds(desk.take(), "publish")}

    assert published == {desk.node_id(path) for path in ("/lb", "/web1", "/web2")}


def test_options_come_from_data_before_settings_of_the_component_before_settings():
    settings = {"lost-after": "2s", "timeout": "1m", "Web.timeout": "90", "check.every": "500ms"}
    what = template(
        web_graph(),
        [
            ("/a", "VM"),
            ("/a/data", "Data"),
            ("/a/web", "Web"),
            ("/a/web2", "Web", {}, {"timeout": "10m", "check.every": "1s"}),
        ],
        settings=settings,
    )
    desk = Desk()
    desk.start()
    desk.deploy(what)
    want = desk.want("/a")

    assert want["lost"] == 2000
    options = {entry["p"]: entry["o"] for entry in want["i"]}
    assert options["/a/data"] == {"timeout": 60000, "check": 500}
    assert options["/a/web"] == {"timeout": 90000, "check": 500}
    assert options["/a/web2"] == {"timeout": 600000, "check": 1000}


def test_variables_only_for_the_recipe_are_not_published():
    desk = Desk()
    desk.start()
    what = [("/a", "VM"), ("/a/data", "Data", {"colour": "blue", "port": "1"})]
    desk.deploy(template(web_graph(), what))
    entry = desk.want("/a")["i"][1]

    assert entry["l"] == {"colour": "blue"}
    assert entry["x"] == {"Data.ip": None, "Data.port": "1"}


def test_a_nested_node_is_told_of_the_ancestors_beyond_it():
    desk = Desk()
    desk.start()
    what = [("/vm", "VM"), ("/vm/box", "Box"), ("/vm/box/in", "Inner"), ("/vm/box/in/web", "Web")]
    desk.deploy(template(web_graph(), what))

    want = desk.want("/vm/box/in")
    assert [entry["p"] for entry in want["i"]] == ["/vm/box/in", "/vm/box/in/web"]
    assert want["up"] == [
        {"p": "/vm", "c": "VM", "x": {"VM.ip": None}},
        {"p": "/vm/box", "c": "Box", "x": {}},
    ]
    assert [entry["p"] for entry in desk.want("/vm")["i"]] == ["/vm", "/vm/box"]


def shop_and_client():
    shop = template(
        web_graph(),
        [("/a", "VM"), ("/a/data", "Data")],
        name="shop",
        exports_prefix="SHOP",
        external_exports={"Data.port": "SHOP.dataPort"},
    )
    client = template(
        [
            component("VM", "target", ["ip"], children=["Client"]),
            component("Client", imports=["external SHOP.dataPort"], ancestors=["VM"]),
        ],
        [("/c", "VM"), ("/c/client", "Client")],
        name="client",
    )
    return shop, client


def test_a_binding_brings_providers_of_another_application():
    desk = Desk()
    desk.start()
    shop, client = shop_and_client()
    desk.deploy(shop, name="shop")
    desk.deploy(client, name="client")
    assert desk.want("/c", "client")["prov"] == {"SHOP": []}
    assert desk.want("/a")["pub"] == []

    desk.fleet.bind(0, "client", "SHOP", ["shop"])
    desk.take()

    app = desk.fleet.world.applications["shop"].id
    assert desk.want("/c", "client")["prov"] == {"SHOP": [[app, "SHOP", desk.node_id("/a")]]}
    assert desk.want("/a")["pub"] == ["SHOP"]
    assert desk.want("/a")["i"][1]["a"] == {"SHOP.dataPort": "Data.port"}

    desk.fleet.bind(0, "client", "SHOP", [])
    desk.take()
    assert desk.want("/c", "client")["prov"] == {"SHOP": []}
    assert desk.want("/a")["pub"] == []


def test_nothing_is_published_without_a_broker_and_everything_when_it_is_back(desk):
    desk.fleet.on_link(0, False)
    desk.fleet.set_wish(0, "shop", "/lb/lb", "deployed-stopped")
    assert not kinds(desk.take(), "publish")

    desk.retained.clear()
    desk.fleet.on_link(10, True)
    desk.pass_time(1000)

    assert desk.want("/lb")["i"][1]["w"] == "deployed-stopped"
    assert len(desk.retained) == 4
