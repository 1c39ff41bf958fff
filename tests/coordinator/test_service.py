"""The service: what it acknowledges is on disk, and it goes on after whatever happened."""

import os
import shutil
from pathlib import Path

import pytest

from fieldconf_coordinator.errors import RequestError, StoreError
from fieldconf_microagent import states
from support.coordinators import coordinator
from support.waiting import until

WEB_CLUSTER = Path(__file__).parents[2] / "examples" / "web-cluster"


@pytest.fixture
def running(tmp_path):
    with coordinator(tmp_path / "data") as running:
        yield running


def broken_copy(tmp_path):
    """Return a copy of the example with two mistakes."""
    folder = tmp_path / "broken"
    shutil.copytree(WEB_CLUSTER, folder)
    graph = folder / "graph" / "main.graph"
    graph.write_text(graph.read_text().replace("imports: Data.ip", "imports: Dta.ip"))
    instances = folder / "instances" / "main.instances"
    instances.write_text(instances.read_text().replace("instance of Data", "instance of Dat"))
    return folder


def test_deployed_application_is_started_everywhere(running):
    running.deploy(WEB_CLUSTER)

    assert set(running.states("web-cluster").values()) == {states.STARTED}
    assert [event["kind"] for event in running.ask("events", app="web-cluster")][-1] == "change"


def test_new_version_runs_steps_only_where_something_changed(running, tmp_path):
    def steps():
        nodes = running.ask("status")["nodes"]
        return {one["path"]: len(running.target("memory").steps(one["id"])) for one in nodes}

    running.deploy(WEB_CLUSTER, name="shop")
    before = steps()
    newer = tmp_path / "newer"
    shutil.copytree(WEB_CLUSTER, newer)
    descriptor = newer / "descriptor" / "application.properties"
    descriptor.write_text(descriptor.read_text().replace("version = 1.0", "version = 1.1"))
    script = next((newer / "graph" / "Balancer").rglob("start*"))
    script.write_text(script.read_text() + "\n# changed\n")

    running.deploy(newer, name="shop")

    after = steps()
    assert [path for path in after if after[path] != before[path]] == ["/lb-vm"]
    assert running.ask("status")["applications"][0]["version"] == "1.1"
    assert set(running.states("shop").values()) == {states.STARTED}


def test_template_is_refused_whole_with_all_its_errors(running, tmp_path):
    with pytest.raises(RequestError) as caught:
        running.ask("deploy", path=str(broken_copy(tmp_path)))

    assert caught.value.code == "bad-template"
    files = {problem["file"] for problem in caught.value.problems}
    assert files >= {"graph/main.graph"} or files >= {"instances/main.instances"}
    assert running.ask("status")["applications"] == []
    assert list((running.service.data / "templates").iterdir()) == []


def test_refused_template_leaves_what_runs_alone(running, tmp_path):
    running.deploy(WEB_CLUSTER, name="shop")

    with pytest.raises(RequestError):
        running.ask("deploy", path=str(broken_copy(tmp_path)), name="shop")

    assert set(running.states("shop").values()) == {states.STARTED}


@pytest.mark.parametrize(
    ("request_", "arguments", "code"),
    [
        ("dance", {}, "bad-request"),
        ("why", {}, "bad-request"),
        ("why", {"app": "shop", "path": "/x"}, "unknown-application"),
        ("deploy", {"path": "/nowhere"}, "bad-template"),
    ],
    ids=["no such request", "nothing named", "no such application", "no such template"],
)
def test_request_that_cannot_be_is_refused(running, request_, arguments, code):
    with pytest.raises(RequestError) as caught:
        running.ask(request_, **arguments)

    assert caught.value.code == code


def test_next_coordinator_finds_everything_again(tmp_path):
    with coordinator(tmp_path) as first:
        first.deploy(WEB_CLUSTER, name="shop")
        first.done(first.ask("scale", app="shop", path="/web-vm", count=4))
        ports = [one["exports"] for one in first.ask("status")["applications"][0]["instances"]]

    with coordinator(tmp_path) as second:
        assert second.service.fleet_id == first.service.fleet_id
        until(lambda: set(second.states("shop").values()) == {states.STARTED})
        assert "/web-vm4/web" in second.states("shop")
        found = second.ask("status")["applications"][0]["instances"]
        assert [one["exports"] for one in found] == ports


