"""The coordinator of `swarm_target` served over REST, at any rate: ``… DATA SOCKET…``."""

import os
import signal
import sys
from pathlib import Path

from swarm_target import SOCKETS

from fieldconf_coordinator.rest.server import serving
from fieldconf_coordinator.service import running
from fieldconf_coordinator.service.service import Options
from fieldconf_targets import registry


def main(data):
    registry.BUILT_IN["swarm"] = "swarm_target:SwarmTarget"
    make = running.chosen(None, True, "fc")
    with running.coordinator(data, make, Options(target="swarm")) as service:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: service.stop())
        with serving(service, "127.0.0.1:0", dev=True, per_s=1e9):
            service.run()


if __name__ == "__main__":
    os.environ[SOCKETS] = os.pathsep.join(sys.argv[2:])
    main(Path(sys.argv[1]))
