"""The target ``local``: an agent as a process of this box, in a folder and a session of its own.

Agents outlive the coordinator. They are found again by their folder and by the pid file in it,
which the agent writes while it holds the folder's lock, so that there is never a second one.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import fieldconf_microagent
from fieldconf_microagent import installers

from . import processes
from .api import ABSENT, DEAD, RUNNING, Machine, Order, Setting, Target, TargetError, values

#: Marks the agent and whatever its steps start; the folder is unique on this box.
NODE_VARIABLE = "FIELDCONF_NODE"
FOLDER_VARIABLE = "FIELDCONF_NODE_DIR"

SETTINGS_FILE = "settings.json"
TAG_FILE = "tag.json"
PID_FILE = "agent.pid"
LOG_FILE = "agent.log"
_LOG_BYTES = 1 << 20
_ANSWERS = {"yes": True, "no": False}


def paths(text: str) -> list[str]:
    """Return the paths in a text; a ValueError where one is not absolute."""
    found = [path.strip() for path in text.split(",")]
    if not all(os.path.isabs(path) for path in found):
        raise ValueError(text)
    return found


def yes_or_no(text: str) -> bool:
    """Return True for yes, False for no; a ValueError for anything else."""
    if text not in _ANSWERS:
        raise ValueError(text)
    return _ANSWERS[text]


class LocalTarget(Target):
    """Runs each node's agent as a process of this box."""

    handler = "local"
    settings = (
        Setting(
            "roots", paths, [], "absolute paths that the installer file may write to, with commas"
        ),
        Setting(
            "simulate", yes_or_no, False, "yes or no: whether no step of a recipe is to be run"
        ),
    )

    def __init__(self, fleet: str, folder: Path) -> None:
        super().__init__(fleet, folder)
        # Only for those that this process started: somebody has to fetch their exit status.
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    @classmethod
    def offers(cls, properties: Mapping[str, str]) -> Mapping[str, str] | None:
        if values(cls, properties)["simulate"]:
            return None
        # Its agents run on this box, with this Python and this PATH.
        found = installers.load({}, lambda level, text: None)
        return dict.fromkeys(found, "") | installers.lacking(found)

    def create(self, order: Order) -> Machine:
        with self._lock:
            folder = self._folder(order.node)
            if self._state(order.node) != RUNNING:
                fresh = not folder.exists()
                try:
                    self._write(folder, order)
                    self._children[order.node] = _spawn(folder, order.node)
                except OSError as error:
                    if fresh:
                        shutil.rmtree(folder, ignore_errors=True)
                    raise TargetError(f"cannot start an agent in {folder}: {error}") from error
            return Machine(order.node, order.path, RUNNING)

    def state(self, node: str) -> str:
        with self._lock:
            return self._state(node)

    def _state(self, node: str) -> str:
        folder = self._folder(node)
        if not (folder / TAG_FILE).exists():
            return ABSENT
        child = self._children.get(node)
        if child is not None and child.poll() is None:
            return RUNNING
        self._children.pop(node, None)
        known = processes.read_pid_file(folder / PID_FILE)
        return RUNNING if known is not None and processes.is_alive(*known) else DEAD

    def destroy(self, node: str, force: bool = False) -> None:
        with self._lock:
            folder = self._folder(node)
            processes.end(self._agent(node))
            if force:
                processes.kill(processes.with_environment(FOLDER_VARIABLE, str(folder)))
            self._reap(node)
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise TargetError(f"cannot remove {folder}: {error}") from error

    def list(self) -> Sequence[Machine]:
        machines = []
        for tag_file in sorted(self.folder.glob(f"*/{TAG_FILE}")):
            try:
                tag = json.loads(tag_file.read_text())
            except FileNotFoundError:  # destroyed a moment ago
                continue
            if tag["fleet"] == self.fleet:
                machines.append(Machine(tag["node"], tag["path"], self.state(tag["node"])))
        return machines

    def kill_node(self, node: str) -> None:
        """End a node as a power cut would: its agent and all that this one started, at once."""
        with self._lock:
            folder = str(self._folder(node))
            # Twice: a process may be born while the first list is worked on.
            for _ in range(2):
                started = processes.with_environment(FOLDER_VARIABLE, folder)
                processes.kill([*self._agent(node), *started])
            self._reap(node)

    def _folder(self, node: str) -> Path:
        return (self.folder / node).absolute()

    def _agent(self, node: str) -> Sequence[int]:
        pids = set()
        if (child := self._children.get(node)) is not None and child.poll() is None:
            pids.add(child.pid)
        known = processes.read_pid_file(self._folder(node) / PID_FILE)
        if known is not None and processes.is_alive(*known):
            pids.add(known[0])
        return sorted(pids)

    def _reap(self, node: str) -> None:
        if (child := self._children.pop(node, None)) is not None:
            child.wait()

    def _write(self, folder: Path, order: Order) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        tag = {"fleet": self.fleet, "node": order.node, "path": order.path}
        chosen = {
            name: value for name, value in values(type(self), order.properties).items() if value
        }
        _write_private(folder / SETTINGS_FILE, json.dumps({**order.home, **chosen}, indent=1))
        _write_private(folder / TAG_FILE, json.dumps(tag))


def _spawn(folder: Path, node: str) -> "subprocess.Popen[bytes]":
    log = folder / LOG_FILE
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        os.replace(log, log.with_suffix(".old"))
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "fieldconf_microagent", "--dir", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            # Where the agent's package lies: it need not be installed, and the environment, which
            # steps inherit, stays as it is.
            cwd=Path(fieldconf_microagent.__file__).parents[1],
            env={**os.environ, NODE_VARIABLE: node, FOLDER_VARIABLE: str(folder)},
        )


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step."""
    new = path.with_suffix(".new")
    with open(new, "w", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
