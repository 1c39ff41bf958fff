"""Runs steps as processes of this machine: the commands that installers ask for (CPython).

The contract of a runner, which `runner_inline` fulfils on boards:

* ``start(request)`` begins a step (`variables` tells what a request holds) and never waits. An
  instance has at most one step at a time.
* ``poll()`` returns ``[(path, outcome, detail)]`` of the steps that ended since the last call.
  Outcomes: done, absent (the recipe has no such step, which is a success), failed, timeout,
  cancelled. The detail is text for people, at most some 2 KB.
* ``wake()``, given to the constructor, is called, in any thread, when there is something to poll.
* ``logs()`` returns ``[(path, step, bytes)]``: what was printed since the last call, bounded.
* ``cancel(path)`` ends the step of an instance; it is reported like every end.
* ``data_dir(path)`` names the data folder of an instance, ``forget(path)`` deletes it.
* ``busy()`` counts the steps that have not ended, ``close()`` ends them all.
"""

import contextlib
import errno
import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping

from . import compat
from .children import Child, Watcher
from .installer import Command, Installer, Request, StepError
from .installer_recorder import RECORDER
from .installers import BUILT_IN
from .recipe import folder_name
from .rendering import render_recipe

Result = tuple[str, str, str]

#: How many steps run at once; more wait for their turn, in order.
LIMIT = 8
# Output of steps that ended waits for logs() to be called, but not without bound.
_MOST_PRINTING = 256

_DETAIL = 2048
#: Where the templates of a preview are rendered, in the data folder: those in use stay.
_PREVIEWED = ".preview"


class Step:
    """A step from its request to its end; it has no child while it waits for its turn."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.path: str = request["path"]
        self.is_preview: bool = request.get("preview", False)
        self.child: Child | None = None
        self.todo: Command | None = None

    def called(self) -> str:
        """Return what the log calls it."""
        step: str = self.request["step"]
        return "preview " + step if self.is_preview else step


class ProcessRunner:
    """Runs every step in a process group of its own."""

    def __init__(
        self,
        data_root: str,
        wake: Callable[[], object],
        limit: int = LIMIT,
        installers: Mapping[str, Installer] = BUILT_IN,
    ) -> None:
        # A step has another working directory.
        self._root = os.path.abspath(data_root)
        self._wake = wake
        self._limit = limit
        self._installers = installers
        self._lock = threading.RLock()
        self._steps: dict[str, Step] = {}
        self._waiting: deque[Step] = deque()
        self._running: dict[Child, Step] = {}
        self._results: deque[Result] = deque()
        self._notes: list[tuple[str, str, bytes]] = []
        # Also of steps that ended: their last output, and services that go on printing.
        self._printing: list[tuple[str, str, Child]] = []
        self._watcher = Watcher(self._child_ended)

    def start(self, request: Request) -> None:
        step = Step(request)
        with self._lock:
            if step.path in self._steps:
                raise ValueError(f"{step.path} runs a step already")
            self._steps[step.path] = step
            self._waiting.append(step)
            self._begin_waiting()
        self._tell()

    def cancel(self, path: str) -> None:
        with self._lock:
            step = self._steps.get(path)
            if step is None:
                return
            if step.child is not None:
                self._watcher.end(step.child, "cancelled")
                return
            self._waiting.remove(step)
            self._end(step, "cancelled", "cancelled before it began")
        self._tell()

    def poll(self) -> list[Result]:
        with self._lock:
            results = list(self._results)
            self._results.clear()
        return results

    def logs(self) -> list[tuple[str, str, bytes]]:
        with self._lock:
            notes, self._notes = self._notes, []
            printing = self._printing
            self._printing = [p for p in printing if self._may_print(p[2])]
        taken = [(path, step, child.output.take_log()) for path, step, child in printing]
        # What is noted of a step at its end comes after what it printed.
        return [log for log in taken if log[2]] + notes

    def busy(self) -> int:
        return len(self._steps)

    def data_dir(self, path: str) -> str:
        return os.path.join(self._root, folder_name(path))

    def forget(self, path: str) -> None:
        compat.remove_tree(self.data_dir(path))

    def close(self) -> None:
        for step in list(self._waiting):
            self.cancel(step.path)
        self._watcher.close()

    def _begin_waiting(self) -> None:
        while self._waiting and len(self._running) < self._limit:
            self._begin(self._waiting.popleft())

    def _begin(self, step: Step) -> None:
        """Start the step's process; a step that needs none, or cannot have one, ends at once."""
        try:
            todo = self._command(step.request)
            if todo is None:
                self._end(step, "absent", "")
                return
            if not isinstance(todo, Command):
                self._note(step, todo)
                self._end(step, "done", "")
                return
            step.todo = todo
            process, pipe = _spawn(todo)
        except (OSError, ValueError, StepError) as error:
            self._end(step, "failed", str(error))
            return
        # Installers of third parties may raise anything.
        except Exception as error:
            self._end(step, "failed", f"the installer {step.request['installer']}: {error!r}")
            return
        child = step.child = Child(process, pipe, _limit_ms(step) / 1000)
        self._running[child] = step
        if len(self._printing) >= _MOST_PRINTING:
            self._printing = [p for p in self._printing if self._may_print(p[2])]
        self._printing.append((step.path, step.called(), child))
        self._watcher.add(child)

    def _command(self, request: Request) -> "Command | bytes | None":
        """Return the command of a step, or a line for the log, or None: absent."""
        installer = self._installer(request)
        if installer is None:
            raise StepError(f"cannot run steps with the installer {request['installer']!r} here")
        if request["recipe_dir"] is None and installer.needs_recipe:
            return None
        data_dir = self.data_dir(request["path"])
        os.makedirs(data_dir, exist_ok=True)
        if request["recipe_dir"] is not None:
            request = {**request, "recipe_dir": os.path.abspath(request["recipe_dir"])}
            if not os.path.isdir(request["recipe_dir"]):
                raise StepError(f"the recipe is gone from this node: {request['recipe_dir']}")
            if request.get("preview"):
                request["rendered_dir"] = os.path.join(data_dir, _PREVIEWED)
            render_recipe(request, data_dir)
        if request.get("preview"):
            return installer.preview(request, data_dir)
        return installer.command(request, data_dir)

    def _installer(self, request: Request) -> "Installer | None":
        return RECORDER if request.get("simulate") else self._installers.get(request["installer"])

    def _child_ended(self, child: Child) -> None:
        with self._lock:
            step = self._running.pop(child)
            outcome, detail = self._outcome(child, step)
            if outcome == "done" and detail and not step.is_preview:
                self._note(step, (detail + "\n").encode())
                detail = ""
            self._end(step, outcome, detail)
            self._begin_waiting()
        self._tell()

    def _note(self, step: Step, text: bytes) -> None:
        self._notes.append((step.path, step.called(), text))

    def _outcome(self, child: Child, step: Step) -> tuple[str, str]:
        """Return how a step's child ended, and the text that tells a person why."""
        assert step.todo is not None
        if child.why == "timeout":
            outcome, said = "timeout", f"not finished after {_limit_ms(step) / 1000:g} s"
        elif child.why is not None:
            outcome, said = child.why, child.why
        else:
            outcome, said = self._meaning(step, step.todo, child.status or 0)
        if outcome == "absent" or (outcome == "done" and not step.is_preview):
            return outcome, said
        last = _last_lines(self._telling(step, outcome, bytes(child.output.tail)))
        if step.request.get("recipe_dir"):
            # Shells begin their messages with it, and it says nothing to people.
            last = last.replace(step.request["recipe_dir"] + "/", "")
        return outcome, "\n".join(text for text in (said, last) if text)

    def _meaning(self, step: Step, todo: Command, status: int) -> tuple[str, str]:
        name = step.request["installer"]
        try:
            return self._installers[name].outcome(todo, status)
        # As in `_begin`; and the thread that calls this watches all others too.
        except Exception as error:
            return "failed", f"the installer {name}: {error!r}"

    def _telling(self, step: Step, outcome: str, output: bytes) -> bytes:
        if outcome != "failed":
            return output
        installer = self._installers[step.request["installer"]]
        # As in `_begin`.
        with contextlib.suppress(Exception):
            return installer.telling(output.decode("utf-8", "replace")).encode()
        return output

    def _may_print(self, child: Child) -> bool:
        return child.reading or child in self._running

    def _end(self, step: Step, outcome: str, detail: str) -> None:
        if step.todo is not None:
            step.todo.dispose()
        del self._steps[step.path]
        if step.is_preview:
            compat.remove_tree(os.path.join(self.data_dir(step.path), _PREVIEWED))
            self._note(step, _end_of_preview(step.request, outcome, detail))
        self._results.append((step.path, outcome, detail))

    def _tell(self) -> None:
        # A host that is closing down may have closed the loop that would be woken.
        if self._results:
            with contextlib.suppress(RuntimeError):
                self._wake()


