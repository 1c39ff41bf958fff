"""The client of REST: against a real service, and against servers that lose answers."""

import io
import json
import os
import shutil
import socket
import stat
import threading
import zipfile
from contextlib import contextmanager

import pytest

from fieldconf_coordinator.cli import client as client_module
from fieldconf_coordinator.cli.client import Client, Place, local
from fieldconf_coordinator.cli.packing import packed
from fieldconf_coordinator.cli.remote import Remote
from fieldconf_coordinator.errors import RequestError
from support.rest import WEB_CLUSTER, served
from support.waiting import until


@pytest.fixture
def fleet(tmp_path):
    with served(tmp_path / "data") as fleet:
        yield fleet


@pytest.fixture
def remote(fleet):
    found = Remote.at(local(fleet.service.data))
    yield found
    found.client.close()


def done(fleet, answer):
    until(lambda: fleet.get(f"/changes/{answer['change']}").data["outcome"] != "running", 60)
    return answer


class Refused:
    """Expects a RequestError with a code; `error` is what was raised."""

    def __init__(self, code):
        self.code = code

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        assert isinstance(error, RequestError), error
        assert error.code == self.code, (error.code, error.message)
        self.error = error
        return True


# -- what can be asked


def test_application_is_deployed_changed_and_forgotten(fleet, remote):
    first = done(fleet, remote.deploy(WEB_CLUSTER, "shop"))
    told = remote.status("shop")["applications"][0]
    assert (first["name"], told["name"], told["template"]) == ("shop", "shop", "web-cluster")
    assert {one["state"] for one in told["instances"]} == {"deployed-started"}

    again = done(fleet, remote.deploy(WEB_CLUSTER, "shop"))
    assert again["application"] == first["application"]

    done(fleet, remote.wish("shop", None, "not-deployed"))
    until(lambda: remote.nodes("shop") == [])
    remote.delete("shop")
    assert remote.status()["applications"] == []


def test_status_is_what_the_core_tells(fleet, remote):
    done(fleet, remote.deploy(WEB_CLUSTER, "shop"))

    wanted = fleet.service.ask("status", {"app": "shop"})
    wanted["nodes"].sort(key=lambda node: node["id"])
    assert remote.status("shop") == wanted


def test_name_with_blanks_and_brackets_is_found(fleet, remote):
    done(fleet, remote.deploy(WEB_CLUSTER, "my shop (new)"))

    assert remote.names() == ["my shop (new)"]
    assert remote.why("my shop (new)", "/lb-vm/lb") == []
    assert remote.paths("my shop (new)", "/data") == ["/data-vm", "/data-vm/data"]


def test_more_instances_than_fit_a_page_are_all_told(fleet, remote):
    done(fleet, remote.deploy(WEB_CLUSTER, "shop"))
    done(fleet, remote.scale("shop", "/web-vm", 600))

    assert len(remote.status("shop")["applications"][0]["instances"]) == 2 * 600 + 4


@pytest.mark.parametrize("first", ["memory", None])
def test_other_target_for_an_application_is_refused(fleet, remote, first):
    done(fleet, remote.deploy(WEB_CLUSTER, "shop", first))

    with Refused("conflict") as caught:
        remote.deploy(WEB_CLUSTER, "shop", "local")
    assert "/data-vm (memory)" in caught.error.message
    assert "'fieldconf delete shop' first" in caught.error.hint
    done(fleet, remote.deploy(WEB_CLUSTER, "shop", "memory"))


def test_plan_changes_nothing_and_tells_all(fleet, remote, tmp_path):
    done(fleet, remote.deploy(WEB_CLUSTER, "shop"))
    changed = tmp_path / "changed"
    shutil.copytree(WEB_CLUSTER, changed)
    script = next((changed / "graph" / "Balancer").rglob("start*"))
    script.write_text(script.read_text() + "\n# changed\n")

    plan = remote.plan(changed, "shop")

    assert (plan["new"], plan["add"], plan["remove"]) == (False, [], [])
    assert plan["upgrade"] == ["/lb-vm/lb"]
    assert remote.plan(changed, "other")["new"] is True
    assert remote.names() == ["shop"]


# -- refusals


