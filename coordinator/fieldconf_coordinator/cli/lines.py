"""The commands for serial lines: ``bridge`` and ``console``."""

import logging
import signal
import sys
import threading
from pathlib import Path

import click

from .common import COULD_NOT_RUN, data_option, examples


@click.command(
    epilog=examples(
        "fieldconf bridge /dev/ttyACM0",
        "fieldconf bridge /dev/serial/by-id/* --broker mqtt://gateway:1883",
    )
)
@click.argument("ports", nargs=-1, required=True, metavar="PORT...")
@click.option(
    "--broker", metavar="URL", help="Where to. [default: the broker of the coordinator on this box]"
)
@data_option
def bridge(ports: tuple[str, ...], broker: str | None, data: Path) -> int:
    """Connect boards without a network to the broker.

    Each PORT is a serial port with a board whose settings say that its broker is "serial:". What a
    board prints is shown. A board may be unplugged and plugged in again. Ctrl-C ends it; a
    coordinator does the same by itself with 'fieldconf up --bridge PORT'.
    """
    from fieldconf_microagent.settings import SettingsError, split_url
    from fieldconf_targets.bridge import bridging
    from fieldconf_targets.bridge_ports import PortError

    try:
        url = broker or _broker_of(data)
        if not split_url(url)[1]:
            raise SettingsError(f"{url!r} is a serial line, not a broker")
    except SettingsError as error:
        raise click.BadParameter(str(error), param_hint="--broker") from error
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with bridging(ports, url):
            click.echo(f"bridging {', '.join(ports)} to {url}; Ctrl-C ends it")
            stop.wait()
    except PortError as error:
        click.echo(f"error: {error}", err=True)
        return COULD_NOT_RUN
    return 0


def _broker_of(data: Path) -> str:
    """Return the broker of the coordinator of a data folder.

    Raises:
        RequestError: none runs there.
    """
    from .client import local
    from .remote import Remote

    remote = Remote.at(local(data))
    with remote.client:
        return str(remote.client.get("/status")["broker"]["url"])


@click.command(epilog=examples("fieldconf console /dev/ttyACM0"))
@click.argument("port")
def console(port: str) -> int:
    """Talk to the prompt of the board on PORT; Ctrl-] ends it.

    The agent on the board is asked to leave, and started again afterwards. This works beside a
    bridge that has the port, and without one.
    """
    from fieldconf_targets.bridge_ports import PortError
    from fieldconf_targets.bridge_terminal import borrowed, talk

    if not sys.stdin.isatty():
        click.echo("error: 'fieldconf console' needs a terminal", err=True)
        return COULD_NOT_RUN
    try:
        with borrowed(port) as line:
            click.echo(f"the prompt of the board on {port}; Ctrl-] ends it")
            talk(line)
    except PortError as error:
        click.echo(f"error: {error}", err=True)
        return COULD_NOT_RUN
    except OSError as error:
        click.echo(f"\r\nerror: the line was lost: {error}", err=True)
        return COULD_NOT_RUN
    click.echo("\r\nthe line is given back")
    return 0


COMMANDS = (bridge, console)
