"""Pieces of recipes go out in order, at a bounded rate; output of scripts is kept, bounded."""

from fieldconf_coordinator.service import serving
from fieldconf_coordinator.service.outputs import Outputs
from fieldconf_coordinator.service.recipes import RecipeStore, pack
from fieldconf_coordinator.service.serving import Serving
from fieldconf_microagent import codec, envelope

KEY = bytes(32)


class Link:
    def __init__(self):
        self.sent = []

    def publish(self, topic, payload, qos, retain):
        self.sent.append((topic, payload))


def queue(tmp_path, size):
    """Return a queue that holds a blob of some pieces for node n1."""
    store = RecipeStore(tmp_path)
    content = bytes(i * 7919 >> 3 & 255 for i in range(size))
    packed = pack("Web", "script", [("files/data", 0o644, content)])
    digest = store.add(packed)
    pieces = Serving(store, "fc")
    blob = max(packed.things, key=lambda key: len(packed.things[key]))
    pieces.add("n1", KEY, codec.pack([blob, 0, b"\xff", 8]), {digest})
    return pieces


def test_pieces_are_sealed_for_their_node_and_come_in_order(tmp_path):
    pieces, link = queue(tmp_path, 20_000), Link()

    pieces.send(0, link)

    assert {topic for topic, _ in link.sent} == {"fc/n1/put"}
    opened = [codec.unpack(envelope.open_sealed(KEY, "n1", "put", data)) for _, data in link.sent]
    assert [piece[1] for piece in opened] == list(range(len(opened)))
    assert pieces.next_wake() is None


def test_what_the_rate_does_not_allow_waits_for_its_time(tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "_BURST", 5_000)
    monkeypatch.setattr(serving, "_BYTES_PER_S", 10_000)
    pieces, link = queue(tmp_path, 200_000), Link()

    pieces.send(0, link)
    assert len(link.sent) == 1
    now = pieces.next_wake()
    assert now > 0
    pieces.send(now - 1, link)
    assert len(link.sent) == 1
    pieces.send(now, link)

    assert len(link.sent) == 2


def test_pieces_that_the_node_may_not_have_are_not_sent(tmp_path):
    link = Link()
    pieces = Serving(RecipeStore(tmp_path), "fc")

    pieces.add("n1", KEY, codec.pack([bytes(32), 0, b"\xff", 8]), {bytes(32)})
    pieces.send(0, link)

    assert link.sent == []


def test_output_is_kept_by_node_and_instance_oldest_first():
    outputs = Outputs()
    outputs.add("n1", "/a", "start", b"one")
    outputs.add("n2", "/b", "start", b"two")
    outputs.add("n1", "/a", "stop", b"three \xff")

    assert [part["text"] for part in outputs.of({"n1", "n2"}, None)] == ["one", "two", "three �"]
    assert [part["step"] for part in outputs.of({"n1"}, "/a")] == ["start", "stop"]

    outputs.forget("n1")
    assert outputs.of({"n1"}, None) == []


def test_only_the_end_of_much_output_is_kept():
    outputs = Outputs()
    for number in range(100):
        outputs.add("n1", "/a", "start", b"%03d" % number + bytes(4000))

    kept = outputs.of({"n1"}, "/a")

    assert len(kept) == 16
    assert kept[-1]["text"].startswith("099")
