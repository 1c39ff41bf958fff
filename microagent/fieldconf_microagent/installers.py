"""Which installers there are: those that come with the agent, and those of third parties.

A third party's is an entry point of the group `GROUP` that names an `Installer`, its class or an
instance. One that cannot be loaded, or takes a name that is taken, is told in the log and left out.
Not here: what an installer is (`installer`), and what runs its commands (`runner_process`).
"""

import contextlib
import glob
import sys
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any

from . import (
    installer_ansible,
    installer_command,
    installer_file,
    installer_logger,
    installer_puppet,
    installer_python,
    installer_script,
)
from .installer import Installer

#: Entry points of this group are installers of third parties.
GROUP = "fieldconf.installers"

#: What stands for a node and is no installer.
RESERVED = "target"

#: Those that come with the agent, by name.
BUILT_IN: dict[str, Installer] = {
    module.INSTALLER.name: module.INSTALLER
    for module in (
        installer_ansible,
        installer_command,
        installer_file,
        installer_logger,
        installer_puppet,
        installer_python,
        installer_script,
    )
}


def load(
    settings: Mapping[str, Any],
    tell: Callable[[str, str], object],
    points: "Iterable[Any] | None" = None,
) -> dict[str, Installer]:
    """Return all installers by name.

    Args:
        settings: of the agent.
        tell: called with level and text for each that is left out.
        points: the entry points; None: those of the packages that are installed.
    """
    found = {name: copy(one) for name, one in BUILT_IN.items()}
    for point in _installed() if points is None else points:
        try:
            one = _made(point)
            if one.name in found or one.name == RESERVED:
                raise ValueError(f"the name {one.name!r} is taken")
        # Whatever a stranger's code raises, the others are to be used.
        except Exception as error:
            tell("error", f"left out the installer {point.name} ({point.value}): {error!r}")
            continue
        found[one.name] = one
    for one in found.values():
        one.settings = settings
    return found


def lacking(found: dict[str, Installer]) -> dict[str, str]:
    """Return for each installer that this machine cannot run, by name, why that is so."""
    reasons = {name: _missing(one) for name, one in found.items()}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _installed() -> Iterable[Any]:
    """Return the entry points of the packages that are installed."""
    # Looked for by hand first: `importlib.metadata` takes more memory than all installers together,
    # and hardly any node has one of a third party.
    if not any(_names_group(folder) for folder in sys.path):
        return []
    from importlib import metadata

    return metadata.entry_points(group=GROUP)


def _names_group(folder: str) -> bool:
    for file in glob.glob(glob.escape(folder or ".") + "/*-info/entry_points.txt"):
        with contextlib.suppress(OSError), open(file, "rb") as listed:
            if f"[{GROUP}]".encode() in listed.read():
                return True
    return False


def _made(point: Any) -> Installer:
    one = point.load()
    if isinstance(one, type):
        one = one()
    if not isinstance(one, Installer):
        raise TypeError("it is no fieldconf_microagent.installer.Installer")
    # Graphs may write it in any case.
    one.name = (one.name or point.name).lower()
    return one


def _missing(one: Installer) -> "str | None":
    try:
        return one.missing()
    # As in `load`.
    except Exception as error:
        return f"cannot tell whether it works here: {error!r}"
