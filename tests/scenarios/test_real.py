"""Stories on a real box: real processes, a real broker, a coordinator that is killed.

Each runs over the embedded broker and over mosquitto.
"""

import os
import signal

import pytest

from fieldconf_microagent import states
from support.box import Box
from support.brokers import need_mosquitto
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(params=["embedded", "mosquitto"])
def box(request, tmp_path):
    options = []
    if request.param == "mosquitto":
        need_mosquitto()
        options = ["--mosquitto"]
    box = Box(tmp_path, *options)
    try:
        yield box.up()
    finally:
        box.close()


def started(box, **more):
    box.deploy(**more)
    box.until_state("/web-vm/web", states.STARTED)
    return box


def test_lost_import_returned_import_and_changed_value(box):
    started(box)
    box.wish("/data-vm/data", states.STOPPED)
    box.until_state("/web-vm/web", states.UNRESOLVED)
    box.wish("/data-vm/data", states.STARTED)
    box.until_state("/web-vm/web", states.STARTED)
    box.deploy(value=6000)
    until(lambda: "update 6000" in box.entries("/web-vm/web"), 30)

    assert box.entries("/web-vm/web") == [
        "deploy", "start 5432", "stop", "start 5432", "update 6000"
    ]  # fmt: skip


def test_agent_that_is_killed_is_started_again_and_adopts_what_runs(box):
    started(box, lost_after="60s")  # longer than it takes until somebody looks after the agent
    for path in ("/web-vm/web", "/data-vm/data"):
        pid = box.agent_pid(path)
        os.kill(pid, signal.SIGKILL)
        until(lambda: box.agent_pid(path) != pid, 60)  # noqa: B023
    box.wish("/data-vm/data", states.STOPPED)
    box.until_state("/web-vm/web", states.UNRESOLVED)
    box.until_state("/data-vm/data", states.STOPPED)

    assert box.entries("/web-vm/web") == ["deploy", "start 5432", "stop"]
    assert box.entries("/data-vm/data") == ["deploy", "start", "stop"]


def test_coordinator_killed_in_the_middle_goes_on_with_the_deployment(box):
    box.deploy(body="sleep 1\n")
    until(lambda: "deploy" in box.entries("/data-vm/data"), 60)
    box.kill()
    box.up()

    box.until_state("/web-vm/web", states.STARTED)
    assert box.entries("/data-vm/data") == ["deploy", "start"]


def test_agents_go_on_while_no_coordinator_runs(box):
    started(box)
    box.kill()
    box.up()
    box.wish("/data-vm/data", states.STOPPED)
    box.until_state("/web-vm/web", states.UNRESOLVED)

    assert box.entries("/web-vm/web") == ["deploy", "start 5432", "stop"]


def test_broker_that_is_killed_and_forgets_disturbs_nothing(box):
    started(box, lost_after="60s")
    broker = box.data / "broker"
    (pid,) = broker_pids(broker)
    os.kill(pid, signal.SIGKILL)
    for kept in broker.rglob("*.db"):
        kept.unlink()
    until(lambda: broker_pids(broker) not in ([], [pid]), 60)
    until(lambda: box.ask("status")["broker"]["connected"], 60)
    box.wish("/data-vm/data", states.STOPPED)
    box.until_state("/web-vm/web", states.UNRESOLVED)
    box.wish("/data-vm/data", states.STARTED)
    box.until_state("/web-vm/web", states.STARTED)

    assert box.entries("/web-vm/web") == ["deploy", "start 5432", "stop", "start 5432"]


def test_recipe_that_is_cut_in_the_middle_arrives_whole(box):
    box.deploy(ballast=8_000_000)
    nodes = box.data / "nodes" / "local"
    until(lambda: arriving(nodes) > 100_000, 60, 0.001)
    (pid,) = broker_pids(box.data / "broker")
    os.kill(pid, signal.SIGKILL)
    box.until_state("/web-vm/web", states.STARTED, 120)

    (arrived,) = nodes.rglob("ballast")
    assert arrived.read_bytes() == (box.folder / "template/graph/Web/files/ballast").read_bytes()


def arriving(nodes):
    """Return the size of the largest file of which pieces arrive."""
    sizes = [0]
    for part in nodes.rglob("parts/*"):
        try:
            sizes.append(part.stat().st_size)
        except FileNotFoundError:
            continue
    return max(sizes)


def broker_pids(folder):
    """Return the processes whose command line names the broker's folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read()
        except OSError:
            continue
        if os.fsencode(folder) in command:
            found.append(int(pid))
    return found
