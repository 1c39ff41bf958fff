"""Targets: defined with properties, placed, used, and never changed under what they made."""

import pytest

from support.rest import WEB_CLUSTER, served, zipped


@pytest.fixture
def fleet(tmp_path):
    with served(tmp_path / "data", dev=True) as fleet:
        fleet.template = fleet.upload(zipped(WEB_CLUSTER)).data["id"]
        body = {"template": fleet.template, "name": "shop"}
        fleet.done(fleet.post("/applications", body))
        yield fleet


def empty(fleet):
    fleet.done(fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"}))


def filled(fleet):
    fleet.done(fleet.put("/applications/shop/wanted", {"wanted": "deployed-started"}))
    return {node["path"]: node for node in fleet.get("/nodes").data}


def test_handlers_tell_their_settings(fleet):
    handlers = {one["handler"]: one["settings"] for one in fleet.get("/handlers").data}

    assert set(handlers) >= {"memory", "local"}
    assert [setting["name"] for setting in handlers["memory"]] == ["installers"]


def test_properties_of_a_target_reach_the_nodes_that_it_makes(fleet):
    body = {"handler": "memory", "properties": {"installers": "logger, script"}}
    assert fleet.put("/targets/bench", body).data["uses"] == []
    empty(fleet)
    fleet.put("/applications/shop/targets", {"element": "/lb-vm", "target": "bench"})

    nodes = filled(fleet)

    assert nodes["/lb-vm"]["target"] == "bench"
    assert nodes["/lb-vm"]["installers"] == ["logger", "script"]
    assert nodes["/data-vm"]["target"] == "memory"
    assert fleet.get("/targets/bench").data["uses"] == [nodes["/lb-vm"]["id"], "shop /lb-vm"]


def test_path_comes_before_component_and_component_before_all(fleet):
    for target in ("all", "vms", "one"):
        fleet.put(f"/targets/{target}", {"handler": "memory"})
    empty(fleet)
    for element, target in (("", "all"), ("@VM", "vms"), ("/lb-vm", "one")):
        fleet.put("/applications/shop/targets", {"element": element, "target": target})

    assert {p: n["target"] for p, n in filled(fleet).items()}["/lb-vm"] == "one"
    empty(fleet)
    fleet.put("/applications/shop/targets", {"element": "/lb-vm", "target": None})
    assert {n["target"] for n in filled(fleet).values()} == {"vms"}
    empty(fleet)
    fleet.put("/applications/shop/targets", {"element": "@VM"})
    assert {n["target"] for n in filled(fleet).values()} == {"all"}


@pytest.mark.parametrize("element", ["/lb-vm", "@VM", ""])
def test_what_has_a_node_is_not_placed_anew(fleet, element):
    answer = fleet.put("/applications/shop/targets", {"element": element, "target": "local"})

    assert answer.status == 409
    assert fleet.get("/applications/shop/targets").data == []


@pytest.mark.parametrize(
    ("element", "target", "status"),
    [
        ("/nothing", "memory", 404),
        ("/lb-vm/lb", "memory", 404),
        ("@Nothing", "memory", 404),
        ("/lb-vm", "nothing", 422),
    ],
)
def test_what_is_not_there_is_not_placed(fleet, element, target, status):
    empty(fleet)
    body = {"element": element, "target": target}

    assert fleet.put("/applications/shop/targets", body).status == status


def test_used_target_stays(fleet):
    fleet.put("/targets/bench", {"handler": "memory"})
    empty(fleet)
    fleet.put("/applications/shop/targets", {"element": "/lb-vm", "target": "bench"})

    assert fleet.delete("/targets/bench").status == 409
    assert fleet.put("/targets/bench", {"handler": "local"}).status == 409
    fleet.put("/applications/shop/targets", {"element": "/lb-vm", "target": None})
    assert fleet.delete("/targets/bench").status == 200
    assert fleet.delete("/targets/memory").error["message"] == "memory is built in"


def test_target_that_cannot_be_is_refused(fleet):
    assert fleet.put("/targets/x", {"handler": "nothing"}).error["where"] == "/handler"
    assert fleet.put("/targets/memory", {"handler": "memory"}).status == 409
    assert fleet.put("/targets/-x", {"handler": "memory"}).status == 422
    body = {"template": fleet.template, "name": "other", "target": "nothing"}
    assert fleet.post("/applications", body).error["code"] == "bad-target"


def test_what_was_placed_goes_with_its_application_and_survives_a_restart(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        template = fleet.upload(zipped(WEB_CLUSTER)).data["id"]
        fleet.put("/targets/bench", {"handler": "memory"})
        fleet.done(fleet.post("/applications", {"template": template, "name": "shop"}))
        empty(fleet)
        fleet.put("/applications/shop/targets", {"element": "", "target": "bench"})
    with served(tmp_path, dev=True) as fleet:
        assert fleet.get("/applications/shop/targets").data == [{"element": "", "target": "bench"}]
        fleet.delete("/applications/shop")
        assert fleet.delete("/targets/bench").status == 200
