"""What an installer is: it says with which command a step of a recipe is run (CPython only).

`installers` lists those that come with the agent, and finds those of third parties; the page
docs/reference/installers.md tells how to write one. An installer starts nothing and keeps nothing:
the runner asks it for a command, runs that in a process group of its own with a time limit, reads
what it prints, and asks what its exit status means.
"""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

from . import variables

Request = dict[str, Any]

#: What a step gets of the agent's own environment.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "FIELDCONF_NODE", "FIELDCONF_NODE_DIR")
# The system takes 128 KiB for one variable; a longer FIELDCONF_CHANGED goes into a file.
_LONGEST_CHANGED = 100_000
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class StepError(Exception):
    """A step cannot be run; the message says why and what to do."""


class Command(NamedTuple):
    """What to run for one step.

    Attributes:
        argv: the program and its arguments.
        cwd: folder that it runs in.
        env: its whole environment, see `base_environment` and `step_environment`.
        stdin: what it reads; an open file is closed once the process has begun.
        temporary: file to delete when the step has ended.
        good: exit statuses that `Installer.outcome` takes for success.
        limit_ms: time limit instead of the component's; None: the component's.
        called: what people call it; "": the end of the last argument.
    """

    argv: list[str]
    cwd: str
    env: dict[str, str]
    stdin: "IO[bytes] | int" = subprocess.DEVNULL
    temporary: "str | None" = None
    good: tuple[int, ...] = (0,)
    limit_ms: "int | None" = None
    called: str = ""

    def name(self) -> str:
        """Return what people call it: ``scripts/start.sh``."""
        last = self.argv[-1]
        return self.called or "/".join(last.rsplit("/", 2)[1:]) or last

    def dispose(self) -> None:
        """Delete what was made for this step alone."""
        if self.temporary is not None:
            with contextlib.suppress(OSError):
                os.remove(self.temporary)


class Installer:
    """One way of running steps; `variables` tells what a request holds."""

    #: What stands after ``installer:`` in a graph.
    name = ""
    #: Whether there is nothing to do for a component without a recipe.
    needs_recipe = True
    #: The agent's settings, unknown ones included; there before anything is asked.
    settings: Mapping[str, Any] = {}

    def missing(self) -> "str | None":
        """Return why this machine cannot run it, such as "needs puppet: install …"; None: it can.

        Asked once, when the agent starts; it decides what the node offers.
        """
        return None

    def command(self, request: Request, data_dir: str) -> "Command | bytes | None":
        """Return what to run for a step.

        Args:
            request: the step; ``recipe_dir`` is an absolute path, templates are rendered.
            data_dir: folder of the instance; it exists.

        Returns:
            A command; or text for the log, when nothing has to be run; or None, when the recipe
            has no such step, which counts as success.

        Raises:
            StepError, OSError, ValueError: the step fails with this message.
        """
        raise NotImplementedError

    def preview(self, request: Request, data_dir: str) -> "Command | None":
        """Return what prints what a step would change, and changes nothing; None: no such way."""
        return None

    def outcome(self, todo: Command, status: int) -> tuple[str, str]:
        """Return what an exit status means: "done", "absent" or "failed", and words for people.

        Words beside "done" go to the log; to those beside "failed" the last lines that the command
        printed are added. Not asked about a command that ran out of time or was cancelled.
        """
        return ("done", "") if status in todo.good else ("failed", status_text(status))

    def telling(self, output: str) -> str:
        """Return what of the output's end tells a person why a step failed; its end is shown."""
        return output


def status_text(status: int) -> str:
    """Return an exit status of `subprocess` in words."""
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


def base_environment() -> dict[str, str]:
    """Return what every command gets of the agent's own environment, and nothing of the step."""
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    env.setdefault("PATH", os.defpath)
    return env


def short_environment(request: Request, data_dir: str) -> dict[str, str]:
    """Return the base environment with those variables of the step that are always short."""
    found = variables.metadata(request, data_dir)
    short = {name: value for name, value in found.items() if not name.endswith("_CHANGED")}
    return {**base_environment(), **short}


def step_environment(request: Request, data_dir: str) -> dict[str, str]:
    """Return the base environment with all variables of the step (docs/reference/variables.md)."""
    env = base_environment()
    env.update(variables.environment(request, data_dir))
    changed = env.get("FIELDCONF_CHANGED", "")
    if len(changed) > _LONGEST_CHANGED:
        file = os.path.join(data_dir, ".changed.json")
        with open(file, "w", encoding="utf-8") as out:
            out.write(changed)
        env["FIELDCONF_CHANGED"] = env["ROBOCONF_CHANGED"] = "@" + file
    return env


def filled(text: str, env: Mapping[str, str]) -> str:
    """Return the text with the value of a variable for each ``${NAME}``.

    Raises:
        StepError: there is no such variable.
    """

    def value(match: "re.Match[str]") -> str:
        if match[1] not in env:
            raise StepError(f"there is no variable {match[1]!r} in this step, named in {text!r}")
        return env[match[1]]

    return _VARIABLE.sub(value, text)
