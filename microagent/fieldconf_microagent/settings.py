"""The agent's settings: who this node is, and where its broker is. One JSON file, read at start.

    {"fleet": "k3v9x2ab", "domain": "fc", "node": "n7", "enrolment": 1, "key": "64 hex digits",
     "broker": "mqtt://127.0.0.1:1883", "user": null, "password": null, "ca": null,
     "keepalive": 60, "reconnect": 5000, "ip": null, "roots": [], "simulate": false}

Only `node`, `key` and `broker` have to be given. `broker` may be a list of up to three URLs, of
which the first that answers serves; their hosts may be names, also such as `gateway.local`, where
the system resolves them. `roots` are folders that the installer `file` may
write to, besides an instance's own; with `simulate` no step of any installer is run. On boards,
`wifi` is a list of ``[network, password]``, which are tried one after the other, or `lan` holds the
arguments of the board's `network.LAN`; a relative `ca` lies beside the settings. The file is
written by whoever makes the node; the agent changes only its key, when it was approved. Keys that
are not known here are kept: installers may know them, or a newer coordinator has written them.
"""

import binascii
import json
import os

from . import compat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# name: (type, default, least, most)
_FIELDS: "dict[str, tuple[type, Any, int, int]]" = {
    "fleet": (str, "", 0, 32),
    "domain": (str, "fc", 1, 32),
    "node": (str, None, 1, 32),
    "enrolment": (int, 1, 1, 1 << 31),
    "key": (str, None, 64, 64),
    "broker": (str, None, 1, 256),
    "user": (str, "", 0, 256),
    "password": (str, "", 0, 256),
    "ca": (str, "", 0, 256),
    "keepalive": (int, 60, 1, 1200),
    "reconnect": (int, 5000, 1, 300000),
    "ip": (str, "", 0, 64),
}
MOST_BROKERS = 3
_SCHEMES = {"mqtt": 1883, "mqtts": 8883}
_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"


class SettingsError(ValueError):
    """The settings are refused; the message names the file and the key."""


def read(path: str) -> "dict[str, Any]":
    """Return the settings in a file, defaults filled in, the key as bytes.

    Raises:
        SettingsError: the file cannot be read, or a value is missing or refused.
    """
    try:
        content = json.loads(compat.read_file(path))
    except OSError as error:
        raise SettingsError("cannot read the agent's settings %s: %r" % (path, error))
    except ValueError as error:
        raise SettingsError("cannot read the agent's settings %s: not JSON (%s)" % (path, error))
    if not isinstance(content, dict):
        raise SettingsError("cannot use the agent's settings %s: expected an object" % path)
    try:
        found = checked(content)
        found["file"] = path
        return found
    except SettingsError as error:
        raise SettingsError("cannot use the agent's settings %s: %s" % (path, error))


def rekey(path: str, nonce: bytes, enrolment: int) -> None:
    """Replace the key by one made of it and `nonce`, for a machine that was approved."""
    content = json.loads(compat.read_file(path))
    key = binascii.unhexlify(content["key"])
    content["key"] = compat.hex(compat.hmac_sha256(key, nonce))
    content["enrolment"] = enrolment
    with open(path + ".new", "wb") as file:
        if hasattr(os, "chmod"):
            os.chmod(path + ".new", 0o600)
        file.write(json.dumps(content).encode())
        compat.sync_file(file)
    compat.replace(path + ".new", path)


def checked(content: "dict[str, Any]") -> "dict[str, Any]":
    """Return a copy with defaults filled in and the key as bytes.

    Raises:
        SettingsError: a value is missing or refused.
    """
    settings = dict(content)
    brokers(settings)
    for name in sorted(_FIELDS):
        if name != "broker":
            settings[name] = _value(name, settings.get(name))
    for name in ("domain", "node"):
        if not all(c in _NAME for c in settings[name]):
            raise SettingsError("%r must consist of A-Z a-z 0-9 _ -" % name)
    try:
        settings["key"] = binascii.unhexlify(settings["key"])
    except ValueError:
        raise SettingsError("'key' must be 64 hexadecimal digits")
    return settings


def brokers(settings: "dict[str, Any]") -> "list[str]":
    """Return the URLs of the brokers that settings name, in the order they are tried first.

    Raises:
        SettingsError: there is none, there are too many, or one is no such address.
    """
    found = settings.get("broker")
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    if not 0 < len(found) <= MOST_BROKERS:
        raise SettingsError("'broker' must be one URL, or up to %d in a list" % MOST_BROKERS)
    for url in found:
        port = split_url(_value("broker", url))[1]
        if not port and len(found) > 1:
            raise SettingsError("'broker' must be %r alone: a serial line is the only one" % url)
    return found


def split_url(url: str) -> "tuple[str, int, bool]":
    """Return host, port, and whether to speak TLS, of ``mqtt://host[:port]`` or ``mqtts://…``.

    For a serial line, ``serial:…``, the port is 0 and the host the whole.

    Raises:
        SettingsError: it is no such address.
    """
    if url.startswith("serial:"):
        return url, 0, False
    if "@" in url:
        # Not shown: there may be a password in it.
        raise SettingsError("no user in 'broker': 'user' and 'password' are settings of their own")
    scheme, found, rest = url.partition("://")
    rest = rest.rstrip("/")
    if scheme not in _SCHEMES or not found:
        raise SettingsError("%r must be mqtt://host:port or mqtts://host:port" % url)
    host, _, port = rest.rpartition(":")
    if rest.endswith("]") or not host:
        host, port = rest, ""
    if not host or (port and not port.isdigit()):
        raise SettingsError("%r must be mqtt://host:port or mqtts://host:port" % url)
    return host.strip("[]"), int(port) if port else _SCHEMES[scheme], scheme == "mqtts"


def _value(name: str, value: "Any") -> "Any":
    kind, default, least, most = _FIELDS[name]
    if value is None:
        if default is None:
            raise SettingsError("%r is missing" % name)
        return default
    if type(value) is not kind:
        raise SettingsError("%r must be %s" % (name, "text" if kind is str else "a number"))
    size = value if isinstance(value, int) else len(str(value))
    if not least <= size <= most:
        unit = "" if kind is int else " characters"
        raise SettingsError("%r must be from %d to %d%s" % (name, least, most, unit))
    return value
