"""A coordinator served over HTTP in this process, and a client without cleverness."""

import io
import json
import socket
import ssl
import tarfile
import threading
import zipfile
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_coordinator.rest.server import serving
from fieldconf_coordinator.service import running
from fieldconf_coordinator.service.service import Options
from support.waiting import until

WEB_CLUSTER = Path(__file__).parents[2] / "examples" / "web-cluster"
PASSWORD = "correct horse battery"


class Response:
    """An answer."""

    def __init__(self, answer):
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.body = answer.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def data(self):
        assert self.status < 400, self.body
        return self.json["data"]

    @property
    def error(self):
        assert self.status >= 400, self.body
        return self.json["error"]


class Client:
    """Asks one server, as whoever the headers say."""

    def __init__(self, url, context=None, **headers):
        self.url = url
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self._context = context

    def as_(self, **headers):
        """Return a client with other headers."""
        return Client(self.url, self._context, **headers)

    def connect(self):
        parts = urlsplit(self.url)
        if parts.scheme == "https":
            return HTTPSConnection(parts.hostname, parts.port, timeout=20, context=self._context)
        return HTTPConnection(parts.hostname, parts.port, timeout=20)

    def ask(self, method, path, body=None, raw=None, **headers):
        """Send a request; `path` is below /api/v1 unless it begins with two slashes."""
        sent = {**self.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body is not None:
            raw = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            where = path[1:] if path.startswith("//") else "/api/v1" + path
            connection.request(method, where, raw, sent)
            return Response(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.ask("POST", path, body, **headers)

    def put(self, path, body=None, **headers):
        return self.ask("PUT", path, body, **headers)

    def patch(self, path, body=None, **headers):
        return self.ask("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.ask("DELETE", path, **headers)

    def upload(self, archive, kind="application/zip", **headers):
        return self.ask("POST", "/templates", raw=archive, Content_Type=kind, **headers)

    def with_token(self, token):
        return self.as_(Authorization=f"Bearer {token}")

    # -- what stories do again and again

    def done(self, response):
        """Wait for the change that was begun."""
        change = response.data["change"]
        until(lambda: self.get(f"/changes/{change}").data["outcome"] != "running", 60)
        return response.data

    def deploy(self, name="shop", folder=WEB_CLUSTER):
        """Upload the template and wait until it runs under this name."""
        template = self.upload(zipped(folder)).data["id"]
        self.done(self.post("/applications", {"template": template, "name": name}))
        return template

    def stream(self, query="", **headers):
        return Stream(self, query, {**self.headers, **headers})


class Stream:
    """A listener."""

    def __init__(self, client, query, headers):
        self._connection = client.connect()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request("GET", "/api/v1/stream" + query, headers=sent)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.last_id = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        # The answer holds the socket as well.
        self._answer.close()
        self._connection.close()

    def events(self):
        """Yield (kind, data) until the stream ends."""
        kind = None
        while line := self._answer.readline():
            text = line.decode().rstrip("\n")
            if text.startswith("id: "):
                self.last_id = text[4:]
            elif text.startswith("event: "):
                kind = text[7:]
            elif text.startswith("data: "):
                yield kind, json.loads(text[6:])

    def until(self, wanted):
        """Return the first (kind, data) that `wanted` likes."""
        for kind, data in self.events():
            if wanted(kind, data):
                return kind, data
        raise AssertionError("the stream ended")

    def snapshot(self):
        """Return the rows of the snapshot."""
        rows = []
        for kind, data in self.events():
            if kind == "snapshot":
                rows += data["rows"]
                if data["part"] == data["parts"]:
                    return rows
        raise AssertionError("the stream ended")


class Served(Client):
    """A running coordinator and a client that is admin."""

    def __init__(self, server, service, thread, context=None):
        super().__init__(server.url, context)
        self.server = server
        self.service = service
        self.thread = thread
        if server.first_token is not None:
            self.headers = {"Authorization": f"Bearer {server.first_token}"}

    def user(self, name, role):
        """Make a user and return a client with a token of theirs."""
        body = {"name": name, "role": role, "password": PASSWORD}
        assert self.post("/users", body).status == 201
        return self.log_in(name).token(self)

    def log_in(self, name, password=PASSWORD):
        """Return a client with a session."""
        answer = self.as_().post("/session", {"user": name, "password": password})
        assert answer.status == 200, answer.body
        cookie = answer.headers["set-cookie"].partition(";")[0]
        return Session(self.url, self._context, Cookie=cookie, X_CSRF_Token=answer.data["csrf"])


class Session(Client):
    """A client with a session."""

    def token(self, client):
        made = self.post("/tokens", {"name": "test"}).data["token"]
        return client.with_token(made)


@contextmanager
def served(
    folder,
    dev=False,
    certificate=None,
    per_s=100_000.0,
    context=None,
    listen="127.0.0.1:0",
    **options,
):
    """Run and serve a coordinator on a data folder, with nodes in memory."""
    chosen = Options(**{"target": "memory", "reconnect_ms": 200, "machines_s": 0.2, **options})
    with running.coordinator(folder, EmbeddedBroker, chosen) as service:
        with serving(service, listen, dev, certificate, per_s) as server:
            thread = threading.Thread(target=service.run, name="coordinator", daemon=True)
            thread.start()
            try:
                yield Served(server, service, thread, context)
            finally:
                service.stop()
                thread.join(30)


def zipped(folder, extra=()):
    """Return a ZIP of a folder, and of more (name, content)."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder).as_posix())
        for name, content in extra:
            archive.writestr(name, content)
    return made.getvalue()


def tarred(folder, mode="w:gz", extra=()):
    """Return a tar of a folder, and of more `TarInfo`s."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        archive.add(folder, ".")
        for info in extra:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return made.getvalue()


def raw(url, data, patience_s=20):
    """Send bytes to a server and return all that it answers."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), patience_s) as connection:
        if parts.scheme == "https":
            connection = ssl._create_unverified_context().wrap_socket(connection)
        found = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                found += piece
        except OSError:
            pass  # a server need not hear us out
        return found
