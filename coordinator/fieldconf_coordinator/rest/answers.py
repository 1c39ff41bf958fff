"""Answers that are given a second time to a request that comes a second time.

A client that does not know whether its request arrived sends it again under the same key. The
answer is committed together with what the request changed, so this holds over a restart, too.
Everything here happens in the service's thread.
"""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from ..service.service import Service
from .envelope import Refusal

KEPT_MS = 86_400_000
MOST = 10_000
LONGEST_KEY = 200

Handler = Callable[[Service, int, dict[str, Any]], Any]


class Answers:
    """The latest answers, by the key of their request."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = {row["id"]: row for row in sorted(rows, key=lambda row: int(row["at"]))}

    def once(
        self, service: Service, now: int, key: str, digest: str, handler: Handler, asked: Any
    ) -> Any:
        """Return the answer that is kept under `key`, or that of `handler`, which is then kept."""
        row = self._rows.get(key)
        at = service.wall_ms()
        if row is not None and row["at"] > at - KEPT_MS:
            if row["digest"] != digest:
                raise Refusal(
                    422,
                    "key-used",
                    "another request was sent with this key",
                    "Idempotency-Key",
                    "use a new key for every new request",
                )
            return row["answer"]
        answer = handler(service, now, asked)
        row = {"id": key, "at": at, "digest": digest, "answer": answer}
        service.store_row("answers", key, row)
        self._rows.pop(key, None)
        self._rows[key] = row
        self._prune(service, at)
        return answer

    def forget(self, key: str) -> None:
        """Drop an answer that could not be saved."""
        self._rows.pop(key, None)

    def _prune(self, service: Service, at: int) -> None:
        for key in list(self._rows):
            if len(self._rows) <= MOST and self._rows[key]["at"] > at - KEPT_MS:
                return
            del self._rows[key]
            service.store_row("answers", key, None)


def digest_of(*parts: Any) -> str:
    """Return a digest of what is JSON-able."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
