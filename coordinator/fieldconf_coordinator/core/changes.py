"""Changes: what a request has set in motion, to be watched until all is where it is wished."""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from ..errors import FleetError
from .model import UNKNOWN, Application, Instance, World
from .outbox import Outbox
from .undoing import Undo, of_row

_KEPT = 50

RUNNING = "running"
DONE = "done"
SUPERSEDED = "superseded"
CANCELLED = "cancelled"


class Change:
    """One change.

    Attributes:
        paths: of the trees it is about; None: all of the application.
        total: how many instances it was about when it began.
        undo: the way back, while it is under way.
    """

    def __init__(
        self, change_id: str, app_id: str, name: str, text: str, paths: tuple[str, ...] | None
    ) -> None:
        self.id = change_id
        self.app_id = app_id
        self.app_name = name
        self.text = text
        self.paths = paths
        self.total = 0
        self.started = 0
        self.ended: int | None = None
        self.outcome = RUNNING
        self.undo = Undo()

    def concerns(self, path: str) -> bool:
        """Tell whether it is about the instance at `path`."""
        if self.paths is None:
            return True
        return any(path == p or path.startswith(p + "/") for p in self.paths)

    def overlaps(self, other: "Change") -> bool:
        """Tell whether both are about some instance."""
        if self.app_id != other.app_id:
            return False
        if self.paths is None or other.paths is None:
            return True
        return any(other.concerns(p) for p in self.paths) or any(
            self.concerns(p) for p in other.paths
        )