def test_full_disk_refuses_the_request_and_changes_nothing(running, monkeypatch):
    running.deploy(WEB_CLUSTER, name="shop")
    commit = running.service.store.commit

    def fails(effects):
        if any(effect[0] == "store" for effect in effects):
            raise StoreError("cannot save: database or disk is full")
        commit(effects)

    monkeypatch.setattr(running.service.store, "commit", fails)
    with pytest.raises(RequestError, match="disk is full") as caught:
        running.ask("scale", app="shop", path="/web-vm", count=9)
    assert caught.value.code == "disk"
    assert "/web-vm9" not in running.states("shop")

    monkeypatch.setattr(running.service.store, "commit", commit)
    running.done(running.ask("scale", app="shop", path="/web-vm", count=3))
    until(lambda: set(running.states("shop").values()) == {states.STARTED})


def test_template_that_cannot_be_kept_is_told(running, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RequestError, match="No space left on device") as caught:
        running.ask("deploy", path=str(WEB_CLUSTER))

    assert caught.value.code == "disk"
    assert list((running.service.data / "templates").iterdir()) == []


def test_broker_that_goes_and_comes_back_interrupts_nothing(running):
    running.deploy(WEB_CLUSTER, name="shop")
    running.service.broker._process.kill()
    until(lambda: not running.ask("status")["broker"]["connected"])
    until(lambda: running.ask("status")["broker"]["connected"])

    running.done(running.ask("wish", app="shop", path="/data-vm/data", wish=states.STOPPED))

    until(lambda: running.states("shop")["/web-vm1/web"] == states.UNRESOLVED)


def test_requests_while_the_broker_is_away_are_carried_out_later(running):
    running.deploy(WEB_CLUSTER, name="shop")
    running.service.broker._process.kill()
    until(lambda: not running.ask("status")["broker"]["connected"])

    answer = running.ask("scale", app="shop", path="/web-vm", count=3)

    running.done(answer)
    assert running.states("shop")["/web-vm3/web"] == states.STARTED


def test_machine_that_died_is_made_again(running):
    running.deploy(WEB_CLUSTER, name="shop")
    node = running.instance("shop", "/web-vm1")["node"]

    running.target("memory").kill_node(node)

    until(lambda: running.target("memory").state(node) == "dead")
    until(lambda: running.target("memory").state(node) == "running")
    until(lambda: set(running.states("shop").values()) == {states.STARTED})


def test_unused_templates_and_recipes_are_deleted_at_the_next_start(tmp_path):
    with coordinator(tmp_path) as first:
        first.deploy(WEB_CLUSTER, name="shop")
        first.done(first.ask("wish", app="shop", path=None, wish=states.NOT_DEPLOYED))
        first.ask("delete", app="shop")
        assert list((tmp_path / "templates").iterdir())

    with coordinator(tmp_path):
        assert list((tmp_path / "templates").iterdir()) == []
        assert list((tmp_path / "recipes" / "things").iterdir()) == []


def test_second_coordinator_on_one_folder_refuses_and_names_the_first(running):
    with pytest.raises(StoreError, match=f"process {os.getpid()}"):
        with coordinator(running.service.data):
            pass


def test_undeployed_application_leaves_no_node(running):
    running.deploy(WEB_CLUSTER, name="shop")

    running.done(running.ask("wish", app="shop", path=None, wish=states.NOT_DEPLOYED))

    until(lambda: running.ask("status")["nodes"] == [])
    assert list(running.target("memory").list()) == []


def test_output_of_unknown_instance_is_refused(running):
    running.deploy(WEB_CLUSTER, name="shop")

    with pytest.raises(RequestError, match="there is no instance '/nobody'"):
        running.ask("logs", app="shop", path="/nobody")


def test_stopped_coordinator_answers_nobody_with_silence(tmp_path):
    with coordinator(tmp_path) as running:
        running.service.stop()
        running.thread.join()

        with pytest.raises(RequestError, match="is stopping"):
            running.ask("status")


def test_damaged_template_is_told_in_words_at_the_next_start(tmp_path):
    with coordinator(tmp_path) as first:
        first.deploy(WEB_CLUSTER, name="shop")
    (copy,) = (tmp_path / "templates").iterdir()
    (copy / "graph" / "main.graph").write_text("VM {")

    with pytest.raises(StoreError, match=f"cannot start: the kept template {copy} is damaged"):
        with coordinator(tmp_path):
            pass
