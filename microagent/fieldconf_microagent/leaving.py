"""Takes leave of the broker when the process ends and the instances stay."""

from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .host import Host

_LEAVE_MS = const(2000)


def leave(host: "Host") -> None:
    """Say goodbye, as far as the broker listens, and let go of everything."""
    now = host.now_ms()
    if host.ended is None:
        host.awake().shutdown(now)
        host.ready = False
        host.carry_out()
    until = now + _LEAVE_MS
    while host.slots and host.up and host.now_ms() < until:
        for event in host.link.poll(50):
            if event[0] == "acked":
                host.slots.pop(event[1], None)
            elif event[0] == "down":
                host.slots = {}
    host.runner.close()
    host.link.close()
