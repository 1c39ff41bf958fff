"""Brokers that the coordinator looks after: they start, come back, and let in who may."""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from fieldconf_coordinator.brokers import supervised
from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_coordinator.brokers.mosquitto import Mosquitto, Outer
from fieldconf_coordinator.brokers.supervised import BrokerError, accepts
from fieldconf_coordinator.service.running import external
from fieldconf_microagent.link_paho import PahoLink
from fieldconf_targets import processes
from support import brokers
from support.waiting import until

KEY = bytes(32)


@pytest.fixture
def free_port():
    # Not one of those that the system gives to whoever asks next.
    while True:
        port = random.randrange(11_000, 32_000)
        if supervised.is_free(port):
            return port


@pytest.fixture(params=["embedded", "mosquitto"])
def make_broker(request, tmp_path):
    if request.param == "mosquitto":
        brokers.need_mosquitto()
    made = []

    def make():
        kind = {"embedded": EmbeddedBroker, "mosquitto": Mosquitto}[request.param]
        made.append(kind(tmp_path / "broker"))
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


def test_broker_listens_on_loopback_alone_and_keeps_its_port(make_broker):
    broker = make_broker()
    broker.start()
    port = broker.port
    assert broker.url == f"mqtt://127.0.0.1:{port}"
    broker.stop()
    assert not accepts(port)

    assert make_broker().port == port


def test_broker_that_dies_is_started_again(make_broker):
    broker = make_broker()
    broker.start()
    broker._process.kill()
    broker._process.wait()

    assert "started again in 1 s" in broker.tend(100.0)
    assert broker.tend(100.5) is None
    assert "was started again" in broker.tend(101.1)

    until(lambda: accepts(broker.port))


def test_pauses_grow_while_a_broker_keeps_dying(make_broker):
    broker = make_broker()
    broker._spawn = lambda: None
    pauses = []
    now = 0.0
    for _ in range(9):
        said = broker.tend(now)
        pauses.append(int(said.split(" in ")[1].removesuffix(" s")))
        now += pauses[-1]
        broker.tend(now)

    assert pauses[:8] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_port_that_is_taken_is_told_with_what_to_do(make_broker, monkeypatch):
    monkeypatch.setattr(supervised, "_PATIENCE_S", 0.1)
    broker = make_broker()
    with supervised.socket.create_server(("127.0.0.1", broker.port)):
        with pytest.raises(BrokerError, match=f"port {broker.port} is taken"):
            broker.start()


