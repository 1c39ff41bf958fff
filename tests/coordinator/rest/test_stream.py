"""The stream: everything there is, then what changes, then what was missed; for many at once."""

import socket
import threading
from urllib.parse import urlsplit

import pytest

from fieldconf_coordinator.rest import stream as hub_of
from support.rest import WEB_CLUSTER, served, zipped
from support.waiting import until


@pytest.fixture
def fleet(tmp_path):
    with served(tmp_path / "data", dev=True) as fleet:
        yield fleet


@pytest.fixture
def shop(fleet):
    fleet.deploy("shop")
    return fleet


def keyed(rows):
    """Return what the rows leave, as a page keeps them."""
    found = {}
    for row in rows:
        key = (row["kind"], row.get("application"), row.get("path"), row.get("id"), row.get("name"))
        if row["kind"] == "instance":
            key = ("instance", row["application"], row["path"])
        elif row["kind"] == "application":
            key = ("application", row["name"])
        else:
            key = (row["kind"], row["id"])
        if row.get("gone"):
            found.pop(key, None)
        else:
            found[key] = row
    return found


def follow(stream, rows, wanted):
    """Take in what comes until the rows are as wanted."""
    while not wanted(keyed(rows)):
        kind, data = next(events_of(stream))
        if kind == "snapshot" and data["part"] == 1:
            rows.clear()
        if kind in ("snapshot", "state"):
            rows += data["rows"]
    return keyed(rows)


def states_of(found):
    return {row["state"] for row in found.values() if row["kind"] == "instance"}


def events_of(stream):
    if not hasattr(stream, "kept"):
        stream.kept = stream.events()
    return stream.kept


def test_snapshot_holds_everything_there_is(shop):
    with shop.stream() as stream:
        rows = keyed(stream.snapshot())

    told = {key[2]: row for key, row in rows.items() if key[0] == "instance"}
    listed = {row["path"]: row for row in shop.get("/applications/shop/instances").data}
    assert {p: row["state"] for p, row in told.items()} == {
        p: row["state"] for p, row in listed.items()
    }
    assert {key[1] for key in rows if key[0] == "node"} == {
        n["id"] for n in shop.get("/nodes").data
    }
    assert rows["application", "shop"]["instances"]["settled"] == len(listed)
    assert rows["change", "1"]["outcome"] == "done"


def test_everything_of_an_application_is_told_from_its_first_day_to_its_last(fleet):
    template = fleet.upload(zipped(WEB_CLUSTER)).data["id"]
    with fleet.stream() as stream:
        rows = []
        fleet.post("/applications", {"template": template, "name": "shop"})
        follow(stream, rows, lambda found: found.get(("change", "1"), {}).get("outcome") == "done")
        follow(
            stream, rows, lambda found: found["application", "shop"]["instances"]["settled"] == 8
        )
        # Rows of an application and of its instances come in messages of their own.
        follow(stream, rows, lambda found: states_of(found) == {"deployed-started"})

        change = fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"}).data["change"]
        follow(
            stream, rows, lambda found: found.get(("change", change), {}).get("outcome") == "done"
        )
        follow(stream, rows, lambda found: not [key for key in found if key[0] == "node"])
        fleet.delete("/applications/shop")
        found = follow(stream, rows, lambda found: ("application", "shop") not in found)

    assert [key for key in found if key[0] == "instance"] == []


def test_history_comes_as_it_is_written(shop):
    with shop.stream() as stream:
        stream.snapshot()
        shop.put("/applications/shop/wanted", {"wanted": "deployed-stopped"})

        _, event = stream.until(lambda kind, data: kind == "event")

    assert event["text"] == "stop shop"
    assert event in shop.get("/events").data


def test_listener_comes_back_and_gets_what_it_missed(shop):
    with shop.stream() as first, shop.stream() as other:
        other.snapshot()
        first.snapshot()
        last_id = first.last_id
        first.close()
        shop.put("/applications/shop/wanted", {"wanted": "deployed-stopped"})
        _, missed = other.until(lambda kind, data: kind == "event")

        with shop.stream(Last_Event_ID=last_id) as back:
            kinds = []
            back.until(lambda kind, data: kinds.append(kind) or data == missed)

    assert "snapshot" not in kinds


