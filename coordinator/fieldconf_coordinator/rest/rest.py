"""What all handlers share: the service, accounts, audit, stream, uploads, limits."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fieldconf_microagent.version import VERSION

from ..core import status
from ..errors import RequestError
from ..service.service import Service
from ..service.templates import Kept
from . import accounts, library, limits, metrics, questions, stream
from .accounts import Accounts, Row
from .answers import Answers
from .audit import Audit
from .envelope import Answer, Raw, encode
from .routes import JSON, JSON_BODY, ROLES, UPLOAD, Call

_ALIVE_S = 30.0


@dataclass(frozen=True)
class Options:
    """How the interface is served.

    Attributes:
        dev: whoever asks from this box is admin.
        is_tls: cookies are for TLS only.
        per_s: requests a second for each client.
    """

    dev: bool = False
    is_tls: bool = False
    per_s: float = 200.0


class Rest:
    """The interface of one service.

    Make it before the service runs: it reads its tables.
    """

    def __init__(self, service: Service, options: Options) -> None:
        self.service = service
        self.options = options
        self.is_serving = False
        tables = {name: list(service.store.rows(name)) for name in ("users", "tokens", "sessions")}
        self.accounts = Accounts(tables, self._save, options.dev)
        self.answers = Answers(list(service.store.rows("answers")))
        self.library = library.Library(service)
        self.uploads: Path = library.clear(service.data / "uploads")
        self.audit = Audit(service.data)
        self.limits = limits.Rate(options.per_s)
        self.requests = metrics.Requests()
        self.hub = stream.Hub(service)
        self._descriptions: dict[str, str] = {
            row["application"]: row["text"] for row in service.store.rows("descriptions")
        }
        self._openapi: bytes | None = None
        self._endpoint: Path = service.data / "endpoint.json"

    def close(self) -> None:
        """Let go of everything."""
        self._endpoint.unlink(missing_ok=True)
        self.hub.close()
        self.audit.close()

    def _save(self, writes: list[tuple[str, str, Row | None]]) -> None:
        if self.is_serving:
            self.service.call(_store, {"writes": writes})
        else:
            self.service.store.commit([("store", *write) for write in writes])

    def kept(self, ref: str) -> Kept:
        """Return a template ready to be deployed."""
        return self.library.kept(ref)

    # -- an application's description

    def described(self, found: Row) -> Answer:
        """Return the answer that describes an application."""
        text = self._descriptions.get(found["id"], "")
        tag = f'"{questions.digest(text)}"'
        return Answer({**found, "description": text}, headers={"ETag": tag})

    def describe(self, call: Call) -> Answer:
        """Edit an application's description."""
        found = self.service.call(
            self._describe, {"call": call, "app": call.params["app"], **call.body}
        )
        self._descriptions[found["id"]] = call.body["description"]
        return self.described(found)

    def _describe(self, service: Service, now: int, asked: questions.Asked) -> Row:
        found: Row = questions.application(service, now, asked)
        asked["call"].if_match(self.described(found).headers["ETag"])
        row = {"application": found["id"], "text": asked["description"]}
        service.store_row("descriptions", found["id"], row)
        return found

    # -- about the service itself

    def settings(self) -> Row:
        """Return what the coordinator was started with."""
        options = self.service.options
        return {
            "version": VERSION,
            "fleet": self.service.fleet_id,
            "domain": options.domain,
            "target": options.target,
            "broker": self.service.broker.url,
            "keepalive_s": options.keepalive_s,
            "dev": self.options.dev,
            "tls": self.options.is_tls,
            "roles": list(ROLES),
            "limits": {
                "body_bytes": JSON_BODY,
                "upload_bytes": UPLOAD,
                "requests_per_s": self.options.per_s,
                "listeners": stream.MOST_LISTENERS,
                "session_s": accounts.SESSION_S,
            },
        }

    def health(self) -> Row:
        """Tell whether the service's thread still turns.

        Raises:
            RequestError: it has stopped, or is stuck.
        """
        if self.service.turned_at < time.monotonic() - _ALIVE_S:
            raise RequestError("stopped", "the coordinator's loop is stuck")
        return {"status": "ok"}

    def readiness(self) -> Row:
        """Tell whether nodes can be reached.

        Raises:
            RequestError: they cannot.
        """
        self.health()
        if not self.service.connected:
            url = self.service.broker.url
            raise RequestError("stopped", f"there is no connection to the broker {url}")
        return {"status": "ready"}

    def metrics(self) -> Raw:
        """Return the metrics."""
        overview, states = self.service.call(_measured, {})
        families = [
            *metrics.fleet(overview, states),
            *self.requests.families(),
            metrics.one("fieldconf_stream_listeners", "Who listens.", self.hub.listeners),
            metrics.one(
                "fieldconf_stream_dropped_total",
                "Listeners that were too slow.",
                self.hub.dropped,
                "counter",
            ),
        ]
        return Raw(metrics.render(families), metrics.TYPE)

    def openapi(self) -> Raw:
        """Return the description of the interface."""
        if self._openapi is None:
            from .openapi import describe
            from .table import ROUTES

            self._openapi = encode(describe(ROUTES))
        return Raw(self._openapi, JSON)

    def write_endpoint(self, url: str, certificate: str) -> None:
        """Tell programs of this box, which may read the data folder, where and how to log in."""
        new = self._endpoint.with_suffix(".new")
        told = {"url": url, "token": self.accounts.local, "certificate": certificate}
        new.unlink(missing_ok=True)
        new.touch(0o600)
        new.write_text(json.dumps(told), encoding="utf-8")
        new.replace(self._endpoint)


def _store(service: Service, now: int, asked: Mapping[str, Any]) -> None:
    for write in asked["writes"]:
        service.store_row(*write)


def _measured(service: Service, now: int, asked: questions.Asked) -> Any:
    world = service.fleet.world
    states = {
        name: status.summary(world, app)["instances"]["states"]
        for name, app in world.applications.items()
    }
    return questions.overview(service, now, asked), states