def test_embedded_broker_ends_with_a_killed_coordinator(tmp_path):
    script = (
        "import sys, time; sys.path[:0] = eval(sys.argv[2]); from pathlib import Path; "
        "from fieldconf_coordinator.brokers.embedded import EmbeddedBroker; "
        "b = EmbeddedBroker(Path(sys.argv[1])); b.start(); print(b.port, flush=True); "
        "time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), repr(sys.path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    port = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()

    until(lambda: not accepts(port))


def test_mosquitto_outlives_its_coordinator_and_is_adopted(tmp_path):
    brokers.need_mosquitto()
    first = Mosquitto(tmp_path)
    first.start()

    second = Mosquitto(tmp_path)
    second.start()
    assert second._process is None
    assert second.login == first.login
    second.stop()

    until(lambda: first._process.poll() is not None)
    assert not processes.is_alive(*processes.read_pid_file(tmp_path / "pid"))


@contextmanager
def listening(folder, outer):
    broker = Mosquitto(folder, outer=outer)
    # Not after the start: a mosquitto that has hardly begun dies of the signal to read them again.
    broker.admit([("n1", "word")])
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def test_mosquitto_listens_for_boards_with_the_same_logins(tmp_path, free_port):
    brokers.need_mosquitto()
    with listening(tmp_path, Outer("127.0.0.1", free_port)) as broker:
        assert broker.outer == f"mqtt://127.0.0.1:{free_port}" != broker.url
        connected(broker, "n1", "word", broker.outer).close()
        link = PahoLink(broker.outer, "n1", user="n1", password="wrong")
        link.connect(None)
        down = until(lambda: [e for e in link.poll(50) if e[0] == "down"])
        assert "refuses the connection" in down[0][1]
        link.close()


def test_mosquitto_listens_for_boards_with_tls(tmp_path, free_port):
    brokers.need_mosquitto()
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    with listening(tmp_path, Outer("localhost", free_port, cert, key)) as broker:
        assert broker.outer == f"mqtts://localhost:{free_port}"
        connected(broker, "n1", "word", broker.outer, str(cert)).close()


def test_all_interfaces_are_told_as_an_address_that_others_can_use():
    url = Outer("0.0.0.0", 1883).url

    assert re.fullmatch(r"mqtt://\d+\.\d+\.\d+\.\d+:1883", url)
    assert "0.0.0.0" not in url


def test_an_adopted_mosquitto_that_was_told_otherwise_is_started_anew(tmp_path, free_port):
    brokers.need_mosquitto()
    first = Mosquitto(tmp_path)
    first.start()

    with listening(tmp_path, Outer("127.0.0.1", free_port)) as broker:
        assert broker.outer.endswith(f":{free_port}")
        connected(broker, "n1", "word", broker.outer).close()
    until(lambda: first._process.poll() is not None)


# -- who may do what on mosquitto


@pytest.fixture
def guarded(tmp_path):
    brokers.need_mosquitto()
    broker = Mosquitto(tmp_path)
    broker.admit([("n1", broker.password(KEY)), ("n2", "word2")])
    broker.start()
    yield broker
    broker.stop()


def connected(broker, name, password, url=None, ca=None):
    """Return a link that the broker has let in, waiting out a reload of its passwords."""
    link = PahoLink(url or broker.url, name, user=name, password=password, ca_file=ca)
    deadline = time.monotonic() + 20
    while True:
        link.connect(None)
        seen = until(lambda: [e for e in link.poll(50) if e[0] in ("up", "down")])
        if seen[0][0] == "up":
            return link
        assert time.monotonic() < deadline, seen


def test_nodes_log_in_with_their_own_password_alone(guarded):
    connected(guarded, "n1", guarded.password(KEY)).close()
    link = PahoLink(guarded.url, "n1", user="n1", password="word2")
    link.connect(None)

    down = until(lambda: [e for e in link.poll(50) if e[0] == "down"])

    assert "refuses the connection" in down[0][1]
    link.close()


def test_node_that_is_admitted_no_more_is_refused(guarded):
    connected(guarded, "n2", "word2").close()
    guarded.admit([("n1", guarded.password(KEY))])

    def is_refused():
        link = PahoLink(guarded.url, "n2", user="n2", password="word2")
        link.connect(None)
        seen = until(lambda: link.poll(50))
        link.close()
        return seen[0][0] == "down"

    until(is_refused)


def test_node_writes_only_what_is_its_own(guarded):
    coordinator = connected(guarded, *guarded.login)
    coordinator.subscribe(["fc/#"])
    until(lambda: ("subscribed",) in coordinator.poll(50))
    node = connected(guarded, "n1", guarded.password(KEY))

    for topic in ("fc/n2/have", "fc/n1/want", "fc/x/app/Web/n2", "other/n1/have"):
        node.publish(topic, b"forged", 0, False)
    for topic in ("fc/n1/have", "fc/x/app/Web/n1", "fc/n2/ask"):
        node.publish(topic, b"own", 0, False)

    heard = []
    until(
        lambda: (
            heard.extend(e for e in coordinator.poll(50) if e[0] == "message") or len(heard) >= 3
        )
    )
    assert [(topic, payload) for _, topic, payload in heard] == [
        ("fc/n1/have", b"own"),
        ("fc/x/app/Web/n1", b"own"),
        ("fc/n2/ask", b"own"),
    ]
    node.close()
    coordinator.close()


def test_node_does_not_read_what_is_anothers(guarded):
    coordinator = connected(guarded, *guarded.login)
    node = connected(guarded, "n1", guarded.password(KEY))
    node.subscribe(["fc/n2/want", "fc/n1/want"])
    until(lambda: ("subscribed",) in node.poll(50))

    coordinator.publish("fc/n2/want", b"secret", 1, True)
    coordinator.publish("fc/n1/want", b"mine", 1, True)

    heard = until(lambda: [e for e in node.poll(50) if e[0] == "message"])
    assert heard == [("message", "fc/n1/want", b"mine")]
    node.close()
    coordinator.close()


def test_secrets_of_mosquitto_are_for_their_owner_alone(guarded, tmp_path):
    for name in ("passwords", "coordinator.password", "access", "mosquitto.conf"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, name
    assert "word2" not in (tmp_path / "passwords").read_text()


def test_mosquitto_forwards_small_messages_at_once(guarded, tmp_path):
    # Without it each takes 40 ms, which no test of behaviour notices.
    assert "set_tcp_nodelay true" in (tmp_path / "mosquitto.conf").read_text().splitlines()


# -- one that somebody else runs


def test_external_broker_is_known_by_its_url():
    broker = external("mqtt://user:p%40ss@gateway:1884")

    assert (broker.url, broker.login) == ("mqtt://gateway:1884", ("user", "p@ss"))


@pytest.mark.parametrize("url", ["gateway", "http://gateway", "mqtt://", "mqtt://host:port"])
def test_url_of_no_broker_is_refused(url):
    with pytest.raises(BrokerError, match="cannot use the broker"):
        external(url)


def test_signals_do_not_reach_the_broker_of_a_terminal(make_broker):
    broker = make_broker()
    broker.start()

    assert os.getsid(broker._process.pid) != os.getsid(0)
