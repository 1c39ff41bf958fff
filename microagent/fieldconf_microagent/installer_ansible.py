"""The installer `ansible`: plays ``<step>.yml`` of the recipe on this machine.

All that a step is told is one variable, `fieldconf`; `VARIABLES` says what is in it. It goes
through a file for the agent's user alone, and no value is ever taken for a template: what another
node exports must not run here. Ansible's own files stay in the data folder of the instance.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from typing import Any

from .installer import Command, Installer, Request, base_environment, short_environment
from .variables import META

_PLAYBOOK = "ansible-playbook"

#: Exit statuses of `ansible-playbook`, in words.
STATUSES = {
    1: "Ansible could not play it (exit status 1)",
    2: "a task failed (exit status 2)",
    4: "Ansible cannot read the playbook (exit status 4)",
}

#: What users install for themselves below ~/.ansible.
_USERS = ("collections", "plugins", "roles")

_FAILED = re.compile(r"^(fatal: |failed: |\[ERROR\]: |ERROR! )", re.MULTILINE)

#: key of `fieldconf`, help, value given the request and the data folder.
VARIABLES: "list[tuple[str, str, Callable[[Request, str], Any]]]" = [
    (
        "exports",
        "The instance's exported variables: `fieldconf.exports.port`.",
        lambda r, d: r["exports"],
    ),
    (
        "imports",
        "For every imported prefix a list, sorted by path; an item holds `path` and `name` of the "
        "exporting instance and its variables: `fieldconf.imports.Web[0].ip`.",
        lambda r, d: _imports(r["imports"]),
    ),
    (
        "changed",
        "update only: `added`, `removed` and `changed`, each like `imports`, with the prefixes "
        "of which something changed.",
        lambda r, d: _changed(r.get("changed")),
    ),
    (
        "ancestors",
        "The instances above, the nearest last: `component` and `exports` of each.",
        lambda r, d: [{"component": one, "exports": exports} for one, exports in r["ancestors"]],
    ),
    (
        "meta",
        "What scripts get as `FIELDCONF_…`, by names in lower case without that: "
        "`fieldconf.meta.data_dir`.",
        lambda r, d: _meta(r, d),
    ),
]


class AnsibleInstaller(Installer):
    """Runs `ansible-playbook` with a local connection."""

    name = "ansible"

    def missing(self) -> "str | None":
        if program() is not None:
            return None
        return f"needs {_PLAYBOOK}: install ansible-core beside the agent, or the package ansible"

    def command(self, request: Request, data_dir: str) -> "Command | None":
        return _command(request, data_dir, [])

    def preview(self, request: Request, data_dir: str) -> "Command | None":
        return _command(request, data_dir, ["--check", "--diff"])

    def outcome(self, todo: Command, status: int) -> tuple[str, str]:
        outcome, said = super().outcome(todo, status)
        return outcome, STATUSES.get(status, said)

    def telling(self, output: str) -> str:
        """Return the task that failed and its message, without what went well."""
        found = _FAILED.search(output)
        if found is None:
            return output
        task = output.rfind("\nTASK [", 0, found.start())
        start = task + 1 if task >= 0 else found.start()
        return output[start:].partition("\nPLAY RECAP")[0]


def program() -> "str | None":
    """Return where `ansible-playbook` is: in the agent's own environment, else in the PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), _PLAYBOOK)
    return shutil.which(beside) or shutil.which(_PLAYBOOK, path=base_environment()["PATH"])


def told(request: Request, data_dir: str) -> "dict[str, Any]":
    """Return the variable `fieldconf`; every text in it is marked as a text and nothing else."""
    values = {name: value(request, data_dir) for name, _, value in VARIABLES}
    found: dict[str, Any] = _marked(values)
    return found


def _command(request: Request, data_dir: str, more: "list[str]") -> "Command | None":
    recipe_dir, step = request["recipe_dir"], request["step"]
    playbook = os.path.join(recipe_dir, step + ".yml")
    if not os.path.isfile(playbook):
        return None
    home = os.path.join(data_dir, ".ansible")
    os.makedirs(home, mode=0o700, exist_ok=True)
    _show_what_users_installed(home)
    variables = os.path.join(home, "step.json")
    with open(os.open(variables, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump({"fieldconf": told(request, data_dir)}, out)
    argv = [program() or _PLAYBOOK, "--inventory", "localhost,", "--connection", "local"]
    argv += ["--extra-vars", "@" + variables, *more, playbook]
    env = {**short_environment(request, data_dir), **_its_environment(home)}
    return Command(argv, recipe_dir, env, temporary=variables, called=step + ".yml")


def _its_environment(home: str) -> "dict[str, str]":
    return {
        "ANSIBLE_HOME": home,
        "ANSIBLE_LOCAL_TEMP": os.path.join(home, "tmp"),
        "ANSIBLE_REMOTE_TEMP": os.path.join(home, "tmp"),
        "ANSIBLE_NOCOLOR": "1",
        # What runs the agent is there; a playbook may name another one.
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        # Recipes may bring plug-ins, and are shared.
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _show_what_users_installed(home: str) -> None:
    """Let Ansible find in its home of ours what people installed in theirs."""
    for name in _USERS:
        theirs = os.path.join(os.path.expanduser("~"), ".ansible", name)
        ours = os.path.join(home, name)
        if os.path.isdir(theirs) and not os.path.lexists(ours):
            os.symlink(theirs, ours)


def _meta(request: Request, data_dir: str) -> "dict[str, str]":
    found = {name.lower(): value(request, data_dir) for name, _, value in META}
    return {name: value for name, value in found.items() if value is not None and name != "changed"}


def _imports(imports: "dict[str, list[Any]]") -> "dict[str, list[dict[str, str]]]":
    return {
        prefix: [{"path": path, "name": path.split("/")[-1], **values} for path, values in pairs]
        for prefix, pairs in imports.items()
    }


def _changed(changed: "dict[str, Any] | None") -> "dict[str, Any] | None":
    if changed is None:
        return None
    return {kind: _imports(changed.get(kind) or {}) for kind in ("added", "removed", "changed")}


def _marked(value: Any) -> Any:
    """Return a value whose texts Ansible does not look for templates in."""
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, dict):
        return {name: _marked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_marked(inner) for inner in value]
    return value


INSTALLER = AnsibleInstaller()
