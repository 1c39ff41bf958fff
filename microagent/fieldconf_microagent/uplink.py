"""Decides when a board tries which network: back-off with jitter, no I/O, no clock.

The caller says how its interface is doing and carries out what `step` answers. A board tries its
networks one after the other; when none let it in it pauses, each time twice as long up to five
minutes, and by chance shorter, so that boards that lost their access point do not return at once.
"""

from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

JOIN = "join"
LEAVE = "leave"

_TRY_MS = const(20000)  # until an attempt counts as failed, though nothing says so
_FIRST_MS = const(2000)
_LONGEST_MS = const(300000)


class Uplink:
    """Which of `count` networks to try, and when.

    Attributes:
        up: the interface has an address.
        failures: attempts that failed since it was up last.
    """

    def __init__(self, count: int, now: int, random_below: "Callable[[int], int]") -> None:
        self._count = count
        self._random_below = random_below
        self._due = now
        self._trying = False
        self._pause = _FIRST_MS
        self._next = 0
        self.up = False
        self.failures = 0

    def step(self, now: int, up: bool, failed: bool = False) -> "tuple[str, int] | None":
        """Return what to do: ``("join", index)``, ``("leave", 0)`` or nothing.

        Args:
            now: in milliseconds.
            up: the interface is connected and has an address.
            failed: it says that the attempt under way came to nothing.
        """
        if up:
            self.up = True
            self._trying, self._pause, self.failures = False, _FIRST_MS, 0
            return None
        if self.up:
            # The network that let it in is tried again first: `_next` still names it.
            self.up = False
            self._due = now + self._random_below(1000)
            return LEAVE, 0
        if self._trying and (failed or now >= self._due):
            self._fail(now)
            return LEAVE, 0
        if self._trying or now < self._due:
            return None
        self._trying = True
        self._due = now + _TRY_MS
        return JOIN, self._next

    def _fail(self, now: int) -> None:
        self._trying = False
        self.failures += 1
        self._next = (self._next + 1) % self._count
        self._due = now
        if not self._next:
            self._due += self._pause // 2 + self._random_below(self._pause // 2)
            self._pause = min(2 * self._pause, _LONGEST_MS)
