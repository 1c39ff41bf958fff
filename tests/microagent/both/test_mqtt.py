"""Our MQTT client against a peer that says exactly what a test wants. No broker is needed."""

import random
import socket

from fieldconf_microagent import compat, mqtt
from fieldconf_microagent.mqtt import Client, MqttError

ACCEPTED = b"\x20\x02\x00\x00"


class Peer:
    """The other side of the connection, and the client under test."""

    def __init__(self, keepalive_s=60, **options):
        self.listener = socket.socket()
        self.port = self._bind()
        self.listener.listen(1)
        self.client = Client("127.0.0.1", self.port, "c1", keepalive_s, **options)
        self.events = []
        self.client.connect()
        self.socket = self.listener.accept()[0]
        self.socket.setblocking(False)
        self.hello = self.packet()

    def _bind(self):
        while True:
            port = 20000 + compat.random_below(40000)
            try:
                self.listener.bind(socket.getaddrinfo("127.0.0.1", port)[0][-1])
            except OSError:
                continue
            return port

    def accepted(self):
        self.say(ACCEPTED)
        self.expect("connected")
        return self

    def say(self, data):
        at = 0
        while at < len(data):
            sent = compat.transmit(self.socket, bytearray(data[at : at + 4096]))
            at += sent or 0
            self.turn(0)

    def turn(self, timeout_ms=20):
        self.events.extend(self.client.poll(timeout_ms))

    def expect(self, kind, turns=1000):
        """Let the client work until an event of this kind comes; return it."""
        for _ in range(turns):
            for event in self.events:
                if event[0] == kind:
                    self.events.remove(event)
                    return event
            self.turn()
        raise AssertionError("no " + kind + " but " + repr(self.events))

    def read(self, count, turns=1000):
        """Let the client work until it has sent so many bytes; return them."""
        data = b""
        for _ in range(turns):
            if len(data) == count:
                return data
            room = bytearray(count - len(data))
            got = compat.receive(self.socket, memoryview(room))
            if got:
                data += bytes(room[:got])
            elif got == 0:
                raise AssertionError("the client has closed")
            else:
                self.turn(5)
        raise AssertionError(f"only {len(data)} of {count} bytes came")

    def packet(self):
        """Return the next packet of the client as its first byte and its body."""
        kind = self.read(1)[0]
        length = shift = 0
        while True:
            byte = self.read(1)[0]
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, self.read(length)

    def hears_nothing_more(self):
        for _ in range(5):
            self.turn(5)
        room = bytearray(1)
        return not compat.receive(self.socket, memoryview(room))

    def close(self):
        self.client.close()
        self.socket.close()
        self.listener.close()


def text(value):
    return len(value).to_bytes(2, "big") + value


def test_hello_says_who_and_leaves_a_will():
    peer = Peer(
        keepalive_s=300, user="me", password="secret", will=("fc/n1/live", b"\x93\x01", 1, True)
    )
    kind, body = peer.hello
    assert kind == 0x10
    assert body == (
        b"\x00\x04MQTT\x04\xee\x01\x2c"
        + text(b"c1")
        + text(b"fc/n1/live")
        + text(b"\x93\x01")
        + text(b"me")
        + text(b"secret")
    )
    peer.accepted()
    assert peer.client.is_connected
    peer.close()


def test_hello_without_login_and_will():
    peer = Peer()
    assert peer.hello == (0x10, b"\x00\x04MQTT\x04\x02\x00\x3c" + text(b"c1"))
    peer.close()


def test_refusal_is_told_with_its_code():
    peer = Peer()
    peer.say(b"\x20\x02\x00\x05")
    assert peer.expect("closed")[1] == "refused by the broker, code 5"
    assert not peer.client.is_connected
    peer.close()


def test_messages_come_whole_however_they_are_cut():
    peer = Peer().accepted()
    packet = b"\x31\x0a" + text(b"a/b") + b"hello"
    for byte in packet:
        peer.say(bytes((byte,)))
    assert peer.expect("message") == ("message", "a/b", b"hello", True)

    long = b"\x30\x87\x03" + text(b"a/b") + b"x" * 386
    peer.say(packet + long + packet)
    assert peer.expect("message") == ("message", "a/b", b"hello", True)
    assert peer.expect("message") == ("message", "a/b", b"x" * 386, False)
    assert peer.expect("message") == ("message", "a/b", b"hello", True)
    peer.close()


