"""Runs steps as processes of this machine: installers `script`, `python` and `logger` (CPython).

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
import marshal
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any, NamedTuple

from . import compat
from .children import Child, Watcher
from .python_step import ABSENT_STATUS
from .recipe import RECIPE, folder_name
from .rendering import render_recipe, render_text
from .scripts import ScriptError, command, find_script
from .variables import environment

Request = dict[str, Any]
Result = tuple[str, str, str]

#: How many steps run at once; more wait for their turn, in order.
LIMIT = 8
# Output of steps that ended waits for logs() to be called, but not without bound.
_MOST_PRINTING = 256

_DETAIL = 2048
#: What a step gets of the agent's own environment.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "FIELDCONF_NODE", "FIELDCONF_NODE_DIR")
# The system takes 128 KiB for one variable; a longer FIELDCONF_CHANGED goes into a file.
_LONGEST_CHANGED = 100_000
_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Command(NamedTuple):
    """What to run: all that a process needs, and a file to delete at its end."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    stdin: "IO[bytes] | int" = subprocess.DEVNULL
    temporary: "str | None" = None

    def name(self) -> str:
        """Return what people call it: ``scripts/start.sh``."""
        return "/".join(self.argv[-1].rsplit("/", 2)[1:]) or self.argv[-1]


class Step:
    """A step from its request to its end; it has no child while it waits for its turn."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.path: str = request["path"]
        self.child: Child | None = None
        self.temporary: str | None = None


class ProcessRunner:
    """Runs every step in a process group of its own."""

    def __init__(self, data_root: str, wake: Callable[[], object], limit: int = LIMIT) -> None:
        # A step has another working directory.
        self._root = os.path.abspath(data_root)
        self._wake = wake
        self._limit = limit
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
        return notes + [log for log in taken if log[2]]

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
                self._notes.append((step.path, step.request["step"], todo))
                self._end(step, "done", "")
                return
            step.temporary = todo.temporary
            process, pipe = _spawn(todo)
        except (OSError, ValueError, ScriptError) as error:
            self._end(step, "failed", str(error))
            return
        child = step.child = Child(process, pipe, step.request["timeout_ms"] / 1000)
        self._running[child] = step
        if len(self._printing) >= _MOST_PRINTING:
            self._printing = [p for p in self._printing if self._may_print(p[2])]
        self._printing.append((step.path, step.request["step"], child))
        self._watcher.add(child)

    def _command(self, request: Request) -> "Command | bytes | None":
        """Return the command of a step, or a line for the log (`logger`), or None: absent."""
        installer = request["installer"]
        if installer == "logger":
            return f"{request['step']} {request['path']}\n".encode()
        make = _COMMANDS.get(installer)
        if make is None:
            raise ScriptError(f"cannot run steps with the installer {installer!r} here")
        if request["recipe_dir"] is None:
            return None
        request = {**request, "recipe_dir": os.path.abspath(request["recipe_dir"])}
        data_dir = self.data_dir(request["path"])
        os.makedirs(data_dir, exist_ok=True)
        render_recipe(request, data_dir)
        return make(request, data_dir)

    def _child_ended(self, child: Child) -> None:
        with self._lock:
            step = self._running.pop(child)
            self._end(step, *_outcome(child, step.request))
            self._begin_waiting()
        self._tell()

    def _may_print(self, child: Child) -> bool:
        return child.reading or child in self._running

    def _end(self, step: Step, outcome: str, detail: str) -> None:
        if step.temporary is not None:
            with contextlib.suppress(OSError):
                os.remove(step.temporary)
        del self._steps[step.path]
        self._results.append((step.path, outcome, detail))

    def _tell(self) -> None:
        # A host that is closing down may have closed the loop that would be woken.
        if self._results:
            with contextlib.suppress(RuntimeError):
                self._wake()


def _script_command(request: Request, data_dir: str) -> "Command | None":
    recipe_dir = request["recipe_dir"]
    script = find_script(recipe_dir, request["step"])
    if script is None:
        return None
    name = os.path.relpath(script.file, recipe_dir)
    env = _base_environment()
    env.update(environment(request, data_dir))
    _move_to_file(env, data_dir)
    cwd = os.path.dirname(script.file)
    if not script.is_template:
        return Command(command(script.file, name), cwd, env)
    with open(script.file, encoding="utf-8") as template:
        text = render_text(template.read(), request, data_dir)
    file = os.path.join(data_dir, ".step.sh")
    with open(file, "w", encoding="utf-8") as rendered:
        rendered.write(text)
    return Command(command(file, name), cwd, env, temporary=file)


def _python_command(request: Request, data_dir: str) -> "Command | None":
    if not os.path.isfile(os.path.join(request["recipe_dir"], RECIPE)):
        return None
    told = {key: value for key, value in request.items() if key != "digest"}
    # A file, since a pipe would have to be written while the process reads.
    stdin = tempfile.TemporaryFile()
    stdin.write(marshal.dumps([told, data_dir]))
    stdin.seek(0)
    argv = [sys.executable, "-B", "-m", "fieldconf_microagent.python_step"]
    # Python finds the package in the working directory; the step itself moves to the recipe.
    env = {**_base_environment(), "FIELDCONF_PYTHON": sys.executable}
    return Command(argv, _PACKAGE_DIR, env, stdin)


#: installer: what makes its command, given the request and the data folder; None: absent.
_COMMANDS: dict[str, Callable[[Request, str], "Command | None"]] = {
    "script": _script_command,
    "python": _python_command,
}


def _base_environment() -> dict[str, str]:
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env.setdefault("PATH", os.defpath)
    return env


def _move_to_file(env: dict[str, str], data_dir: str) -> None:
    changed = env.get("FIELDCONF_CHANGED", "")
    if len(changed) > _LONGEST_CHANGED:
        file = os.path.join(data_dir, ".changed.json")
        with open(file, "w", encoding="utf-8") as out:
            out.write(changed)
        env["FIELDCONF_CHANGED"] = env["ROBOCONF_CHANGED"] = "@" + file


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
        raise ScriptError(_why_not(error, todo)) from error
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


def _outcome(child: Child, request: Request) -> tuple[str, str]:
    """Return how a child ended, and the text that tells a person why."""
    status = child.status or 0
    if child.why == "timeout":
        said = f"not finished after {request['timeout_ms'] / 1000:g} s"
    elif child.why is not None:
        said = child.why
    elif status == 0:
        return "done", ""
    elif status == ABSENT_STATUS and request["installer"] == "python":
        return "absent", ""
    else:
        said = _status_text(status)
    last = _last_lines(bytes(child.output.tail))
    if request.get("recipe_dir"):
        # Shells begin their messages with it, and it says nothing to people.
        last = last.replace(request["recipe_dir"] + "/", "")
    return child.why or "failed", said + "\n" + last if last else said


def _status_text(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def _last_lines(output: bytes) -> str:
    """Return the end of the output, from the beginning of a line on where there is one."""
    output = output.rstrip()
    if len(output) > _DETAIL:
        output = output[-_DETAIL:]
        output = output[output.find(b"\n") + 1 :]
    return output.decode("utf-8", "replace")
