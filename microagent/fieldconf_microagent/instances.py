"""The instances of one node, and what each of them has to do next.

`Tree.decide` compares what is wished with what is: it looks at the facts, names an event of
`states.TRANSITIONS`, and the agent carries out what the table says. Rules kept here:

* What counts is the lowest wish along the path, but a stopped parent only makes its children wait.
* Parents before children on the way up, children before parents on the way down.
* Never two steps of one instance at once; a running step is never interrupted by a change.
* The next step is chosen from what is true when the last one has ended.
* A step that failed is tried again later; any other step that becomes due is not held up by that.

No I/O; times are ms of a monotonic clock.
"""

from . import retry, states
from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_CHECK_MS = const(30000)
_CHECKS = const(3)  # failed checks in a row until the instance is started anew
_STOPS = const(3)  # failed stops in a row until it counts as stopped

# What is told of a failure, by the outcome of the step.
PROBLEMS = {"failed": "failed", "timeout": "timeout", "cancelled": "cancelled"}


class Record:
    """One instance: its entry in the want, and how far it is.

    Attributes:
        entry: the last entry of the want, kept until `undeploy` has ended.
        state: of `states`.
        step: the step under way, or None.
        digest: the recipe that it runs, None before it is deployed and where there is none.
        given: the imports told to the last successful start or update, {prefix: {path: values}}.
        problem: None or [code, text, resting].
        withdrawn: its exports are taken back, although it may still be started.
        redo: a step that was cut off by a restart and has to be run again; "start" means that the
            instance is stopped and started anew.
        leaving: the want does not name it any more.
        missing: imported prefixes that are mandatory and have no provider.
        must: why it must not be started now (a cause for `stop`), or None.
    """

    SAVED = ("entry", "state", "step", "digest", "given", "problem", "withdrawn", "redo")

    def __init__(self, entry: "dict[str, Any]") -> None:
        self.entry = entry
        self.path: str = entry["p"]
        self.state = states.NOT_DEPLOYED
        self.step: "str | None" = None
        self.digest: "bytes | None" = None
        self.given: "dict[str, Any] | None" = None
        self.problem: "list[Any] | None" = None
        self.withdrawn = False
        self.redo: "str | None" = None
        self.leaving = False
        self.missing: "list[str]" = []
        self.must: "str | None" = None
        self.parent: "Record | None" = None
        self.children: "list[Record]" = []
        self.pending: "tuple[Any, Any] | None" = None  # digest and imports of the step under way
        self.tried: "dict[str, Any] | None" = None  # imports of the last step, whatever came of it
        self.failed_step: "str | None" = None
        self.fails = 0
        self.stop_fails = 0
        self.check_fails = 0
        self.restarts = 0  # by `check`, since it last passed
        self.no_step: "set[tuple[str, bytes | None]]" = set()  # steps that a recipe does not have
        self.retry_at = 0
        self.check_at = 0

    def wanted_digest(self) -> "bytes | None":
        """Return the digest of the recipe that it should run."""
        digest: "bytes | None" = self.entry.get("d")
        return digest

    def option(self, name: str, default: int) -> int:
        """Return one of the entry's options, in ms."""
        return int(self.entry.get("o", {}).get(name, default))

    def publishes(self) -> bool:
        """Tell whether others may see its exports."""
        return self.state == states.STARTED and not self.withdrawn

    def begin_anew(self) -> None:
        """Forget former failures: something has changed, so the next try may well succeed."""
        self.fails = self.stop_fails = self.restarts = 0
        self.failed_step = None
        if self.problem and self.problem[2]:
            self.problem[2] = False

    def ended(self, now: int, outcome: str, detail: str, spread: float) -> str:
        """Note the end of the step under way, and return that step."""
        step, self.step = self.step, None
        assert step is not None
        if step == "check":
            self._checked(now, outcome, detail, spread)
        elif outcome in ("done", "absent"):
            self._succeeded(now, step, outcome)
        else:
            self._failed(now, step, outcome, detail, spread)
        self.pending = None
        return step

    def _checked(self, now: int, outcome: str, detail: str, spread: float) -> None:
        self.check_at = now + self.option("check", _CHECK_MS)
        if outcome == "absent":
            self.no_step.add(("check", self.digest))
        elif outcome == "done":
            self.check_fails = self.restarts = 0
        elif outcome != "cancelled":
            self.check_fails += 1
            if self.check_fails >= _CHECKS:
                self._check_failed(now, detail, spread)

    def _check_failed(self, now: int, detail: str, spread: float) -> None:
        self.check_fails = 0
        self.restarts += 1
        self.withdrawn = True
        self.redo = self.failed_step = "start"
        self.fails = self.restarts
        self.retry_at = now + retry.pause_ms(self.restarts, spread)
        self.problem = ["check", "check failed: " + detail, retry.resting(self.restarts)]

    def _succeeded(self, now: int, step: str, outcome: str) -> None:
        if step == "upgrade" and outcome == "absent":
            assert self.pending is not None
            self.no_step.add(("upgrade", self.pending[0]))
            return
        self.state, _ = states.next_step(self.state, "done")
        if self.problem and not (step == "stop" and self.problem[0] == "check"):
            self.problem = None
        if self.redo == step or step == "stop":
            self.redo = None
        if step in ("deploy", "upgrade"):
            assert self.pending is not None
            self.digest = self.pending[0]
        elif step in ("start", "update"):
            assert self.pending is not None
            self.given = self.pending[1]
            self.withdrawn = False
        elif step == "undeploy":
            self.digest = self.given = None
        if self.failed_step == step:
            self.fails = self.stop_fails = 0
            self.failed_step = None
        if step == "start":
            self.check_at = now + self.option("check", _CHECK_MS)

    def _failed(self, now: int, step: str, outcome: str, detail: str, spread: float) -> None:
        self.state, _ = states.next_step(self.state, "failed")
        self.failed_step = step
        self.fails += 1
        self.retry_at = now + retry.pause_ms(self.fails, spread)
        text = "%s: %s" % (step, detail)
        self.problem = [PROBLEMS.get(outcome, "failed"), text, retry.resting(self.fails)]
        if step == "stop":
            self.stop_fails += 1
            if self.stop_fails >= _STOPS:
                # Counts as done, so that a broken recipe does not hold up everything above it.
                self.state = states.STOPPED
                self.redo = self.failed_step = None
                self.stop_fails = self.fails = 0

    def dump(self) -> "dict[str, Any]":
        """Return what has to survive a restart; what is not set is left out."""
        saved = {name: getattr(self, name) for name in self.SAVED}
        return {name: saved[name] for name in saved if saved[name] not in (None, False)}

    def load(self, saved: "dict[str, Any]") -> None:
        """Take back what `dump` returned."""
        for name in self.SAVED:
            if name in saved:
                setattr(self, name, saved[name])


