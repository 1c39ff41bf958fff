"""The command ``cancel``."""

import json

import pytest

from support.commands import in_process
from support.rest import WEB_CLUSTER, served, zipped


@pytest.fixture
def run(monkeypatch, capsys):
    return in_process(monkeypatch, capsys)


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    with served(folder) as fleet:
        fleet.folder = folder
        template = fleet.upload(zipped(WEB_CLUSTER)).data["id"]
        fleet.done(fleet.post("/applications", {"template": template, "name": "shop"}))
        fleet.done(fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"}))
        yield fleet


@pytest.fixture(autouse=True)
def place(shop, monkeypatch):
    monkeypatch.setenv("FIELDCONF_DATA", str(shop.folder))


@pytest.fixture
def begun(shop):
    """A change that goes on for as long as nobody serves what the balancer needs."""
    body = {"wanted": "deployed-started", "paths": ["/lb-vm", "/lb-vm/lb"]}
    change = shop.put("/applications/shop/wanted", body).data["change"]
    yield change
    shop.done(shop.put("/applications/shop/wanted", {"wanted": "not-deployed"}))


def wish(shop):
    return shop.get("/applications/shop/instances/lb-vm/lb").data["wish"]


@pytest.mark.parametrize("words", [[], ["--app", "shop"]])
def test_cancel_without_anything_under_way_says_so(run, words):
    where = " in shop" if words else ""

    assert run("cancel", *words) == (1, "", f"nothing is under way{where}\n")


def test_cancel_puts_back_what_was_wished(run, shop, begun):
    assert wish(shop) == "deployed-started"

    status, out, err = run("cancel")

    assert (status, err) == (0, "")
    assert "cancelled: shop: start /lb-vm, /lb-vm/lb" in out
    assert "what it wished is put back, see change " in out
    assert wish(shop) == "not-deployed"


def test_one_change_is_cancelled_by_its_number(run, shop, begun):
    status, out, _ = run("cancel", begun, "--json")

    assert status == 0
    assert json.loads(out)[0]["stays"] == []
    status, _, err = run("cancel", begun)
    assert (status, err) == (1, f"error: change {begun} has ended: cancelled\n")


def test_where_no_step_runs_none_is_ended(run, shop, begun):
    shop.put("/applications/shop/wanted", {"wanted": "deployed-started", "paths": ["/lb-vm"]})

    status, _, err = run("cancel", "/lb-vm/nothing")
    assert (status, "there is no instance" in err) == (1, True)
    status, out, err = run("cancel", "/data-vm/data")
    assert (status, out) == (1, "")
    assert err == "error: /data-vm/data is not deployed\n"
