"""A bridge carries streams to its broker and nothing else, and ends with either of its ends."""

import logging
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from fieldconf_microagent.serial_frames import ENDED, NONE, OPEN
from fieldconf_targets import bridge_console
from fieldconf_targets.bridge import bridging
from fieldconf_targets.bridge_broker import Connection
from fieldconf_targets.bridge_console import RESTART
from support.serial_peer import Ear, Peer
from support.waiting import until

pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")


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
        greeted(peer)
        yield bridge


def greeted(peer):
    """Wait until the bridge has the port, and has said so."""
    peer.raw = b""
    peer.until(lambda: peer.raw)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the files of a certificate for localhost and of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "broker.pem", folder / "broker.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", key, "-out", chain],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


def all_of(peer, ear, count):
    """Return what came to the broker once it is so much."""
    got = bytearray()

    def enough():
        got.extend(ear.heard() or b"")
        return len(got) >= count

    peer.until(enough)
    return bytes(got)


def test_stream_becomes_a_connection_to_the_broker(bridge, peer, ear):
    assert peer.connect()
    peer.until(lambda: ear.accepted() == 1)

    peer.send(b"from the board")
    assert all_of(peer, ear, 14) == b"from the board"
    ear.connections[0].send(b"from the broker")
    peer.until(lambda: len(peer.line.received) == 15)
    assert bytes(peer.line.received) == b"from the broker"


def test_nothing_is_connected_to_before_a_board_asks(bridge, peer, ear):
    for _ in range(20):
        peer.turn()

    assert ear.accepted() == 0
    assert bridge.connections == 0


def test_much_is_carried_both_ways_at_once(bridge, peer, ear):
    up, down = os.urandom(100_000), os.urandom(100_000)
    peer.connect()
    peer.until(lambda: ear.accepted() == 1)
    far = ear.connections[0]
    got, came, sent, taken = bytearray(), bytearray(), 0, 0
    while len(got) < len(up) or len(came) < len(down):
        taken += peer.line.send(up[taken : taken + 500])
        try:
            sent += far.send(down[sent : sent + 500]) if sent < len(down) else 0
        except BlockingIOError:
            pass
        peer.turn(0.001)
        came += peer.line.take(10_000)
        got += ear.heard() or b""

    assert bytes(got) == up and bytes(came) == down


def test_broker_that_reads_nothing_for_a_while_is_waited_for(bridge, peer, ear, monkeypatch):
    peer.connect()
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "write", lambda *_: False)
        data = os.urandom(20_000)
        sent = quiet = 0
        while quiet < 30:
            count = peer.line.send(data[sent : sent + 1500])
            sent += count
            quiet = 0 if count else quiet + 1
            peer.turn()
    assert sent < 6000, "somebody keeps what the broker does not take"

    peer.send(data[sent:])
    assert all_of(peer, ear, len(data)) == data


def test_end_of_the_stream_waits_for_a_broker_that_reads_nothing(bridge, peer, ear, monkeypatch):
    peer.connect()
    peer.until(lambda: ear.accepted() == 1)
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "write", lambda *_: False)
        peer.send(b"last words")
        peer.line.close()
        peer.until(peer.line.is_idle)
        assert ear.heard() == b""

    assert all_of(peer, ear, 10) == b"last words"
    peer.until(lambda: ear.heard() is None)


def test_end_of_the_stream_is_the_end_of_the_connection_behind_all_that_was_sent(bridge, peer, ear):
    peer.connect()
    peer.until(lambda: ear.accepted() == 1)
    peer.send(b"last words")
    peer.line.close()

    assert all_of(peer, ear, 10) == b"last words"
    peer.until(lambda: ear.heard() is None)
    peer.until(peer.line.is_idle)


def test_board_that_is_reset_loses_its_connection_and_gets_another(bridge, peer, ear):
    peer.connect()
    peer.send(b"old")
    assert all_of(peer, ear, 3) == b"old"
    peer.reset()

    assert peer.connect()
    peer.until(lambda: ear.accepted() == 2)
    peer.until(lambda: ear.heard(0) is None)
    peer.send(b"new")
    assert all_of(peer, ear, 3) == b"new"


def test_end_of_the_connection_is_told_behind_all_that_came(bridge, peer, ear):
    peer.connect()
    peer.until(lambda: ear.accepted() == 1)
    ear.connections[0].send(b"x" * 5000)
    ear.connections[0].close()

    got = bytearray()

    def ended():
        got.extend(peer.line.take(10_000))
        return peer.line.state == ENDED

    peer.until(ended)
    assert len(got) + len(peer.line.received) == 5000
    peer.line.reset()
    assert peer.connect()
    assert peer.until(lambda: ear.accepted() == 2)


