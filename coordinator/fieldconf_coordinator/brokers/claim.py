"""One fleet leads a domain: its claim is a retained message, and others give way to it.

A coordinator that has subscribed says hello; what the broker retains comes before its own echo of
that. With the echo it claims the domain. Whoever hears the claim of another fleet gives way, unless
it leads already and its id is the lower one: then it claims again, and the other gives way.

No I/O: `heard` takes a payload and returns what to publish.
"""

from fieldconf_microagent import codec

FORMAT = 1


class Claim:
    """What one coordinator knows about who leads its domain.

    Attributes:
        leads: whether this fleet leads the domain.
        other: the fleet to which this one gives way, or None.
    """

    def __init__(self, domain: str, fleet: str) -> None:
        # No agent ever sees it, so `topics`, which boards carry, does not know it.
        self.topic = domain + "/fleet"
        self.fleet = fleet
        self.leads = False
        self.other: str | None = None

    def hello(self) -> bytes:
        """Return what to publish, not retained, on every connection."""
        return codec.pack([FORMAT, self.fleet, False])

    def heard(self, payload: bytes) -> bytes | None:
        """Take in a message of the topic; return the claim if it has to be published, retained."""
        said = _read(payload)
        if said is None:
            return None
        fleet, claims = said
        if fleet == self.fleet:
            if claims:
                return None
            self.leads = True
        elif claims and not (self.leads and self.fleet < fleet):
            self.leads, self.other = False, fleet
        return codec.pack([FORMAT, self.fleet, True]) if self.leads else None


def _read(payload: bytes) -> tuple[str, bool] | None:
    """Return fleet and whether it claims the domain; None for what nobody means."""
    try:
        said = codec.unpack(payload)
    except ValueError:
        return None
    if type(said) is not list or [type(part) for part in said[:3]] != [int, str, bool]:
        return None
    return (said[1], said[2]) if said[0] == FORMAT and len(said[1]) <= 32 else None
