"""Errors of the coordinator and its clients, by whose fault they are."""

from typing import Any


class FleetError(Exception):
    """A request is refused; nothing has changed.

    Attributes:
        code: for programs: ``unknown-application``, ``bad-request``, ``conflict`` and the like.
        message: what is wrong, naming the thing.
        hint: what to do about it, or "".
    """

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.code = code
        self.message = message
        self.hint = hint


class StoreError(Exception):
    """What should be kept could not be written or read; the last good state is on disk."""


class RequestError(Exception):
    """A request was refused, or did not reach the coordinator.

    Attributes:
        code: for programs.
        message: for people.
        hint: what to do, or "".
        problems: what is wrong with a template, one dictionary each.
    """

    def __init__(
        self,
        code: str,
        message: str,
        hint: str = "",
        problems: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.problems = problems or []
