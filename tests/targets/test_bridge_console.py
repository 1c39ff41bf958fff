"""The line of a board is lent to one person at a time, and given back to the agent."""

import os
import socket

import pytest

from fieldconf_targets import bridge_console
from fieldconf_targets.bridge import bridging
from fieldconf_targets.bridge_ports import PortError
from fieldconf_targets.bridge_terminal import borrowed
from support.serial_peer import Ear, Peer
from support.waiting import until

pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")

RESTART = b"\r\x03\x03\x02\r\x04"


@pytest.fixture
def peer():
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def ear():
    ear = Ear()
    yield ear
    ear.close()


@pytest.fixture
def bridge(peer, ear):
    with bridging([peer.port], ear.url) as (bridge,):
        peer.until(lambda: peer.raw)
        yield bridge


class Person:
    """Somebody who has the line, or wants it."""

    def __init__(self, end):
        self.end = end
        self.end.setblocking(False)
        self.seen = b""
        self.is_sent_away = False

    def sees(self, text):
        try:
            piece = self.end.recv(4096)
            self.seen += piece
            self.is_sent_away = not piece
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.is_sent_away = True
        return text in self.seen


def leave(peer):
    """Do what an agent does that was asked for the line."""
    peer.until(lambda: peer.line.repl)
    peer.line.repl = False
    peer.line.tell_repl()
    peer.turn()
    peer.raw = b""


def test_agent_leaves_and_what_is_typed_and_printed_goes_through(bridge, peer, ear):
    peer.connect()
    peer.until(lambda: ear.accepted() == 1)
    person = Person(bridge_console.ask(peer.port))
    leave(peer)
    peer.until(lambda: person.sees(b"this is the board's prompt]"))
    assert ear.heard() is None, "there is no connection meanwhile"

    person.end.send(b"1+")
    peer.until(lambda: peer.raw.endswith(b"1+"))
    peer.write(b"1")
    peer.until(lambda: person.sees(b"]\r\n1"))
    peer.write(b"+")
    peer.until(lambda: person.sees(b"]\r\n1+"))

    person.end.close()
    peer.until(lambda: peer.raw.endswith(RESTART))
    assert peer.connect()
    peer.until(lambda: ear.accepted() == 2)


def test_board_without_an_agent_is_talked_to_as_it_is(bridge, peer, monkeypatch):
    monkeypatch.setattr(bridge_console, "PATIENCE_S", 0.1)
    person = Person(bridge_console.ask(peer.port))

    peer.until(lambda: person.sees(b"[no agent answers: this is the bare line]"))
    peer.write(b">>> ")
    peer.until(lambda: person.sees(b">>> "))


def test_agent_that_the_person_starts_gets_the_line(bridge, peer, ear):
    person = Person(bridge_console.ask(peer.port))
    leave(peer)
    peer.until(lambda: person.sees(b"prompt]"))
    person.end.send(b"\x04")
    peer.until(lambda: peer.raw.endswith(b"\x04"))
    peer.reset()

    assert peer.connect()
    peer.until(lambda: person.sees(b"[the agent runs again]"))
    peer.until(lambda: person.sees(b"?") or person.is_sent_away)
    assert RESTART not in peer.raw


def test_second_person_is_told_that_somebody_else_is_there(bridge, peer):
    first = Person(bridge_console.ask(peer.port))
    leave(peer)
    peer.until(lambda: first.sees(b"prompt]"))

    second = Person(bridge_console.ask(peer.port))

    peer.until(lambda: second.sees(b"[somebody else has the line]"))
    peer.until(lambda: second.sees(b"?") or second.is_sent_away)
    first.end.send(b"x")
    peer.until(lambda: peer.raw.endswith(b"x"))


def test_person_who_leaves_at_once_leaves_no_board_without_its_agent(bridge, peer, ear):
    bridge_console.ask(peer.port).close()
    leave(peer)

    peer.until(lambda: peer.raw.endswith(RESTART))
    assert peer.connect()


def test_pulled_cable_sends_the_person_away(bridge, peer):
    person = Person(bridge_console.ask(peer.port))
    leave(peer)
    peer.until(lambda: person.sees(b"prompt]"))

    peer.close()

    until(lambda: person.sees(b"[the port is gone]"))
    until(lambda: person.sees(b"?") or person.is_sent_away)


def test_port_may_be_named_as_the_bridge_does_or_by_its_device(peer, ear, tmp_path):
    name = tmp_path / "board"
    name.symlink_to(peer.port)
    with bridging([str(name)], ear.url) as (bridge,):
        peer.until(lambda: bridge.is_attached)
        for path in (str(name), peer.port):
            end = bridge_console.ask(path)
            assert end is not None
            end.close()
            leave(peer)
            peer.until(lambda: peer.raw.endswith(RESTART))
    assert bridge_console.ask(peer.port) is None


def test_a_device_that_is_gone_leaves_its_name_to_the_next_one(peer, ear, tmp_path):
    name = tmp_path / "board"
    name.symlink_to(peer.port)
    with bridging([str(name)], ear.url) as (bridge,):
        peer.until(lambda: bridge.is_attached)
        device = peer.port

        peer.close()

        until(lambda: not bridge.is_attached)
        until(lambda: bridge_console.ask(device) is None)
        assert bridge_console.ask(str(name)) is not None


def test_others_than_the_same_user_and_root_are_not_trusted(monkeypatch):
    near, far = socket.socketpair()
    with near, far:
        assert bridge_console.is_trusted(near)
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
        monkeypatch.setattr(bridge_console.struct, "unpack", lambda *_: (1, 4712, 1))
        assert not bridge_console.is_trusted(near)


def test_without_a_bridge_the_port_itself_is_borrowed_and_given_back(peer):
    with borrowed(peer.port) as line:
        person = Person(line)
        leave(peer)
        peer.until(lambda: person.sees(b"prompt]"))
        person.end.send(b"x")
        peer.until(lambda: peer.raw.endswith(b"x"))

    peer.until(lambda: peer.raw.endswith(RESTART))


def test_port_that_somebody_else_has_open_is_told(peer):
    import serial

    with serial.Serial(peer.port, exclusive=True), pytest.raises(PortError, match="is in use by"):
        with borrowed(peer.port):
            pass
    assert bridge_console.ask(peer.port) is None
