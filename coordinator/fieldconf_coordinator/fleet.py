"""The coordinator's core: wishes and reports in, wants and target calls out.

No I/O, no threads, no clock. One thread calls it: events and requests come in with a monotonic
time in ms, effects are fetched with `take` and carried out by the service. The effects of one
`take` are one batch: every ``store`` of it is committed *before* anything of it is published or
created, and before the caller of a request gets its answer.

Effects are tuples:

``("store", table, key, row)``
    upsert, or delete where `row` is None; tables and columns are those of `rows`.
``("publish", topic, payload, qos, retain)``
    an empty payload with `retain` clears the topic.
``("create", node_id, settings)``, ``("destroy", node_id, settings)``, ``("probe", node_id, settings)``
    calls of the node's target; results come back with `on_target`. `settings` is

        {"fleet": "…", "application": id, "name": application, "path": "/vm1", "target": "local",
         "tag": "<fleet>/<application id>/vm1", "parent": node id or None, "data": {…},
         "agent": {"domain": "fc", "node": id, "key": hex, "enrolment": 1, "lost": 60000}}
``("serve", node_id, [digest, first, bitmap, most])``
    a node asks for pieces of a recipe it may have.
``("event", kind, application, path, node, text)``
    for the history; application, path and node may be "".
``("log", node_id, path, step, bytes)``
    output of a script.
"""

import random as random_module
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fieldconf_dsl.model import Template

from .errors import FleetError as FleetError

Effect = tuple[Any, ...]
Rows = Mapping[str, Iterable[Mapping[str, Any]]]


class Fleet:
    """All applications and nodes that one coordinator leads.

    Args:
        domain: first segment of every topic.
        fleet_id: made at the first start and kept for good.
        random: where ids and keys come from; a seeded one makes a run repeatable.
        default_target: where nodes come from when nothing else is said.
        wall: returns ms since 1970, for stamps that people read and that outlive a restart.
    """

    def __init__(
        self,
        domain: str = "fc",
        fleet_id: str = "",
        random: random_module.Random | None = None,
        default_target: str = "local",
        wall: Callable[[], int] = lambda: 0,
    ) -> None: ...

    def restore(self, rows: Rows, templates: Mapping[str, Template]) -> None:
        """Take over what the store holds: once, before anything else.

        Args:
            rows: table → rows, as `Store.load` returns them.
            templates: `ref` of each application row → its template.
        """

    def on_link(self, now: int, up: bool) -> None:
        """The connection to the broker came (its subscriptions are acknowledged) or went."""

    def on_message(self, now: int, kind: str, node: str, payload: bytes) -> None:
        """A message arrived: kind is have, live, pulse, did, get or log."""

    def on_target(self, now: int, node: str, outcome: str, detail: str = "") -> None:
        """A target call ended: created, destroyed, failed, missing (`probe` found no machine)."""

    def tick(self, now: int) -> None:
        """Do what is due."""

    def next_wake(self) -> int | None:
        """Return when `tick` has to be called, or None."""

    def take(self) -> list[Effect]:
        """Return the effects since the last call, and forget them."""
        return []

    def deploy(
        self,
        now: int,
        template: Template,
        ref: str,
        digests: Mapping[str, bytes],
        name: str,
        target: str | None = None,
    ) -> dict[str, Any]:
        """Make an application, or change the one of that name to this template.

        Args:
            now: as everywhere.
            template: loaded and free of errors.
            ref: under which the service finds this template again; it stands in the row.
            digests: component → digest of its recipe's manifest; none for no recipe.
            name: of the application.
            target: where its nodes come from.

        Returns:
            ``{"change": id, "application": id}``.

        Raises:
            FleetError: nothing has changed. So for all requests.
        """
        raise NotImplementedError

    def plan(
        self, template: Template, ref: str, digests: Mapping[str, bytes], name: str
    ) -> dict[str, Any]:
        """Tell what `deploy` would do: ``{"add": [path…], "remove": […], "upgrade": […], …}``."""
        raise NotImplementedError

    def set_wish(self, now: int, app: str, path: str | None, wish: str) -> dict[str, Any]:
        """Wish one instance, or all with None, into one of `states.WISHES`."""
        raise NotImplementedError

    def scale(self, now: int, app: str, root_path: str, count: int) -> dict[str, Any]:
        """Have `count` copies of a root instance with its children: ``<base><n>``."""
        raise NotImplementedError

    def add_instance(
        self,
        now: int,
        app: str,
        parent: str | None,
        name: str,
        component: str,
        exports: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Add an instance below `parent`, or a root with None; it is wished started."""
        raise NotImplementedError

    def remove(self, now: int, app: str, path: str) -> dict[str, Any]:
        """Take an instance and all below it out of the application."""
        raise NotImplementedError

    def delete(self, now: int, app: str) -> dict[str, Any]:
        """Forget an application of which nothing is deployed."""
        raise NotImplementedError

    def retry(self, now: int, app: str, path: str) -> dict[str, Any]:
        """Try again at once what failed."""
        raise NotImplementedError

    def cancel(self, now: int, app: str, path: str) -> dict[str, Any]:
        """End the step that runs."""
        raise NotImplementedError

    def bind(self, now: int, app: str, prefix: str, applications: list[str]) -> dict[str, Any]:
        """Let the external imports of `prefix` be served by these applications."""
        raise NotImplementedError

    def status(self, app: str | None = None) -> dict[str, Any]:
        """Return applications with their instances, and nodes.

            {"applications": [{"id", "name", "template", "version", "target", "bindings",
                "instances": [{"path", "component", "installer", "state", "wish", "problem",
                    "node", "online", "address", "exports", "missing", "leaving"}, …]}, …],
             "nodes": [{"id", "application", "path", "target", "phase", "online", "want", "have",
                "address", "agent", "platform", "memory", "installers", "refused", "duplicate"}],
             "unknown": [node id, …], "dropped": {source: count}}

        `state` is of `states`, or ``unknown``: the node was not heard since the start.
        """
        raise NotImplementedError

    def why(self, app: str, path: str) -> list[dict[str, Any]]:
        """Return the reasons why an instance is not where it is wished, the root cause last.

        Each is ``{"path": "/lb", "text": "waits for Web"}``; none: it is where it is wished.
        """
        raise NotImplementedError

    def changes(self) -> list[dict[str, Any]]:
        """Return the latest changes, newest first, as `change` does."""
        raise NotImplementedError

    def change(self, change_id: str) -> dict[str, Any]:
        """Return one change.

        ``{"id", "application", "text", "outcome": "running" or "done" or "superseded",
        "done": 3, "total": 5, "steps": [{"path", "wish", "state", "problem", "done"}, …],
        "started": wall ms, "ended": wall ms or None}``
        """
        raise NotImplementedError

    def allowed_digests(self, node: str) -> frozenset[bytes]:
        """Return the digests of the manifests that the node's want names."""
        raise NotImplementedError
