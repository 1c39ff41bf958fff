"""A serial line stands for a socket and its poller, and is given back to whoever asks for it."""

import ast
import os
import pty
import select
import sys
import time
import tty
import types

import pytest

from fieldconf_microagent import mqtt, serial_line, settings
from fieldconf_microagent.link_mqtt import MqttLink
from fieldconf_microagent.serial_frames import CONNECTING, ENDED, NONE, OPEN, Line
from fieldconf_microagent.serial_line import SerialLine
from support import interpreters

BOTH = select.POLLIN | select.POLLOUT


class Gateway:
    """The other end of the cable, in a test's hand."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.line = Line(True)
        self.raw = b""
        ends = [open(self.slave, mode, buffering=0, closefd=False) for mode in ("rb", "wb")]
        self.port = (*ends, 1)

    def close(self):
        os.close(self.master)
        os.close(self.slave)

    def write(self, data):
        os.write(self.master, data)

    def turn(self):
        now = time.monotonic_ns() // 1_000_000
        # Not select(), which takes no descriptor beyond 1023.
        poller = select.poll()
        poller.register(self.master, select.POLLIN)
        while poller.poll(0):
            data = os.read(self.master, 4096)
            self.raw += data
            self.line.feed(now, data)
        if self.line.state == CONNECTING:
            self.line.accept()
        self.write(self.line.output(now))


@pytest.fixture
def gateway():
    gateway = Gateway()
    yield gateway
    gateway.close()


@pytest.fixture
def board(gateway):
    return SerialLine("serial:", gateway.port)


def carry(board, gateway, turns=6):
    """Let both ends say all they have to say; return what the board's poll told last."""
    for _ in range(turns):
        ready = board.poll(5)
        gateway.turn()
    return ready


def opened(board, gateway):
    board.connect()
    board.modify(board, BOTH)
    carry(board, gateway)
    assert gateway.line.state == OPEN


def test_connection_stands_once_there_is_room_to_write(board, gateway):
    board.connect()
    board.modify(board, BOTH)
    assert board.poll(1) == []

    gateway.turn()
    assert carry(board, gateway) == [(board, select.POLLOUT)]
    board.modify(board, select.POLLIN)
    assert board.poll(1) == []


def test_bytes_go_both_ways(board, gateway):
    opened(board, gateway)

    assert board.write(b"hello") == 5
    carry(board, gateway)
    assert bytes(gateway.line.take(10)) == b"hello"

    room = bytearray(4)
    assert board.readinto(memoryview(room)) is None
    gateway.line.send(b"welcome")
    gateway.turn()
    assert carry(board, gateway)[0][1] & select.POLLIN
    assert (board.readinto(memoryview(room)), bytes(room)) == (4, b"welc")
    assert (board.readinto(memoryview(room)), bytes(room[:3])) == (3, b"ome")
    assert board.readinto(memoryview(room)) is None


def test_no_more_is_taken_than_there_is_room_for(board, gateway):
    opened(board, gateway)

    sent = 0
    while count := board.write(b"x" * 1000):
        sent += count
    assert 0 < sent < 4000
    assert board.poll(1) == []
    carry(board, gateway)
    assert board.write(b"x") == 1


def test_writing_goes_on_though_nobody_reads(board, gateway):
    opened(board, gateway)
    for _ in range(20):
        gateway.line.send(b"y" * 500)
        carry(board, gateway, 2)
    assert gateway.line.room() == 0

    for _ in range(20):
        carry(board, gateway, 2)
        assert board.write(b"x" * 100) == 100


def test_end_that_the_gateway_tells_is_read_behind_all_that_came(board, gateway):
    opened(board, gateway)
    gateway.line.send(b"last")
    gateway.line.close()
    gateway.turn()
    carry(board, gateway)

    room = bytearray(10)
    assert board.poll(1) == [(board, select.POLLIN)]
    assert board.readinto(memoryview(room)) == 4
    assert board.poll(1) == [(board, select.POLLIN)]
    assert board.readinto(memoryview(room)) == 0
    with pytest.raises(OSError, match="ended the connection"):
        board.write(b"x")


def test_closing_delivers_what_was_written(board, gateway, monkeypatch):
    opened(board, gateway)
    board.write(b"bye")
    poll = board.poll

    def served(timeout_ms):
        gateway.turn()
        return poll(timeout_ms)

    monkeypatch.setattr(board, "poll", served)
    board.close()
    gateway.turn()

    assert (gateway.line.state, bytes(gateway.line.received)) == (ENDED, b"bye")


def test_closing_without_an_answer_ends_the_stream_anyway(board, gateway, monkeypatch):
    monkeypatch.setattr(serial_line, "_CLOSE_MS", 50)
    opened(board, gateway)

    board.close()
    assert board.poll(1) == []
    gateway.turn()

    assert gateway.line.state in (ENDED, NONE)


