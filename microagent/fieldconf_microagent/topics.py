"""Names of the MQTT topics: built and taken apart here and nowhere else.

``<d>`` is the domain, ``<node>`` a node id; both consist of A-Z a-z 0-9 _ - and are used as they
are. A prefix is a name from a graph and is escaped: bytes of its UTF-8 outside that alphabet
become ``=XX``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("want", "have", "live", "pulse", "do", "did", "ask", "get", "put", "log")


def _is_plain(byte: int) -> bool:
    # "_" and "-"; the methods of str would let letters of other alphabets pass.
    return byte < 128 and (byte in (45, 95) or chr(byte).isalpha() or chr(byte).isdigit())


def esc(name: str) -> str:
    """Return `name` as one segment of a topic."""
    return "".join([chr(b) if _is_plain(b) else "=%02X" % b for b in name.encode()])


def unesc(segment: str) -> str:
    """Return the name behind a segment.

    Raises:
        ValueError: `esc` does not write such a segment.
    """
    head, *rest = segment.split("=")
    name = head.encode()
    for part in rest:
        name += bytes((int(part[:2], 16),)) + part[2:].encode()
    text = str(name, "utf-8")
    if esc(text) != segment:
        raise ValueError("not a segment of a topic: " + segment)
    return text


def topic(d: str, node: str, kind: str) -> str:
    """Return the topic of one of `KINDS`."""
    return d + "/" + node + "/" + kind


def _of_kind(kind: str) -> "Callable[[str, str], str]":
    return lambda d, node: topic(d, node, kind)


want, have, live, pulse, do, did, ask, get, put, log = [_of_kind(kind) for kind in KINDS]


def exports(d: str, app: str, prefix: str, node: str) -> str:
    """Return the topic of what `node` exports under `prefix` in the application with this id."""
    return "/".join((d, "x", app, esc(prefix), node))


def parse(d: str, topic: str) -> "tuple[str, str] | tuple[str, str, str, str] | None":
    """Take a topic apart.

    Returns:
        ``(kind, node)``, or ``("x", app, prefix, node)`` for exports, or None: not one of ours.
    """
    head = d + "/"
    if not topic.startswith(head):
        return None
    parts = topic[len(head) :].split("/")
    if len(parts) == 2 and parts[1] in KINDS:
        return parts[1], parts[0]
    if len(parts) == 4 and parts[0] == "x":
        try:
            return "x", parts[1], unesc(parts[2]), parts[3]
        except ValueError:
            pass
    return None
