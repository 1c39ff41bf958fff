"""Machines that belong to the fleet: enrolled, joined and approved, used and given back.

The machine is a real agent process on settings as they were handed out, over a real broker.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from support.rest import served, zipped
from support.waiting import until

GRAPH = """
Board {
  installer: target;
  children: Blink;
}
Blink {
  installer: logger;
}
"""
INSTANCES = """
instance of Board {
  name: roof;
  data.target: embedded;
  data.requires.tags: roof;
  instance of Blink {
    name: blink;
  }
}
"""
DESCRIPTOR = """
name = blinking
version = 1.0
dsl-id = roboconf-1.0
graph-entry-point = main.graph
instance-entry-point = main.instances
"""


@pytest.fixture
def fleet(tmp_path):
    with served(tmp_path / "fleet", dev=True) as fleet:
        yield fleet


@pytest.fixture
def template(tmp_path):
    for name, text in (
        ("descriptor/application.properties", DESCRIPTOR),
        ("graph/main.graph", GRAPH),
        ("instances/main.instances", INSTANCES),
    ):
        file = tmp_path / "template" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return zipped(tmp_path / "template")


@contextmanager
def machine(folder, settings=None):
    """Run an agent in `folder`; yield it."""
    folder.mkdir(exist_ok=True)
    if settings is not None:
        (folder / "settings.json").write_text(json.dumps(settings))
    with open(folder / "agent.log", "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fieldconf_microagent", "--dir", str(folder)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def phase(fleet, node):
    return fleet.get(f"/nodes/{node}").data["phase"]


def test_an_enrolled_machine_is_used_and_given_back(fleet, template, tmp_path):
    made = fleet.post("/nodes", {"id": "roof-7", "board": "linux", "tags": ["roof"]})
    assert made.status == 201
    assert phase(fleet, "roof-7") == "enrolled"
    with machine(tmp_path / "roof-7", made.data["settings"]):
        until(lambda: phase(fleet, "roof-7") == "free")

        body = {"template": fleet.upload(template).data["id"], "name": "blinking"}
        fleet.done(fleet.post("/applications", body))
        node = fleet.get("/nodes/roof-7").data
        assert (node["application"], node["path"], node["phase"]) == ("blinking", "/roof", "up")
        assert node["tags"] == ["roof"]
        assert node["enrolled"] is True
        assert fleet.delete("/nodes/roof-7").error["code"] == "conflict"

        fleet.done(fleet.put("/applications/blinking/wanted", {"wanted": "not-deployed"}))
        assert phase(fleet, "roof-7") == "free"
    until(lambda: not fleet.get("/nodes/roof-7").data["online"])
    assert fleet.delete("/nodes/roof-7").status == 200
    assert fleet.get("/nodes/roof-7").status == 404


def test_a_machine_that_joined_is_free_once_approved_and_keeps_its_new_key(fleet, tmp_path):
    settings = fleet.post("/nodes", {"id": "shed-1", "join": True}).data["settings"]
    folder = tmp_path / "shed-1"
    assert "not been heard" in fleet.post("/nodes/shed-1/approval").error["message"]

    with machine(folder, settings):
        until(lambda: fleet.get("/nodes/shed-1").data["online"])
        assert phase(fleet, "shed-1") == "joining"
        assert fleet.post("/nodes/shed-1/approval").status == 200
        until(lambda: phase(fleet, "shed-1") == "free")
    after = json.loads((folder / "settings.json").read_text())
    assert after["key"] != settings["key"]
    assert after["enrolment"] == 2
    assert (folder / "settings.json").stat().st_mode & 0o077 == 0

    until(lambda: not fleet.get("/nodes/shed-1").data["online"])
    with machine(folder):
        until(lambda: fleet.get("/nodes/shed-1").data["online"])
        assert phase(fleet, "shed-1") == "free"


def test_who_has_the_former_key_is_not_heard_after_an_enrolment_anew(fleet, tmp_path):
    former = fleet.post("/nodes", {"id": "b1"}).data["settings"]
    settings = fleet.post("/nodes/b1/enrolment", {}).data["settings"]
    assert settings["key"] != former["key"]

    with machine(tmp_path / "old", former):
        until(lambda: fleet.get("/status").data["dropped"].get("b1"))
        assert phase(fleet, "b1") == "enrolled"
    with machine(tmp_path / "new", settings):
        until(lambda: phase(fleet, "b1") == "free")


def test_keys_are_shown_once_and_never_again(fleet):
    settings = fleet.post("/nodes", {"id": "b1"}).data["settings"]

    for path in ("/nodes", "/nodes/b1", "/events", "/status"):
        assert settings["key"] not in json.dumps(fleet.get(path).data)
    assert fleet.post("/nodes", {"id": "b1"}).error["code"] == "conflict"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"id": "a b"}, "bad-value"),
        ({"id": "x" * 33}, "bad-value"),
        ({"id": "b1", "broker": "http://gateway"}, "bad-broker"),
    ],
)
def test_what_cannot_be_enrolled_is_refused_in_words(fleet, body, code):
    answer = fleet.post("/nodes", body)

    assert 400 <= answer.status < 500
    assert answer.error["code"] == code or answer.status == 422, answer.error
    assert fleet.get("/nodes").data == []
