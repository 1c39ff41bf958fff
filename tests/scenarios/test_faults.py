"""Faults that are told in clear words, while everything else goes on."""

import shutil
from pathlib import Path

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_coordinator.brokers.mosquitto import Mosquitto
from fieldconf_coordinator.brokers.supervised import kept_port
from fieldconf_coordinator.service.running import chosen
from fieldconf_microagent import states
from support import brokers, coordinators
from support.commands import processes_below
from support.coordinators import coordinator
from support.waiting import until

WEB_CLUSTER = Path(__file__).parents[2] / "examples" / "web-cluster"


@pytest.fixture(params=["embedded", "mosquitto"])
def make_broker(request):
    if request.param == "mosquitto":
        brokers.need_mosquitto()
    return {"embedded": EmbeddedBroker, "mosquitto": Mosquitto}[request.param]


@pytest.fixture
def data(tmp_path):
    """A data folder of which nothing is left in the end."""
    yield tmp_path / "data"
    coordinators.clean(tmp_path / "data")
    until(lambda: processes_below(tmp_path / "data") == [])


@pytest.fixture
def running(data, make_broker):
    with coordinator(data, make_broker, target="local") as running:
        yield running


def all_started(running, app="web-cluster"):
    return set(running.states(app).values()) == {states.STARTED}


def test_failing_script_keeps_its_problem_and_stops_nobody_else(running, tmp_path):
    template = tmp_path / "template"
    shutil.copytree(WEB_CLUSTER, template)
    start = template / "graph" / "Balancer" / "scripts" / "start.sh"
    start.write_text("#!/bin/sh\necho no license\nexit 3\n")
    running.ask("deploy", path=str(template))

    def problem():
        return running.instance("web-cluster", "/lb-vm/lb")["problem"]

    until(problem)
    assert problem()["code"] == "failed"
    assert "exit status 3\nno license" in problem()["text"]
    until(lambda: running.states("web-cluster")["/web-vm2/web"] == states.STARTED)

    shutil.copytree(WEB_CLUSTER, template, dirs_exist_ok=True)
    running.deploy(template)
    assert all_started(running)


def test_broker_that_is_down_at_the_start_is_waited_for(data, tmp_path):
    port = kept_port(tmp_path / "port")
    make = chosen(f"mqtt://127.0.0.1:{port}", False, "fc")
    with coordinator(data, make) as running:
        answer = running.ask("deploy", path=str(WEB_CLUSTER))
        assert running.ask("status")["broker"]["connected"] is False
        (tmp_path / "broker").mkdir()
        shutil.copy(tmp_path / "port", tmp_path / "broker" / "port")
        broker = EmbeddedBroker(tmp_path / "broker")
        broker.start()

        running.done(answer)

        assert all_started(running)
    broker.stop()
