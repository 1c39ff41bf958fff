"""What every answer looks like.

Results are ``{"data": …}``, lists with ``"page": {"next": cursor or null}`` beside; errors are
``{"error": {"code", "message", "where", "hint"}}``, with ``problems`` where a template is refused.
Programs look at the code, people at the message and the hint; `where` is a JSON pointer into the
body, the name of a parameter or header, or "".
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import RequestError

#: Code of the core's refusals → status. Codes that begin with "unknown-" are 404, others 422.
_STATUS = {
    "conflict": 409,
    "bad-request": 400,
    "disk": 507,
    "stopped": 503,
}


class Refusal(RequestError):
    """A request is refused; nothing has changed.

    Attributes:
        status: of HTTP.
        where: a JSON pointer into the body, the name of a parameter or header, or "".
        headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        where: str = "",
        hint: str = "",
        problems: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, message, hint, [dict(one) for one in problems])
        self.status = status
        self.where = where
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the body of the answer."""
        told: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
        }
        if self.problems:
            told["problems"] = self.problems
        return encode({"error": told})


def of_request(error: RequestError) -> Refusal:
    """Return what a refusal of the service is in HTTP."""
    status = _STATUS.get(error.code, 404 if error.code.startswith("unknown-") else 422)
    return Refusal(status, error.code, error.message, hint=error.hint, problems=error.problems)


@dataclass
class Answer:
    """What a handler answers.

    Attributes:
        status: None: the route's.
        next: where the next page of a list begins; only lists have `page`.
        is_list: there is a page, the last one perhaps.
    """

    data: Any
    status: int | None = None
    next: str | None = None
    is_list: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return the body of the answer."""
        told: dict[str, Any] = {"data": self.data}
        if self.is_list:
            told["page"] = {"next": self.next}
        return encode(told)


@dataclass
class Raw:
    """An answer without an envelope: a page, a picture, the metrics."""

    body: bytes
    type: str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    #: Takes the connection once this was sent: the answer goes on there.
    take_over: Callable[[Any], None] | None = None


def page(rows: Sequence[Any], next_cursor: str | None) -> Answer:
    """Return a page of a list."""
    return Answer(list(rows), next=next_cursor, is_list=True)


def encode(value: Any) -> bytes:
    """Return `value` as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(
        "utf-8", "surrogateescape"
    )