def test_line_is_served_between_connections(board, gateway):
    board.poll(1)
    gateway.line.tell_repl()
    gateway.turn()

    with pytest.raises(KeyboardInterrupt):
        board.poll(50)


def test_gateway_that_asks_gets_the_line_and_the_end_of_the_stream(board, gateway):
    opened(board, gateway)
    gateway.line.tell_repl()
    gateway.turn()

    with pytest.raises(KeyboardInterrupt):
        carry(board, gateway)

    gateway.turn()
    assert gateway.line.repl
    assert gateway.line.state == NONE


@pytest.mark.parametrize(
    "typed", [b"\x03\x03", b"\r\x03", b"\r\x03\x03", b"\r\x03\x03\x02"], ids=repr
)
def test_person_or_tool_that_types_gets_the_line(board, gateway, typed):
    opened(board, gateway)
    board.modify(board, select.POLLIN)
    gateway.write(typed)

    with pytest.raises(KeyboardInterrupt):
        board.poll(2000)


def test_two_strokes_may_be_apart(board, gateway):
    gateway.write(b"\x03")
    board.poll(300)
    gateway.write(b"\x03")

    with pytest.raises(KeyboardInterrupt):
        board.poll(2000)


@pytest.mark.parametrize(
    "noise", [b"\x03", b"\r\n\r\n", b"\r\x03\x03\x02\r\x04", b"a\x03\x03", b"\x00\x00"], ids=repr
)
def test_noise_does_not_end_the_agent(board, gateway, noise):
    opened(board, gateway)
    board.modify(board, select.POLLIN)
    gateway.write(noise)
    assert board.poll(450) == []

    gateway.line.send(b"goes on")
    gateway.turn()
    carry(board, gateway)
    assert bytes(board._line.received) == b"goes on"


def test_half_a_frame_is_dropped_after_a_while(board, gateway):
    gateway.line.hello()
    half = gateway.line.output(0)[:-5]
    gateway.write(half)
    board.poll(10)
    assert board._line.rest

    board.modify(board, 0)
    board.poll(300)
    assert not board._line.rest


def test_line_of_its_own_is_not_given_to_those_who_ask(gateway):
    board = SerialLine("serial:1", gateway.port)
    gateway.line.tell_repl()
    gateway.turn()
    gateway.write(b"\x03\x03")

    assert board.poll(300) == []


def test_port_that_ends_is_an_error(gateway):
    read, write = os.pipe()
    os.close(write)
    with open(read, "rb", buffering=0) as end:
        board = SerialLine("serial:", (end, gateway.port[1], 1))
        with pytest.raises(OSError, match="the serial line is gone"):
            board.poll(10)


def test_board_opens_its_prompt_s_line_with_ctrl_c_off(monkeypatch):
    calls = []
    fake = types.SimpleNamespace(kbd_intr=calls.append)
    monkeypatch.setitem(sys.modules, "micropython", fake)

    assert serial_line._open("") == (sys.stdin.buffer, sys.stdout.buffer, 1)
    assert calls == [-1]


@pytest.mark.parametrize(
    ("place", "wanted"), [("1", (1, 115200)), ("2:9600", (2, 9600))], ids=["fast", "slow"]
)
def test_board_opens_a_line_of_its_own(monkeypatch, place, wanted):
    fake = types.SimpleNamespace(UART=lambda number, speed: (number, speed))
    monkeypatch.setitem(sys.modules, "machine", fake)

    assert serial_line._open(place) == (wanted, wanted, 64)


# -- how the agent comes by it


def test_link_speaks_over_the_line_that_the_url_names(monkeypatch, gateway):
    monkeypatch.setattr(serial_line, "_open", lambda place: gateway.port)
    # Sockets have other names on CPython.
    monkeypatch.setattr(mqtt, "transmit", SerialLine.write)
    monkeypatch.setattr(mqtt, "receive", SerialLine.readinto)
    link = MqttLink("serial:", "n1", 60)
    link.connect(("fc/n1/live", b"off"))
    for _ in range(4):
        assert link.poll(5) == []
        gateway.turn()

    assert bytes(gateway.line.received[:8]).endswith(b"MQTT")
    assert link.address() is None
    link.close()


@pytest.mark.parametrize("url", ["serial:", "serial:1", "serial:1:9600"])
def test_settings_may_name_a_line(url):
    known = settings.checked({"node": "n1", "key": "0" * 64, "broker": url})

    assert known["broker"] == url
    assert settings.split_url(url) == (url, 0, False)


def test_client_is_there_without_a_network():
    """Boards that have none lack the module `socket`."""
    tree = ast.parse((interpreters.PACKAGES / "fieldconf_microagent/mqtt.py").read_text())
    names = {
        alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names
    }

    assert "socket" not in names
    assert mqtt.Client.connect
