"""A coordinator whose nodes are agent cores in `swarm` processes: ``swarm_target.py DATA SOCKET…``.

Everything else is that of ``fieldconf up --mosquitto``: service, store, broker, REST.
"""

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

from fieldconf_coordinator.rest.server import serving
from fieldconf_coordinator.service import running
from fieldconf_coordinator.service.service import Options
from fieldconf_targets import registry
from fieldconf_targets.api import ABSENT, RUNNING, Machine, Target

SOCKETS = "FIELDCONF_SWARM"


class SwarmTarget(Target):
    """Hands a node's settings to one of the swarms, in turn."""

    handler = "swarm"

    def __init__(self, fleet, folder):
        super().__init__(fleet, folder)
        self._nodes = {}
        self._lock = threading.Lock()
        self._swarms = []
        for path in os.environ[SOCKETS].split(os.pathsep):
            swarm = socket.socket(socket.AF_UNIX)
            swarm.connect(path)
            self._swarms.append(swarm)

    def create(self, order):
        with self._lock:
            if order.node not in self._nodes:
                swarm = self._swarms[len(self._nodes) % len(self._swarms)]
                self._nodes[order.node] = order.path
                swarm.sendall(json.dumps(dict(order.home)).encode() + b"\n")
        return Machine(order.node, order.path, RUNNING)

    def state(self, node):
        return RUNNING if node in self._nodes else ABSENT

    def destroy(self, node, force=False):
        self._nodes.pop(node, None)

    def list(self):
        return [Machine(node, path, RUNNING) for node, path in sorted(self._nodes.items())]

    def close(self):
        for swarm in self._swarms:
            swarm.close()


def main(data):
    registry.BUILT_IN["swarm"] = "swarm_target:SwarmTarget"
    make = running.chosen(None, True, "fc")
    options = Options(target="swarm")
    with running.coordinator(Path(data), make, options) as service, serving(service, None):
        signal.signal(signal.SIGTERM, lambda *_: service.stop())
        service.run()


if __name__ == "__main__":
    os.environ[SOCKETS] = os.pathsep.join(sys.argv[2:])
    main(sys.argv[1])
