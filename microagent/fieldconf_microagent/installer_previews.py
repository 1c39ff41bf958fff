"""Lets an agent answer `preview`: show what a step would change, without changing it (CPython).

While it runs the instance is busy, as with a step, and its life cycle waits; how it ended changes
nothing. What it prints goes to the log. Boards have no installer that can tell.
"""

from typing import Any

from . import states
from .agent import Agent
from .recipe import STEPS
from .records import Record, difference

#: What stands for the step of an instance meanwhile; a restart forgets it.
PREVIEW = "preview"


class PreviewingAgent(Agent):
    """The core, with one more verb: ``preview``, arguments path and step (None: the next one)."""

    def on_ended(self, now: int, path: str, outcome: str, detail: str) -> None:
        record = self.tree.records.get(path)
        if record is None or record.step != PREVIEW:
            super().on_ended(now, path, outcome, detail)
            return
        self.now = now
        record.step = None
        if record.state == states.NOT_DEPLOYED:
            # What is not deployed has no data folder.
            self.effects.append(("drop", path))
        # What became due meanwhile.
        self.due = True

    def do(self, verb: str, arguments: "list[Any]") -> "tuple[str, Any]":
        if verb != PREVIEW:
            return super().do(verb, arguments)
        why_not = self._preview(*arguments[:2])
        return ("error", why_not) if why_not else ("ok", None)

    def _preview(self, path: str = "", step: "str | None" = None) -> str:
        """Begin a preview, or return why there is none."""
        record = self.tree.records.get(path)
        if record is None or record.entry["t"] == "target":
            return f"there is no instance with steps at {path!r}"
        if record.step:
            return f"{record.step} is under way at {path}"
        if step is not None and step not in STEPS:
            return f"there is no step {step!r}"
        digest = record.digest or record.wanted_digest()
        if not self._ready(digest):
            return f"the recipe of {path} is not here yet"
        step = step or ("start" if record.state != states.NOT_DEPLOYED else "deploy")
        self.effects.append(("run", self._request(record, step, digest)))
        record.step = PREVIEW
        return ""

    def _request(self, record: Record, step: str, digest: "bytes | None") -> "dict[str, Any]":
        imported = self.tree.imports_of(record)
        request = self.steps._request(record, step, None, imported)
        if step == "update" and not any(request["changed"].values()):
            # Nothing is new: as if all were.
            request["changed"] = difference(None, imported)
        return {**request, "digest": digest, "preview": True}
