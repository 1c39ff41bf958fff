"""The examples for boards do what their READMEs say, with MicroPython processes as boards."""

import json
import shutil
from pathlib import Path

import pytest

from fieldconf_microagent import states
from fieldconf_targets import registry
from support import interpreters
from support.boards import BoardTarget, copy_agent
from support.coordinators import clean, coordinator
from support.waiting import until

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def running(tmp_path, monkeypatch):
    """A coordinator with this box as `local`, and MicroPython processes as `board`."""
    interpreters.find("micropython")
    copy_agent(tmp_path / "library", "compiled")
    monkeypatch.setitem(registry.BUILT_IN, "board", "support.boards:BoardTarget")
    monkeypatch.setattr(BoardTarget, "library", tmp_path / "library")
    try:
        with coordinator(tmp_path / "data", target="board") as found:
            yield found
    finally:
        clean(tmp_path / "data")


def logged(running, app):
    return str(running.ask("logs", app=app))


def test_blink_blinks_and_stops(running):
    running.deploy(EXAMPLES / "blink", name="blink")

    until(lambda: running.states("blink")["/board/lamp"] == states.STARTED)
    until(lambda: all(word in logged(running, "blink") for word in ("'on", "'off")))
    assert "which has no LED" in logged(running, "blink")


def readings(folder):
    for file in (folder / "data/nodes").glob("**/readings.json"):
        return json.loads(file.read_text())
    return {}


@pytest.fixture
def sensors(tmp_path):
    """Return the example with boards that need not be enrolled."""
    folder = shutil.copytree(EXAMPLES / "sensor-gateway", tmp_path / "sensors")
    file = folder / "instances/main.instances"
    assert "data.target: embedded;" in file.read_text()
    file.write_text(file.read_text().replace("embedded", "board"))
    return folder


def test_collector_on_this_box_has_the_readings_of_the_sensor_on_the_board(
    running, sensors, tmp_path
):
    running.deploy(sensors, name="sensors")

    until(lambda: running.states("sensors")["/board/sensor"] == states.STARTED)
    until(lambda: set(readings(tmp_path)) == {"hall/temperature"})
    assert 150 < readings(tmp_path)["hall/temperature"] < 400

    running.done(running.ask("wish", app="sensors", path="/board/sensor", wish=states.STOPPED))
    until(lambda: readings(tmp_path) == {})