def test_every_problem_of_a_template_comes_with_its_line_and_marker(remote, tmp_path):
    shutil.copytree(WEB_CLUSTER, tmp_path / "broken")
    graph = tmp_path / "broken" / "graph" / "main.graph"
    graph.write_text(graph.read_text().replace("installer: target;", "installer: target"))

    with Refused("bad-template") as caught:
        remote.deploy(tmp_path / "broken")

    assert caught.error.message == f"cannot deploy {tmp_path / 'broken'}: it has errors"
    text = caught.error.problems[0]["text"]
    assert "graph/main.graph:5:20: P_PROPERTY_ENDS_WITH_SEMI_COLON" in text
    assert "installer: target\n" in text and text.rstrip().endswith("^")


def test_wrong_token_is_told_with_what_to_do(fleet):
    with Client(Place(fleet.url, "wrong")) as client, Refused("no-login") as caught:
        client.get("/status")

    assert "unknown, revoked or expired" in caught.error.message
    assert "fieldconf login" in caught.error.hint


def test_role_that_is_too_low_is_told(fleet):
    token = fleet.user("vera", "viewer").headers["Authorization"].partition(" ")[2]
    remote = Remote.at(Place(fleet.url, token))

    with remote.client, Refused("needs-role") as caught:
        remote.deploy(WEB_CLUSTER)

    assert caught.error.message == "vera is viewer; this needs releaser"
    assert "admin" in caught.error.hint


def test_nobody_there_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    with Client(Place(f"http://127.0.0.1:{port}")) as client, Refused("unreachable") as caught:
        client.get("/status")
    assert "Connection refused" in caught.error.message

    with Refused("not-running") as caught:
        local(tmp_path)
    assert "fieldconf up" in caught.error.hint


@pytest.mark.parametrize(
    "url", ["gateway:8700", "ftp://x", "http://", "http://a:b", "https://u:p@x"]
)
def test_address_that_is_none_is_told(url):
    with Refused("bad-address") as caught:
        Client(Place(url))

    assert "https://gateway:8700" in caught.error.hint


# -- endpoint of the data folder


def test_endpoint_is_for_its_owner_and_goes_with_the_coordinator(tmp_path):
    with served(tmp_path / "data"):
        path = tmp_path / "data" / "endpoint.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    assert not path.exists()


def test_endpoint_of_a_killed_coordinator_whose_port_another_one_got_is_nobody(fleet, tmp_path):
    told = {"url": fleet.url, "token": "of-the-killed-one"}
    (tmp_path / "endpoint.json").write_text(json.dumps(told))
    remote = Remote.at(local(tmp_path))

    with remote.client, Refused("not-running"):
        remote.status()


# -- what gets lost on the way


class Script:
    """A server that answers each request as the next line of a script says."""

    def __init__(self, *lines):
        self.heads = []
        self._lines = list(lines)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        for line in self._lines:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.heads.append(connection.recv(65536).decode())
                if line is not None:
                    status, headers, body = line
                    raw = json.dumps(body).encode() if not isinstance(body, bytes) else body
                    more = "".join(f"{n}: {v}\r\n" for n, v in headers.items())
                    connection.sendall(
                        f"HTTP/1.1 {status} x\r\nContent-Length: {len(raw)}\r\n{more}"
                        "Connection: close\r\n\r\n".encode()
                        + raw
                    )

    def keys(self):
        return [
            line.partition(": ")[2]
            for head in self.heads
            for line in head.splitlines()
            if line.lower().startswith("idempotency-key")
        ]

    def close(self):
        self._server.close()


@contextmanager
def script(*lines, timeout_s=20):
    server = Script(*lines)
    try:
        with Client(Place(server.url), timeout_s) as client:
            yield server, client
    finally:
        server.close()


OK = (200, {}, {"data": {"change": "7"}})
GONE = (404, {}, {"error": {"code": "unknown-instance", "message": "none", "hint": ""}})


def test_what_creates_is_sent_again_under_the_same_key_when_its_answer_is_lost():
    with script(None, None, OK) as (server, client):
        assert client.create("/applications", {}) == {"change": "7"}

    assert len(server.keys()) == 3
    assert len(set(server.keys())) == 1


def test_two_requests_have_two_keys():
    with script(OK, OK) as (server, client):
        client.create("/applications", {})
        client.create("/applications", {})

    assert len(set(server.keys())) == 2


def test_what_must_not_be_asked_twice_is_not():
    with script(None, OK) as (server, client), Refused("lost") as caught:
        client.post("/applications/shop/cancel", {"path": "/x"})

    assert len(server.heads) == 1
    assert "fieldconf status" in caught.error.hint


