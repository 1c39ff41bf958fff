"""Boards without a network are deployed to end to end: MicroPython without sockets behind a pty,
a bridge, a real broker, a real coordinator. The line flips bytes, is cut, is pulled; boards reset.
"""

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_microagent import states
from fieldconf_targets import bridge_console, registry
from scenarios.test_micropython import BALLAST, write_template
from support import interpreters
from support.boards import copy_agent
from support.coordinators import coordinator
from support.serial_target import SerialBoardTarget
from support.waiting import until

pytestmark = pytest.mark.timeout(180)


class Line:
    """A coordinator, two boards on serial lines, and what tests ask them."""

    def __init__(self, coordinator, folder):
        self.coordinator = coordinator
        self.template = folder / "template"

    @property
    def target(self):
        return self.coordinator.target("serial-board")

    @property
    def web(self):
        return self.target.board("/web-vm")

    @property
    def bridge(self):
        return self.target.bridges[self.target.node_of("/web-vm")]

    def deploy(self, port=5432):
        self.coordinator.deploy(write_template(self.template, port), name="shop")

    def begin(self, port=5432):
        """Deploy without waiting for the end."""
        self.coordinator.ask("deploy", path=str(write_template(self.template, port)), name="shop")

    def until_state(self, path, state):
        until(lambda: self.coordinator.states("shop").get(path) == state, 60)

    def is_online(self, path="/web-vm"):
        nodes = self.coordinator.ask("status")["nodes"]
        return next(one for one in nodes if one["id"] == self.target.node_of(path))["online"]

    def diary(self):
        files = list(self.web.folder.glob("data/*/diary"))
        return files[0].read_text().splitlines() if files else []

    def recipe(self):
        (file,) = self.web.folder.glob("recipes/*/recipe.py")
        return file.parent


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    interpreters.find("micropython")
    pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")
    folder = tmp_path_factory.mktemp("library")
    copy_agent(folder, "compiled")
    return folder


@pytest.fixture
def keepalive_s():
    return 60


@pytest.fixture
def line(library, tmp_path, monkeypatch, keepalive_s):
    name = "serial-board"
    monkeypatch.setitem(registry.BUILT_IN, name, "support.serial_target:SerialBoardTarget")
    monkeypatch.setattr(SerialBoardTarget, "library", library)
    options = {"target": name, "keepalive_s": keepalive_s}
    with coordinator(tmp_path / "data", EmbeddedBroker, **options) as running:
        yield Line(running, tmp_path)
        running.target(name).close()


def test_board_without_a_network_is_deployed_updated_and_undeployed(line, monkeypatch):
    monkeypatch.setattr(SerialBoardTarget, "options", ("-X", "heapsize=72wK"))
    line.deploy()
    line.until_state("/web-vm/web", states.STARTED)
    assert (line.recipe() / "ballast").read_bytes() == BALLAST

    line.deploy(port=6000)
    until(lambda: "update 6000" in line.diary())
    assert line.diary() == ["deploy", "start 5432", "update 6000"]

    line.coordinator.ask("wish", app="shop", path=None, wish=states.NOT_DEPLOYED)
    until(lambda: line.coordinator.ask("status")["nodes"] == [], 60)


def test_bytes_that_are_flipped_lost_and_doubled_do_not_matter(line, monkeypatch):
    faults = {"flips": 0.001, "drops": 0.01, "doubles": 0.01}
    monkeypatch.setattr(SerialBoardTarget, "faults", faults)
    line.deploy()
    line.until_state("/web-vm/web", states.STARTED)

    assert (line.recipe() / "ballast").read_bytes() == BALLAST
    assert line.diary() == ["deploy", "start 5432"]
    assert line.bridge.line.resent + line.bridge.line.damaged > 3, "there were no faults"


def test_board_that_is_reset_begins_anew_with_what_it_has(line):
    line.begin()
    # In the middle of fetching its recipe.
    until(lambda: line.target.boards and "/web-vm" in line.target.paths.values(), pause_s=0.001)
    until(lambda: list(line.web.folder.glob("parts/*")), pause_s=0.001)
    line.web.reset()
    line.until_state("/web-vm/web", states.STARTED)
    assert (line.recipe() / "ballast").read_bytes() == BALLAST

    line.web.reset()
    until(lambda: line.diary()[-2:] == ["start 5432", "start 5432"])
    line.until_state("/web-vm/web", states.STARTED)
    assert line.web.resets == 3


def test_pulled_cable_makes_the_broker_tell_and_the_board_is_back_with_the_cable(line):
    line.deploy()
    line.until_state("/web-vm/web", states.STARTED)

    line.web.unplug()
    until(lambda: not line.is_online())
    line.begin(port=6000)
    assert "update 6000" not in line.diary()

    line.web.plug()
    until(line.is_online, 60)
    until(lambda: "update 6000" in line.diary())
    assert line.web.resets == 1


@pytest.mark.parametrize("keepalive_s", [3])
def test_cut_line_is_noticed_by_the_keepalive_and_mends(line):
    line.deploy()
    line.until_state("/web-vm/web", states.STARTED)

    line.web.faults.cut = True
    until(lambda: not line.is_online())

    line.web.faults.cut = False
    until(line.is_online, 60)
    line.deploy(port=6000)
    until(lambda: "update 6000" in line.diary())


def test_bridge_that_is_restarted_finds_the_board_and_is_found(line):
    line.deploy()
    line.until_state("/web-vm/web", states.STARTED)
    node = line.target.node_of("/web-vm")

    line.target.end_bridge(node)
    until(lambda: not line.is_online())
    line.target.bridge(node)

    until(line.is_online)
    line.deploy(port=6000)
    until(lambda: "update 6000" in line.diary())
    assert line.web.resets == 1


def test_prompt_is_lent_and_given_back(line):
    line.deploy()
    line.until_state("/web-vm/web", states.STARTED)

    person = bridge_console.ask(str(line.web.port))
    person.settimeout(20)
    said = heard(person, b"this is the board's prompt]", b">>> ")
    assert b"KeyboardInterrupt" in said, "where the agent was can be seen"
    until(lambda: not line.is_online())
    person.send(b"print('free', 6 * 7)\r")
    heard(person, b"free 42")
    person.send(b"1 / 0\r")
    heard(person, b"ZeroDivisionError")
    person.close()

    until(line.is_online)
    until(lambda: line.diary() == ["deploy", "start 5432", "start 5432"])


def test_agent_that_something_ended_is_started_again_by_the_bridge(line, monkeypatch):
    monkeypatch.setattr(bridge_console, "RESTART_S", 0.1)
    line.deploy()
    line.until_state("/web-vm/web", states.STARTED)

    line.web.type(b"\r\x03")

    until(lambda: line.diary() == ["deploy", "start 5432", "start 5432"])
    until(line.is_online)


def heard(person, *wanted):
    """Read until all of that has come, in this order; return everything."""
    said = b""
    for text in wanted:
        at = len(said)
        while text not in said[at:]:
            said += person.recv(4096)
            assert said, "hung up"
    return said
