"""TLS between our MQTT client and the broker, on MicroPython; loaded when the settings ask for it.

The broker has to show a certificate of the given authority for the name that it is called by.
Ports differ in what of it they check: one without a clock does not see that it has expired. There
are no pre-shared keys here: the module `tls` of the desktop MicroPython (1.29) offers none.
"""

import binascii
import select

import tls  # type: ignore

from . import compat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class TlsDoor:
    """Opens streams to a broker; what `mqtt.Client` takes in the place of a host.

    Args:
        host: name or address of the broker, as its certificate says it.
        port: its TCP port.
        ca_file: certificate of the authority, PEM or DER.

    Raises:
        ValueError: there is no certificate in the file.
    """

    def __init__(self, host: str, port: int, ca_file: str) -> None:
        self._address = (host, port)
        self._attempt = 0
        self._context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
        self._context.verify_mode = tls.CERT_REQUIRED
        for certificate in _certificates(compat.read_file(ca_file)):
            self._context.load_verify_locations(certificate)

    def connect(self) -> "tuple[Any, Any]":
        """Begin to connect; return the stream and the poller that knows it."""
        from .mqtt_opening import open_tcp

        raw = open_tcp(self._address, self._attempt)
        self._attempt += 1
        # The handshake goes on with every read and write, once the other side has answered.
        stream = self._context.wrap_socket(
            raw, server_hostname=self._address[0], do_handshake_on_connect=False
        )
        poller = select.poll()
        poller.register(stream, select.POLLOUT)
        return stream, poller


def _certificates(data: bytes) -> "list[bytes]":
    if data[:1] == b"\x30":
        return [data]
    found = []
    for part in data.split(b"-----BEGIN CERTIFICATE-----")[1:]:
        found.append(binascii.a2b_base64(part.partition(b"-----END")[0].replace(b"\n", b"")))
    if not found:
        raise ValueError("the file with the broker's authority holds no certificate")
    return found
