"""What strangers send: a clear error, nothing changed, and the service lives."""

import errno
import gzip
import io
import os
import socket
import stat
import tarfile
import zipfile
from urllib.parse import urlsplit

import pytest

from support.rest import WEB_CLUSTER, raw, served, tarred, zipped


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    with served(tmp_path_factory.mktemp("fleet"), dev=True) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def it_lives_on_and_nothing_has_changed(fleet):
    yield
    assert fleet.get("//healthz").status == 200
    assert fleet.get("/applications").data == []
    assert list((fleet.service.data / "uploads").iterdir()) == []


# -- bodies


def test_body_of_10_mb_is_refused_in_words(fleet):
    body = b'{"name": "' + b"x" * (10 << 20) + b'"}'

    answer = fleet.ask("POST", "/applications", raw=body, Content_Type="application/json")

    assert answer.status == 413
    assert answer.error["message"] == "the body has more than 1 MiB"


def test_body_whose_length_is_not_told_is_bounded_as_well(fleet):
    def pieces():
        for _ in range(40):
            yield b"x" * (256 << 10)

    answer = fleet.ask("POST", "/applications", raw=pieces(), Content_Type="application/json")

    assert answer.error["code"] == "too-large"


class FullDisk(io.RawIOBase):
    def writable(self):
        return True

    def write(self, _):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("size", [100, 1_000_000], ids=["small", "large"])
def test_upload_that_finds_no_room_is_refused_in_words(fleet, monkeypatch, caplog, size):
    def opened(handle, mode):
        os.close(handle)
        return io.BufferedWriter(FullDisk())

    monkeypatch.setattr("fieldconf_coordinator.rest.body.open", opened, raising=False)

    answer = fleet.upload(b"PK\x03\x04" + bytes(size))

    assert (answer.status, answer.error["code"]) == (507, "disk")
    assert "No space left on device" in answer.error["message"]
    assert "make room" in answer.error["hint"]
    assert "Traceback" not in caplog.text


def test_upload_beyond_its_limit_is_refused(fleet, monkeypatch):
    monkeypatch.setattr("fieldconf_coordinator.rest.app.UPLOAD", 1000)

    answer = fleet.upload(b"PK\x03\x04" + bytes(5000))

    assert answer.status == 413


def test_length_that_is_a_lie_is_no_harm(fleet):
    for head in (b"Content-Length: 99999999999", b"Content-Length: -1", b"Content-Length: x"):
        said = raw(
            fleet.url,
            b"POST /api/v1/applications HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: application/json\r\n" + head + b"\r\n\r\n{}",
        )
        assert said == b"" or said.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"template": "\xff\xfe"}', 400, "bad-utf8"),
        (b'{"template": ', 400, "bad-json"),
        (b'{"template": NaN}', 400, "bad-json"),
        (b"[" * 200_000, 400, "bad-json"),
        (b'{"template": ' + b"1" * 5000 + b"}", 400, "bad-json"),
        (b"", 400, "bad-json"),
        (b"[]", 422, "bad-body"),
        (b"null", 422, "bad-body"),
        (b"{}", 422, "bad-body"),
        (b'{"template": 1}', 422, "bad-body"),
        (b'{"template": "a", "name": "\\ud800"}', 422, "bad-body"),
        (b'{"template": "a\\u0000b"}', 422, "bad-body"),
        (b'{"template": "../../etc"}', 404, "unknown-template"),
    ],
    ids=[
        "bytes that are no UTF-8", "cut", "not a number", "nested without end", "endless number",
        "nothing", "list", "null", "member missing", "other type", "half a character", "NUL",
        "path for an id",
    ],
)  # fmt: skip
def test_odd_body_is_refused(fleet, body, status, code):
    answer = fleet.ask("POST", "/applications", raw=body, Content_Type="application/json")

    assert (answer.status, answer.error["code"]) == (status, code)


def test_place_of_the_mistake_is_named(fleet):
    body = {"wanted": "deployed-started", "paths": ["/a", 7]}

    assert fleet.put("/applications/shop/wanted", body).error["where"] == "/paths/1"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_body_of_another_type_is_refused(fleet, kind):
    # A form of another site's page could send these without asking first.
    answer = fleet.ask("POST", "/applications", raw=b"{}", Content_Type=kind)

    assert (answer.status, answer.error["where"]) == (415, "Content-Type")


def test_compressed_body_is_refused(fleet):
    answer = fleet.ask(
        "POST",
        "/applications",
        raw=gzip.compress(b"{}"),
        Content_Type="application/json",
        Content_Encoding="gzip",
    )

    assert answer.status == 415


# -- paths and queries


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("//api/v1/applications/%ff%fe", 400),
        ("/applications?cursor=%ff", 400),
        ("/applications?limit=0", 422),
        ("/applications?limit=x", 422),
        ("/applications?limit=%D9%A3", 422),
        ("/applications?" + "&".join(f"a{n}=1" for n in range(100)), 400),
        ("/applications/shop/why", 422),
        ("/nodes?online=perhaps", 422),
        ("/events?cursor=x", 400),
        ("/nothing", 404),
        ("//console/../../setup.cfg", 404),
        ("//console/%2e%2e/%2e%2e/setup.cfg", 404),
        ("//console//etc/passwd", 404),
    ],
)
def test_odd_path_or_query_is_refused(fleet, path, status):
    assert fleet.get(path).status == status


