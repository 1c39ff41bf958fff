"""What a change has changed of what is wished, so that cancelling it can put that back.

Kept on disk for as long as the change is under way. What cannot be put back is said in words.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from .model import Application, Instance


class Undo:
    """The way back from one change.

    Attributes:
        before: (wish, leaving) → paths of the instances that were wished like that.
        added: paths of what the change put in, parents first; it is taken out again.
        bound: prefix → ids of the applications that it was bound to.
        stays: sentences about what is not put back.
    """

    def __init__(self, added: Iterable[str] = (), stays: Iterable[str] = ()) -> None:
        self.before: dict[tuple[str, bool], list[str]] = {}
        self.added = list(added)
        self.bound: dict[str, list[str]] = {}
        self.stays = list(stays)

    def note(self, instance: Instance) -> None:
        """Remember what is wished of an instance: to be called before that changes."""
        self.before.setdefault((instance.wish, instance.leaving), []).append(instance.path)

    def wishes(self, app: Application) -> list[tuple[Instance, str, bool]]:
        """Return (instance, wish, leaving) of what is wished otherwise now."""
        found = []
        for (wish, leaving), paths in self.before.items():
            for path in paths:
                one = app.instances.get(path)
                if one is not None and (one.wish, one.leaving) != (wish, leaving):
                    found.append((one, wish, leaving))
        return found

    def gone(self, app: Application) -> list[str]:
        """Return the paths of instances that were there before the change, and are not now."""
        return sorted(p for ps in self.before.values() for p in ps if p not in app.instances)

    def as_row(self, change_id: str) -> dict[str, Any]:
        """Return the row that is stored beside the change."""
        return {
            "change": change_id,
            "before": [[*key, paths] for key, paths in self.before.items()],
            "added": self.added,
            "bound": self.bound,
            "stays": self.stays,
        }


def of_row(row: Mapping[str, Any]) -> Undo:
    """Return the way back that a row holds."""
    found = Undo(row["added"], row["stays"])
    found.before = {(wish, leaving): list(paths) for wish, leaving, paths in row["before"]}
    found.bound = {prefix: list(ids) for prefix, ids in row["bound"].items()}
    return found
