"""What a route is, and what a handler gets and may answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RequestError
from . import answers
from .envelope import Answer, Raw, Refusal
from .schemas import Schema

if TYPE_CHECKING:
    from .accounts import Who
    from .rest import Rest

#: From the lowest to the highest; who has one may do all that the lower ones may.
ROLES = ("viewer", "operator", "releaser", "admin")
#: Not a role: needs no login.
ANYBODY = ""

JSON = "application/json"
JSON_BODY = 1 << 20
UPLOAD = 64 << 20


@dataclass(frozen=True)
class Parameter:
    """A query parameter."""

    name: str
    schema: Schema
    help: str
    required: bool = False


@dataclass
class Call:
    """One request, decoded and checked: what handlers get.

    Attributes:
        params: from the path.
        query: from the query string, as the schemas say; those not given are missing.
        body: the JSON body, or None.
        upload: where the uploaded file lies; deleted after the call.
        headers: lower-case names.
        client: address.
    """

    rest: Rest
    who: Who
    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any = None
    upload: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""

    def ask(self, handler: Callable[..., Any], /, **arguments: Any) -> Any:
        """Call `handler` (service, now, arguments) in the service's thread."""
        return self.rest.service.call(handler, arguments)

    def once(self, handler: Callable[..., Any], /, **arguments: Any) -> Any:
        """Like `ask`; with an Idempotency-Key only the first time, later its answer again."""
        given = self.headers.get("idempotency-key")
        if given is None:
            return self.ask(handler, **arguments)
        if not 0 < len(given) <= answers.LONGEST_KEY:
            raise Refusal(
                400, "bad-key", f"1 to {answers.LONGEST_KEY} characters", "Idempotency-Key"
            )
        known = self.rest.answers
        key = answers.digest_of(self.who.name, self.method, self.path, given)
        digest = answers.digest_of(self.body)
        try:
            return self.rest.service.call(
                lambda s, now, a: known.once(s, now, key, digest, handler, a), arguments
            )
        except RequestError as error:
            if error.code in ("disk", "stopped"):
                known.forget(key)
            raise

    def if_match(self, tag: str) -> None:
        """Refuse if somebody else has edited it since the caller looked.

        Raises:
            Refusal: 412.
        """
        given = self.headers.get("if-match")
        if given is not None and given not in (tag, "*"):
            raise Refusal(
                412, "changed", "somebody edited it meanwhile", "If-Match", "read it again"
            )

    def still_allowed(self) -> bool:
        """Tell whether whoever asked still may."""
        return self.rest.accounts.is_valid(self.who)


Handler = Callable[[Call], "Answer | Raw | Any"]


@dataclass(frozen=True)
class Route:
    """One line of the table.

    Attributes:
        path: with ``{name}`` for parameters; ``{path}`` may hold slashes.
        role: the least that may use it, or `ANYBODY`.
        help: first line: a title; the others: what people have to know.
        body: schema of the JSON body; None: there is none.
        answer: schema of `data`.
        status: of success.
        is_list: the answer is a page of a list.
        creates: takes an Idempotency-Key.
        uploads: the body is a file of one of these content types.
        streams: the connection is taken over.
        is_question: changes nothing, although it has a body.
        example: of the body.
        shown: example of `data`.
    """

    method: str
    path: str
    handler: Handler
    role: str
    help: str
    answer: Schema | None = None
    body: Schema | None = None
    query: Sequence[Parameter] = ()
    status: int = 200
    is_list: bool = False
    creates: bool = False
    uploads: tuple[str, ...] = ()
    streams: bool = False
    is_edit: bool = False
    is_question: bool = False
    example: Any = None
    shown: Any = None
    kind: str = JSON

    @property
    def name(self) -> str:
        """Return the name of the operation, such as ``list_applications``."""
        return getattr(self.handler, "__name__", "call")

    @property
    def changes(self) -> bool:
        """Tell whether it changes something."""
        return self.method not in ("GET", "HEAD") and not self.is_question