def test_method_that_is_not_there_is_refused(fleet):
    answer = fleet.ask("PUT", "/status")

    assert (answer.status, answer.error["code"]) == (405, "bad-method")
    assert "GET" in answer.headers["allow"]


def test_garbage_on_the_line_is_no_harm(fleet):
    for data in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"\x00" * 1000,
        b"GET / HTTP/9.9\r\n\r\n",
    ):
        raw(fleet.url, data)


def test_head_without_end_is_refused(fleet):
    said = raw(fleet.url, b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nA: " + b"a" * (200 << 10))

    assert said == b"" or said.split()[1] in (b"413", b"400", b"431")


def test_silent_clients_stop_nobody(fleet):
    parts = urlsplit(fleet.url)
    silent = [socket.create_connection((parts.hostname, parts.port)) for _ in range(100)]
    try:
        # Sooner than the server loses its patience with them.
        connection = fleet.connect()
        connection.timeout = 5
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        for connection in silent:
            connection.close()


# -- archives


def with_member(name, mode=0o100644, content=b"x"):
    made = io.BytesIO(zipped(WEB_CLUSTER))
    with zipfile.ZipFile(made, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, content)
    return made.getvalue()


def member(name, kind=tarfile.REGTYPE, size=1, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    return info


def bomb():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big", bytes(300 << 20))
    return made.getvalue()


def tar_bomb():
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=9) as packed:
        header = member("big", size=300 << 20).tobuf()
        packed.write(header)
        for _ in range(300):
            packed.write(bytes(1 << 20))
    return made.getvalue()


def tar_of(*infos):
    return lambda: tarred(WEB_CLUSTER, "w", infos)


TRICKS = {
    "zip up and out": lambda: with_member("../evil"),
    "zip absolute": lambda: with_member("/etc/evil"),
    "zip with drive": lambda: with_member("C:/evil"),
    "zip link": lambda: with_member("link", stat.S_IFLNK | 0o777, b"/etc/passwd"),
    "zip device": lambda: with_member("device", stat.S_IFCHR | 0o666),
    "zip bomb": bomb,
    "zip cut": lambda: zipped(WEB_CLUSTER)[:500],
    "tar up and out": tar_of(member("../evil")),
    "tar absolute": tar_of(member("/etc/evil")),
    "tar link": tar_of(member("link", tarfile.SYMTYPE, 0, "/etc/passwd")),
    "tar hard link": tar_of(member("link", tarfile.LNKTYPE, 0, "/etc/passwd")),
    "tar device": tar_of(member("device", tarfile.CHRTYPE, 0)),
    "tar pipe": tar_of(member("pipe", tarfile.FIFOTYPE, 0)),
    "tar bomb": tar_bomb,
    "tar cut": lambda: tarred(WEB_CLUSTER)[:300],
    "tar odd name": tar_of(member("a\udcff")),
    "neither": lambda: b"hello" * 1000,
    "gzip of nothing": lambda: gzip.compress(b""),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_trick_in_an_archive_is_refused(fleet, trick):
    answer = fleet.upload(TRICKS[trick](), "application/octet-stream")

    assert answer.status == 422
    assert answer.error["message"] or answer.error["problems"]
    assert str(fleet.service.data) not in answer.body.decode()
    assert fleet.get("/templates").data == []
    assert not list(fleet.service.data.glob("**/evil"))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: zipped(WEB_CLUSTER), "application/zip"),
        (lambda: tarred(WEB_CLUSTER, "w"), "application/x-tar"),
        (lambda: tarred(WEB_CLUSTER, "w:gz"), "application/gzip"),
    ],
    ids=["zip", "tar", "tar.gz"],
)
def test_archive_of_a_template_is_kept_once(fleet, make, kind):
    first, second = fleet.upload(make(), kind), fleet.upload(make(), kind)

    assert (first.status, second.status) == (201, 200)
    assert first.data == second.data
    assert first.headers["location"] == f"/api/v1/templates/{first.data['id']}"
    assert fleet.delete(f"/templates/{first.data['id']}").status == 200
    assert fleet.get(f"/templates/{first.data['id']}").status == 404


def test_broken_template_is_refused_with_lines_and_markers(fleet):
    source = (WEB_CLUSTER / "graph" / "main.graph").read_text()
    broken = source.replace("installer: target;", "installer: target", 1)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in WEB_CLUSTER.rglob("*"):
            name = path.relative_to(WEB_CLUSTER).as_posix()
            if path.is_file():
                archive.writestr(name, broken if name == "graph/main.graph" else path.read_bytes())

    error = fleet.upload(made.getvalue()).error

    assert error["code"] == "bad-template"
    (problem,) = [p for p in error["problems"] if p["severity"] == "severe"][:1]
    assert problem["file"] == "graph/main.graph"
    assert "^" in problem["text"]
