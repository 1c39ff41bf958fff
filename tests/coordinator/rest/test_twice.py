"""Requests that come twice, and coordinators that die: what was acknowledged is there, once."""

import json
import signal
import subprocess

import pytest

from fieldconf_coordinator.errors import StoreError
from fieldconf_coordinator.rest import answers
from support.commands import command, environment
from support.rest import WEB_CLUSTER, Client, served, zipped
from support.waiting import until


@pytest.fixture
def fleet(tmp_path):
    with served(tmp_path / "data", dev=True) as fleet:
        fleet.template = fleet.upload(zipped(WEB_CLUSTER)).data["id"]
        yield fleet


def create(fleet, key, **more):
    body = {"template": fleet.template, "name": "shop", **more}
    return fleet.post("/applications", body, Idempotency_Key=key)


def test_same_key_gets_the_same_answer_and_nothing_happens_twice(fleet):
    first, second = create(fleet, "a"), create(fleet, "a")

    assert (first.status, second.status) == (202, 202)
    assert first.data == second.data
    assert len(fleet.get("/changes").data) == 1


def test_other_key_is_another_request(fleet):
    create(fleet, "a")

    assert create(fleet, "b").error["message"] == "there is an application 'shop' already"


def test_other_body_under_the_same_key_is_refused(fleet):
    create(fleet, "a")

    answer = create(fleet, "a", name="other")

    assert (answer.status, answer.error["where"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("key", ["", "x" * 201], ids=["empty", "endless"])
def test_key_that_is_none_is_refused(fleet, key):
    assert create(fleet, key).status == 400


def test_key_is_forgotten_after_a_day(fleet, monkeypatch):
    create(fleet, "a")
    later = fleet.service.wall_ms() + answers.KEPT_MS + 1

    monkeypatch.setattr(fleet.service, "wall_ms", lambda: later)

    assert create(fleet, "a").status == 409


def test_keys_are_bounded(fleet, monkeypatch):
    monkeypatch.setattr(answers, "MOST", 2)
    path = "/applications/shop/scale"
    create(fleet, "a")
    for count in (1, 2, 3):
        fleet.post(path, {"path": "/lb-vm", "count": count}, Idempotency_Key=f"k{count}")

    assert len(fleet.server.rest.answers._rows) == 2


def test_key_of_what_could_not_be_saved_is_free(fleet, monkeypatch):
    commit = fleet.service.store.commit

    def full(effects):
        if any(effect[0] == "store" for effect in effects):
            raise StoreError("cannot save: database or disk is full")
        commit(effects)

    monkeypatch.setattr(fleet.service.store, "commit", full)
    refused = create(fleet, "a")
    monkeypatch.undo()

    assert (refused.status, refused.error["code"]) == (507, "disk")
    assert create(fleet, "a").status == 202


# -- a coordinator that dies


@pytest.fixture
def begin(tmp_path):
    """Start coordinators of one data folder; return a client and the process."""
    started = []

    def begin():
        out = open(tmp_path / f"out{len(started)}", "w")
        process = subprocess.Popen(
            command("up", "--dev", "--listen", "127.0.0.1:0"),
            env=environment(tmp_path / "data"),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
        started.append(process)
        endpoint = tmp_path / "data" / "endpoint.json"

        def answers():
            try:
                client = Client(json.loads(endpoint.read_text())["url"])
                return client if client.get("//readyz").status == 200 else None
            except OSError:
                return None

        return until(answers), process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_what_was_acknowledged_is_there_after_kill_9(begin, tmp_path):
    client, process = begin()
    template = client.upload(zipped(WEB_CLUSTER)).data["id"]
    body = {"template": template, "name": "shop", "target": "memory"}
    made = client.post("/applications", body, Idempotency_Key="a").data
    user = {"name": "anna", "role": "viewer", "password": "correct horse"}
    assert client.post("/users", user).status == 201
    assert client.put("/targets/bench", {"handler": "memory"}).status == 200
    assert client.patch("/applications/shop", {"description": "north"}).status == 200
    scaled = client.post("/applications/shop/scale", {"path": "/web-vm", "count": 4})
    assert scaled.status == 202
    process.send_signal(signal.SIGKILL)
    process.wait()

    client, _ = begin()

    assert client.post("/applications", body, Idempotency_Key="a").data == made
    assert client.get("/users").data[0]["name"] == "anna"
    assert client.get("/targets/bench").data["handler"] == "memory"
    assert client.get("/applications/shop").data["description"] == "north"
    assert client.get("/templates").data[0]["id"] == template
    paths = [one["path"] for one in client.get("/applications/shop/instances").data]
    assert "/web-vm4/web" in paths
    change = scaled.data["change"]
    until(lambda: client.get(f"/changes/{change}").data["outcome"] == "done", 60)
