"""The target ``embedded``: enrolled boards and boxes, which are claimed and given back.

They have an agent and an identity already, so nothing is made and nothing ends here. The
coordinator chooses which of them serves; this keeps the book, so that what is in use is known
without it. Whether a machine is well, its agent says.
"""

import json
import os
from collections.abc import Sequence

from .api import ABSENT, RUNNING, Machine, Order, Target, TargetError


class EmbeddedTarget(Target):
    """Keeps a file for each machine in use."""

    handler = "embedded"

    def create(self, order: Order) -> Machine:
        tag = {"fleet": self.fleet, "node": order.node, "path": order.path}
        new = self.folder / f"{order.node}.new"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new.write_text(json.dumps(tag), encoding="utf-8")
            os.replace(new, self.folder / f"{order.node}.json")
        except OSError as error:
            raise TargetError(f"cannot note that {order.node} is in use: {error}") from error
        return Machine(order.node, order.path, RUNNING)

    def state(self, node: str) -> str:
        return RUNNING if (self.folder / f"{node}.json").exists() else ABSENT

    def destroy(self, node: str, force: bool = False) -> None:
        try:
            (self.folder / f"{node}.json").unlink(missing_ok=True)
        except OSError as error:
            raise TargetError(f"cannot note that {node} is free: {error}") from error

    def list(self) -> Sequence[Machine]:
        machines = []
        for file in sorted(self.folder.glob("*.json")):
            try:
                tag = json.loads(file.read_text(encoding="utf-8"))
            except FileNotFoundError:  # given back a moment ago
                continue
            if tag["fleet"] == self.fleet:
                machines.append(Machine(tag["node"], tag["path"], RUNNING))
        return machines
