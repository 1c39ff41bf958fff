"""One instance as its node keeps it: how far it is, and what the end of a step makes of it.

No I/O; times are ms of a monotonic clock.
"""

from . import retry, states
from .compat import const

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHECK_MS = const(30000)
_CHECKS = const(3)  # failed checks in a row until the instance is started anew
_STOPS = const(3)  # failed stops in a row until it counts as stopped
_OUTCOMES = ("failed", "timeout", "cancelled")  # what a problem may be called


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
            instance is stopped and started anew, "values" the same because what it exports changed
            and its recipe has no `update`.
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

    def rests(self, step: str, now: int) -> bool:
        """Tell whether a step has failed and its pause is not over."""
        return step == self.failed_step and now < self.retry_at

    def gave_up_stop(self) -> bool:
        """Tell whether it counts as stopped though `stop` failed: something of it may still run."""
        problem = self.problem
        return bool(problem and self.state != states.STARTED and problem[1].startswith("stop: "))

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
        self.check_at = now + self.option("check", CHECK_MS)
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
            self.redo = "values" if step == "update" and outcome == "absent" else None
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
            self.check_at = now + self.option("check", CHECK_MS)

    def _failed(self, now: int, step: str, outcome: str, detail: str, spread: float) -> None:
        kept = step == "deploy" and self.digest is not None
        self.state, _ = states.next_step(self.state, "kept" if kept else "failed")
        if kept:
            self.redo = "deploy"  # over what is half done, whichever recipe is wanted by then
        self.failed_step = step
        self.fails += 1
        self.retry_at = now + retry.pause_ms(self.fails, spread)
        text = "%s: %s" % (step, detail)
        self.problem = [
            outcome if outcome in _OUTCOMES else "failed",
            text,
            retry.resting(self.fails),
        ]
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


def has_check(record: Record) -> bool:
    """Tell whether the recipe has a `check` step, as far as is known."""
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