@pytest.mark.parametrize(
    "last_id", ["", "x", "other-1-0", "a-b-c", "0" * 5000, "-9-9-9"],
    ids=["none", "odd", "of another start", "words", "endless", "negative"],
)  # fmt: skip
def test_listener_with_an_odd_id_begins_anew(shop, last_id):
    with shop.stream(Last_Event_ID=last_id) as stream:
        kind, _ = stream.until(lambda kind, data: kind == "snapshot")

    assert kind == "snapshot"


def test_history_that_a_restart_came_into_is_told_afterwards(tmp_path):
    with served(tmp_path, dev=True) as fleet:
        fleet.deploy("shop")
        with fleet.stream() as stream:
            stream.snapshot()
            last_id = stream.last_id
        change = fleet.put("/applications/shop/wanted", {"wanted": "not-deployed"})
        fleet.done(change)
    with served(tmp_path, dev=True) as fleet:
        with fleet.stream(Last_Event_ID=last_id) as stream:
            kind, event = stream.until(lambda kind, data: True)
            assert (kind, event["text"]) == ("event", "undeploy shop")
            assert stream.until(lambda kind, data: kind == "snapshot")


def test_filters_leave_out_what_a_page_does_not_show(shop):
    shop.deploy("other")

    with shop.stream("?application=shop") as stream:
        rows = keyed(stream.snapshot())
        assert {key[1] for key in rows if key[0] == "instance"} == {"shop"}
        assert {key[1] for key in rows if key[0] == "application"} == {"shop", "other"}
    with shop.stream("?instances=false") as stream:
        assert not [key for key in keyed(stream.snapshot()) if key[0] == "instance"]


def test_200_listen_at_once_and_others_are_served_meanwhile(shop):
    streams = [shop.stream() for _ in range(200)]
    try:
        for stream in streams:
            assert len(stream.snapshot()) >= 8
        shop.put("/applications/shop/wanted", {"wanted": "deployed-stopped"})
        for stream in streams:
            stream.until(lambda kind, data: kind == "event" and data["text"] == "stop shop")
        assert shop.get("/status").status == 200
        assert b"fieldconf_stream_listeners 200" in shop.get("//metrics").body
    finally:
        for stream in streams:
            stream.close()
    until(lambda: shop.server.rest.hub.listeners == 0)


def test_listener_that_does_not_read_is_dropped_and_the_others_are_not(shop, monkeypatch):
    monkeypatch.setattr(hub_of, "MOST_WAITING", 100_000)
    parts = urlsplit(shop.url)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect((parts.hostname, parts.port))
    slow.sendall(b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    hub = shop.server.rest.hub
    until(lambda: hub.listeners == 1)

    with shop.stream() as well:
        well.snapshot()
        seen = []
        reader = threading.Thread(target=lambda: [seen.append(kind) for kind, _ in well.events()])
        reader.start()
        number = 0
        while hub.dropped == 0:
            number += 1
            hub._deliver("events", [{"id": 1000 + number, "text": "x" * 20_000}])
            until(lambda count=number: len(seen) >= count)
        assert hub.listeners == 1
        assert seen.count("event") == number
        shop.service.stop()
        shop.server.rest.hub.close()
        reader.join(10)
    slow.close()


def test_stream_ends_with_the_login(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_of, "_BEAT_S", 0.1)
    with served(tmp_path) as fleet:
        admin = fleet.user("anna", "admin")
        made = admin.post("/tokens", {"name": "screen"}).data
        with admin.with_token(made["token"]).stream() as stream:
            stream.snapshot()
            admin.delete(f"/tokens/{made['id']}")

            assert list(stream.events()) == []


def test_stream_needs_a_login(tmp_path):
    with served(tmp_path) as fleet:
        with fleet.as_().stream() as stream:
            assert stream.status == 401


def test_nothing_is_kept_while_nobody_listens(shop, monkeypatch):
    monkeypatch.setattr(hub_of, "_LINGER_S", 0.0)
    with shop.stream() as stream:
        stream.snapshot()
        marks = shop.service.fleet.world.marks
        assert marks.wanted

    until(lambda: not marks.wanted)
    with shop.stream() as stream:
        assert len(stream.snapshot()) >= 8
