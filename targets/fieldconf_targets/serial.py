"""The target ``serial``: a board on a serial port of this box. It is flashed, then bridged.

The board must run MicroPython. The agent gets there through its prompt, with the broker
``serial:``, and this process leads its line to the coordinator's broker. A file for each machine,
its tag, says which port is whose, so that bridges are taken up again after a restart of the
coordinator, and nothing is flashed for it.

* A port is one machine's. It should be named as in ``/dev/serial/by-id``: then it is the same board
  wherever it is plugged in.
* A cable that is pulled is waited for: the bridge finds the port again, and the agent lives on. One
  that is gone for `GONE_S`, or an agent that has not asked for its broker for `SILENT_S`, is dead:
  it is flashed again, which writes only what differs, and restarted.
* What a cut left on a board is mended by the next call. `destroy` needs the board, since keys are
  on it; one that another node was flashed onto meanwhile is left alone.

pyserial and `fieldconf_firmware_images` are imported when a board is flashed.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fieldconf_microagent.startup import INSTALLERS

from .api import ABSENT, DEAD, RUNNING, Machine, Order, Setting, Target, TargetError, values
from .bridge import Bridge

GONE_S = 30.0
#: Longer than an agent's longest pause between two tries to reach a broker that is away.
SILENT_S = 600.0

_Tag = dict[str, Any]
_log = logging.getLogger(__name__)


def device(text: str) -> str:
    """Return the path of a port; a ValueError where it is none."""
    if not os.path.isabs(text):
        raise ValueError(text)
    return text


class SerialTarget(Target):
    """Flashes boards and bridges them."""

    handler = "serial"
    settings = (
        Setting("port", device, "", "path of the board's port, as in /dev/serial/by-id/usb-…"),
        Setting("board", str, "micropython", "a kind of board, as for 'fieldconf image'"),
    )

    def __init__(self, fleet: str, folder: Path) -> None:
        super().__init__(fleet, folder)
        self._lines: dict[str, _Bridged] = {}
        # For tags and bridges; not held while a board is talked to, which takes seconds.
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}

    @classmethod
    def offers(cls, properties: Mapping[str, str]) -> Mapping[str, str] | None:
        values(cls, properties)
        return dict.fromkeys(INSTALLERS, "")

    def create(self, order: Order) -> Machine:
        chosen = values(type(self), order.properties)
        with self._turn(order.node):
            if self.state(order.node) != RUNNING:
                self._make(order, chosen["port"], chosen["board"])
        return Machine(order.node, order.path, RUNNING)

    def state(self, node: str) -> str:
        with self._lock:
            tag = self._tag(node)
            if tag is None:
                return ABSENT
            if not tag["flashed"]:
                return DEAD
            if node not in self._lines:
                self._lines[node] = _Bridged(tag["port"], tag["broker"])
            return RUNNING if self._lines[node].is_well() else DEAD

    def destroy(self, node: str, force: bool = False) -> None:
        with self._turn(node):
            tag = self._tag(node)
            if tag is not None:
                self._keep({**tag, "flashed": False})
                _take_off(tag)
                self._file(node).unlink(missing_ok=True)

    def disown(self, node: str) -> None:
        """End the bridge, and give the port to whoever comes; the key stays on the board."""
        with self._turn(node), self._lock:
            if node in self._lines:
                self._lines.pop(node).end()
            self._file(node).unlink(missing_ok=True)

    def list(self) -> Sequence[Machine]:
        own = [tag for tag in self._tags() if tag["fleet"] == self.fleet]
        found = [Machine(tag["node"], tag["path"], self.state(tag["node"])) for tag in own]
        return [machine for machine in found if machine.state != ABSENT]

    def close(self) -> None:
        with self._lock:
            while self._lines:
                self._lines.popitem()[1].end()

    def _make(self, order: Order, port: str, board: str) -> None:
        from fieldconf_firmware_images import boards, building, flashing
        from fieldconf_firmware_images.errors import ImageError
        from fieldconf_firmware_images.flash_errors import FlashError

        is_new = not self._file(order.node).exists()
        is_touched = False

        def advance(what: str, done: int, total: int) -> None:
            nonlocal is_touched
            is_touched = True

        try:
            kind = boards.load(board)
            flashing.look(port or _no_port(), kind, flashing.REPL)
            _log.info("compiling the agent for the board at %s", port)
            image = building.build(kind, {**order.home, "broker": "serial:"})
            tag = self._claimed(order, port)
            flashing.flash(flashing.Order(image, port, flashing.REPL), advance, _log.info)
        except (FlashError, ImageError) as error:
            if is_new and not is_touched:
                self._file(order.node).unlink(missing_ok=True)
            raise TargetError(_words(error)) from error
        self._keep({**tag, "flashed": True})
        self.state(order.node)

    # -- tags

    def _claimed(self, order: Order, port: str) -> _Tag:
        """Note that this port is the node's, unless it is another's."""
        tag = {
            "fleet": self.fleet,
            "node": order.node,
            "path": order.path,
            "port": port,
            "broker": order.home["broker"],
            "flashed": False,
        }
        with self._lock:
            for other in self._tags():
                if other["node"] != order.node and _is_same(other["port"], port):
                    raise TargetError(
                        f"the board at {port} serves {other['path']} (node {other['node']}) "
                        "already: name another port, or undeploy that one first"
                    )
            self._write(tag)
        return tag

    def _keep(self, tag: _Tag) -> None:
        with self._lock:
            self._write(tag)

    def _write(self, tag: _Tag) -> None:
        """Write a tag; a bridge of what is not flashed lets go of its line."""
        file = self._file(tag["node"])
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file.with_suffix(".new").write_text(json.dumps(tag), encoding="utf-8")
            os.replace(file.with_suffix(".new"), file)
        except OSError as error:
            raise TargetError(f"cannot note whose board is at {tag['port']}: {error}") from error
        if tag["node"] in self._lines:
            self._lines.pop(tag["node"]).end()

    def _tag(self, node: str) -> _Tag | None:
        try:
            tag: _Tag = json.loads(self._file(node).read_text(encoding="utf-8"))
            return tag
        except FileNotFoundError:
            return None

    def _tags(self) -> Sequence[_Tag]:
        found = (self._tag(file.stem) for file in sorted(self.folder.glob("*.json")))
        return [tag for tag in found if tag is not None]

    def _file(self, node: str) -> Path:
        return self.folder / f"{node}.json"

    def _turn(self, node: str) -> threading.Lock:
        with self._lock:
            return self._turns.setdefault(node, threading.Lock())


class _Bridged:
    """A bridge at work, and since when nobody answers through it."""

    def __init__(self, port: str, broker: str) -> None:
        self._bridge = Bridge(port, broker)
        self._thread = threading.Thread(target=self._bridge.run, name="bridge", daemon=True)
        self._thread.start()
        self._ill_since_s: float | None = None
        self._asked = 0

    def is_well(self) -> bool:
        """Tell whether the board is there and its agent alive, or was a moment ago."""
        bridge = self._bridge
        has_asked, self._asked = bridge.connections != self._asked, bridge.connections
        if bridge.is_attached and (bridge.line.stream or has_asked or bridge.lender.is_busy):
            self._ill_since_s = None
            return True
        now_s = time.monotonic()
        self._ill_since_s = self._ill_since_s or now_s
        return now_s - self._ill_since_s < (SILENT_S if bridge.is_attached else GONE_S)

    def end(self) -> None:
        self._bridge.stop()
        self._thread.join()


def _take_off(tag: _Tag) -> None:
    """Leave nothing of the node on its board."""
    from fieldconf_firmware_images.errors import ImageError
    from fieldconf_firmware_images.flash_errors import FlashError
    from fieldconf_firmware_images.serial_line import SerialLine
    from fieldconf_firmware_images.unflash import unflash

    try:
        with SerialLine(tag["port"]) as line:
            if not unflash(line, tag["fleet"], tag["node"]):
                _log.warning("%s is left alone: it is another node by now", tag["port"])
    except (FlashError, ImageError) as error:
        raise TargetError(f"the agent is still on its board: {_words(error)}") from error


def _no_port() -> str:
    from fieldconf_firmware_images import ports

    there = ", ".join(map(str, ports.found())) or "none"
    raise TargetError(
        "the target serial must be told where the board is: give the scoped instance a data.port, "
        f"such as /dev/serial/by-id/usb-…; these ports are there: {there}"
    )


def _words(error: Any) -> str:
    hint = getattr(error, "hint", "")
    return f"{error}: {hint}" if hint else str(error)


def _is_same(port: str, other: str) -> bool:
    return os.path.realpath(port) == os.path.realpath(other)
