"""A target whose machines are boards without a network, each on a serial line with a bridge."""

import json
import shutil
from contextlib import ExitStack
from typing import ClassVar

from fieldconf_targets.api import ABSENT, DEAD, RUNNING, Machine, Target
from fieldconf_targets.bridge import bridging
from support.serial_board import NO_SOCKETS, Board

MAIN = f"""\
{NO_SOCKETS}
sys.path[:] = ["", "lib", ".frozen"]
from fieldconf_microagent.main_board import main
main(".")
"""


class SerialBoardTarget(Target):
    """Flashes a board and bridges it.

    Attributes:
        library: folder made by `boards.copy_agent`.
        options: of the interpreter.
        faults: of each new board's cable.
    """

    handler = "serial-board"
    library = None
    options = ()
    faults: ClassVar = {}

    def __init__(self, fleet, folder):
        super().__init__(fleet, folder)
        self.paths = {}
        self.boards = {}
        self.bridges = {}
        self.ends = {}
        self.broker = None

    def create(self, order):
        if order.node not in self.boards:
            folder = self.folder / order.node
            shutil.copytree(self.library, folder / "lib")
            (folder / "main.py").write_text(MAIN)
            # A short back-off, so that a test need not wait for it.
            home = {**order.home, "broker": "serial:", "reconnect": 200}
            (folder / "settings.json").write_text(json.dumps(home))
            self.broker = order.home["broker"]
            port = self.folder / f"port-{order.node}"
            self.boards[order.node] = Board(folder, port, self.options, **self.faults)
            # Last, so that whoever finds it finds all of it.
            self.bridge(order.node)
            self.paths[order.node] = order.path
        return Machine(order.node, order.path, RUNNING)

    def bridge(self, node):
        """Start a bridge on the port of a board."""
        self.ends[node] = ExitStack()
        started = bridging([str(self.boards[node].port)], self.broker)
        (self.bridges[node],) = self.ends[node].enter_context(started)

    def end_bridge(self, node):
        del self.bridges[node]
        self.ends.pop(node).close()

    def state(self, node):
        if node not in self.boards:
            return ABSENT
        return RUNNING if self.boards[node].is_running else DEAD

    def destroy(self, node, force=False):
        if node in self.boards:
            if node in self.bridges:
                self.end_bridge(node)
            self.boards.pop(node).close()
            shutil.rmtree(self.folder / node)

    def list(self):
        return [Machine(node, self.paths[node], self.state(node)) for node in sorted(self.boards)]

    def close(self):
        for node in list(self.boards):
            self.destroy(node)

    def board(self, path):
        """Return the board that stands for a scoped instance."""
        return self.boards[self.node_of(path)]

    def node_of(self, path):
        return next(node for node, own in self.paths.items() if own == path and node in self.boards)
