"""What each instance of a node has to do next.

`Tree.decide` compares what is wished with what is: it looks at the facts, names an event of
`states.TRANSITIONS`, and the agent carries out what the table says. Rules kept here:

* What counts is the lowest wish along the path, but a stopped parent only makes its children wait.
* Parents before children on the way up, children before parents on the way down.
* Never two steps of one instance at once; a running step is never interrupted by a change.
* The next step is chosen from what is true when the last one has ended.
* A step that failed is tried again later; any other step that becomes due is not held up by that.

No I/O; times are ms of a monotonic clock.
"""

from . import states
from .records import Record, goal, has_check, wish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Tree:
    """All instances of a node, parents before children.

    Args:
        resolve: imported prefix, own path → {path: values}, from all providers.
        ready: digest (or None) → whether the recipe is complete on this node.
        offers: names of installers.
        lacking: installer → why this node cannot run it.
        simulate: whether no step of any instance is to be run.
    """

    def __init__(
        self,
        resolve: "Callable[[str, str], dict[str, dict[str, str]]]",
        ready: "Callable[[bytes | None], bool]",
        offers: "tuple[str, ...]",
        lacking: "dict[str, str]",
        simulate: bool,
    ) -> None:
        self.resolve = resolve
        self.ready = ready
        self.offers = offers
        self.lacking = lacking
        self.simulate = simulate
        self.records: "dict[str, Record]" = {}
        self.order: "list[Record]" = []

    def put(self, record: Record) -> None:
        """Add a record; its parent, if it has one here, is there already."""
        self.records[record.path] = record
        self.order.append(record)
        record.parent = self.records.get(record.path.rpartition("/")[0])
        if record.parent:
            record.parent.children.append(record)

    def remove(self, record: Record) -> None:
        """Take out a record that has no children."""
        del self.records[record.path]
        self.order.remove(record)
        if record.parent:
            record.parent.children.remove(record)

    def simulates(self, record: Record) -> bool:
        """Tell whether the steps of an instance are only written down."""
        return self.simulate or record.option("simulate", 0) > 0

    def refresh(self) -> None:
        """Work out for every instance, parents first, why it must not be started."""
        for record in self.order:
            imports = record.entry.get("m", {})
            record.missing = [
                prefix
                for prefix in sorted(imports)
                if imports[prefix][0] and not self.resolve(prefix, record.path)
            ]
            record.must = self._must(record)

    def _must(self, record: Record) -> "str | None":
        parent = record.parent
        if goal(record) != states.STARTED:
            return "wanted" if wish(record) != states.STARTED else "ancestor"
        if parent and (parent.must or parent.state != states.STARTED):
            return "ancestor"
        if record.missing:
            return "import-lost"
        if record.redo == "start":
            return "check"
        if record.redo == "values":
            return "upgrade"
        if self._new_digest(record) and ("upgrade", record.wanted_digest()) in record.no_step:
            return "upgrade"
        return None

    def _new_digest(self, record: Record) -> bool:
        digest = record.wanted_digest()
        return digest != record.digest and self.ready(digest)

    def imports_of(self, record: Record) -> "dict[str, Any]":
        """Return {prefix: {path: values}} for every imported prefix, only the names imported."""
        found = {}
        for prefix, (_, names) in record.entry.get("m", {}).items():
            everything = self.resolve(prefix, record.path)
            found[prefix] = {
                path: values if "*" in names else {n: values[n] for n in names if n in values}
                for path, values in everything.items()
            }
        return found

    def decide(self, record: Record, now: int) -> "str | None":
        """Return the event that is due for an idle instance, or None."""
        event = self._due(record)
        if event and not record.rests(event, now):
            return event
        if self._may_check(record) and now >= record.check_at:
            return "check"
        return None

    def _due(self, record: Record) -> "str | None":
        """Return the event that the facts demand, though it may have failed a moment ago."""
        if record.state == states.STARTED:
            return self._decide_started(record)
        if record.state == states.NOT_DEPLOYED:
            return self._decide_new(record)
        return self._decide_down(record)

    def _may_check(self, record: Record) -> bool:
        return record.state == states.STARTED and not record.must and has_check(record)

    def _decide_started(self, record: Record) -> "str | None":
        if record.must:
            if any(c.step or c.state == states.STARTED for c in record.children):
                return None
            return "stop"
        record.withdrawn = False
        if self._new_digest(record):
            return "upgrade"
        if record.redo == "update" or self.imports_of(record) != record.given:
            return "update"
        return None

    def _decide_new(self, record: Record) -> "str | None":
        if goal(record) == states.NOT_DEPLOYED:
            return None
        installer = record.entry["t"]
        if installer not in self.offers and not self.simulates(record):
            record.problem = ["refused", self._why_not(installer), False]
            return None
        return "deploy" if self._may_deploy(record) else None

    def _may_deploy(self, record: Record) -> bool:
        """Tell whether its recipe is here and what is above it deployed, not just being so anew."""
        above = record.parent
        return self.ready(record.wanted_digest()) and (
            above is None or states.is_deployed(above.state)
        )

    def _why_not(self, installer: str) -> str:
        if installer in self.lacking:
            return "the installer '%s' %s" % (installer, self.lacking[installer])
        return "this node has no installer '%s', only: %s" % (installer, ", ".join(self.offers))

    def _decide_down(self, record: Record) -> "str | None":
        target = goal(record)
        if target == states.NOT_DEPLOYED or record.redo == "undeploy":
            busy = any(c.step or c.state != states.NOT_DEPLOYED for c in record.children)
            return None if busy else "undeploy"
        if self._new_digest(record) or record.redo == "deploy":
            return "deploy" if self._may_deploy(record) else None
        if target == states.STOPPED:
            event, there = "stop", states.STOPPED
        elif record.parent and (record.parent.must or record.parent.state != states.STARTED):
            event, there = "wait", states.WAITING
        elif record.missing:
            event, there = "hold", states.UNRESOLVED
        else:
            return "start"
        return event if record.state != there else None

    def next_wake(self) -> "int | None":
        """Return when time alone makes a step due, or None.

        What failed and is not demanded any more wakes nobody: that would be without end.
        """
        times = []
        for record in self.order:
            if record.step:
                continue
            if record.failed_step and self._due(record) == record.failed_step:
                times.append(record.retry_at)
            if self._may_check(record):
                times.append(record.check_at)
        return min(times) if times else None
