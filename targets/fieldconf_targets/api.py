"""The contract of a target: a way to obtain nodes, from a thread to a machine in a cloud.

A target makes machines that run an agent and takes them away again. It knows nothing about
applications; what an agent must know to call home comes ready in `Order.home`. How to write a
target: subclass `Target`, fulfil `tests/targets/test_contract.py`, name the class in the entry
point group ``fieldconf.targets``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

#: What `Target.state` answers.
ABSENT = "absent"  # never made, or destroyed
RUNNING = "running"  # there is a machine; whether its agent is well, the agent itself says
DEAD = "dead"  # there was one, and it ended without being destroyed


class TargetError(Exception):
    """A target could not do what it was asked; nothing was changed unless the message says so."""


@dataclass(frozen=True)
class Setting:
    """One setting of a target, as it stands in a template's target properties.

    Attributes:
        name: the key, such as ``limit``.
        kind: what turns its text into a value, such as `int`; a ValueError refuses the text.
        default: the value when it is not given.
        help: one line for people.
    """

    name: str
    kind: Callable[[str], Any]
    default: Any
    help: str


@dataclass(frozen=True)
class Order:
    """What a machine is made from.

    Attributes:
        node: the node's id; never used for a second machine.
        path: the scoped instance that it stands for, such as ``/vm1``; a tag for people.
        home: the agent's settings: where the broker is, who it is, its key.
        properties: the target's properties, as text.
    """

    node: str
    path: str
    home: Mapping[str, Any]
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """A machine that exists, found by its tag."""

    node: str
    path: str
    state: str


class Target(ABC):
    """A way to obtain machines that run an agent.

    Calls may come twice for the same node, from any thread, and after a restart of the
    coordinator: every method is idempotent. A target is made once per coordinator; `folder` is its
    own place on disk, `fleet` tells its machines from those of other fleets.
    """

    #: How graphs refer to this target, as in ``installer: target`` with ``handler: local``.
    handler: ClassVar[str]
    settings: ClassVar[Sequence[Setting]] = ()

    def __init__(self, fleet: str, folder: Path) -> None:
        self.fleet = fleet
        self.folder = folder

    @classmethod
    def offers(cls, properties: Mapping[str, str]) -> Mapping[str, str] | None:
        """Return which installers nodes made with these properties will have.

        Each with "", or with why it cannot be used there: "needs puppet: install puppet-agent".
        None, unless a target knows better: nobody can tell before the node is there.

        Raises:
            TargetError: a property is refused.
        """
        return None

    @abstractmethod
    def create(self, order: Order) -> Machine:
        """Make the machine, or return the one that runs; do not wait for its agent.

        A dead machine of that node is made again, with what it kept on its disk.

        Raises:
            TargetError: no machine was made, and nothing is left behind.
        """

    @abstractmethod
    def state(self, node: str) -> str:
        """Return ABSENT, RUNNING or DEAD."""

    @abstractmethod
    def destroy(self, node: str, force: bool = False) -> None:
        """Take the machine away with all that it kept; one that is absent is fine.

        With `force`, what the agent started ends as well. Without, it was stopped before.

        Raises:
            TargetError: something is left; a later call tries again.
        """

    def disown(self, node: str) -> None:  # noqa: B027 - most targets hold nothing on this box
        """Let go of what this box holds for a machine that could not be destroyed and is given up.

        Whoever gave it up knows that it may still run.
        """

    @abstractmethod
    def list(self) -> Sequence[Machine]:
        """Return this fleet's machines, dead ones included, sorted by node."""

    def close(self) -> None:  # noqa: B027 - most targets have nothing to let go of
        """Let go of what lives in this process. Machines outside it stay."""


def values(target: type[Target], properties: Mapping[str, str]) -> dict[str, Any]:
    """Return the target's settings from its properties; keys that are not its own are ignored.

    Raises:
        TargetError: a value is refused; the message names key, value and meaning.
    """
    found = {}
    for setting in target.settings:
        text = properties.get(setting.name)
        try:
            found[setting.name] = setting.default if text is None else setting.kind(text)
        except ValueError as error:
            raise TargetError(
                f"cannot use {setting.name} = {text!r} for target {target.handler}: "
                f"expected {setting.help}"
            ) from error
    return found