def test_board_is_told_when_there_is_no_broker(peer, ear, caplog):
    caplog.set_level(logging.INFO)
    ear.close()
    with bridging([peer.port], ear.url):
        greeted(peer)

        assert not peer.connect()
        assert peer.line.state == NONE

    assert f"cannot reach {ear.url}: " in caplog.text


def test_pulled_cable_ends_the_connection(bridge, peer, ear):
    peer.connect()
    peer.until(lambda: ear.accepted() == 1)

    peer.close()

    until(lambda: ear.heard() is None)
    until(lambda: not bridge.is_attached)


def test_end_of_the_bridge_ends_the_connection(peer, ear):
    with bridging([peer.port], ear.url):
        greeted(peer)
        assert peer.connect()
        peer.until(lambda: ear.accepted() == 1)

    until(lambda: ear.heard() is None)


def test_new_bridge_tells_the_board_that_its_stream_is_over(peer, ear):
    for _ in range(2):
        with bridging([peer.port], ear.url):
            greeted(peer)
            assert peer.line.state == NONE
            assert peer.connect()
        assert peer.line.state == OPEN


def test_port_is_waited_for_and_its_absence_told_once(peer, ear, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "port"
    with bridging([str(path)], ear.url) as (bridge,):
        until(lambda: "is not there" in caplog.text)
        until(lambda: bridge._pause_s > 0.5)
        path.symlink_to(peer.port)
        until(lambda: bridge.is_attached)

    assert caplog.text.count("is not there") == 1


def test_what_the_board_prints_goes_to_the_log(bridge, peer, caplog):
    caplog.set_level(logging.INFO)
    peer.connect()
    peer.write(b"Traceback (most recent call last):\r\n")
    peer.send(b"in between")
    peer.write(b"ValueError: oops\r\n>>> ")

    peer.until(lambda: f"{peer.port} says: >>>" in caplog.text)
    assert f"{peer.port} says: Traceback (most recent call last):\n" in caplog.text
    assert "says: ValueError: oops\n" in caplog.text


def test_noise_is_not_logged_and_does_no_harm(bridge, peer, ear, caplog):
    caplog.set_level(logging.INFO)
    peer.connect()
    for _ in range(20):
        peer.write(bytes(range(256)))
        peer.send(b"x")

    assert all_of(peer, ear, 20) == b"x" * 20
    assert "says" not in caplog.text


def test_agent_that_has_ended_is_restarted_with_growing_pauses(bridge, peer, ear, monkeypatch):
    monkeypatch.setattr(bridge_console, "RESTART_S", 0.1)
    revival = bridge._revival
    assert peer.connect()
    peer.until(lambda: ear.accepted() == 1 and revival.pause_s == 0.1)
    peer.reset()
    for _ in range(2):
        peer.raw = b""
        peer.write(b"Traceback\r\nMemoryError:\r\n>>> ")
        peer.until(lambda: peer.raw.endswith(RESTART))
    assert revival.pause_s == 0.4
    assert ear.heard() is None

    assert peer.connect()
    peer.until(lambda: revival.pause_s == 0.1)


def test_agent_that_runs_may_print_what_looks_like_a_prompt(bridge, peer, ear, monkeypatch):
    monkeypatch.setattr(bridge._revival, "pause_s", 0.5)
    peer.write(b">>> ")
    peer.until(lambda: bridge._revival.is_due)
    assert peer.connect()
    peer.raw = b""
    peer.until(lambda: not bridge._revival.is_due)

    assert RESTART not in peer.raw


def test_broker_may_ask_for_tls(peer, ear, monkeypatch, tmp_path, certificate):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = socket.create_server(("127.0.0.1", 0))
    url = f"mqtts://localhost:{server.getsockname()[1]}"
    with server, bridging([peer.port], url) as (bridge,):
        greeted(peer)
        peer.line.connect(5)
        server.settimeout(10)
        peer.until(lambda: bridge.connections)
        peer.turn()
        with context.wrap_socket(server.accept()[0], server_side=True) as far:
            peer.until(lambda: peer.line.state == OPEN)
            # More than one record holds, and more than fits into the window.
            far.sendall(b"y" * 40_000)
            got = bytearray()
            peer.until(lambda: got.extend(peer.line.take(10_000)) or len(got) == 40_000)
            peer.send(b"hello")
            far.setblocking(True)
            assert far.recv(100) == b"hello"


def test_certificate_that_nobody_trusts_is_refused(peer, ear, caplog, certificate):
    caplog.set_level(logging.INFO)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    server = socket.create_server(("127.0.0.1", 0))
    url = f"mqtts://localhost:{server.getsockname()[1]}"
    with server, bridging([peer.port], url) as (bridge,):
        greeted(peer)
        peer.line.connect(5)
        peer.until(lambda: bridge.connections)
        with pytest.raises((ssl.SSLError, OSError)):
            context.wrap_socket(server.accept()[0], server_side=True)
        peer.until(lambda: peer.line.state == NONE)

    assert "certificate verify failed" in caplog.text
