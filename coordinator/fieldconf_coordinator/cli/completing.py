"""Names for the shell to complete, asked of the coordinator that a command line means.

Whatever goes wrong, or takes longer than a second, completes nothing: nobody who presses the
tabulator wants to read errors.
"""

import threading
from collections.abc import Callable

import click

from .remote import Remote

_PATIENCE_S = 1.0


def applications(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the names of applications that begin like this."""
    return [name for name in _asked(context, Remote.names) if name.startswith(begun)]


def paths(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the paths of instances that begin like this."""
    app = context.params.get("app")

    def ask(remote: Remote) -> list[str]:
        names = [app] if app else remote.names()
        return remote.paths(names[0], begun) if len(names) == 1 else []

    return [path for path in _asked(context, ask) if path.startswith(begun)]


def nodes(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the ids of nodes that begin like this."""

    def ask(remote: Remote) -> list[str]:
        return [str(node["id"]) for node in remote.nodes()]

    return [node for node in _asked(context, ask) if node.startswith(begun)]


def contexts(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the names of contexts that begin like this."""
    from . import contexts

    try:
        names = [contexts.LOCAL, *sorted(contexts.load().known)]
    except Exception:
        return []
    return [name for name in names if name.startswith(begun)]


def _asked(context: click.Context, ask: Callable[[Remote], list[str]]) -> list[str]:
    """Return what the coordinator answers in time."""
    found: list[str] = []

    def run() -> None:
        from .client import Client
        from .common import place_of

        given = context.params
        try:
            place = place_of(context, given["data"], given.get("server"), given.get("ca"))
            found.extend(ask(Remote(Client(place, _PATIENCE_S))))
        except Exception:
            return

    # In a thread, since finding the address of a name cannot be given a limit.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return list(found) if not thread.is_alive() else []
