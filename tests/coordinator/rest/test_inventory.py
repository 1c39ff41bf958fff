"""What is known of a node: what it says itself, and the tags that people give it."""

import pytest

from support.rest import served


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with served(tmp_path_factory.mktemp("fleet"), dev=True) as fleet:
        fleet.deploy()
        yield fleet


@pytest.fixture
def node(fleet):
    """The id of a node without tags."""
    node = fleet.get("/nodes").data[0]["id"]
    fleet.patch(f"/nodes/{node}", {"tags": []})
    return node


def tagged(fleet, tag):
    return [one["id"] for one in fleet.get(f"/nodes?tag={tag}").data]


def test_inventory_tells_what_a_node_is(fleet):
    node = fleet.get("/nodes").data[0]

    assert node["agent"] and "Python" in node["platform"]
    assert "memory" in node
    assert node["online"] is True
    assert node["heard"] > 1_700_000_000_000
    assert node["tags"] == []


def test_tags_are_set_sorted_and_found(fleet, node):
    answer = fleet.patch(f"/nodes/{node}", {"tags": ["outdoor", "site=north", "outdoor"]})

    assert answer.data["tags"] == ["outdoor", "site=north"]
    assert tagged(fleet, "outdoor") == [node]
    assert tagged(fleet, "out") == []
    fleet.patch(f"/nodes/{node}", {"tags": ["indoor"]})
    assert tagged(fleet, "outdoor") == []
    assert fleet.get(f"/nodes/{node}").data["tags"] == ["indoor"]


def test_tags_that_somebody_else_edited_are_not_overwritten(fleet, node):
    seen = fleet.get(f"/nodes/{node}").headers["etag"]
    assert fleet.patch(f"/nodes/{node}", {"tags": ["mine"]}, If_Match=seen).status == 200

    late = fleet.patch(f"/nodes/{node}", {"tags": ["late"]}, If_Match=seen)

    assert late.status == 412
    assert fleet.get(f"/nodes/{node}").data["tags"] == ["mine"]


@pytest.mark.parametrize("tag", ["", "with blank", "-x", "a,b", "x" * 65])
def test_what_cannot_be_a_tag_is_refused(fleet, node, tag):
    assert fleet.patch(f"/nodes/{node}", {"tags": [tag]}).status == 422
    assert fleet.get(f"/nodes/{node}").data["tags"] == []


def test_nobody_can_be_tagged_who_is_not_there(fleet):
    assert fleet.patch("/nodes/nobody", {"tags": ["x"]}).error["code"] == "unknown-node"


def test_watchers_see_a_new_tag(fleet, node):
    with fleet.stream("?instances=false") as stream:
        stream.snapshot()
        fleet.patch(f"/nodes/{node}", {"tags": ["seen"]})

        def has_tag(kind, data):
            return kind == "state" and any(row.get("tags") == ["seen"] for row in data["rows"])

        assert stream.until(has_tag)


def test_tags_survive_a_restart_and_go_with_their_node(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        fleet.deploy()
        nodes = {one["path"]: one["id"] for one in fleet.get("/nodes").data}
        for path in ("/lb-vm", "/data-vm"):
            fleet.patch(f"/nodes/{nodes[path]}", {"tags": ["kept"]})
        body = {"wanted": "not-deployed", "paths": ["/lb-vm"]}
        fleet.done(fleet.put("/applications/shop/wanted", body))
    with served(tmp_path, dev=True) as fleet:
        assert tagged(fleet, "kept") == [nodes["/data-vm"]]
        assert [row["node"] for row in fleet.service.store.rows("tags")] == [nodes["/data-vm"]]


def test_what_a_node_was_is_known_when_it_is_offline_after_a_restart(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        fleet.deploy()
        before = fleet.get("/nodes").data[0]
        assert before["online"]
    with served(tmp_path, dev=True, target="memory", machines_s=3600) as fleet:
        # Whether it is made anew by now or not: what is told of it is the same.
        after = fleet.get(f"/nodes/{before['id']}").data

        for name in ("agent", "platform", "installers", "address"):
            assert after[name] == before[name]
        assert after["heard"] >= before["heard"] - 60_000


def test_pages_of_nodes_are_in_order_and_know_who_came_and_went(tmp_path):
    def listed(fleet):
        first = fleet.ask("GET", "/nodes?limit=3").json
        rest = fleet.get(f"/nodes?cursor={first['page']['next']}").data
        return [one["id"] for one in [*first["data"], *rest]]

    with served(tmp_path, dev=True) as fleet:
        fleet.deploy()
        before = listed(fleet)
        body = {"path": "/web-vm1", "count": 3}
        fleet.done(fleet.post("/applications/shop/scale", body))
        after = listed(fleet)

    assert len(before) == 4 and before == sorted(before)
    assert len(after) == 5 and after == sorted(after)
    assert set(before) < set(after)