def test_deletion_whose_answer_was_lost_is_done():
    with script(None, GONE) as (_, client):
        assert client.delete("/applications/shop/instances/x") == {}

    with script(GONE) as (_, client), Refused("unknown-instance"):
        client.delete("/applications/shop/instances/x")


def test_who_is_too_fast_waits_as_long_as_told(monkeypatch):
    pauses = []
    monkeypatch.setattr(client_module.time, "sleep", pauses.append)
    slow = (429, {"Retry-After": "3"}, {"error": {"code": "too-fast", "message": "too often"}})

    with script(slow, OK) as (_, client):
        assert client.get("/status") == {"change": "7"}
    assert 3.0 in pauses

    late = (429, {"Retry-After": "300"}, {"error": {"code": "too-fast", "message": "too often"}})
    with script(late) as (_, client), Refused("too-fast"):
        client.get("/status")


def test_silence_is_told_after_the_time_limit():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Client(Place(url), 0.2) as client, Refused("timeout") as caught:
            client.get("/status")

    assert "did not answer within 0.2 s" in caught.error.message


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"error": 3}', b"\xff", b'{"data": 1'], ids=repr
)
def test_answer_of_something_else_is_told(body):
    with script((200, {}, body)) as (_, client), Refused("no-api") as caught:
        client.get("/status")

    assert "is no coordinator" in caught.error.message


def test_connection_that_the_server_closed_meanwhile_is_made_anew(fleet, remote):
    remote.status()
    remote.client._connection.sock.shutdown(socket.SHUT_RDWR)

    assert remote.status()["applications"] == []


def test_connection_is_kept(fleet, remote):
    remote.status()
    before = remote.client._connection.sock.getsockname()
    remote.status()

    assert remote.client._connection.sock.getsockname() == before


# -- the ZIP that is sent


def test_equal_folders_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        shutil.copytree(WEB_CLUSTER, tmp_path / name, copy_function=shutil.copyfile)
    os.utime(tmp_path / "two" / "descriptor", (1, 1))

    with packed(tmp_path / "one") as (one, _), packed(tmp_path / "two") as (two, size):
        one.seek(0), two.seek(0)
        content = one.read()
        assert content == two.read()
    assert len(content) == size
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert "graph/main.graph" in archive.namelist()


def test_uploading_twice_gives_the_same_template(remote):
    assert remote.upload(WEB_CLUSTER)["id"] == remote.upload(WEB_CLUSTER)["id"]


def test_link_that_leads_out_is_refused_before_anything_is_sent(tmp_path):
    shutil.copytree(WEB_CLUSTER, tmp_path / "bad")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "bad" / "graph" / "secret").symlink_to(tmp_path / "secret")
    silent = Remote.at(Place("http://127.0.0.1:1"))

    with Refused("bad-template") as caught:
        silent.deploy(tmp_path / "bad")

    assert "FC_UNSAFE_PATH" in caught.error.problems[0]["text"]


def test_template_that_is_too_large_is_not_sent(tmp_path):
    shutil.copytree(WEB_CLUSTER, tmp_path / "large")
    for name in "ab":
        (tmp_path / "large" / "graph" / name).write_bytes(os.urandom(40 << 20))

    with Refused("too-large") as caught:
        Remote.at(Place("http://127.0.0.1:1")).deploy(tmp_path / "large")

    assert "64 MiB" in caught.error.message


def test_template_that_is_not_there_is_told(tmp_path):
    with Refused("bad-template") as caught:
        Remote.at(Place("http://127.0.0.1:1")).deploy(tmp_path / "nowhere")

    assert "there is no template at" in caught.error.message


# -- the stream


def test_stream_tells_what_changes(fleet, remote):
    with remote.client.stream() as stream:
        events = iter(stream)
        assert next(events)[0] == "snapshot"
        fleet.deploy("shop")
        kinds = {kind for kind, _ in (next(events) for _ in range(5))}

    assert "state" in kinds
    assert stream.last_id


def test_stream_is_refused_like_everything_else(fleet):
    with Refused("no-login"):
        Client(Place(fleet.url, "wrong")).stream()


def test_certificates_that_are_none_are_told():
    with Refused("bad-ca"):
        Client(Place("https://127.0.0.1:1", ca="no PEM")).get("/status")
