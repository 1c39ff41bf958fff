"""What only boards have, with stand-ins: no desktop has the modules `machine` and `network`.

The stand-ins answer as the documentation of MicroPython says; how real ports differ, nobody knows
but a real port.
"""

import contextlib
import json
import os
import subprocess
import sys
import types

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_microagent import board
from support import boards, interpreters, waiting


class StandInWdt:
    """Takes at most 8388 ms, as the RP2040's does."""

    made = None

    def __init__(self, timeout):
        if timeout > 8388:
            raise ValueError("timeout too long")
        self.timeout = timeout
        self.fed = 0
        StandInWdt.made = self

    def feed(self):
        self.fed += 1


class StandInTimer:
    made = None

    def __init__(self, number):
        StandInTimer.made = self

    def init(self, period, callback):
        self.period, self.callback = period, callback


class StandInWlan:
    """An interface near which only the network "home" is."""

    def __init__(self, kind):
        self.log = []
        self.joined = None

    def active(self, on):
        self.log.append(("active", on))

    def connect(self, name, password):
        self.log.append((name, password))
        self.joined = name

    def disconnect(self):
        self.joined = None

    def isconnected(self):
        return self.joined == "home"

    def status(self):
        return 201 if self.joined == "shop" else 1

    def ifconfig(self):
        return ("10.0.0.7", "255.0.0.0", "10.0.0.1", "10.0.0.1")


@pytest.fixture
def machine(monkeypatch):
    stand_in = types.SimpleNamespace(
        WDT=StandInWdt,
        Timer=StandInTimer,
        PWRON_RESET=1,
        WDT_RESET=3,
        reset_cause=lambda: 3,
        resets=[],
    )
    stand_in.reset = lambda: stand_in.resets.append(1)
    monkeypatch.setitem(sys.modules, "machine", stand_in)
    return stand_in


@pytest.fixture
def network(monkeypatch):
    stand_in = types.SimpleNamespace(
        STA_IF=0, STAT_NO_AP_FOUND=201, names=[], WLAN=lambda kind: stand_in.wlan
    )
    stand_in.wlan = StandInWlan(0)
    stand_in.LAN = lambda **options: (stand_in.names.append(options), stand_in.wlan)[1]
    stand_in.hostname = stand_in.names.append
    monkeypatch.setitem(sys.modules, "network", stand_in)
    return stand_in


class StandInClock:
    now = 0

    def now_ms(self):
        return self.now


def tended(settings, clock, turns=40, logs=None):
    """Return the board after so many turns of half a second, and the host and link it tends."""
    logs = [] if logs is None else logs
    made = board.Board(settings, clock, lambda level, text: logs.append(text))
    host, link = types.SimpleNamespace(reachable=True), types.SimpleNamespace(interface=None)
    made.attach(host, link)
    for _ in range(turns):
        made.tend()
        clock.now += 500
    return made, host, link


def test_cause_of_the_reset_is_told_in_words(machine):
    assert board.reset_cause(machine) == "watchdog"
    machine.reset_cause = lambda: 1
    assert board.reset_cause(machine) == "power on"
    machine.reset_cause = lambda: 77
    assert board.reset_cause(machine) == "cause 77"
    assert board.reset_cause(types.SimpleNamespace()) is None


def test_watchdog_takes_the_longest_time_that_the_port_allows_and_is_fed_every_turn(machine):
    made, _, _ = tended({}, StandInClock(), turns=5)

    assert StandInWdt.made.timeout == 8000
    assert StandInWdt.made.fed == 5
    assert made.tend() <= StandInWdt.made.timeout / 2
    assert made.reset == "watchdog"


def test_watchdog_does_not_reset_a_board_whose_repl_is_used(machine):
    made, _, _ = tended({}, StandInClock(), turns=1)

    made.release()

    StandInTimer.made.callback(None)
    assert StandInWdt.made.fed == 2
    assert StandInTimer.made.period < StandInWdt.made.timeout / 2


def test_board_joins_the_first_network_that_lets_it_in(machine, network):
    wifi, logs = [["shop", "a"], ["home", "b"]], []
    _, host, link = tended({"wifi": wifi, "node": "n1"}, StandInClock(), logs=logs)

    assert network.wlan.log == [("active", True), ("shop", "a"), ("home", "b")]
    assert host.reachable
    assert link.interface.address() == "10.0.0.7"
    assert network.names == ["n1"]
    assert logs == ["no network, attempt 1", "network: 10.0.0.7"]


