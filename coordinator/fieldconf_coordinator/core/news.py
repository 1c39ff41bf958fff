"""What has changed, for those who watch: rows ready to be sent on.

The core only *marks* what may have changed (`World.touch`); rows are made when somebody takes them.
So what changed ten times meanwhile gives one row, and while nobody watches nothing is worked out.

A row is a dictionary with ``kind`` (application, instance, node or change) and what is its key:
``application`` and ``path`` of an instance, ``id`` of a node or change, ``name`` of an application.
``"gone": True`` means that there is no such thing any more; without an application its instances
and nodes are gone as well.
"""

from collections.abc import Iterator
from typing import Any

from . import status
from .changes import Changes
from .model import EXPELLED, Application, World

Row = dict[str, Any]

# Instances for each ms between two counts: some 3 % of the time goes into counting.
_COUNTED_IN_MS = 10

_KINDS = {"applications": "application", "nodes": "node", "changes": "change"}


class News:
    """Rows of what was marked since the last call."""

    def __init__(self, world: World, changes: Changes) -> None:
        self._world = world
        self._changes = changes
        self._count_at: dict[str, int] = {}  # by id of the application

    def begin(self) -> None:
        """Keep marks from now on; at first everything is marked."""
        marks = self._world.marks
        marks.wanted = True
        self._count_at = {}
        marks.gone.clear()
        for app in self._world.applications.values():
            marks.applications[app.id] = app
            marks.scopes.update((root, app) for root in app.scoped())
        marks.enrolled.update((node_id, None) for node_id in self._world.enrolled)
        marks.changes.update((change_id, None) for change_id in reversed(self._changes.ids()))

    def end(self) -> None:
        """Keep no marks any more."""
        marks = self._world.marks
        marks.wanted = False
        every = (marks.applications, marks.scopes, marks.gone, marks.changes, marks.enrolled)
        for marked in every:
            marked.clear()

    @property
    def waiting(self) -> bool:
        """Tell whether there is something to take."""
        marks = self._world.marks
        return bool(
            marks.scopes or marks.applications or marks.gone or marks.changes or marks.enrolled
        )

    def take(self, now: int, most: int) -> list[Row]:
        """Return the rows of at most so many nodes with their instances, and what else is due.

        What is gone comes first: something new may have taken its place.
        """
        marks = self._world.marks
        gone, marks.gone = marks.gone, []
        rows = [_gone(table, key) for table, key in gone if table in (*_KINDS, "instances")]
        applications = self._due(now)
        for app in applications.values():
            rows.append({"kind": "application", **status.summary(self._world, app)})
        rows += self._of_scopes(most)
        rows += self._of_enrolled()
        changes, marks.changes = marks.changes, {}
        changes.update((change_id, None) for change_id in self._changes.running_of(applications))
        progress = [self._changes.progress(change_id) for change_id in changes]
        return rows + [{"kind": "change", **one} for one in progress if one is not None]

    def _due(self, now: int) -> dict[str, Application]:
        """Take the applications that may be counted again: the larger, the less often."""
        marks = self._world.marks
        found = {}
        for app_id, app in list(marks.applications.items()):
            if app_id not in self._world.by_id:
                del marks.applications[app_id]
            elif now >= self._count_at.get(app_id, now):
                found[app_id] = marks.applications.pop(app_id)
                self._count_at[app_id] = now + int(len(app.instances) / _COUNTED_IN_MS)
        return found

    def _of_scopes(self, most: int) -> Iterator[Row]:
        marks = self._world.marks
        for root in list(marks.scopes)[:most]:
            app: Application = marks.scopes.pop(root)
            if app.instances.get(root.path) is not root:
                continue
            if root.node is not None:
                yield {"kind": "node", **status.node(self._world, root.node)}
            for member in root.members:
                yield {"kind": "instance", "application": app.name, **status.brief(member)}

    def _of_enrolled(self) -> Iterator[Row]:
        marks, world = self._world.marks, self._world
        marked, marks.enrolled = marks.enrolled, {}
        for node_id in marked:
            one = world.enrolled[node_id]
            if one.phase == EXPELLED:
                yield {"kind": "node", "id": node_id, "gone": True}
            elif node_id not in world.nodes:
                yield {"kind": "node", **status.free(one)}


def _gone(table: str, key: Any) -> Row:
    if table == "instances":
        return {"kind": "instance", "application": key[0], "path": key[1], "gone": True}
    name = "name" if table == "applications" else "id"
    return {"kind": _KINDS[table], name: key, "gone": True}
