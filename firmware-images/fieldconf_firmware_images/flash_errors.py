"""What can go wrong while a board is flashed, in words for the person who holds the cable.

Every error says what happened, and its hint what to do about it. After any of them running the
same command again is safe: what is on the board already is found there and not written again.
"""


class FlashError(Exception):
    """A board was not flashed, or not to the end.

    Attributes:
        kind: stable name for programs; the subclasses' are "unplugged" and "no-sense".
        text: what happened, and where.
        hint: what to do, a sentence for the person; may be empty.
    """

    kind = "failed"

    def __init__(self, text: str, hint: str = "", kind: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint
        self.kind = kind or type(self).kind


class LineLost(FlashError):
    """The line to the board is gone: a cable was pulled, or the board left the bus."""

    kind = "unplugged"


class NoSense(FlashError):
    """The board answers, but not what its side of the talk asks for: noise, or a reset."""

    kind = "no-sense"


class BoardError(FlashError):
    """Code ran on the board and ended with an exception.

    Attributes:
        traceback: what the board printed about it.
    """

    kind = "board"

    def __init__(self, traceback: str) -> None:
        self.traceback = traceback
        lines = traceback.strip().splitlines()
        super().__init__(f"the board says {lines[-1] if lines else 'nothing'}")
