"""The option ``--dry-run``: what would happen is told, and nothing happens."""

import json

import pytest

from support.commands import in_process
from support.rest import served


@pytest.fixture
def run(monkeypatch, capsys):
    return in_process(monkeypatch, capsys)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    with served(folder) as fleet:
        fleet.folder = folder
        fleet.deploy()
        yield fleet


@pytest.fixture(autouse=True)
def place(shop, monkeypatch):
    monkeypatch.setenv("FIELDCONF_DATA", str(shop.folder))


def asked(shop):
    return [
        line for line in (shop.folder / "audit.jsonl").read_text().splitlines() if "plan" in line
    ]


def test_undeploy_tells_who_will_wait_and_which_node_goes(run, shop):
    node = next(one["id"] for one in shop.get("/nodes").data if one["path"] == "/data-vm")

    status, out, _ = run("undeploy", "/data-vm", "--dry-run")

    assert status == 0
    assert out.splitlines() == [
        "  - /data-vm would be undeployed",
        "  - /data-vm/data would be undeployed",
        "  ! /lb-vm/lb would wait: no Web is left",
        "  ! /web-vm1/web would wait: no Data is left",
        "  ! /web-vm2/web would wait: no Data is left",
        f"  node {node} (/data-vm) would be given back",
    ]
    assert shop.get("/applications/shop/instances/data-vm").data["wish"] == "deployed-started"


def test_a_question_changes_nothing_and_is_no_line_in_the_audit_log(run, shop):
    before = shop.get("/applications/shop").data["revision"]

    assert run("scale", "/web-vm1", 3, "--dry-run")[1].splitlines() == [
        "  + /web-vm3 would be added",
        "  + /web-vm3/web would be added",
        "  /web-vm3 would get a node",
    ]

    assert shop.get("/applications/shop").data["revision"] == before
    assert asked(shop) == []


def test_dry_run_of_what_is_so_already_says_so(run):
    assert run("start", "--dry-run") == (0, "nothing changes\n", "")


def test_dry_run_for_programs(run):
    found = json.loads(run("remove", "/web-vm2", "--dry-run", "--json")[1])

    assert [one["to"] for one in found["instances"]] == ["removed", "removed"]


def test_questions_without_what_they_are_about_are_refused(shop):
    plan = "/applications/shop/plan"

    assert shop.post(plan, {"action": "remove"}).error["where"] == "/paths"
    assert shop.post(plan, {"action": "scale", "paths": ["/web-vm1"]}).error["where"] == "/count"
    assert shop.post(plan, {"action": "fly"}).status == 422
