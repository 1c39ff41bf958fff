"""Drives the `async def` steps of `runner_inline`; loaded when a recipe has the first one.

They go on in the event loop that runs. Where none does, as on a board whose agent has a loop of
its own, they get an event loop that runs for `SLICE_MS` at a time.
"""

import asyncio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: How long steps go on before the agent listens to the link again.
SLICE_MS = 10


class AsyncStep:
    """One step under way."""

    def __init__(self, work: "Any", deadline: int) -> None:
        self.deadline = deadline
        self.why = ""
        self.done = False
        self.error: BaseException | None = None
        self._work = work
        self.task: Any = None

    async def run(self) -> None:
        try:
            await self._work
            self.done = True
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            self.error = error

    def stop(self, why: str) -> None:
        if not self.why:
            self.why = why
            self.task.cancel()


class AsyncSteps:
    """The steps under way, by the path of their instance."""

    def __init__(self) -> None:
        self._steps: dict[str, AsyncStep] = {}
        self._loop: Any = None

    def __len__(self) -> int:
        return len(self._steps)

    def __contains__(self, path: str) -> bool:
        return path in self._steps

    def begin(self, path: str, work: "Any", deadline: int) -> None:
        step = self._steps[path] = AsyncStep(work, deadline)
        if _loop_runs():
            step.task = asyncio.create_task(step.run())
            return
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        step.task = self._loop.create_task(step.run())

    def cancel(self, path: str) -> None:
        if path in self._steps:
            self._steps[path].stop("cancelled")

    def tend(self, now: int) -> "list[tuple[str, AsyncStep]]":
        """Let the steps go on for a moment; return those that ended."""
        if not _loop_runs():
            self._loop.run_until_complete(_breathe())
        ended = []
        for path, step in list(self._steps.items()):
            if step.task.done():
                del self._steps[path]
                ended.append((path, step))
            elif now >= step.deadline:
                step.stop("timeout")
        return ended

    def close(self) -> None:
        """Cancel what is under way and give it one moment to clean up."""
        for path in list(self._steps):
            self.cancel(path)
        if self._steps:
            self.tend(0)
        self._steps = {}
        if self._loop is not None:
            self._loop.close()


async def _breathe() -> None:
    await asyncio.sleep(SLICE_MS / 1000)


def _loop_runs() -> bool:
    """Tell whether we are called from inside an event loop."""
    # MicroPython knows the running task only, CPython also a callback that is no task.
    running = getattr(asyncio, "get_running_loop", None) or asyncio.current_task
    try:
        return running() is not None
    except RuntimeError:
        return False
