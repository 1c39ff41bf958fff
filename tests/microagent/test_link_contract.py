"""Both links behave alike, over each real broker; what a link promises stands in `link_paho`."""

import socket
import threading
import time

import pytest

from fieldconf_microagent.link_mqtt import MqttLink
from fieldconf_microagent.link_paho import PahoLink
from fieldconf_microagent.link_several import SeveralLinks
from support import brokers

WILL = ("t/x/live", b"gone")


class Client:
    """A link, and all that it reported so far."""

    def __init__(self, link):
        self.link = link
        self.seen = []

    def expect(self, *event, patience_s=20.0):
        """Poll until an event begins like this one; return it."""
        deadline = time.monotonic() + patience_s
        while True:
            for seen in self.seen:
                if seen[: len(event)] == event:
                    self.seen.remove(seen)
                    return seen
            assert time.monotonic() < deadline, f"{event} did not come, but {self.seen}"
            self.seen.extend(self.link.poll(50))

    def subscribed(self, *topics):
        self.link.subscribe(list(topics))
        self.expect("subscribed")
        return self


@pytest.fixture(params=["embedded", "mosquitto"], scope="module")
def broker(request, tmp_path_factory):
    with brokers.running(request.param, tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(params=[PahoLink, MqttLink], ids=["paho", "ours"])
def client(request, broker):
    """Make connected clients; all are closed in the end."""
    made = []

    def make(name, will=WILL, **options):
        link = request.param(broker.url, name, keepalive_s=5, **options)
        made.append(link)
        connecting = Client(link)
        link.connect(will)
        connecting.expect("up")
        return connecting

    yield make
    for link in made:
        link.close()


def test_message_reaches_a_subscriber_and_is_acknowledged(client):
    reader = client("reader").subscribed("t/1", "t/2")
    writer = client("writer")

    token = writer.link.publish("t/2", b"hello", 1, False)

    assert writer.expect("acked") == ("acked", token)
    assert reader.expect("message") == ("message", "t/2", b"hello")


def test_unsubscribed_topic_is_heard_no_more(client):
    reader = client("reader").subscribed("t/1", "t/2")
    reader.link.unsubscribe(["t/1"])
    # A later subscription is acknowledged after the earlier request was dealt with.
    reader.subscribed("t/3")
    writer = client("writer")

    for topic in ("t/1", "t/2"):
        writer.link.publish(topic, b"x", 1, False)
        writer.expect("acked")

    assert reader.expect("message") == ("message", "t/2", b"x")


def test_retained_message_reaches_a_later_subscriber(client):
    writer = client("writer")
    writer.link.publish("t/kept", b"state", 1, True)
    writer.expect("acked")

    reader = client("reader").subscribed("t/kept")

    assert reader.expect("message") == ("message", "t/kept", b"state")


def test_many_messages_at_once_arrive_in_order_and_all_are_acknowledged(client):
    reader = client("reader").subscribed("t/many")
    writer = client("writer")

    tokens = [writer.link.publish("t/many", b"%d" % n, 1, False) for n in range(200)]

    assert [reader_or(writer, reader) for _ in tokens] == [b"%d" % n for n in range(200)]
    assert sorted(writer.expect("acked")[1] for _ in tokens) == sorted(tokens)


def reader_or(writer, reader):
    """Return the next payload the reader gets, while the writer is kept going."""
    writer.seen.extend(writer.link.poll(0))
    deadline = time.monotonic() + 20
    while True:
        for seen in reader.seen:
            if seen[0] == "message":
                reader.seen.remove(seen)
                return seen[2]
        assert time.monotonic() < deadline
        writer.seen.extend(writer.link.poll(0))
        reader.seen.extend(reader.link.poll(5))


def test_too_long_message_is_dropped_and_the_link_lives(client):
    reader = client("reader", max_payload=1000).subscribed("t/long")
    writer = client("writer")

    writer.link.publish("t/long", bytes(5000), 1, False)
    writer.expect("acked")
    writer.link.publish("t/long", b"short", 1, False)

    assert reader.expect("long")[:2] == ("long", "t/long")
    assert reader.expect("message") == ("message", "t/long", b"short")


def test_large_message_arrives_whole(client):
    reader = client("reader", max_payload=1 << 20).subscribed("t/large")
    writer = client("writer")
    payload = bytes(range(256)) * 3000

    writer.link.publish("t/large", payload, 1, False)

    assert reader_or(writer, reader) == payload


def test_will_is_sent_when_the_connection_is_lost_but_not_after_goodbye(client):
    reader = client("reader").subscribed("t/live/#")
    polite = client("polite", will=("t/live/polite", b"gone"))
    lost = client("lost", will=("t/live/lost", b"gone"))

    polite.link.disconnect()
    drop(lost.link)

    assert reader.expect("message") == ("message", "t/live/lost", b"gone")
    # Who comes later learns it as well.
    assert client("late").subscribed("t/live/#").expect("message")[1] == "t/live/lost"


def drop(link):
    """Cut the connection as a power cut would."""
    sock = link._client.socket
    (sock() if callable(sock) else sock).close()


def test_taken_over_client_hears_that_it_is_down(client):
    first = client("same")
    client("same")

    assert isinstance(first.expect("down")[1], str)


def test_nobody_listening_is_told_as_down(client, broker):
    living = client("living").link
    port = free_port()
    link = type(living)(f"mqtt://127.0.0.1:{port}", "lonely")

    alone = Client(link)
    link.connect(WILL)

    reason = alone.expect("down")[1]
    link.close()
    assert reason.endswith(": Connection refused") or not isinstance(link, PahoLink)
    assert reason.startswith(f"mqtt://127.0.0.1:{port}: ")


def test_small_messages_are_not_held_back(client):
    """Without this the system keeps a packet up to 40 ms, waiting for more."""
    sock = client("prompt").link._client.socket
    sock = sock() if callable(sock) else sock

    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_next_of_several_brokers_serves_where_one_does_not(client, broker):
    kind = type(client("living").link)
    nobody = f"mqtt://127.0.0.1:{free_port()}"
    links = [
        kind(url, "choosy", keepalive_s=5) for url in (nobody, "mqtt://no.invalid", broker.url)
    ]
    several = SeveralLinks(links)
    choosy = Client(several)
    several.connect(WILL)
    choosy.expect("up")
    choosy.subscribed("t/choosy")
    assert several.address() == "127.0.0.1"

    token = several.publish("t/choosy", b"x", 1, False)
    assert choosy.expect("acked", token)
    assert choosy.expect("message") == ("message", "t/choosy", b"x")
    several.close()

    several = SeveralLinks([kind(nobody, "n"), kind("mqtt://no.invalid", "n")])
    several.connect(WILL)
    reason = Client(several).expect("down")[1]
    assert reason.startswith(nobody + ": ")
    assert "; mqtt://no.invalid: " in reason
    several.close()


def free_port():
    from fieldconf_coordinator.brokers.supervised import socket

    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def test_silent_server_is_told_as_down(client, monkeypatch):
    link_class = type(client("living").link)
    monkeypatch.setattr("fieldconf_microagent.link_paho._CONNECT_S", 0.5)
    monkeypatch.setattr("fieldconf_microagent.link_mqtt.CONNECT_MS", 500)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = link_class(f"mqtt://127.0.0.1:{silent.getsockname()[1]}", "patient")
        waiting = Client(link)
        link.connect(WILL)

        assert waiting.expect("down")[1]
        link.close()


def test_address_is_that_from_which_the_broker_is_reached(client):
    assert client("somebody").link.address() == "127.0.0.1"


def test_poll_without_a_connection_waits(broker):
    for link in (PahoLink(broker.url, "idle"), MqttLink(broker.url, "idle")):
        begin = time.monotonic()

        assert link.poll(30) == []

        assert time.monotonic() - begin >= 0.02
        link.close()


def test_paho_link_is_woken_by_another_thread(broker):
    link = PahoLink(broker.url, "sleeper")
    woken = threading.Event()
    waker = threading.Thread(target=lambda: (woken.set(), link.wake()))
    waker.start()

    # Returns before its time, or the test's own time limit ends it.
    while not woken.is_set():
        link.poll(1000)

    waker.join()
    link.close()


def test_tls_is_refused_by_a_link_that_cannot_speak_it():
    with pytest.raises(ValueError, match="does not speak TLS"):
        MqttLink("mqtts://gateway", "n1")