def test_nothing_is_sent_while_there_is_no_network(machine, network):
    _, host, link = tended({"wifi": [["shop", "a"]], "node": "n1"}, StandInClock())

    assert not host.reachable
    assert link.interface.address() is None


def test_board_whose_driver_fails_goes_on(machine, network):
    calls = []

    def moody(name, password):
        calls.append(name)
        if len(calls) < 3:
            raise OSError("Wifi Internal State Error")
        network.wlan.joined = name

    network.wlan.connect = moody
    _, host, _ = tended({"wifi": [["home", "b"]], "node": "n1"}, StandInClock(), turns=400)

    assert len(calls) == 3
    assert host.reachable


def test_ethernet_is_brought_up_with_the_arguments_of_this_board(machine, network):
    network.wlan.isconnected = lambda: ("active", True) in network.wlan.log
    _, host, _ = tended({"lan": {"phy_addr": 1}, "node": "n1"}, StandInClock())

    assert network.names == ["n1", {"phy_addr": 1}]
    assert host.reachable


def test_board_with_neither_leaves_the_network_alone(machine):
    _, host, link = tended({}, StandInClock())

    assert host.reachable
    assert link.interface is None


def test_agent_that_fails_starts_the_board_anew(machine, monkeypatch):
    monkeypatch.setattr(board, "_READ_S", 0)
    made, _, _ = tended({}, StandInClock(), turns=1)

    made.restart()

    assert machine.resets == [1]


STAND_IN = """
STA_IF = 0
class WLAN:
    def __init__(self, kind): self.asked = 0
    def active(self, on): pass
    def connect(self, name, password): self.asked += 1
    def disconnect(self): pass
    def isconnected(self): return self.asked > 0
    def status(self): return 0
    def ifconfig(self): return ("127.0.0.1", "", "", "")
"""


def test_compiled_agent_brings_up_the_network_of_its_settings(tmp_path):
    """The desktop's `machine` has no watchdog; `network` is a stand-in beside the agent."""
    boards.copy_agent(tmp_path / "lib", "compiled")
    (tmp_path / "lib/network.py").write_text(STAND_IN)
    (tmp_path / "main.py").write_text(boards.MAIN)
    settings = {"node": "n1", "key": "07" * 32, "broker": "mqtt://127.0.0.1:1"}
    (tmp_path / "settings.json").write_text(json.dumps({**settings, "wifi": [["home", "x"]]}))
    output = tmp_path / "output"
    with started([interpreters.find("micropython"), "main.py"], tmp_path, output):
        waiting.until(lambda: "no broker at mqtt://127.0.0.1:1: " in output.read_text())
    assert output.read_text().startswith("info: network: 127.0.0.1")


@contextlib.contextmanager
def started(command, folder, output):
    """Run an agent's process, which writes to a file."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(interpreters.PACKAGES)},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("place", ["board", "linux"])
def test_agent_finds_the_one_of_its_brokers_that_is_there(tmp_path, place):
    """The last of three is there, then it is not, and each is named."""
    command = [sys.executable, "-m", "fieldconf_microagent", "--dir", str(tmp_path)]
    if place == "board":
        boards.copy_agent(tmp_path / "lib", "compiled")
        (tmp_path / "main.py").write_text(boards.MAIN)
        command = [interpreters.find("micropython"), "main.py"]
    output, broker = tmp_path / "output", EmbeddedBroker(tmp_path / "broker")
    broker.start()
    urls = ["mqtt://127.0.0.1:1", "mqtt://nobody.invalid", broker.url]
    settings = {"node": "n1", "key": "07" * 32, "reconnect": 10, "broker": urls}
    (tmp_path / "settings.json").write_text(json.dumps(settings))

    def tried():
        lines = output.read_text().splitlines()
        return [line for line in lines if all(url + ": " in line for url in urls)]

    with started(command, tmp_path, output):
        try:
            waiting.until(lambda: "connected to the broker" in output.read_text())
        finally:
            broker.stop()
        waiting.until(tried, 60)


def test_refused_settings_are_told_in_words(tmp_path):
    boards.copy_agent(tmp_path / "lib", "compiled")
    (tmp_path / "main.py").write_text(boards.MAIN)
    (tmp_path / "settings.json").write_text(json.dumps({"node": "n1", "broker": "mqtt://b"}))

    done = subprocess.run(
        [interpreters.find("micropython"), "main.py"], cwd=tmp_path, capture_output=True, text=True
    )

    assert "settings.json: 'key' is missing" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
