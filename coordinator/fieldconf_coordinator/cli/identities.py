"""Whose image it is: settings from a file, an identity from the coordinator if they have none."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fieldconf_firmware_images.errors import ImageError

from .remote import Broker, Remote

if TYPE_CHECKING:
    from fieldconf_firmware_images.boards import Board

Settings = dict[str, Any]

#: What the coordinator alone says of a node.
_IDENTITY = ("node", "key", "enrolment", "fleet", "domain", "broker")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Enrolling:
    """How a node gets the identity that its settings lack.

    Attributes:
        find: returns the coordinator.
        anew: the node is enrolled already; it gets another key.
        broker: as the node reaches it; None: as the settings say, else as the coordinator does.
    """

    find: Callable[[], Remote]
    anew: bool
    broker: Broker | None


def read(file: Path | None, node: str | None) -> Settings:
    """Return the settings in a file, for a node; without a file, there is only the name.

    Raises:
        ImageError: they cannot be read, or are another node's.
    """
    if file is None:
        return {"node": node} if node else {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImageError(f"cannot read the settings {file}: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(f"cannot read the settings {file}: no JSON ({error})") from error
    if not isinstance(found, dict):
        raise ImageError(f"cannot use the settings {file}: expected an object")
    if node and found.setdefault("node", node) != node:
        raise ImageError(f"the settings {file} are those of {found['node']}, not of {node}")
    return found


def check_named(known: Mapping[str, Any], enrolling: Enrolling | None) -> None:
    """Check that it is known who has to be enrolled.

    Raises:
        ImageError: it is not, or nobody may be enrolled here.
    """
    if enrolling is None:
        raise ImageError("say --settings FILE; 'fieldconf enrol NAME -o FILE' writes one")
    if "node" not in known:
        raise ImageError("whose image is it? Say --node NAME, or --settings FILE with a key")


def trial(board: "Board", known: Mapping[str, Any], enrolling: Enrolling) -> Settings:
    """Return settings that are as good as the ones to come, but open nothing."""
    broker = _broker(board, known, enrolling) or "mqtt://gateway"
    return {**known, "broker": broker, "key": "00" * 32}


def complete(board: "Board", known: Settings, enrolling: Enrolling) -> Settings:
    """Return settings with an identity; without a key in them, the coordinator makes it.

    Raises:
        ImageError: the node could not reach the broker, or has a key and shall get another.
        RequestError: the coordinator does not enrol it.
    """
    broker = _broker(board, known, enrolling)
    if "key" in known:
        if enrolling.anew:
            raise ImageError("the settings have a key already: leave out --anew")
        return {**known, "broker": broker}
    remote = enrolling.find()
    found = broker or remote.client.get("/status")["broker"]["url"]
    if is_out_of_reach(board, found):
        raise ImageError(
            f"the broker is at {' or '.join(urls_of(found))}, which is this box only; "
            f"say how {board.title} reaches it: --broker mqtt://HOST:PORT"
        )
    if enrolling.anew:
        told = remote.enrol_anew(known["node"], broker)
    else:
        told = remote.enrol(known["node"], board.name, (), False, broker)
    given: Settings = told["settings"]
    return {**given, **known, **{name: given[name] for name in _IDENTITY}}


def urls_of(broker: Broker | None) -> list[str]:
    """Return the URLs of the brokers that settings name."""
    return [broker] if isinstance(broker, str) else list(broker or ())


def is_loopback(broker: Broker | None) -> bool:
    """Tell whether settings name brokers of this box alone."""
    urls = urls_of(broker)
    return bool(urls) and all(urlsplit(url).hostname in _LOOPBACK for url in urls)


def is_out_of_reach(board: "Board", broker: Broker | None) -> bool:
    """Tell whether a broker is on this box, but the board is not."""
    # A folder is likely to stay on this box.
    return board.flashing.method != "copy" and is_loopback(broker)


def _broker(board: "Board", known: Mapping[str, Any], enrolling: Enrolling) -> Broker | None:
    """Return how the node reaches the broker; None: as the coordinator does."""
    if board.network == ("none",):
        return enrolling.broker or known.get("broker") or "serial:"
    return enrolling.broker or known.get("broker")
