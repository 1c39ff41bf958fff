"""Bad messages on real brokers, to a real agent process and a real coordinator.

They are counted, told once for each source, and dropped; everything works as before.
"""

import json

import pytest

from fieldconf_microagent import codec, envelope, states, topics
from fieldconf_microagent.link_paho import PahoLink
from support import brokers
from support.box import Box
from support.waiting import until

DOMAIN = "fc"


class Stranger:
    """Somebody on the broker who may publish what he likes."""

    def __init__(self, url):
        self.link = PahoLink(url, "stranger", max_payload=4 << 20)
        self.link.connect(None)
        self.heard = {}
        until(lambda: self._poll("up"), 60)
        self.link.subscribe([DOMAIN + "/#"])

    def _poll(self, awaited=None, token=None):
        found = False
        for event in self.link.poll(20):
            if event[0] == "message":
                self.heard[event[1]] = event[2]
            found = found or (event[0] == awaited and token in (None, event[-1]))
        return found

    def says(self, topic, payload, retain=False):
        token = self.link.publish(topic, payload, 1, retain)
        until(lambda: self._poll("acked", token), 60)

    def hears(self, topic):
        return until(lambda: (self._poll(), self.heard.get(topic))[1], 60)


@pytest.fixture(params=["embedded", "mosquitto"])
def town(request, tmp_path):
    """A box on a broker without access lists, with an application that runs, and a stranger."""
    with brokers.running(request.param, tmp_path / "outside") as broker:
        box = Box(tmp_path, "--broker", broker.url)
        stranger = None
        try:
            box.up()
            box.deploy()
            box.until_state("/web-vm/web", states.STARTED)
            stranger = Stranger(broker.url)
            yield box, stranger
        finally:
            if stranger:
                stranger.link.close()
            box.close()


def bad_envelopes(key, node, kind, payload):
    """Return why a message is refused → such a message, made from a genuine payload."""
    good = codec.unpack(envelope.seal(key, node, kind, payload))
    return {
        "undecodable": b"\xc1 what is this",
        "deep": b"\x91" * 5000,
        "truncated": envelope.seal(key, node, kind, payload)[:-9],
        "format": codec.pack([2, *good[1:], "more"]),
        "mac": codec.pack([*good[:4], bytes(32)]),
        "other-node": envelope.seal(key, "somebody", kind, payload),
        "other-kind": envelope.seal(key, node, "put", payload),
        "too long": bytes((1 << 20) + 1),
    }


def identity(box, path):
    node = box.instances()[path]["node"]
    settings = json.loads((box.data / "nodes/local" / node / "settings.json").read_text())
    return node, bytes.fromhex(settings["key"])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_bad_messages_on_a_real_broker_change_nothing(town):
    box, stranger = town
    web, key = identity(box, "/web-vm/web")
    data, _ = identity(box, "/data-vm/data")
    pids = [box.agent_pid(path) for path in ("/web-vm/web", "/data-vm/data")]
    want = stranger.hears(topics.want(DOMAIN, web))
    payload = codec.unpack(want)[3]
    app = codec.unpack(payload)["app"]
    older = codec.pack({**codec.unpack(payload), "v": 0, "i": []})
    order = codec.pack(["again", 0, 60, "forget", []])
    genuine = {"want": payload, "do": order, "have": payload, "did": order}
    bad = [
        (topics.topic(DOMAIN, web, kind), message)
        for kind in genuine
        for message in bad_envelopes(key, web, kind, genuine[kind]).values()
    ]
    bad += [
        (topics.want(DOMAIN, web), envelope.seal(key, web, "want", older)),
        (topics.want(DOMAIN, data), want),
        (topics.do(DOMAIN, web), envelope.seal(key, web, "do", order)),  # of another boot
        (topics.do(DOMAIN, web), envelope.seal(key, web, "do", order)),
        (topics.put(DOMAIN, web), b"no piece"),
        (topics.ask(DOMAIN, data), codec.pack([1, 2])),
        (topics.live(DOMAIN, data), codec.pack(["yes"])),
        (topics.pulse(DOMAIN, web), codec.pack([1, 2**63, -1, 0])),
        (topics.get(DOMAIN, web), codec.pack([b"", -1, b"", 2**63])),
        (topics.log(DOMAIN, web), codec.pack([["/web-vm/web"], None, 7])),
        (topics.have(DOMAIN, "nobody"), want),
        (topics.exports(DOMAIN, app, "Data", data), codec.pack([1, 9, 9, 9, [["/x", {"ip": 7}]]])),
        (topics.exports(DOMAIN, app, "Data", data), codec.pack([2, 9, 9, 9, []])),
        (DOMAIN + "/fleet", b"\xc1"),
    ]  # fmt: skip
    for _ in range(2):
        for topic, message in bad:
            stranger.says(topic, message)

    box.wish("/data-vm/data", states.STOPPED)
    box.until_state("/web-vm/web", states.UNRESOLVED)
    box.wish("/data-vm/data", states.STARTED)
    box.until_state("/web-vm/web", states.STARTED)
    assert [box.agent_pid(path) for path in ("/web-vm/web", "/data-vm/data")] == pids
    status = box.ask("status")
    assert status["dropped"][web] >= 20
    assert status["unknown"] == ["nobody"]
    told = [event["text"] for event in box.ask("events") if event["kind"] == "dropped"]
    assert [sum(node in text for text in told) for node in (web, data)] == [1, 1]
    log = (box.data / "nodes/local" / web / "agent.log").read_text()
    for reason in ("undecodable", "format", "mac", "other-node", "other-kind"):
        assert log.count(f"refused {topics.want(DOMAIN, web)}: envelope refused: {reason}\n") == 1
    assert log.count(" bytes are more than this node takes") == 2
    assert box.log().count("messages of more than") == 1
    assert "Traceback" not in log + box.log()
