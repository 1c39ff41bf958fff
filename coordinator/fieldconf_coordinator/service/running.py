"""Puts a coordinator together: store, broker, service; and takes it apart."""

import gc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fieldconf_microagent.settings import SettingsError, split_url

from ..brokers.embedded import EmbeddedBroker
from ..brokers.mosquitto import Mosquitto, Outer
from ..brokers.supervised import Broker, BrokerError
from ..errors import StoreError
from . import switching
from .service import Options, Service
from .store import Store

MakeBroker = Callable[[Path], Broker]


@contextmanager
def coordinator(
    data: Path, make_broker: MakeBroker, options: Options | None = None
) -> Iterator[Service]:
    """Give a service that is ready to `run`, with its broker; end both afterwards.

    Raises:
        StoreError: the data folder cannot be used.
        BrokerError: the broker cannot be started.
    """
    # First of all, since it keeps a second coordinator out.
    with closing(Store(_made(data))) as store:
        with _in_words(data):
            broker = make_broker(data / "broker")
            service = Service(data, store, broker, options or Options())
        try:
            switching.check(service)
            with _in_words(data):
                broker.start()
            _collect_seldom()
            yield service
        finally:
            service.close()
            broker.stop()


def _collect_seldom() -> None:
    """Look for cycles in what comes from now on, every 10,000 objects.

    There are few: looking for them takes a quarter of the time in which a large fleet is deployed,
    as often as Python does.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 100)


def _made(data: Path) -> Path:
    with _in_words(data):
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
    return data


@contextmanager
def _in_words(data: Path) -> Iterator[None]:
    """Say which folder cannot be used, and why."""
    try:
        yield
    except OSError as error:
        text = f"cannot use the data folder {data}: {error.strerror}; choose another with --data"
        raise StoreError(text) from error


def chosen(url: str | None, mosquitto: bool, domain: str, outer: Outer | None = None) -> MakeBroker:
    """Return what makes the broker that the options of ``fieldconf up`` ask for."""
    if url:
        return lambda folder: external(url)
    if mosquitto:
        return lambda folder: Mosquitto(folder, domain, outer)
    return EmbeddedBroker


def external(url: str) -> Broker:
    """Return the broker at a URL, which may hold user and password.

    Raises:
        BrokerError: it is no URL of a broker.
    """
    try:
        parts = urlsplit(url)
        plain = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if not split_url(plain)[1]:
            raise ValueError("a serial line is no broker")
    except (SettingsError, ValueError) as error:
        shown = url.rpartition("@")[2]  # no password
        raise BrokerError(
            f"cannot use the broker {shown}: write mqtt://host:port or mqtts://host:port"
        ) from error
    broker = Broker(plain)
    if parts.username is not None:
        broker.login = (unquote(parts.username), unquote(parts.password or ""))
    return broker
