"""Calls the functions of `python` recipes in the agent's own loop, for boards; and `logger`.

Fulfils the contract of a runner that stands in `runner_process`. A plain function is called in
`poll`, one each time, and holds up everything until it returns; neither its time limit nor
`cancel` can end it. An ``async def`` may take long: `inline_async` lets it go on bit by bit.

Instances that run the same recipe share its name space: what they keep belongs into `data_dir`.
"""

from . import compat
from .recipe import ENDING, NOT_SIMULATED, Instance, folder_name, load, step_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .inline_async import AsyncSteps

#: Bytes of output kept until somebody asks for them.
MOST_LOG = 4096

_DETAIL = 2048


class InlineRunner:
    """Runs steps without processes."""

    def __init__(
        self,
        data_root: str,
        wake: "Callable[[], object] | None" = None,
        loaded: "tuple[dict[str, Any], dict[str, str]] | None" = None,
    ) -> None:
        self._root = data_root
        self._wake = wake
        self._clock = compat.Clock()
        self._waiting: list[dict[str, Any]] = []
        self._async: AsyncSteps | None = None
        self._results: list[tuple[str, str, str]] = []
        self._logs: list[tuple[str, str, bytes]] = []
        self._logged = 0
        # Name space of a recipe by its folder, and which folder each instance uses; `loaded` is
        # both, kept by somebody who lets go of the runner while nothing is under way.
        self._spaces, self._used = loaded or ({}, {})
        # [when, pause, function, path] of what recipes want to be called every so often.
        self._timers: list[list[Any]] = []

    def start(self, request: "dict[str, Any]") -> None:
        path = request["path"]
        if self._waits(path) or (self._async is not None and path in self._async):
            raise ValueError(path + " runs a step already")
        self._waiting.append(request)
        self._call_wake()

    def cancel(self, path: str) -> None:
        request = self._waits(path)
        if request is not None:
            self._waiting.remove(request)
            self._end(path, "cancelled", "cancelled before it began")
            self._call_wake()
        elif self._async is not None:
            self._async.cancel(path)

    def poll(self) -> "list[tuple[str, str, str]]":
        if self._waiting:
            self._begin(self._waiting.pop(0))
        if self._async:
            self._tend(self._async)
        self._ring()
        results = self._results
        self._results = []
        if self.busy():
            self._call_wake()
        return results

    def logs(self) -> "list[tuple[str, str, bytes]]":
        logs = self._logs
        self._logs = []
        self._logged = 0
        return logs

    def busy(self) -> int:
        return len(self._waiting) + (len(self._async) if self._async is not None else 0)

    def is_idle(self) -> bool:
        """Tell whether nothing is lost when this runner is: no step, no timer, no line of log."""
        return not (self.busy() or self._timers or self._results or self._logs)

    def next_wake(self) -> "int | None":
        """Return how many ms from now something is to be called that a recipe asked for."""
        if not self._timers:
            return None
        first: int = min([timer[0] for timer in self._timers])
        return max(0, first - self._clock.now_ms())

    def data_dir(self, path: str) -> str:
        return self._root + "/" + folder_name(path)

    def forget(self, path: str) -> None:
        self._used.pop(path, None)
        self._drop_timers(path)
        self._drop_spaces()
        compat.remove_tree(self.data_dir(path))

    def close(self) -> None:
        self._waiting = []
        self._timers = []
        if self._async is not None:
            self._async.close()
            self._async = None

    def _waits(self, path: str) -> "dict[str, Any] | None":
        for request in self._waiting:
            if request["path"] == path:
                return request
        return None

    def _call_wake(self) -> None:
        if self._wake is not None:
            self._wake()

    def _end(self, path: str, outcome: str, detail: str) -> None:
        self._results.append((path, outcome, detail))

    def _begin(self, request: "dict[str, Any]") -> None:
        """Run a plain function to its end; begin an `async def`."""
        path = request["path"]
        try:
            outcome, work = self._called(request)
        except (Exception, SystemExit) as error:
            self._end(path, "failed", _told(error))
            return
        if outcome:
            self._end(path, outcome, "")
            return
        if self._async is None:
            from .inline_async import AsyncSteps

            self._async = AsyncSteps()
        self._async.begin(path, work, self._clock.now_ms() + request["timeout_ms"])

    def _called(self, request: "dict[str, Any]") -> "tuple[str, Any]":
        """Return the outcome, or nothing and what an `async def` has still to do."""
        installer, step, path = request["installer"], request["step"], request["path"]
        if request.get("simulate"):
            if step in NOT_SIMULATED:
                return "absent", None
            self._log(path, step, "simulated " + step + " " + path)
            return "done", None
        if installer == "logger":
            self._log(path, step, step + " " + path)
            return "done", None
        if installer != "python":
            raise ValueError("cannot run steps with the installer '%s' here" % installer)
        if step in ENDING:
            self._drop_timers(path)
        function = self._function(request)
        if function is None:
            return "absent", None
        work = function(self._instance(request))
        return ("", work) if hasattr(work, "send") else ("done", None)

    def _function(self, request: "dict[str, Any]") -> "Callable[[Instance], Any] | None":
        folder = request["recipe_dir"]
        if folder is None:
            return None
        if self._used.get(request["path"]) != folder:
            self._used[request["path"]] = folder
            self._drop_spaces()
        if folder not in self._spaces:
            self._spaces[folder] = load(folder)
        return step_of(self._spaces[folder], request["step"])

    def _drop_spaces(self) -> None:
        """Let go of recipes that no instance uses any more."""
        used = list(self._used.values())
        for folder in list(self._spaces):
            if folder not in used:
                del self._spaces[folder]

    def _instance(self, request: "dict[str, Any]") -> Instance:
        from .rendering import render_recipe

        path, step = request["path"], request["step"]
        data_dir = self.data_dir(path)
        compat.makedirs(data_dir)
        render_recipe(request, data_dir)
        compat.unload("rendering", "variables", "mustache")

        def every(ms: int, function: "Callable[[], object]") -> None:
            # The first one of a step takes the place of all those before.
            if "timed" not in request:
                request["timed"] = True
                self._drop_timers(path)
            self._timers.append([self._clock.now_ms() + ms, ms, function, path])

        return Instance(request, data_dir, lambda text: self._log(path, step, text), every)

    def _drop_timers(self, path: str) -> None:
        self._timers = [timer for timer in self._timers if timer[3] != path]

    def _ring(self) -> None:
        """Call what is due; what fails is told and called again."""
        now = self._clock.now_ms()
        for timer in self._timers:
            if timer[0] <= now:
                timer[0] = max(timer[0] + timer[1], now + 1)
                try:
                    timer[2]()
                except Exception as error:
                    self._log(timer[3], "every", _told(error))

    def _log(self, path: str, step: str, text: str) -> None:
        line = (text + "\n").encode()
        if self._logged + len(line) <= MOST_LOG:
            self._logs.append((path, step, line))
            self._logged += len(line)
        elif self._logged < MOST_LOG:
            self._logs.append((path, step, b"[more was left out]\n"))
            self._logged = MOST_LOG

    def _tend(self, steps: "AsyncSteps") -> None:
        for path, step in steps.tend(self._clock.now_ms()):
            if step.done:
                self._end(path, "done", "")
            elif step.why or step.error is None:
                self._end(path, step.why or "cancelled", step.why or "cancelled")
            else:
                self._end(path, "failed", _told(step.error))


def _told(error: BaseException) -> str:
    """Return the end of an error's traceback; its last line is type and message."""
    text = compat.error_text(error).strip()
    if len(text) > _DETAIL:
        text = text[-_DETAIL:]
        text = text[text.find("\n") + 1 :]
    return text
