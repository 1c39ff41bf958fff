"""Real brokers for tests: each is started in a folder of the test's own, and ends with it.

mosquitto comes from the system (Debian: ``apt install mosquitto``); a test that needs it is skipped
where it is absent. The embedded broker comes with the package.
"""

from contextlib import contextmanager

import pytest

from fieldconf_coordinator.brokers import supervised
from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_coordinator.brokers.mosquitto import Mosquitto, program


class OpenMosquitto(Mosquitto):
    """mosquitto that lets everybody in, as `EmbeddedBroker` does."""

    def _command(self):
        command = super()._command()
        file = self.folder / "mosquitto.conf"
        lines = file.read_text().replace("allow_anonymous false", "allow_anonymous true")
        kept = [line for line in lines.splitlines() if not line.startswith("acl_file")]
        file.write_text("\n".join(kept) + "\n")
        return command


KINDS = {"embedded": EmbeddedBroker, "mosquitto": OpenMosquitto}


def need_mosquitto():
    """Skip the test where mosquitto is not installed."""
    try:
        program()
    except supervised.BrokerError as error:
        pytest.skip(f"needs mosquitto: {error}")


@contextmanager
def running(kind, folder):
    """Run a broker of this kind (a key of `KINDS`) and yield it."""
    if kind == "mosquitto":
        need_mosquitto()
    broker = KINDS[kind](folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
