"""Copies of a root instance with all below it: which there are, and what makes another one."""

import re
from collections.abc import Iterable

from fieldconf_dsl.errors import quoted
from fieldconf_microagent import states

from ..errors import FleetError
from .building import Spec
from .model import Application, Instance

_MOST = 20_000


def counted(count: int) -> int:
    """Return `count`.

    Raises:
        FleetError: so many copies there cannot be.
    """
    if not 1 <= count <= _MOST:
        raise FleetError("bad-count", f"cannot have {count} copies", f"from 1 to {_MOST}")
    return count


def base_of(root_path: str) -> str:
    """Return the path of a root instance without its number."""
    return "/" + root_path.strip("/").rstrip("0123456789")


def family(app: Application, root_path: str) -> dict[int, Instance]:
    """Return index → instance of the root instance and its copies; 0: the one without a number.

    Raises:
        FleetError: there is no such root instance.
    """
    named = re.compile(re.escape(base_of(root_path)) + r"(\d*)")
    asked = app.instances.get("/" + root_path.strip("/"))
    found: dict[int, Instance] = {}
    for root in app.roots():
        match = named.fullmatch(root.path)
        if match is None or root.leaving:
            continue
        if asked is not None and root.kind is not asked.kind:
            continue
        found[int(match[1] or 0)] = root
    if not found or "/" in root_path.strip("/"):
        roots = ", ".join(sorted(root.path for root in app.roots())[:20]) or "none"
        raise FleetError(
            "unknown-instance",
            f"cannot scale {quoted(root_path)} in {app.name}: it is no root instance",
            f"these can be, with all that lies in them: {roots}; 'fieldconf status' lists all",
        )
    return found


def deployed(copies: dict[int, Instance]) -> dict[int, Instance]:
    """Return those that are wished deployed: the others do not count."""
    return {n: root for n, root in copies.items() if root.wish != states.NOT_DEPLOYED}


def free_paths(app: Application, base: str, count: int) -> list[str]:
    """Return so many paths, with the lowest numbers that nobody has."""
    taken = {
        int(name[len(base) :])
        for name in app.instances
        if name.startswith(base) and name[len(base) :].isdigit()
    }
    found: list[str] = []
    index = 1
    while len(found) < count:
        if index not in taken:
            found.append(f"{base}{index}")
        index += 1
    return found


def specs(app: Application, model: Instance, paths: Iterable[str]) -> list[Spec]:
    """Return what makes copies of `model` and all below it, ports left open.

    They are wished like `model`; started, where that is not deployed itself.
    """
    tree = [one for one in app.tree(model.path) if not one.leaving]
    is_down = model.wish == states.NOT_DEPLOYED
    found = []
    for path in paths:
        for one in tree:
            overrides = {n: v for n, v in one.overrides.items() if n not in one.kind.ports}
            wish = states.STARTED if is_down and one.wish == states.NOT_DEPLOYED else one.wish
            new = path + one.path[len(model.path) :]
            found.append(Spec(new, one.kind.component, overrides, one.data, wish, True))
    return found
