"""Opens a connection for `mqtt`: the socket, and the packet that comes first."""

import errno

from .mqtt import packet, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def hello(login: "tuple[Any, ...]", keepalive_s: int) -> bytearray:
    """Return the CONNECT packet for a login: client id, user, password and will."""
    client_id, user, password, will = login
    flags = 0x02
    body = text(client_id)
    if will:
        flags |= 0x04 | will[2] << 3 | will[3] << 5
        body += text(will[0]) + text(will[1])
    if user is not None:
        flags |= 0x80
        body += text(user)
    if password is not None:
        flags |= 0x40
        body += text(password)
    keepalive = keepalive_s.to_bytes(2, "big")
    return packet(0x10, (b"\0\4MQTT\4", bytes((flags,)), keepalive, body))


def open_tcp(address: "tuple[str, int]", attempt: int) -> "Any":
    """Return a socket that begins to connect; only the look-up of a name may take a while.

    Raises:
        OSError: there is no such name, or no way there.
    """
    # Only now: a board without a network has none.
    import socket

    found = socket.getaddrinfo(*address, 0, socket.SOCK_STREAM)
    # The next address with each attempt: "localhost" may have two, and one listener.
    family, kind, protocol, _, place = found[attempt % len(found)]
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        try:
            made.connect(place)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                raise
        # TCP_NODELAY, which MicroPython does not name and some boards do not know.
        made.setsockopt(6, 1, 1)
    except OSError:
        made.close()
        raise
    return made
