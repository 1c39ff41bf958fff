"""The authenticated envelope around want, have, do, did and put.

``[FORMAT, node, kind, payload, mac]`` in msgpack. The mac is HMAC-SHA256 under the node's key over
the packed ``[FORMAT, node, kind]``, which tells its own end, followed by the payload: nothing can
be taken from one node, topic or format to another. That a message is *fresh* is not settled here
but by the version or the triple within.
"""

from . import codec, compat

FORMAT = 1
MAX_MESSAGE = 1 << 20


class EnvelopeError(ValueError):
    """The envelope is refused.

    Attributes:
        reason: ``too-long``, ``undecodable``, ``format``, ``other-node``, ``other-kind``, ``mac``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__("envelope refused: " + reason)
        self.reason = reason


def _mac(key: bytes, node: str, kind: str, payload: bytes) -> bytes:
    return compat.hmac_sha256(key, codec.pack([FORMAT, node, kind]), payload)


def seal(key: bytes, node: str, kind: str, payload: bytes) -> bytes:
    """Return the message that carries `payload` to or from `node` as its `kind`."""
    return codec.pack([FORMAT, node, kind, payload, _mac(key, node, kind, payload)])


def open_sealed(
    key: bytes, node: str, kind: str, data: bytes, max_message: int = MAX_MESSAGE
) -> bytes:
    """Return the payload of a genuine message; on boards it is a view of `data`, not a copy.

    Raises:
        EnvelopeError: it is not one; `reason` says why.
    """
    if len(data) > max_message:
        raise EnvelopeError("too-long")
    try:
        # Wide enough for what a newer format may put around the same five.
        parts = codec.unpack(data, max_message, 4, 64, True)
    except codec.CodecError:
        raise EnvelopeError("undecodable")
    if not isinstance(parts, list) or not parts or type(parts[0]) is not int:
        raise EnvelopeError("undecodable")
    if parts[0] != FORMAT:
        raise EnvelopeError("format")
    if len(parts) != 5 or not all(isinstance(part, (bytes, memoryview)) for part in parts[3:]):
        raise EnvelopeError("undecodable")
    if parts[1] != node:
        raise EnvelopeError("other-node")
    if parts[2] != kind:
        raise EnvelopeError("other-kind")
    payload: bytes = parts[3]
    if not compat.same_bytes(parts[4], _mac(key, node, kind, payload)):
        raise EnvelopeError("mac")
    return payload