class Changes:
    """The latest changes."""

    def __init__(self, world: World, outbox: Outbox, wall: Callable[[], int]) -> None:
        self._world = world
        self._outbox = outbox
        self._wall = wall
        self._changes: dict[str, Change] = {}
        self._count = 0

    @property
    def running(self) -> bool:
        """Tell whether there is a change to watch."""
        return any(change.outcome == RUNNING for change in self._changes.values())

    def restore(
        self, rows: Iterable[Mapping[str, Any]], undos: Iterable[Mapping[str, Any]]
    ) -> None:
        """Take over rows, which come in any order; their application may be gone."""
        for row in rows:
            self._restore(row)
        for row in undos:
            if row["change"] in self._changes:
                self._changes[row["change"]].undo = of_row(row)

    def _restore(self, row: Mapping[str, Any]) -> None:
        paths = None if row["paths"] is None else tuple(row["paths"])
        change = Change(row["id"], row["application"], row["name"], row["text"], paths)
        change.total = row["total"]
        change.started, change.ended = row["started"], row["ended"]
        change.outcome = row["outcome"]
        self._changes[change.id] = change
        self._changes = dict(sorted(self._changes.items(), key=lambda item: int(item[0])))
        self._count = max(self._count, int(change.id))

    def begin(self, app: Application, text: str, paths: tuple[str, ...] | None, undo: Undo) -> str:
        """Note a new change and return its id; it supersedes running ones of the same instances."""
        self._count += 1
        change = Change(str(self._count), app.id, app.name, text, paths)
        change.started = self._wall()
        change.total = len(self._concerned(change))
        for other in self._changes.values():
            if other.outcome == RUNNING and other.overlaps(change):
                self._end(other, SUPERSEDED)
        self._changes[change.id] = change
        self._store(change)
        change.undo = undo
        self._outbox.store("undos", change.id, undo.as_row(change.id))
        for old in list(self._changes)[:-_KEPT]:
            del self._changes[old]
            self._outbox.delete("changes", old)
            self._outbox.delete("undos", old)
        self._outbox.event("change", text, app.name)
        app.moved = True
        return change.id

    def look(self) -> bool:
        """End the changes of which all is done; tell whether some are still running."""
        running = False
        for change in self._changes.values():
            if change.outcome != RUNNING:
                continue
            app = self._world.by_id.get(change.app_id)
            if app is None or (app.moved and not self._pending(change)):
                self._end(change, DONE)
            else:
                running = True
        for app in self._world.applications.values():
            app.moved = False
        return running

    def _end(self, change: Change, outcome: str) -> None:
        change.outcome, change.ended, change.undo = outcome, self._wall(), Undo()
        self._store(change)
        self._outbox.delete("undos", change.id)
        if outcome == DONE:
            self._outbox.event("change", f"{change.text}: done", change.app_name)

    def _store(self, change: Change) -> None:
        row = {
            "id": change.id,
            "application": change.app_id,
            "name": change.app_name,
            "text": change.text,
            "paths": None if change.paths is None else list(change.paths),
            "total": change.total,
            "started": change.started,
            "ended": change.ended,
            "outcome": change.outcome,
        }
        self._outbox.store("changes", change.id, row)

    def _concerned(self, change: Change) -> list[Instance]:
        app = self._world.by_id.get(change.app_id)
        if app is None:
            return []
        if change.paths is None:
            return list(app.instances.values())
        found: dict[str, Instance] = {}
        for path in change.paths:
            found.update((instance.path, instance) for instance in app.tree(path))
        return list(found.values())

    def _pending(self, change: Change) -> bool:
        # What was begun last is done last, most of the time.
        return any(not instance.is_settled() for instance in reversed(self._concerned(change)))

    def show(self, change_id: str) -> dict[str, Any]:
        """Return one change as `Fleet.change` describes it."""
        change = self._changes.get(change_id)
        if change is None:
            raise FleetError("unknown-change", f"there is no change {change_id}")
        steps = [_step(instance) for instance in self._concerned(change)]
        if change.outcome == RUNNING and all(step["done"] for step in steps):
            self._end(change, DONE)
        pending = sum(not step["done"] for step in steps)
        total = max(change.total, len(steps))
        return {
            "id": change.id,
            "application": change.app_name,
            "text": change.text,
            "outcome": change.outcome,
            "done": total if change.outcome == DONE else total - pending,
            "total": total,
            "steps": steps,
            "started": change.started,
            "ended": change.ended,
        }

    def cancel(self, change_id: str) -> tuple[Change, list[str], Undo]:
        """End a change that is under way; return it, the paths not done, and the way back."""
        change = self._changes.get(change_id)
        if change is None:
            raise FleetError("unknown-change", f"there is no change {change_id}")
        if change.outcome != RUNNING:
            raise FleetError("conflict", f"change {change_id} has ended: {change.outcome}")
        left = [one.path for one in self._concerned(change) if not one.is_settled()]
        undo = change.undo
        self._end(change, CANCELLED)
        self._outbox.event("change", f"{change.text}: cancelled", change.app_name)
        return change, left, undo

    def progress(self, change_id: str) -> dict[str, Any] | None:
        """Return one change without its steps; None for one that is not kept any more."""
        change = self._changes.get(change_id)
        if change is None:
            return None
        done = change.total
        if change.outcome == RUNNING:
            concerned = self._concerned(change)
            done -= sum(not instance.is_settled() for instance in concerned)
        return {
            "id": change.id,
            "application": change.app_name,
            "text": change.text,
            "outcome": change.outcome,
            "done": max(0, done),
            "total": change.total,
            "started": change.started,
            "ended": change.ended,
        }

    def running_of(self, app_ids: Container[str]) -> list[str]:
        """Return the ids of the changes of these applications that are under way."""
        return [
            change.id
            for change in self._changes.values()
            if change.outcome == RUNNING and change.app_id in app_ids
        ]

    def ids(self) -> list[str]:
        """Return the ids of all, newest first."""
        return list(reversed(self._changes))

    def show_all(self) -> list[dict[str, Any]]:
        """Return all, newest first."""
        return [self.show(change_id) for change_id in reversed(self._changes)]


def _step(instance: Instance) -> dict[str, Any]:
    return {
        "path": instance.path,
        "wish": instance.effective_wish(),
        "state": shown_state(instance),
        "problem": list(instance.problem) if instance.problem else None,
        "done": instance.is_settled(),
    }


def shown_state(instance: Instance) -> str:
    """Return the state as far as it is known."""
    node = instance.scope.node
    if node is not None and not node.fresh and node.was_heard:
        return UNKNOWN
    return instance.state
