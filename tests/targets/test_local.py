"""The target ``local``: what its processes leave behind, and what they do not."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from fieldconf_targets import processes
from fieldconf_targets.api import DEAD, RUNNING, Order, TargetError
from fieldconf_targets.local import FOLDER_VARIABLE, LocalTarget
from support.waiting import until

NOWHERE = "mqtt://127.0.0.1:1"


def order(node="n1"):
    home = {"node": node, "key": "07" * 32, "broker": NOWHERE}
    return Order(node, "/vm1", home)


@pytest.fixture
def target(tmp_path):
    target = LocalTarget("fleet1", tmp_path)
    yield target
    for machine in target.list():
        target.destroy(machine.node, force=True)


@pytest.fixture
def service(target, tmp_path):
    """A process as a step of n1 would start it, in a session of its own."""
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, FOLDER_VARIABLE: str(tmp_path / "n1")},
    )
    until(lambda: child.pid in processes.with_environment(FOLDER_VARIABLE, str(tmp_path / "n1")))
    yield child
    child.kill()
    child.wait()
    child.stdin.close()


def settings_of(target, tmp_path, **properties):
    """Return what an agent finds in its settings that is made with these properties."""
    target.create(replace(order(), properties=properties))
    return json.loads((tmp_path / "n1" / "settings.json").read_text())


def test_properties_become_settings_of_the_agent(target, tmp_path):
    known = settings_of(target, tmp_path, roots="/srv/www, /srv/app", simulate="yes", other="x")

    assert (known["roots"], known["simulate"]) == (["/srv/www", "/srv/app"], True)
    assert "other" not in known


def test_an_agent_is_told_no_more_than_it_needs(target, tmp_path):
    assert set(settings_of(target, tmp_path)) == {"node", "key", "broker"}


@pytest.mark.parametrize("properties", [{"roots": "srv"}, {"simulate": "perhaps"}])
def test_a_property_that_means_nothing_is_refused(target, tmp_path, properties):
    with pytest.raises(TargetError, match="cannot use"):
        settings_of(target, tmp_path, **properties)

    assert target.list() == []


def test_what_its_nodes_will_lack_is_known_before_there_is_one(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")

    offers = LocalTarget.offers({})

    assert offers["script"] == offers["file"] == offers["command"] == ""
    assert offers["puppet"].startswith("needs puppet")
    assert LocalTarget.offers({"simulate": "yes"}) is None


def agent_pid(tmp_path):
    return until(lambda: processes.read_pid_file(tmp_path / "n1" / "agent.pid"))


def test_kill_node_ends_agent_and_services(target, tmp_path, service):
    target.create(order())
    pid, start = agent_pid(tmp_path)

    target.kill_node("n1")

    assert service.wait() < 0
    assert not processes.is_alive(pid, start)
    assert target.state("n1") == DEAD


def test_destroy_leaves_services_alone_unless_it_is_forced(target, service):
    target.create(order())

    target.destroy("n1")
    assert service.poll() is None

    target.destroy("n1", force=True)
    assert service.wait() < 0


def test_agent_outlives_its_coordinator_and_is_not_started_twice(target, tmp_path):
    target.create(order())
    first = agent_pid(tmp_path)

    again = LocalTarget("fleet1", tmp_path)
    again.create(order())

    assert again.state("n1") == RUNNING
    assert processes.read_pid_file(tmp_path / "n1" / "agent.pid") == first


def agent_of(folder):
    return subprocess.run(
        [sys.executable, "-m", "fieldconf_microagent", "--dir", str(folder)],
        capture_output=True,
        text=True,
        cwd=os.path.dirname(os.path.dirname(sys.modules["fieldconf_microagent"].__file__)),
    )


def test_agent_without_settings_says_where_they_come_from(tmp_path):
    done = agent_of(tmp_path)

    assert done.returncode == 2
    assert f"there is no {tmp_path}/settings.json; 'fieldconf enrol NODE" in done.stderr


def test_second_agent_in_one_folder_refuses(target, tmp_path):
    target.create(order())
    agent_pid(tmp_path)

    second = agent_of(tmp_path / "n1")

    assert second.returncode == 2
    assert f"another agent runs in {tmp_path / 'n1'}" in second.stderr


def test_pid_that_was_given_to_another_process_does_not_count(target, tmp_path):
    target.create(order())
    agent_pid(tmp_path)
    target.kill_node("n1")

    (tmp_path / "n1" / "agent.pid").write_text(f"{os.getpid()} 1\n")

    assert LocalTarget("fleet1", tmp_path).state("n1") == DEAD


def test_settings_are_for_their_owner_alone(target, tmp_path):
    target.create(order())

    assert (tmp_path / "n1" / "settings.json").stat().st_mode & 0o777 == 0o600


def test_folder_that_cannot_be_made_is_told_and_nothing_is_left(tmp_path):
    (tmp_path / "file").write_text("")
    target = LocalTarget("fleet1", tmp_path / "file")

    with pytest.raises(TargetError, match="cannot start an agent in"):
        target.create(order())
