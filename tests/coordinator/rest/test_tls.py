"""TLS: everything works over it, the stream too, and nothing works beside it."""

import shutil
import socket
import ssl
import subprocess
from urllib.parse import urlsplit

import pytest

from fieldconf_coordinator.rest.server import ListenError, serving
from support.rest import raw, served


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "box.pem", folder / "box.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", key, "-out", chain],
        check=True, capture_output=True,
    )  # fmt: skip
    return chain, key


@pytest.fixture
def fleet(tmp_path, certificate):
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with served(tmp_path / "data", certificate=certificate, context=context) as fleet:
        yield fleet


def test_everything_is_served_over_tls(fleet):
    admin = fleet.user("anna", "admin")

    assert fleet.url.startswith("https://")
    assert admin.get("/status").status == 200
    cookie = fleet.as_().post("/session", {"user": "anna", "password": "correct horse battery"})
    assert "; Secure" in cookie.headers["set-cookie"]


def test_stream_goes_over_tls(fleet):
    with fleet.stream() as stream:
        assert stream.snapshot() == []
        fleet.deploy("shop")
        _, event = stream.until(lambda kind, data: kind == "event")

    assert event["text"] == "deploy web-cluster 1.0"


def test_many_rows_go_over_tls_in_one_piece(fleet):
    fleet.deploy("shop")
    fleet.done(fleet.post("/applications/shop/scale", {"path": "/web-vm", "count": 150}))

    with fleet.stream() as stream:
        rows = stream.snapshot()

    assert len([row for row in rows if row["kind"] == "instance"]) == 2 * 150 + 4


def test_clients_that_begin_no_handshake_stop_nobody(fleet):
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


def test_plain_request_is_refused(fleet):
    said = raw(fleet.url.replace("https", "http"), b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

    assert b"200 OK" not in said


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(fleet):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    fleet._context = context

    with pytest.raises(ssl.SSLError):
        fleet.get("/status")


def test_certificate_that_is_none_is_refused(fleet, tmp_path):
    (tmp_path / "x").write_text("no certificate")

    with pytest.raises(ListenError, match="for TLS"):
        with serving(fleet.service, "127.0.0.1:0", certificate=(tmp_path / "x", tmp_path / "x")):
            pass
