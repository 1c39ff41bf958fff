"""Which class is behind a target's handler: the built-in ones, then those of other packages.

Built-in targets stand in a table, so that they are found in a bare checkout; entry points of the
group ``fieldconf.targets`` add to it and never replace one.
"""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from .api import Target, TargetError

GROUP = "fieldconf.targets"
#: Whose nodes live in the process of the coordinator, and end with it.
MEMORY = "memory"
BUILT_IN = {
    "embedded": "fieldconf_targets.embedded:EmbeddedTarget",
    "local": "fieldconf_targets.local:LocalTarget",
    MEMORY: "fieldconf_targets.memory:MemoryTarget",
    "serial": "fieldconf_targets.serial:SerialTarget",
}


def handlers() -> list[str]:
    """Return every handler that can be asked for, sorted."""
    return sorted({*BUILT_IN, *_plugins()})


def target_class(handler: str) -> type[Target]:
    """Return the class of this handler, imported only now.

    Raises:
        TargetError: there is none, or it cannot be imported.
    """
    place = BUILT_IN.get(handler)
    try:
        if place is not None:
            module, _, name = place.partition(":")
            return checked(getattr(import_module(module), name), handler)
        if plugin := _plugins().get(handler):
            return checked(plugin.load(), handler)
    except ImportError as error:
        raise TargetError(f"cannot load target {handler!r}: {error}") from error
    raise TargetError(
        f"there is no target {handler!r}; known are {', '.join(handlers())}. "
        f"A package adds one with the entry point group {GROUP}"
    )


def offers(handler: str, properties: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return what `Target.offers` says; None for a target that is not known."""
    try:
        return target_class(handler).offers(properties)
    except TargetError:
        return None


def checked(found: object, handler: str) -> type[Target]:
    """Return the class if it is a target.

    Raises:
        TargetError: it is something else.
    """
    if isinstance(found, type) and issubclass(found, Target):
        return found
    raise TargetError(f"cannot load target {handler!r}: {found!r} is not a subclass of Target")


def _plugins() -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
