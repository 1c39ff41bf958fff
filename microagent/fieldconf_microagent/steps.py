"""The steps of the instances of one node: begins what is due, and says what a runner has to know.

No I/O: a step that has to run is returned as a *request*.
"""

from . import states
from .compat import const
from .exports import local
from .records import Record, difference
from .tree import Tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TIMEOUT_MS = const(600000)


class Steps:
    """Runs through the tree and takes the steps that are due.

    Attributes:
        requests: steps that have to run, see `_request`.
        dropped: paths whose data has to be deleted.
        changed: something changed that has to be saved.

    Args:
        parallel: steps at once.
        random_below: n → a random integer from 0 to n - 1.
    """

    def __init__(self, tree: Tree, parallel: int, random_below: "Any") -> None:
        self.tree = tree
        self.parallel = parallel
        self.random_below = random_below
        self.ip: "str | None" = None
        self.application = ""
        self.beyond: "list[dict[str, Any]]" = []  # ancestors on other nodes
        self.requests: "list[dict[str, Any]]" = []
        self.dropped: "list[str]" = []
        self.changed = False
        self._running = 0

    def take(self, now: int) -> bool:
        """Do once what is due for every idle instance; tell whether anything was."""
        moved = False
        for record in self.tree.order[:]:
            if not record.step and self._advance(record, now):
                moved = True
        return moved

    def is_full(self) -> bool:
        """Tell whether so many steps run that no other may begin."""
        return self._running >= self.parallel

    def ended(self, record: Record, now: int, outcome: str, detail: str) -> None:
        """Note the end of a step that ran."""
        self._running -= 1
        self._end(record, now, outcome, detail)

    def _advance(self, record: Record, now: int) -> bool:
        if record.leaving and record.state == states.NOT_DEPLOYED and not record.children:
            self.tree.remove(record)
            self.changed = True
            return True
        event = self.tree.decide(record, now)
        if event is None:
            return False
        state, step = states.next_step(record.state, event)
        runs = record.entry["t"] != "target"
        if step and runs and self.is_full():
            return False
        if step != "check":
            self.changed = True
        if step is None:
            record.state = state
        else:
            self._begin(record, now, state, step, runs)
        return True

    def _begin(self, record: Record, now: int, state: str, step: str, runs: bool) -> None:
        cause = record.must if step == "stop" else None
        imported = self.tree.imports_of(record)
        record.state, record.step = state, step
        record.pending, record.tried = (record.wanted_digest(), imported), imported
        if step == "stop":
            record.withdrawn = True
        if runs:
            self._running += 1
            self.requests.append(self._request(record, step, cause, imported))
        else:
            self._end(record, now, "done", "")

    def _end(self, record: Record, now: int, outcome: str, detail: str) -> None:
        before = record.problem
        step = record.ended(now, outcome, detail, self.random_below(1000) / 1000)
        if step != "check" or record.problem is not before:
            self.changed = True
        if step == "undeploy" and record.state == states.NOT_DEPLOYED:
            self.dropped.append(record.path)

    def _request(
        self, record: Record, step: str, cause: "str | None", imported: "dict[str, Any]"
    ) -> "dict[str, Any]":
        """Return all that a runner has to know about a step; the host adds the recipe's folder."""
        new = step in ("deploy", "upgrade")
        listed = {p: [[q, v[q]] for q in sorted(v)] for p, v in imported.items()}
        return {
            "path": record.path,
            "name": record.path.rpartition("/")[2],
            "component": record.entry["c"],
            "installer": record.entry["t"],
            "digest": record.wanted_digest() if new else record.digest,
            "step": step,
            "exports": local(record.entry, self.ip),
            "ancestors": self._ancestors(record),
            "imports": listed,
            "changed": difference(record.given, imported) if step == "update" else None,
            "cause": cause,
            "application": self.application,
            "timeout_ms": record.option("timeout", _TIMEOUT_MS),
            "simulate": self.tree.simulates(record),
        }

    def _ancestors(self, record: Record) -> "list[Any]":
        """Return [[component, values], …] of all above, the nearest last."""
        found: "list[Any]" = []
        above = record.parent
        while above:
            found.insert(0, [above.entry["c"], local(above.entry, self.ip)])
            above = above.parent
        return [[up["c"], local(up, None)] for up in self.beyond] + found
