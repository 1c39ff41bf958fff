"""A coordinator that is killed at any moment: what it acknowledged is carried out by the next."""

import json
import signal
from pathlib import Path

import pytest

from support import brokers, coordinators
from support.commands import begin, fieldconf, processes_below
from support.waiting import until

WEB_CLUSTER = Path(__file__).parents[2] / "examples" / "web-cluster"


@pytest.fixture(params=["embedded", "mosquitto"])
def up(request, tmp_path):
    """Start a coordinator on tmp_path; end everything afterwards."""
    options = []
    if request.param == "mosquitto":
        brokers.need_mosquitto()
        options = ["--mosquitto"]
    started = []

    def start():
        process = begin(tmp_path, "up", *options)
        started.append(process)
        for line in process.stdout:
            if "connected to the broker" in line:
                return process
        raise AssertionError(f"it ended with {process.wait()}")

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    coordinators.clean(tmp_path)
    until(lambda: processes_below(tmp_path) == [])


def states(data):
    status, out, err = fieldconf(data, "status", "--json")
    assert status == 0, err
    apps = json.loads(out)["applications"]
    return {one["path"]: one["state"] for one in apps[0]["instances"]} if apps else {}


def all_started(data):
    return set(states(data).values()) == {"deployed-started"}


def test_deployment_goes_on_after_kill_9(up, tmp_path):
    first = up()
    assert fieldconf(tmp_path, "deploy", WEB_CLUSTER, "--no-wait")[0] == 0
    first.kill()
    first.wait()

    up()

    until(lambda: all_started(tmp_path), 60, 0.2)


def test_services_outlive_the_coordinator_and_are_looked_after_again(up, tmp_path):
    first = up()
    assert fieldconf(tmp_path, "deploy", WEB_CLUSTER)[0] == 0
    running = sorted(line for line in processes_below(tmp_path) if "serve.py" in line)
    assert len(running) == 4
    first.kill()
    first.wait()
    assert sorted(line for line in processes_below(tmp_path) if "serve.py" in line) == running

    up()

    until(lambda: all_started(tmp_path), 60, 0.2)
    assert fieldconf(tmp_path, "stop", "/data-vm/data")[0] == 0
    until(lambda: states(tmp_path)["/web-vm1/web"] == "unresolved", 60, 0.2)
    assert fieldconf(tmp_path, "undeploy")[0] == 0
    assert not [line for line in processes_below(tmp_path) if "serve.py" in line]