def test_a_message_without_payload_is_one():
    peer = Peer().accepted()
    peer.say(b"\x30\x05" + text(b"a/b"))
    assert peer.expect("message") == ("message", "a/b", b"", False)
    peer.close()


def test_a_poll_hands_over_one_message_and_the_next_one_acknowledges_it():
    peer = Peer().accepted()
    peer.say(b"\x32\x07" + text(b"a/b") + b"\x01\x02" + b"\x32\x07" + text(b"a/b") + b"\x01\x03")
    # `say` has polled once, and got the first.
    while not peer.events:
        peer.turn()
    assert [event[0] for event in peer.events] == ["message"]
    room = bytearray(1)
    assert compat.receive(peer.socket, memoryview(room)) is None

    peer.turn()

    assert [event[0] for event in peer.events] == ["message", "message"]
    assert peer.packet() == (0x40, b"\x01\x02")
    assert peer.packet() == (0x40, b"\x01\x03")
    peer.close()


def test_publish_is_acknowledged_by_its_id():
    peer = Peer().accepted()
    assert peer.client.publish("a/b", b"zero", 0, False) is None
    first = peer.client.publish("a/b", b"one", 1, True)
    second = peer.client.publish("a/b", b"two", 1, False)
    assert peer.packet() == (0x30, text(b"a/b") + b"zero")
    assert peer.packet() == (0x33, text(b"a/b") + first.to_bytes(2, "big") + b"one")
    assert peer.packet() == (0x32, text(b"a/b") + second.to_bytes(2, "big") + b"two")

    peer.say(b"\x40\x02" + second.to_bytes(2, "big"))
    assert peer.expect("acked") == ("acked", second)
    # Of an id that is not under way nothing is told.
    peer.say(b"\x40\x02" + second.to_bytes(2, "big"))
    peer.say(b"\x40\x02" + first.to_bytes(2, "big"))
    assert peer.expect("acked") == ("acked", first)
    peer.close()


def test_subscriptions_are_acknowledged_or_refused():
    peer = Peer().accepted()
    number = peer.client.subscribe([("a/b", 1), ("c", 0)])
    assert peer.packet() == (0x82, number.to_bytes(2, "big") + text(b"a/b") + b"\x01\x00\x01c\x00")
    # A PUBACK with the id of a SUBSCRIBE is none.
    peer.say(b"\x40\x02" + number.to_bytes(2, "big"))
    peer.say(b"\x90\x04" + number.to_bytes(2, "big") + b"\x01\x00")
    assert peer.expect("subscribed") == ("subscribed", number)

    number = peer.client.subscribe([("a/b", 1), ("secret", 1)])
    peer.say(b"\x90\x04" + number.to_bytes(2, "big") + b"\x01\x80")
    assert peer.expect("refused") == ("refused", number)
    peer.packet()

    number = peer.client.unsubscribe(["a/b", "c"])
    assert peer.packet() == (0xA2, number.to_bytes(2, "big") + text(b"a/b") + text(b"c"))
    peer.say(b"\xb0\x02" + number.to_bytes(2, "big"))
    assert peer.expect("unsubscribed") == ("unsubscribed", number)
    peer.close()


def test_packet_ids_wrap_and_skip_those_under_way():
    peer = Peer().accepted()
    waiting = [peer.client.publish("a", b"", 1, False) for _ in range(3)]
    assert waiting == [1, 2, 3]
    seen = set()
    while peer.client._id < 65533:
        number = peer.client._new_id(0x40)
        del peer.client._in_flight[number]
        seen.add(number)
    assert len(seen) == 65530

    later = [peer.client.publish("a", b"", 1, False) for _ in range(4)]

    assert later == [65534, 65535, 4, 5]
    peer.close()


def test_what_is_under_way_is_bounded():
    peer = Peer().accepted()
    count = 0
    while peer.client.has_room():
        peer.client.publish("a", b"", 1, False)
        count += 1
    assert count == 16
    try:
        peer.client.publish("a", b"", 0, False)
        raise AssertionError("published without room")
    except MqttError:
        pass
    peer.say(b"\x40\x02\x00\x01")
    peer.expect("acked")
    assert peer.client.has_room()
    peer.close()


