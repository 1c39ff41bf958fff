"""Which instances take a wish, when people wish something of one or of all."""

from collections.abc import Iterable

from fieldconf_microagent import states

from .model import Application, Instance


def of_all(app: Application, wish: str) -> list[Instance]:
    """Return the instances that take a wish for the whole application."""
    instances: Iterable[Instance] = app.instances.values()
    if wish == states.STOPPED:
        # Stopping everything deploys nothing.
        instances = (one for one in instances if one.wish == states.STARTED)
    return [one for one in instances if not one.leaving and one.wish != wish]


def of_one(instance: Instance, tree: list[Instance], wish: str) -> list[Instance]:
    """Return the instances that take the wish: one, or all of a node that comes or goes."""
    if instance.is_scoped and wish == states.NOT_DEPLOYED:
        return [one for one in tree if one.wish != wish]
    if instance.is_scoped and instance.wish == states.NOT_DEPLOYED:
        return [one for one in tree if one.wish == states.NOT_DEPLOYED]
    return [instance] if instance.wish != wish else []
