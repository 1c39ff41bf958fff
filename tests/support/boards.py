"""A target whose machines are MicroPython processes with a folder, as a board has its flash.

The agent lies in ``lib/`` as files that were copied there, sources or compiled ones; ``main.py``
starts it. Boards of `FlashedTarget` boot from images that were made for them. Between each agent
and the broker is a `Relay`.
"""

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from fieldconf_firmware_images import boards, building, littlefs_image
from fieldconf_firmware_images.errors import ImageError
from fieldconf_microagent import for_boards
from fieldconf_targets.api import ABSENT, DEAD, RUNNING, Machine, Target
from support import interpreters, rom
from support.relay import Relay

MAIN = """\
import sys
sys.path[:] = ["", "lib", ".frozen"]
from fieldconf_microagent.main_board import main
main(".")
"""


def copy_agent(library, form):
    """Put the agent into a folder as on a board: "sources", or what was "compiled" for boards."""
    if form != "sources":
        interpreters.find("mpy-cross")
        assert for_boards.main([str(library)]) == 0
        return
    package = library / "fieldconf_microagent"
    package.mkdir(parents=True)
    for file in for_boards.shared_modules():
        shutil.copy(file, package)


class BoardTarget(Target):
    """Runs each node's agent under MicroPython.

    Attributes:
        library: folder made by `copy_agent`.
        options: of the interpreter.
        cut_after: path → after how many bytes from the broker the first connection breaks.
    """

    handler = "board"
    library = None
    options = ()
    cut_after: ClassVar = {}

    def __init__(self, fleet, folder):
        super().__init__(fleet, folder)
        self.paths = {}
        self.relays = {}
        self.processes = {}

    def create(self, order):
        if self.state(order.node) != RUNNING:
            folder = self.folder / order.node
            if order.node not in self.relays:
                self.paths[order.node] = order.path
                relay = self.relays[order.node] = Relay(order.home["broker"])
                if order.path in self.cut_after:
                    relay.cut_after(self.cut_after[order.path])
                folder.mkdir(parents=True)
                home = {**order.home, "broker": self.relays[order.node].url}
                self.set_up(folder, home)
            with (folder / "output").open("ab") as output:
                self.processes[order.node] = subprocess.Popen(
                    self.command(folder),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
        return Machine(order.node, order.path, RUNNING)

    def set_up(self, folder, home):
        """Put all that a board needs into its folder, once."""
        shutil.copytree(self.library, folder / "lib")
        (folder / "main.py").write_text(MAIN)
        (folder / "settings.json").write_text(json.dumps(home))

    def command(self, folder):
        """Return what runs the board."""
        return [interpreters.find("micropython"), *self.options, "main.py"]

    def files(self, node):
        """Return what a board holds, {path: content}, but for what it takes away meanwhile."""
        folder, found = self.folder / node, {}
        for path in folder.rglob("*"):
            with suppress(FileNotFoundError, IsADirectoryError):
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
        return found

    def state(self, node):
        if node not in self.relays:
            return ABSENT
        process = self.processes.get(node)
        return RUNNING if process and process.poll() is None else DEAD

    def destroy(self, node, force=False):
        if node in self.relays:
            self.kill_node(node)
            self.relays.pop(node).close()
            shutil.rmtree(self.folder / node)

    def list(self):
        return [Machine(node, self.paths[node], self.state(node)) for node in sorted(self.relays)]

    def close(self):
        for node in list(self.relays):
            self.kill_node(node)
            self.relays[node].close()

    def kill_node(self, node):
        process = self.processes.pop(node, None)
        if process:
            process.kill()
            process.wait()

    def node_of(self, path):
        """Return the node that stands for a scoped instance."""
        return next(node for node, own in self.paths.items() if own == path and node in self.relays)

    def output(self, node):
        """Return what the agent wrote."""
        return Path(self.folder / node / "output").read_text(errors="replace")


class FlashedTarget(BoardTarget):
    """Boards that boot from the image of an ESP8266: the agent in its ROMFS, all else in LittleFS.

    The ROMFS is memory outside of the heap, as it is on the chip.
    """

    board = boards.load("esp8266")

    def __init__(self, fleet, folder):
        super().__init__(fleet, folder)
        self.commands = {}

    def set_up(self, folder, home):
        image = building.build(self.board, home)
        self.commands[folder] = rom.boot(folder, self.board, image.packed, *self.options)

    def command(self, folder):
        return self.commands[folder]

    def files(self, node):
        """Return what is in its file system; nothing while it writes there."""
        content = (self.folder / node / "flash").read_bytes()
        try:
            return littlefs_image.unpack(content, self.board.filesystem)
        except ImageError:
            return {}
