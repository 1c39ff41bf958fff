"""The installer `puppet`: applies the recipe's Puppet module, without a Puppet server.

The recipe holds one module, a folder ``roboconf_<x>`` (or ``fieldconf_<x>``). A step is the class
``<module>::<step>`` where the module has ``manifests/<step>.pp``, else the class ``<module>``, for
the steps that Roboconf has. What the class is told is in `installer_puppet_code`.
"""

import os
import shutil
import sys

from .installer import Command, Installer, Request, StepError, base_environment, short_environment
from .installer_puppet_code import code
from .installer_puppet_modules import FILE, MISSING_STATUS
from .variables import META

#: A folder whose name begins so is the module to apply.
PREFIXES = ("roboconf_", "fieldconf_")

#: Where Puppet's own packages put the program, which is not in everybody's PATH.
_VENDORS = "/opt/puppetlabs/bin"

# Steps that Roboconf does not have are not for a class that does not know of them.
_ROBOCONF_STEPS = ("deploy", "start", "update", "stop", "undeploy")

#: Exit statuses of `puppet apply --detailed-exitcodes`, in words.
STATUSES = {
    1: "Puppet could not begin (exit status 1)",
    4: "Puppet failed in part (exit status 4)",
    6: "Puppet changed something and failed in part (exit status 6)",
    MISSING_STATUS: "Puppet modules are missing",
}

_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class PuppetInstaller(Installer):
    """Applies a class of the recipe's module with `puppet apply`."""

    name = "puppet"

    def missing(self) -> "str | None":
        if shutil.which("puppet", path=_path()):
            return None
        return "needs puppet: install the package puppet-agent"

    def command(self, request: Request, data_dir: str) -> "Command | None":
        return _command(request, data_dir, [])

    def preview(self, request: Request, data_dir: str) -> "Command | None":
        return _command(request, data_dir, ["--noop", "--show_diff"])

    def outcome(self, todo: Command, status: int) -> tuple[str, str]:
        outcome, said = super().outcome(todo, status)
        return outcome, STATUSES.get(status, said)

    def telling(self, output: str) -> str:
        """Return Puppet's errors alone; what it skipped because of them fills pages."""
        lines = [line for line in output.splitlines() if line.startswith("Error: ")]
        return "\n".join(line for line in lines if "Facter: " not in line) or output


def class_of(recipe_dir: str, step: str) -> "str | None":
    """Return the class that is a step of the recipe; None: there is none.

    Raises:
        StepError: the recipe has no module, or several.
    """
    module = _module(recipe_dir)
    manifests = os.path.join(recipe_dir, module, "manifests")
    if os.path.isfile(os.path.join(manifests, step + ".pp")):
        return f"{module}::{step}"
    if step in _ROBOCONF_STEPS and os.path.isfile(os.path.join(manifests, "init.pp")):
        return module
    return None


def _module(recipe_dir: str) -> str:
    with os.scandir(recipe_dir) as entries:
        found = sorted(one.name for one in entries if one.is_dir() and _is_module(one.name))
    if len(found) != 1:
        has = f"it has {', '.join(found)}" if found else "it has none"
        raise StepError(
            f"cannot choose the Puppet module: a recipe has one folder roboconf_<name>, and {has}"
        )
    return found[0]


def _is_module(name: str) -> bool:
    return name.lower().startswith(PREFIXES)


def _command(request: Request, data_dir: str, more: "list[str]") -> "Command | None":
    class_name = class_of(request["recipe_dir"], request["step"])
    if class_name is None:
        return None
    private = os.path.join(data_dir, ".puppet")
    os.makedirs(private, mode=0o700, exist_ok=True)
    manifest = os.path.join(private, "step.pp")
    _write(manifest, code(class_name, request))
    argv, cwd = _command_line(request, data_dir, os.path.join(private, "var"))
    env = {**short_environment(request, data_dir), **_facts(request, data_dir), "PATH": _path()}
    if not os.access(os.path.expanduser("~"), os.W_OK):
        # A service's user may have no home, and Puppet does not begin without a folder there.
        env["HOME"] = private
    argv += [*more, manifest]
    return Command(argv, cwd, env, temporary=manifest, good=(0, 2), called=class_name)


def _command_line(request: Request, data_dir: str, var: str) -> "tuple[list[str], str]":
    """Return what to run, but for the manifest, and where."""
    recipe_dir, target = request["recipe_dir"], os.path.join(data_dir, "modules")
    modulepath = _modulepath(recipe_dir, target)
    argv = ["puppet", "apply", "--verbose", "--detailed-exitcodes", "--color=false"]
    # Reports would heap up, and what a Puppet agent of this machine has noted is its own.
    argv += ["--reports", "none", "--vardir", var, "--publicdir", os.path.join(var, "public")]
    argv += ["--modulepath", modulepath]
    is_new = request["step"] in ("deploy", "upgrade")
    if not is_new or not os.path.isfile(os.path.join(recipe_dir, FILE)):
        return argv, recipe_dir
    module = ["-B", "-m", "fieldconf_microagent.installer_puppet_modules"]
    return [sys.executable, *module, recipe_dir, target, modulepath, "--", *argv], _PACKAGE_DIR


def _facts(request: Request, data_dir: str) -> "dict[str, str]":
    """Return what makes facts of what scripts find in FIELDCONF_…: ``$facts['fieldconf_step']``."""
    values = {name: value(request, data_dir) for name, _, value in META}
    return {
        "FACTER_fieldconf_" + name.lower(): text
        for name, text in values.items()
        if text is not None and name != "CHANGED"
    }


def _modulepath(recipe_dir: str, target: str) -> str:
    """Return where Puppet looks for modules: Roboconf's two, the instance's own, and Puppet's."""
    first = [os.environ["MODULEPATH"]] if os.environ.get("MODULEPATH") else []
    # Puppet fills in the names of its settings.
    its_own = ["$environmentpath/production/modules", "$basemodulepath"]
    return os.pathsep.join([*first, recipe_dir, target, *its_own])


def _path() -> str:
    return os.pathsep.join([base_environment()["PATH"], _VENDORS])


def _write(file: str, text: str) -> None:
    """Write what may hold passwords, for the agent's user alone."""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(text.encode("utf-8"))


INSTALLER = PuppetInstaller()
