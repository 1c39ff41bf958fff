"""Targets: defined with properties, placed, used, and never changed under what they made."""

import shutil

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


# -- for templates, and hints


def test_new_applications_get_what_was_chosen_for_their_template(fleet):
    where = f"/templates/{fleet.template}/targets"
    for target in ("bench", "shelf"):
        fleet.put(f"/targets/{target}", {"handler": "memory"})
    fleet.put(where, {"element": "@VM", "target": "bench"})
    assert fleet.put(where, {"element": "/lb-vm", "target": "shelf"}).data == [
        {"element": "/lb-vm", "target": "shelf"},
        {"element": "@VM", "target": "bench"},
    ]
    assert fleet.get("/applications/shop/targets").data == []

    fleet.done(fleet.post("/applications", {"template": fleet.template, "name": "new"}))

    used = {one["path"]: one["target"] for one in fleet.get("/nodes?application=new").data}
    assert used.pop("/lb-vm") == "shelf"
    assert set(used.values()) == {"bench"}
    # A copy: what is chosen for the template later concerns others.
    fleet.put(where, {"element": "@VM", "target": None})
    assert len(fleet.get("/applications/new/targets").data) == 2
    assert "template web-cluster /lb-vm" in fleet.get("/targets/shelf").data["uses"]


def test_target_of_the_deployment_comes_before_that_of_the_template(fleet):
    for target in ("bench", "shelf"):
        fleet.put(f"/targets/{target}", {"handler": "memory"})
    fleet.put(f"/templates/{fleet.template}/targets", {"element": "", "target": "bench"})
    body = {"template": fleet.template, "name": "new"}
    fleet.done(fleet.post("/applications", {**body, "target": "shelf"}))
    fleet.done(fleet.post("/applications", {**body, "name": "newer"}))

    def used(app):
        return {one["target"] for one in fleet.get(f"/nodes?application={app}").data}

    assert (used("new"), used("newer")) == ({"shelf"}, {"bench"})


@pytest.mark.parametrize("element", ["/nothing", "/lb-vm/lb", "@Nothing", "@Web"])
def test_only_nodes_of_a_template_are_placed(fleet, element):
    where = f"/templates/{fleet.template}/targets"

    assert fleet.put(where, {"element": element, "target": "memory"}).status == 404
    assert fleet.put(where, {"element": "", "target": "nothing"}).status == 422
    assert fleet.get(where).data == []


def test_what_was_chosen_for_a_template_survives_a_restart_and_goes_with_its_last_version(tmp_path):
    folder = shutil.copytree(WEB_CLUSTER, tmp_path / "newer")
    about = folder / "descriptor" / "application.properties"
    about.write_text(about.read_text().replace("version = 1.0", "version = 2.0"))
    with served(tmp_path / "data", dev=True) as fleet:
        template = fleet.upload(zipped(WEB_CLUSTER)).data["id"]
        newer = fleet.upload(zipped(folder)).data["id"]
        fleet.put("/targets/bench", {"handler": "memory"})
        fleet.put(f"/templates/{template}/targets", {"element": "", "target": "bench"})
    with served(tmp_path / "data", dev=True) as fleet:
        fleet.delete(f"/templates/{template}")
        assert fleet.get(f"/templates/{newer}/targets").data[0]["target"] == "bench"
        fleet.delete(f"/templates/{newer}")
        assert fleet.delete("/targets/bench").status == 200


def offered(fleet, query):
    found = {one["id"] for one in fleet.get(f"/targets?{query}").data}
    return found & {"anybody", "shops", "clusters"}


def test_hints_say_to_whom_a_target_is_offered(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        fleet.deploy("shop")
        fleet.put("/targets/anybody", {"handler": "memory"})
        hints = {"applications": ["shop"], "templates": []}
        assert (
            fleet.put("/targets/shops", {"handler": "memory", "hints": hints}).data["hints"]
            == hints
        )
        hints = {"templates": ["web-cluster", "other"]}
        fleet.put("/targets/clusters", {"handler": "memory", "hints": hints})
    with served(tmp_path, dev=True) as fleet:
        assert offered(fleet, "") == {"anybody", "shops", "clusters"}
        assert offered(fleet, "application=shop") == {"anybody", "shops", "clusters"}
        assert offered(fleet, "template=other") == {"anybody", "clusters"}
        assert offered(fleet, "template=third") == {"anybody"}
        # They are hints: nobody is refused.
        fleet.put("/targets/others", {"handler": "memory", "hints": {"applications": ["x"]}})
        fleet.done(fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"}))
        body = {"element": "", "target": "others"}
        assert fleet.put("/applications/shop/targets", body).status == 200


def test_a_target_that_somebody_else_edited_is_not_overwritten_nor_deleted(fleet):
    fleet.put("/targets/shared", {"handler": "memory", "description": "first"})
    seen = fleet.get("/targets/shared").headers["etag"]
    fleet.put("/targets/shared", {"handler": "memory", "description": "theirs"}, If_Match=seen)

    mine = {"handler": "memory", "description": "mine"}
    assert fleet.put("/targets/shared", mine, If_Match=seen).status == 412
    assert fleet.delete("/targets/shared", If_Match=seen).status == 412

    assert fleet.get("/targets/shared").data["description"] == "theirs"
    assert fleet.delete("/targets/shared", If_Match="*").status == 200
