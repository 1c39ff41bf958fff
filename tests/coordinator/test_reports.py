"""Which words of nodes count, and what follows from them."""

import pytest

from fieldconf_coordinator.core.reports import PULSE_MS
from fieldconf_microagent import codec, envelope, topics
from support.desk import WEB_DIGEST, Desk, kinds, orders, web_template


@pytest.fixture
def desk():
    desk = Desk()
    desk.start()
    desk.deploy(web_template())
    desk.settle()
    desk.effects.clear()
    return desk


STOPPED = {"/lb": {"s": "deployed-started"}, "/lb/lb": {"s": "deployed-stopped"}}


def test_a_have_tells_the_states_and_problems(desk):
    told = {
        "/lb": {"s": "deployed-started"},
        "/lb/lb": {"s": "unresolved", "p": ["failed", "start: exit status 3", True], "m": ["Web"]},
    }
    desk.have(desk.node("/lb"), instances=told, ip="10.0.0.9")
    shown = desk.shown("/lb/lb")

    assert shown["state"] == "unresolved"
    assert shown["problem"] == {
        "code": "failed",
        "text": "start: exit status 3",
        "resting": True,
    }
    assert shown["missing"] == ["Web"]
    assert desk.shown("/lb")["exports"] == {"VM.ip": "10.0.0.9"}
    assert [e[1:] for e in kinds(desk.effects, "event") if e[1] == "problem"] == [
        ("problem", "shop", "/lb/lb", desk.node_id("/lb"), "failed: start: exit status 3")
    ]


def test_events_tell_that_an_instance_was_started_anew_since_its_check_failed(desk):
    node = desk.node("/lb")
    failed = ["check", "check failed: exit status 1", False]
    told = []
    for state, problem in [
        ("deployed-started", failed),
        ("deployed-stopped", failed),
        ("deployed-started", None),
        ("deployed-started", None),
    ]:
        instance = {"s": state, **({"p": problem} if problem else {})}
        told += desk.have(node, instances={"/lb": {"s": "deployed-started"}, "/lb/lb": instance})

    assert [event[-1] for event in kinds(told, "event") if event[3] == "/lb/lb"] == [
        "check: it is stopped and started anew: check failed: exit status 1",
        "started anew after its check had failed",
    ]


def test_a_have_with_a_wrong_mac_does_not_count(desk):
    node = desk.node("/lb")
    have = {"e": 1, "b": 9, "s": 9, "v": 1, "app": node.app.id, "i": STOPPED, "n": {}}
    sealed = envelope.seal(b"x" * 32, node.id, "have", codec.pack(have))
    desk.fleet.on_message(0, "have", node.id, sealed)

    assert desk.state("/lb/lb") == "deployed-started"
    assert desk.fleet.status()["dropped"] == {node.id: 1}


@pytest.mark.parametrize(
    ("boot", "seq"), [(1, 1), (1, 0), (0, 99)], ids=["repeated", "older", "of an older boot"]
)
def test_a_have_that_is_not_newer_does_not_count(desk, boot, seq):
    node = desk.node("/lb")
    desk.have(node, boot=1, seq=50)
    desk.have(node, instances=STOPPED, boot=boot, seq=seq)

    assert desk.state("/lb/lb") == "deployed-started"


def test_a_have_of_a_newer_boot_counts(desk):
    desk.have(desk.node("/lb"), instances=STOPPED, boot=2, seq=0)

    assert desk.state("/lb/lb") == "deployed-stopped"
    desk.pass_time(1000)
    assert desk.rows["nodes", desk.node_id("/lb")]["seen"] == (1, 2, 0)


def test_triples_of_the_same_boot_are_written_now_and_then(desk):
    node = desk.node("/lb")
    assert not kinds(desk.have(node, seq=77), "store")

    desk.pass_time(60_000)

    assert desk.rows["nodes", node.id]["seen"] == (1, 1, 77)


def test_a_want_is_published_again_when_the_node_holds_another(desk):
    node = desk.node("/lb")
    effects = desk.have(node, version=0, app="", instances={}, boot=2, seq=1)

    assert topics.want("fc", node.id) in [effect[1] for effect in kinds(effects, "publish")]


def test_a_node_with_a_newer_want_than_ours_gets_a_still_newer_one(desk):
    node = desk.node("/lb")
    desk.have(node, version=40)

    assert desk.want("/lb")["v"] == 41
    assert desk.rows["nodes", node.id]["version"] == 41
    assert [e[1] for e in kinds(desk.effects, "event")] == ["version"]


def test_a_want_that_is_not_confirmed_is_sent_again_after_growing_pauses(desk):
    node = desk.node("/lb")
    desk.fleet.set_wish(desk.now, "shop", "/lb/lb", "deployed-stopped")
    desk.take()
    topic = topics.want("fc", node.id)

    found = desk.pass_time(100_000)

    sent = [effect for effect in kinds(found, "publish") if effect[1] == topic]
    assert 2 <= len(sent) <= 4
    assert [order[3] for order in orders(found, node)] == ["report"] * len(sent)
    desk.have(node)
    assert not kinds(desk.pass_time(200_000), "publish")


def test_live_tells_who_is_online(desk):
    node = desk.node("/lb")
    desk.live(node, False)
    assert not desk.shown("/lb/lb")["online"]

    desk.live(node, True)
    assert desk.shown("/lb/lb")["online"]
    texts = [effect[5] for effect in kinds(desk.take(), "event")]
    assert texts == [f"{node.id} is offline", f"{node.id} is online again"]


