"""How long to wait before a connection is tried again.

Pure arithmetic: the time and the randomness (`spread`, a fraction from 0 to 1) are arguments.
"""

FIRST_MS = 5000
LONGEST_MS = 300000
STEADY_MS = 10000


class Reconnect:
    """Pauses between connections, so that a fleet that lost its broker does not return at once.

    The first comes after a random part of `first_ms`; each later pause doubles, up to LONGEST_MS.
    Only a connection that lasted STEADY_MS after its acknowledgement starts the count anew:
    one that is accepted and dropped at once (a full disk, a wrong access list) must not spin.
    """

    def __init__(self, first_ms: int = FIRST_MS) -> None:
        self._first_ms = first_ms
        self._doubled = -1
        self._since_ms: "int | None" = None

    def acknowledged(self, now_ms: int) -> None:
        """Note that the broker has accepted the connection."""
        self._since_ms = now_ms

    def pause_ms(self, now_ms: int, spread: float) -> int:
        """Note that an attempt failed or the connection ended; return how long to wait."""
        since_ms, self._since_ms = self._since_ms, None
        if since_ms is not None and now_ms - since_ms >= STEADY_MS:
            self._doubled = 0
        else:
            self._doubled = min(self._doubled + 1, 30)
        if not self._doubled:
            return int(self._first_ms * spread)
        longest = min(self._first_ms << self._doubled, LONGEST_MS)
        return int(longest * (1 + spread) / 2)