def _spawn(todo: Command) -> "tuple[subprocess.Popen[bytes], int]":
    """Start the process; return it, and the end of a pipe that its output comes from."""
    pipe, end = os.pipe()
    try:
        process = subprocess.Popen(
            todo.argv,
            cwd=todo.cwd,
            env=todo.env,
            stdin=todo.stdin,
            stdout=end,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return process, pipe
    except (OSError, ValueError) as error:
        os.close(pipe)
        raise StepError(_why_not(error, todo)) from error
    finally:
        os.close(end)
        if not isinstance(todo.stdin, int):
            todo.stdin.close()


def _why_not(error: "OSError | ValueError", todo: Command) -> str:
    if not isinstance(error, OSError):
        return f"cannot run {todo.name()}: {error}"
    if error.errno == errno.E2BIG:
        name, value = max(todo.env.items(), key=lambda item: len(item[1]))
        total = sum(len(name) + len(value) for name, value in todo.env.items())
        return (
            f"cannot run {todo.name()}: its variables are too long for the system, {total} "
            f"characters in all, {len(value)} in {name}; "
            "use a python recipe or a template, which have no such limit"
        )
    if error.errno == errno.ENOENT:
        return f"cannot run {todo.name()}: there is no {todo.argv[0]} on this machine"
    return f"cannot run {todo.name()}: {error.strerror}"


def _end_of_preview(request: Request, outcome: str, detail: str) -> bytes:
    """Return the last line that the log has of a preview: whoever waits for it looks for that."""
    said = detail.partition("\n")[0] if outcome != "done" else ""
    if outcome == "absent":
        said = f"no step {request['step']}, or {request['installer']} cannot tell beforehand"
    return f"preview: {outcome}{': ' if said else ''}{said}\n".encode()


def _limit_ms(step: Step) -> int:
    own = step.todo.limit_ms if step.todo is not None else None
    limit: int = step.request["timeout_ms"] if own is None else own
    return limit


def _last_lines(output: bytes) -> str:
    """Return the end of the output, from the beginning of a line on where there is one."""
    output = output.rstrip()
    if len(output) > _DETAIL:
        output = output[-_DETAIL:]
        output = output[output.find(b"\n") + 1 :]
    return output.decode("utf-8", "replace")
