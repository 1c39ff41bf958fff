"""The commands that run something: ``up``, ``demo`` and ``agent``."""

import logging
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from .common import COULD_NOT_RUN, data_option, examples

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command(
    epilog=examples(
        "fieldconf up",
        "fieldconf up --dev",
        "fieldconf up --listen 0.0.0.0:8700 --tls-cert me.pem --tls-key me.key",
        "fieldconf up --mosquitto --broker-listen 0.0.0.0:1883     for boards",
        "fieldconf up --broker mqtt://gateway:1883 --data /var/lib/fieldconf",
    )
)
@click.option("--broker", metavar="URL", help="Use the broker at URL, which runs already.")
@click.option("--mosquitto", is_flag=True, help="Run mosquitto, with generated access lists.")
@click.option(
    "--broker-listen",
    "outer",
    metavar="HOST:PORT",
    help="Where mosquitto also listens for boards and other machines, with TLS if there is a "
    "certificate.",
)
@click.option("--domain", default="fc", show_default=True, help="First segment of every topic.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Where the console and the REST interface are served. "
    "[default: 127.0.0.1 at the port of the last time, at first 8700 or another that is free]",
)
@click.option("--dev", is_flag=True, help="No login from this box; on loopback only.")
@click.option("--tls-cert", type=_FILE, help="PEM file of the certificate, for TLS.")
@click.option("--tls-key", type=_FILE, help="PEM file of its key.")
@click.option(
    "--bridge",
    "bridges",
    metavar="PORT",
    multiple=True,
    envvar="FIELDCONF_BRIDGE",
    help="Bridge the board on this serial port to the broker; several times for several "
    "(or FIELDCONF_BRIDGE, with blanks between them).",
)
@click.option("--verbose", is_flag=True, help="Log more.")
@data_option
def up(
    broker: str | None,
    mosquitto: bool,
    outer: str | None,
    domain: str,
    listen: str | None,
    dev: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    bridges: tuple[str, ...],
    verbose: bool,
    data: Path,
) -> int:
    """Run a coordinator on this box.

    It brings a broker of its own, unless told otherwise. It runs until Ctrl-C; what it deployed
    runs on, and is found again by the next one.
    """
    from fieldconf_targets.bridge import bridging
    from fieldconf_targets.bridge_ports import PortError

    from ..brokers.supervised import BrokerError
    from ..errors import StoreError
    from ..rest.server import ListenError, certificate, serving
    from ..service import running
    from ..service.service import Options

    if broker and mosquitto:
        raise click.UsageError("--broker and --mosquitto exclude each other")
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
    )
    _end_at_once()
    make = running.chosen(broker, mosquitto, domain, _outer(outer, mosquitto, tls_cert, tls_key))
    options = Options(domain=domain, reconnect_ms=5000 if broker else 500)
    try:
        with (
            running.coordinator(data, make, options) as service,
            bridging(bridges, service.broker.url),
        ):
            click.echo(f"coordinator of fleet {service.fleet_id}, data folder {data}")
            click.echo(f"broker: {service.broker.url}")
            if service.broker.outer != service.broker.url:
                click.echo(f"broker for boards: {service.broker.outer}")
            if service.broker.notice:
                click.echo(click.wrap_text(service.broker.notice, 79, "  ", "  "))
            with serving(service, listen, dev, certificate(tls_cert, tls_key)) as server:
                for line in _where(server.url):
                    click.echo(line)
                if server.first_token is not None:
                    click.echo(f"log in with this token and make an admin: {server.first_token}")
                click.echo("Ctrl-C ends it; what it deployed runs on.")
                _until_signal(service)
        click.echo("The coordinator has ended.")
    except (StoreError, BrokerError, ListenError, PortError) as error:
        click.echo(f"error: {error}", err=True)
        return COULD_NOT_RUN
    return 0


def _where(url: str) -> Iterator[str]:
    """Yield where the console is, by an address that others can use."""
    from ..brokers.mosquitto import own_address

    shown = re.sub(r"//(0\.0\.0\.0|\[::\]):", lambda _: f"//{own_address()}:", url)
    yield f"console and REST interface: {shown}"
    host = urlsplit(url).hostname or ""
    if url.startswith("http:") and host not in ("127.0.0.1", "::1"):
        yield "  without TLS: who listens on the way reads passwords and tokens. --tls-cert and"
        yield "  --tls-key encrypt."


def _outer(said: str | None, mosquitto: bool, cert: Path | None, key: Path | None) -> Any:
    """Return where mosquitto listens besides; None: nowhere."""
    from ..brokers.mosquitto import Outer

    if said is None:
        return None
    host, _, port = said.rpartition(":")
    if not mosquitto:
        raise click.UsageError(
            "--broker-listen needs --mosquitto: no other broker has access lists"
        )
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise click.UsageError(f"--broker-listen {said!r}: write HOST:PORT, as in 0.0.0.0:1883")
    return Outer(host.strip("[]"), int(port), cert, key)


def _end_at_once() -> None:
    """Let the first signal end what has begun, in order; until the service takes signals itself."""

    def end(number: int, _: Any) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _until_signal(service: Any) -> None:
    """Run the service in this thread until SIGINT or SIGTERM."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.stop())
    service.run()


@click.command(epilog=examples("fieldconf demo", "fieldconf demo --exit"))
@click.option("--exit", "and_exit", is_flag=True, help="End when it has checked itself: 0 or 1.")
def demo(and_exit: bool) -> int:
    """Show what it does, with a real application.

    A load balancer, web servers and a data service are deployed, changed and broken. Everything
    runs on this box, in a temporary folder, and is gone afterwards.
    """
    from ..brokers.supervised import BrokerError
    from ..errors import StoreError
    from .demo import Failed, run

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        return run(and_exit, stop, click.echo)
    except (Failed, BrokerError, StoreError) as error:
        click.echo(f"error: {error}", err=True)
        return COULD_NOT_RUN


@click.command(epilog=examples("fieldconf agent --dir /var/lib/fieldconf-agent"))
@click.option(
    "--dir",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Folder with the agent's settings.json.",
)
def agent(folder: Path) -> int:
    """Run the agent of a folder."""
    from fieldconf_microagent.main_cpython import main

    return main(str(folder))


COMMANDS = (up, demo, agent)