def test_a_will_of_an_older_boot_says_nothing(desk):
    node = desk.node("/lb")
    desk.live(node, True, boot=3)
    desk.live(node, False, boot=2)

    assert node.online


def test_two_missed_pulses_mean_offline_and_everybody_is_told(desk):
    node = desk.node("/lb")
    others = [desk.node(path) for path in ("/data", "/web1", "/web2")]
    for _ in range(6):
        desk.pass_time(PULSE_MS // 2)
        for other in others:
            pulse = codec.pack([1, 1, 1, other.version])
            desk.fleet.on_message(desk.now, "pulse", other.id, pulse)

    assert not node.online
    assert all(other.online for other in others)
    assert codec.unpack(desk.retained[topics.live("fc", node.id)]) == [1, 1, False]


def test_no_one_is_called_silent_for_a_time_in_which_nobody_could_be_heard(desk):
    desk.fleet.on_link(desk.now, False)
    desk.pass_time(5 * PULSE_MS)
    desk.fleet.on_link(desk.now, True)
    desk.pass_time(PULSE_MS)

    assert desk.node("/lb").online


def test_a_pulse_of_a_boot_that_sent_no_have_asks_for_it(desk):
    node = desk.node("/lb")
    desk.fleet.on_message(desk.now, "pulse", node.id, codec.pack([1, 2, 5, 1]))

    assert [order[1:] for order in orders(desk.take(), node)] == [[2, 60, "report", []]]


def test_an_order_for_another_boot_is_sent_again_for_the_present_one(desk):
    node = desk.node("/lb")
    desk.fleet.retry(desk.now, "shop", "/lb/lb")
    first = orders(desk.take(), node)[0]
    second = orders(desk.did(node, first[0], "stale", 7), node)[0]

    assert first[1:] == [1, 60, "retry", ["/lb/lb"]]
    assert second[1:] == [7, 60, "retry", ["/lb/lb"]]
    assert second[0] != first[0]


def test_two_machines_with_one_identity_are_named_and_change_nothing(desk):
    node = desk.node("/lb")
    desk.have(node, seq=10, hw="mark-a")
    desk.have(node, seq=11, hw="mark-b")
    assert not node.duplicate

    desk.have(node, instances=STOPPED, seq=12, hw="mark-a")

    assert desk.state("/lb/lb") == "deployed-started"
    shown = next(n for n in desk.fleet.status()["nodes"] if n["id"] == node.id)
    assert shown["duplicate"] == ["mark-a", "mark-b"]
    text = [e[5] for e in kinds(desk.effects, "event") if e[1] == "duplicate"]
    assert len(text) == 1 and "mark-a and mark-b" in text[0]
    assert desk.rows["nodes", node.id]["duplicate"]


BROKEN = {
    "no msgpack": b"\xc1\xff",
    "too long": b"\xc6\x00\x20\x00\x00" + bytes(1 << 21),
    "too deep": b"\x91" * 100 + b"\x90",
    "of a newer format": codec.pack([2, "n", "have", b"", b""]),
    "no envelope": codec.pack({"e": 1}),
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("kind", ["have", "live", "pulse", "did", "get", "log"])
def test_what_cannot_be_read_is_counted_and_told_once(desk, kind, payload):
    node = desk.node("/lb")
    for _ in range(3):
        desk.fleet.on_message(0, kind, node.id, payload)

    assert desk.fleet.status()["dropped"] == {node.id: 3}
    assert [e[1] for e in kinds(desk.take(), "event")] == ["dropped"]


def test_a_genuine_have_of_a_wrong_shape_changes_nothing(desk):
    node = desk.node("/lb")
    for document in ([], {"e": 1}, {"e": 1, "b": 5, "s": 1, "v": 1, "app": "", "n": {}, "i": 3}):
        sealed = envelope.seal(node.key, node.id, "have", codec.pack(document))
        desk.fleet.on_message(0, "have", node.id, sealed)

    assert desk.fleet.status()["dropped"] == {node.id: 3}
    assert desk.state("/lb/lb") == "deployed-started"


def test_unknown_nodes_are_shown_and_left_alone(desk):
    desk.fleet.on_message(0, "have", "stranger", b"anything")
    effects = desk.take()

    assert desk.fleet.status()["unknown"] == ["stranger"]
    assert [effect[0] for effect in effects] == ["event"]


def test_requests_for_pieces_are_passed_on(desk):
    node = desk.node("/web1")
    get = [WEB_DIGEST, 0, b"\xff", 4]
    desk.fleet.on_message(0, "get", node.id, codec.pack(get))

    assert kinds(desk.take(), "serve") == [("serve", node.id, get)]
    assert desk.fleet.allowed_digests(node.id) == {WEB_DIGEST}
    assert desk.fleet.allowed_digests("stranger") == frozenset()


def test_output_of_scripts_is_passed_on(desk):
    node = desk.node("/web1")
    desk.fleet.on_message(0, "log", node.id, codec.pack(["/web1/web", "start", b"hello"]))

    assert kinds(desk.take(), "log") == [("log", node.id, "/web1/web", "start", b"hello")]


def test_cleared_topics_are_ignored(desk):
    node = desk.node("/lb")
    desk.fleet.on_message(0, "have", node.id, b"")
    desk.fleet.on_message(0, "live", node.id, b"")

    assert desk.take() == []
    assert node.online