def test_each_packet_leaves_with_one_write():
    writes = []
    peer = Peer().accepted()

    def transmit(sock, data):
        writes.append(bytes(data))
        return compat.transmit(sock, data)

    mqtt.transmit = transmit
    try:
        peer.client.subscribe([("a", 1)])
        peer.client.publish("a", b"payload", 1, False)
    finally:
        mqtt.transmit = compat.transmit
    assert writes == [b"\x82\x06\x00\x01\x00\x01a\x01", b"\x32\x0c\x00\x01a\x00\x02payload"]
    peer.close()


def test_a_long_message_leaves_bit_by_bit_when_the_peer_is_slow():
    peer = Peer().accepted()
    # SOL_SOCKET, SO_SNDBUF and SO_RCVBUF of Linux: MicroPython does not name all of them.
    peer.client.socket.setsockopt(1, 7, 16384)
    peer.socket.setsockopt(1, 8, 65536)
    payload = bytes(range(256)) * 1200
    number = peer.client.publish("a/b", payload, 1, False)
    assert not peer.client.has_room()
    peer.turn(0)

    kind, body = peer.packet()

    assert kind == 0x32
    assert body == text(b"a/b") + number.to_bytes(2, "big") + payload
    peer.turn()
    assert peer.client.has_room()
    peer.close()


def test_too_long_a_message_is_skipped_acknowledged_and_told():
    peer = Peer(max_packet=1000).accepted()
    for length in (1001, 65000):
        body = text(b"a/b") + b"\x00\x07" + b"x" * (length - 7)
        head = bytes((0x32, length & 127 | 128, length >> 7 & 127 | 128, length >> 14))
        peer.say(head + body + b"\x30\x06" + text(b"a/b") + b"y")
        assert peer.expect("skipped") == ("skipped", "a/b", length)
        assert peer.expect("message") == ("message", "a/b", b"y", False)
        assert peer.packet() == (0x40, b"\x00\x07")
    peer.close()


def test_a_message_of_the_longest_length_is_kept():
    peer = Peer(max_packet=1000).accepted()
    peer.say(b"\x30\xe8\x07" + text(b"a/b") + b"x" * 995)
    assert peer.expect("message")[2] == b"x" * 995
    peer.close()


def test_a_claimed_length_allocates_nothing():
    # Would take 256 MB; where memory is short even a length below the bound is only skipped.
    for most in (1000, 1 << 28):
        peer = Peer(max_packet=most).accepted()
        if most > 1000 and not compat.MICROPYTHON:
            peer.close()
            continue
        peer.say(b"\x30\xff\xff\xff\x7f" + text(b"a/b") + bytes(300))
        assert peer.expect("skipped") == ("skipped", "a/b", 268435455)
        assert len(peer.client._piece) < 1000
        peer.close()


MALFORMED = {
    "length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "topic longer than the packet": b"\x30\x04\x00\x09ab",
    "no topic": b"\x30\x01\x00",
    "no packet id": b"\x32\x03\x00\x01a",
    "topic that is not UTF-8": b"\x30\x03\x00\x01\xff",
    "QoS 2": b"\x34\x05\x00\x01a\x00\x01",
    "a packet that only clients send": b"\x82\x05\x00\x01\x00\x00\x00",
    "acknowledgement without id": b"\x40\x00",
    "subscription acknowledged without codes": b"\x90\x02\x00\x01",
    "too long, and no message": b"\x90\xff\xff\x7f" + bytes(300),
    "skipped topic that is too long": b"\x30\xff\xff\x7f\x08\x00" + bytes(300),
}


def test_malformed_packets_end_the_connection():
    for name in sorted(MALFORMED):
        peer = Peer(max_packet=1000).accepted()
        peer.client._new_id(0x90)
        peer.say(MALFORMED[name])
        assert peer.expect("closed")[1], name
        assert peer.client.socket is None
        peer.close()


def test_rubbish_ends_the_connection_or_is_waited_for_but_never_raises():
    random.seed(7)
    for _ in range(100):
        peer = Peer(max_packet=1000).accepted()
        peer.say(bytes([random.randrange(256) for _ in range(40)]))
        for _ in range(3):
            peer.turn(0)
        peer.close()


