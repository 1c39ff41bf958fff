"""What every target must do. A new target joins `TARGETS` and has to pass as it is."""

import secrets
from dataclasses import replace

import pytest

from fieldconf_microagent import codec, envelope, topics
from fieldconf_microagent.link_paho import PahoLink
from fieldconf_targets import registry, serial
from fieldconf_targets.api import ABSENT, DEAD, RUNNING, Order
from support import brokers, interpreters
from support.ptyboard import PtyBoard
from support.waiting import until

TARGETS = ["local", "memory", "serial"]
#: Of `embedded` only the book is kept here: its machines exist, and their agents run.
KEEPERS = [*TARGETS, "embedded"]
#: Those whose machines are gone with this process.
IN_THIS_PROCESS = ["memory"]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with brokers.running("embedded", tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(params=TARGETS)
def handler(request):
    return request.param


class Making:
    """What a target needs of the world, and how to kill its machines: one that makes its own."""

    def properties(self, node):
        return {}

    def kill(self, target, node):
        target.kill_node(node)

    def mend(self, node): ...

    def clean(self, target):
        for machine in target.list():
            target.destroy(machine.node, force=True)

    def close(self): ...


class Boards(Making):
    """A board for each node, behind a port of its own."""

    def __init__(self, folder):
        interpreters.find("mpy-cross")
        pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")
        self.folder = folder
        self.boards = {}
        self.patience_s = serial.GONE_S

    def properties(self, node):
        port = self.folder / f"port-{node}"
        self.boards[node] = PtyBoard(self.folder / f"flash-{node}", link=port)
        return {"port": str(port)}

    def kill(self, target, node):
        # A pulled cable is waited for, as it may be put back.
        serial.GONE_S = 0
        self.boards[node].unplug()

    def mend(self, node):
        serial.GONE_S = self.patience_s
        self.boards[node].plug()

    def clean(self, target):
        """Leave the boards as they are: they go in the end."""

    def close(self):
        serial.GONE_S = self.patience_s
        for board in self.boards.values():
            board.close()


@pytest.fixture
def world(handler, tmp_path):
    world = Boards(tmp_path) if handler == "serial" else Making()
    yield world
    world.close()


@pytest.fixture
def make_target(handler, tmp_path, world):
    """Make the target anew, as after a restart of the coordinator; clean up in the end."""
    made = []

    def make(fleet="fleet1"):
        made.append(registry.target_class(handler)(fleet, tmp_path / "nodes"))
        return made[-1]

    yield make
    for target in made:
        world.clean(target)
        target.close()


@pytest.fixture
def order(broker, world):
    name = "n" + secrets.token_hex(4)
    home = {"node": name, "key": "07" * 32, "broker": broker.url, "fleet": "fleet1"}
    return Order(name, "/vm1", home, world.properties(name))


class Listener:
    """Hears what one node publishes."""

    def __init__(self, url, node):
        self.link = PahoLink(url, "listener" + node)
        self.link.connect(("t/listener", b""))
        until(lambda: ("up",) in self.link.poll(50))
        self.link.subscribe([topics.have("fc", node), topics.live("fc", node)])
        until(lambda: ("subscribed",) in self.link.poll(50))
        self._heard = []

    def heard(self, kind):
        """Return the payload of the next message of this kind."""

        def next_payload():
            self._heard += [event for event in self.link.poll(50) if event[0] == "message"]
            for event in self._heard:
                if event[1].endswith("/" + kind):
                    self._heard.remove(event)
                    return event[2]
            return None

        return until(next_payload)


@pytest.fixture
def listener(broker, order):
    listener = Listener(broker.url, order.node)
    yield listener
    listener.link.close()


def test_created_machine_runs_an_agent_that_calls_home(make_target, order, listener):
    target = make_target()

    machine = target.create(order)

    assert (machine.node, machine.path, machine.state) == (order.node, "/vm1", RUNNING)
    assert target.state(order.node) == RUNNING
    key = bytes.fromhex(order.home["key"])
    have = codec.unpack(envelope.open_sealed(key, order.node, "have", listener.heard("have")))
    assert have["e"] == 1
    assert have["i"] == {}
    promised = target.offers({})
    if promised is not None:
        assert have["n"]["inst"] == sorted(name for name, lack in promised.items() if not lack)


@pytest.mark.parametrize("handler", KEEPERS)
def test_create_twice_makes_one_machine(make_target, order):
    target = make_target()

    target.create(order)
    target.create(order)

    assert [machine.node for machine in target.list()] == [order.node]


@pytest.mark.parametrize("handler", KEEPERS)
def test_unknown_machine_is_absent_and_its_destruction_is_fine(make_target):
    target = make_target()

    target.destroy("never-made")

    assert target.state("never-made") == ABSENT
    assert list(target.list()) == []


def test_destroyed_machine_is_absent_and_says_goodbye(make_target, order, listener):
    target = make_target()
    target.create(order)
    listener.heard("have")

    target.destroy(order.node)
    target.destroy(order.node)

    assert target.state(order.node) == ABSENT
    assert list(target.list()) == []
    until(lambda: codec.unpack(listener.heard("live"))[2] is False)


def test_killed_machine_is_dead_and_comes_back_with_a_higher_boot(
    make_target, order, listener, world
):
    target = make_target()
    target.create(order)
    first = codec.unpack(listener.heard("live"))

    world.kill(target, order.node)

    until(lambda: target.state(order.node) == DEAD)
    assert [machine.state for machine in target.list()] == [DEAD]
    assert codec.unpack(listener.heard("live")) == [1, first[1], False]
    world.mend(order.node)
    target.create(order)
    assert target.state(order.node) == RUNNING
    assert codec.unpack(listener.heard("live")) == [1, first[1] + 1, True]


@pytest.mark.parametrize("handler", [name for name in KEEPERS if name not in IN_THIS_PROCESS])
def test_machine_is_found_again_after_a_restart_of_the_coordinator(make_target, order):
    former = make_target()
    former.create(order)
    # What ends with a process by itself.
    former.close()

    target = make_target()
    target.create(order)

    until(lambda: target.state(order.node) == RUNNING)
    assert [(machine.node, machine.path) for machine in target.list()] == [(order.node, "/vm1")]


@pytest.mark.parametrize("handler", KEEPERS)
def test_machines_of_another_fleet_are_not_listed(make_target, order):
    make_target().create(order)

    assert list(make_target("fleet2").list()) == []


@pytest.mark.parametrize("handler", KEEPERS)
def test_two_nodes_are_told_apart(make_target, order, world):
    name = order.node + "b"
    home = {**order.home, "node": name}
    other = replace(order, node=name, path="/vm2", home=home, properties=world.properties(name))
    target = make_target()
    target.create(order)
    target.create(other)

    target.destroy(order.node)

    assert [(machine.path, machine.state) for machine in target.list()] == [("/vm2", RUNNING)]
