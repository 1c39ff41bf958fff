"""Stories that our MQTT client lives through with a real broker; run on both Pythons.

Called by `test_mqtt` under CPython, and through `run_plain` under MicroPython. Topics and client
ids are new each time, since several runs share a broker.
"""

from fieldconf_microagent import compat
from fieldconf_microagent.mqtt import Client

ARGUMENT = "port"


class Party:
    """A connected client and the events that it has not told yet."""

    def __init__(self, port, keepalive_s=5, **options):
        self.events = []
        name = "c" + compat.hex(compat.random_bytes(8))
        self.client = Client("127.0.0.1", int(port), name, keepalive_s, **options)
        self.client.connect()
        self.expect("connected")

    def expect(self, kind):
        for _ in range(500):
            for event in self.events:
                if event[0] == kind:
                    self.events.remove(event)
                    return event
            self.events.extend(self.client.poll(20))
        raise AssertionError("no " + kind + " but " + repr(self.events))

    def subscribe(self, *topics):
        number = self.client.subscribe([(topic, 1) for topic in topics])
        assert self.expect("subscribed") == ("subscribed", number)
        return self

    def publish(self, topic, payload, retain=False):
        number = self.client.publish(topic, payload, 1, retain)
        assert self.expect("acked") == ("acked", number)


def a_topic():
    return "t/" + compat.hex(compat.random_bytes(8))


def test_a_message_arrives_with_either_quality(port):
    topic = a_topic()
    reader, writer = Party(port).subscribe(topic), Party(port)

    writer.publish(topic, b"one")
    writer.client.publish(topic, b"two", 0, False)

    assert reader.expect("message") == ("message", topic, b"one", False)
    assert reader.expect("message") == ("message", topic, b"two", False)
    reader.client.disconnect()
    writer.client.disconnect()


def test_retained_messages_come_to_later_subscribers_until_cleared(port):
    topic = a_topic()
    writer = Party(port)
    writer.publish(topic, b"state", True)

    reader = Party(port).subscribe(topic)
    assert reader.expect("message") == ("message", topic, b"state", True)

    writer.publish(topic, b"", True)
    assert reader.expect("message")[2] == b""
    late = Party(port).subscribe(topic, topic + "/end")
    writer.publish(topic + "/end", b"end")
    assert late.expect("message")[1] == topic + "/end"
    for party in (writer, reader, late):
        party.client.disconnect()


def test_unsubscribed_topics_are_quiet(port):
    first, second = a_topic(), a_topic()
    party = Party(port).subscribe(first, second)
    number = party.client.unsubscribe([first])
    assert party.expect("unsubscribed") == ("unsubscribed", number)

    party.publish(first, b"x")
    party.publish(second, b"y")

    assert party.expect("message")[1] == second
    party.client.disconnect()


def test_the_will_is_sent_after_a_cut_but_not_after_goodbye(port):
    topic = a_topic()
    reader = Party(port).subscribe(topic)
    polite = Party(port, will=(topic, b"polite", 1, False))
    cut = Party(port, will=(topic, b"cut", 1, True))

    polite.client.disconnect()
    cut.client.close()

    assert reader.expect("message")[2] == b"cut"
    late = Party(port).subscribe(topic)
    assert late.expect("message") == ("message", topic, b"cut", True)
    reader.client.disconnect()
    late.client.disconnect()


def test_many_messages_pass_though_the_ids_wrap(port):
    topic = a_topic()
    party = Party(port).subscribe(topic)
    party.client._id = 65500
    waiting = 0
    for number in range(100):
        while not party.client.has_room():
            party.expect("acked")
            waiting -= 1
        party.client.publish(topic, b"%d" % number, 1, False)
        waiting += 1
    for _ in range(waiting):
        party.expect("acked")

    assert [bytes(party.expect("message")[2]) for _ in range(100)] == [
        b"%d" % n for n in range(100)
    ]
    assert party.client._id < 100
    party.client.disconnect()


def test_many_too_long_messages_do_not_stop_the_others(port):
    topic = a_topic()
    reader, writer = Party(port, max_packet=1000).subscribe(topic), Party(port)

    # More than brokers send before they wait for an acknowledgement.
    for _ in range(150):
        writer.publish(topic, b"x" * 1000)
        assert reader.expect("skipped")[1] == topic
    writer.publish(topic, b"short")

    assert reader.expect("message")[2] == b"short"
    reader.client.disconnect()
    writer.client.disconnect()


def test_a_long_message_passes(port):
    topic = a_topic()
    party = Party(port, max_packet=100000).subscribe(topic)
    payload = bytes(range(256)) * 300

    party.publish(topic, payload)

    assert party.expect("message")[2] == payload
    party.client.disconnect()


def test_an_idle_connection_is_kept(port):
    party = Party(port, keepalive_s=1)
    # A broker may give up a client after one and a half keepalives without a word.
    clock = compat.Clock()
    while clock.now_ms() < 2500:
        assert party.client.poll(50) == []
    party.publish(a_topic(), b"still here")
    party.client.disconnect()


def test_a_second_client_of_one_name_takes_over(port):
    first, second = Party(port), Party(port)
    second.client.close()
    second.client._login = first.client._login
    second.client.connect()
    second.expect("connected")

    assert first.expect("closed")[1]
    second.client.disconnect()