def restore(record: Record, same_mark: bool) -> None:
    """Bring a record that was read from disk in line with what can be true after a restart.

    A step that was cut off is run again, in a way that its recipe must bear. After a restart of the
    node (`same_mark` is false) nothing runs any more.
    """
    step, record.step = record.step, None
    if step == "deploy":
        record.redo = "deploy" if record.digest is not None else None
        record.state = states.STOPPED if record.redo else states.NOT_DEPLOYED
    elif step in ("start", "stop"):
        record.state, record.redo, record.withdrawn = states.STARTED, "start", True
    elif step == "update":
        record.redo = "update"
    elif step == "undeploy":
        record.state, record.redo = states.STOPPED, "undeploy"
    if record.state == states.STARTED and record.redo != "start" and not same_mark:
        record.state, record.given, record.redo = states.STOPPED, None, None
        record.withdrawn = False


class Tree:
    """All instances of a node, parents before children.

    Args:
        resolve: imported prefix, own path → {path: values}, from all providers.
        ready: digest (or None) → whether the recipe is complete on this node.
        offers: names of installers.
    """

    def __init__(
        self,
        resolve: "Callable[[str, str], dict[str, dict[str, str]]]",
        ready: "Callable[[bytes | None], bool]",
        offers: "tuple[str, ...]",
    ) -> None:
        self.resolve = resolve
        self.ready = ready
        self.offers = offers
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
        if record.state == states.STARTED:
            event = self._decide_started(record, now)
        elif record.state == states.NOT_DEPLOYED:
            event = self._decide_new(record)
        else:
            event = self._decide_down(record)
        if event and event == record.failed_step and now < record.retry_at:
            return None
        return event

    def _decide_started(self, record: Record, now: int) -> "str | None":
        if record.must:
            if any(c.step or c.state == states.STARTED for c in record.children):
                return None
            return "stop"
        record.withdrawn = False
        if self._new_digest(record):
            return "upgrade"
        if record.redo == "update" or self.imports_of(record) != record.given:
            return "update"
        if now >= record.check_at and _has_check(record):
            return "check"
        return None

    def _decide_new(self, record: Record) -> "str | None":
        if goal(record) == states.NOT_DEPLOYED:
            return None
        installer = record.entry["t"]
        if installer not in self.offers:
            text = "this node has no installer '%s', only: %s" % (installer, ", ".join(self.offers))
            record.problem = ["refused", text, False]
            return None
        if record.parent and not states.is_deployed(record.parent.state):
            return None
        return "deploy" if self.ready(record.wanted_digest()) else None

    def _decide_down(self, record: Record) -> "str | None":
        target = goal(record)
        if target == states.NOT_DEPLOYED or record.redo == "undeploy":
            busy = any(c.step or c.state != states.NOT_DEPLOYED for c in record.children)
            return None if busy else "undeploy"
        if self._new_digest(record) or record.redo == "deploy":
            return "deploy"
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
        """Return when time alone makes a step due, or None."""
        times = []
        for record in self.order:
            if record.step:
                continue
            if record.failed_step:
                times.append(record.retry_at)
            if record.state == states.STARTED and _has_check(record):
                times.append(record.check_at)
        return min(times) if times else None


def _has_check(record: Record) -> bool:
    return record.digest is not None and ("check", record.digest) not in record.no_step


def wish(record: Record) -> str:
    """Return the instance's own wish."""
    if record.leaving:
        return states.NOT_DEPLOYED
    own: str = record.entry["w"]
    return own


def goal(record: Record) -> str:
    """Return what counts: its own wish, unless something above it is to be undeployed."""
    above = record.parent
    while above:
        if wish(above) == states.NOT_DEPLOYED:
            return states.NOT_DEPLOYED
        above = above.parent
    return wish(record)


def difference(before: "dict[str, Any] | None", after: "dict[str, Any]") -> "dict[str, Any]":
    """Return what was added, removed and changed, each as {prefix: [[path, values], …]}."""
    before = before or {}
    found: "dict[str, Any]" = {"added": {}, "removed": {}, "changed": {}}
    for prefix in sorted(set(before) | set(after)):
        old, new = before.get(prefix, {}), after.get(prefix, {})
        for path in sorted(set(old) | set(new)):
            if path not in old:
                kind, values = "added", new[path]
            elif path not in new:
                kind, values = "removed", old[path]
            elif old[path] != new[path]:
                kind, values = "changed", new[path]
            else:
                continue
            found[kind].setdefault(prefix, []).append([path, values])
    return found
