"""Puts a coordinator together: data folder, broker, service, control socket; and takes it apart."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fieldconf_microagent.settings import SettingsError, split_url

from . import datafolder
from .control import ControlServer
from .embedded import EmbeddedBroker
from .mosquitto import Mosquitto
from .service import Options, Service
from .supervised import Broker, BrokerError

MakeBroker = Callable[[Path], Broker]


@contextmanager
def coordinator(
    data: Path, make_broker: MakeBroker, options: Options | None = None
) -> Iterator[Service]:
    """Give a service that is ready to `run`, with its broker; end both afterwards.

    Raises:
        FolderError: the data folder cannot be used.
        BrokerError: the broker cannot be started.
    """
    with datafolder.held(data):
        broker = make_broker(data / "broker")
        service = Service(data, broker, options or Options())
        try:
            broker.start()
            control = ControlServer(data, service.ask)
            try:
                yield service
            finally:
                control.close()
        finally:
            service.close()
            broker.stop()


def chosen(url: str | None, mosquitto: bool, domain: str) -> MakeBroker:
    """Return what makes the broker that the options of ``fieldconf up`` ask for."""
    if url:
        return lambda folder: external(url)
    if mosquitto:
        return lambda folder: Mosquitto(folder, domain)
    return EmbeddedBroker


def external(url: str) -> Broker:
    """Return the broker at a URL, which may hold user and password.

    Raises:
        BrokerError: it is no URL of a broker.
    """
    try:
        parts = urlsplit(url)
        plain = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        split_url(plain)
    except (SettingsError, ValueError) as error:
        raise BrokerError(f"cannot use the broker {url}: {error}") from error
    broker = Broker(plain)
    if parts.username is not None:
        broker.login = (unquote(parts.username), unquote(parts.password or ""))
    return broker