def test_end_of_the_connection_is_told_once():
    peer = Peer().accepted()
    peer.socket.close()
    assert peer.expect("closed")[1]
    peer.turn()
    assert peer.events == []
    assert peer.client.poll(0) == []
    peer.close()


def test_publish_into_a_lost_connection_raises_nothing():
    peer = Peer().accepted()
    peer.socket.close()
    for _ in range(10):
        if peer.client.has_room():
            peer.client.publish("a", b"x" * 1000, 0, False)
    assert peer.expect("closed")[1]
    peer.close()


def test_nobody_listening_is_told_as_closed():
    peer = Peer().accepted()
    peer.close()
    peer.client.connect(2000)
    assert peer.expect("closed")[1]


def test_a_listener_that_says_nothing_is_given_up():
    peer = Peer()
    peer.client.close()
    peer.client.connect(100)
    assert peer.expect("closed")[1] == "no answer"
    peer.close()


def test_a_silent_broker_is_asked_then_given_up():
    peer = Peer(keepalive_s=1).accepted()
    assert peer.packet() == (0xC0, b"")
    peer.say(b"\xd0\x00")
    assert peer.packet() == (0xC0, b"")
    assert peer.expect("closed")[1] == "no answer"
    peer.close()


def test_a_client_that_only_listens_pings_all_the_same():
    peer = Peer(keepalive_s=1).accepted()
    for _ in range(200):
        peer.say(b"\x30\x03\x00\x01a")
        peer.turn(10)
        room = bytearray(2)
        if compat.receive(peer.socket, memoryview(room)):
            assert room == b"\xc0\x00"
            peer.close()
            return
    raise AssertionError("no ping")


def test_goodbye_is_said_before_closing():
    peer = Peer().accepted()
    peer.client.disconnect()
    assert peer.packet() == (0xE0, b"")
    assert peer.client.poll(0) == []
    peer.close()


def test_a_new_connection_knows_nothing_of_the_last():
    peer = Peer().accepted()
    while peer.client.has_room():
        peer.client.publish("a", b"", 1, False)
    peer.say(b"\x30\x09\x00\x01a")
    peer.client.close()

    peer.client.connect()
    peer.socket.close()
    peer.socket = peer.listener.accept()[0]
    peer.socket.setblocking(False)
    assert peer.packet()[0] == 0x10
    peer.accepted()

    assert peer.client.has_room()
    peer.say(b"\x30\x03\x00\x01b")
    assert peer.expect("message") == ("message", "b", b"", False)
    peer.close()


def test_long_payload_flows_into_a_sink_and_is_acknowledged_when_it_is_there():
    asked, pieces = [], []

    def sink(topic, length):
        asked.append((topic, length))
        return (lambda piece: pieces.append(bytes(piece))) if topic == "t/big" else None

    peer = Peer(max_packet=1000, sink=sink).accepted()
    payload = bytes(range(256)) * 100
    body = text(b"t/big") + b"\x00\x07" + payload
    packet = b"\x32" + length_of(body) + body

    peer.say(packet[:20000])
    for _ in range(5):
        peer.turn(5)
    assert peer.events == []
    assert peer.hears_nothing_more()
    peer.say(packet[20000:])

    assert peer.expect("streamed") == ("streamed", "t/big", len(body))
    assert asked == [("t/big", len(payload))]
    assert b"".join(pieces) == payload
    assert max(len(piece) for piece in pieces) <= 256
    assert peer.packet() == (0x40, b"\x00\x07")
    peer.close()


def length_of(body):
    size, out = len(body), b""
    while size > 127:
        out += bytes((size & 127 | 128,))
        size >>= 7
    return out + bytes((size,))


def test_messages_after_a_streamed_one_are_whole():
    seen = []
    peer = Peer(max_packet=100, sink=lambda topic, length: lambda piece: seen.append(len(piece)))
    peer.accepted()
    body = text(b"t") + bytes(300)

    peer.say(b"\x30" + length_of(body) + body + b"\x30\x04" + text(b"t") + b"x")

    assert peer.expect("streamed")[2] == 303
    assert peer.expect("message") == ("message", "t", b"x", False)
    assert sum(seen) == 300
    peer.close()
