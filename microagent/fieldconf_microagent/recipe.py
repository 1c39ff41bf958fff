"""What a `python` recipe is called with, how it is loaded, and where its data lie.

A recipe is a file ``recipe.py`` with a function for each step that it wants to take part in::

    def start(instance):
        instance.log("listening on " + instance.exports["port"])

The names of the functions are `STEPS`; each may be an ``async def``. A step without a function is
*absent*, which counts as success; an exception fails the step.

Boards keep this module in memory and a process per step loads it, so it imports next to nothing.
"""

import errno
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

STEPS = ("deploy", "start", "update", "stop", "undeploy", "check", "upgrade")

#: Steps that a simulation takes for absent: `upgrade`, so that the others are gone through, and
#: `check`, which would only fill the log.
NOT_SIMULATED = ("check", "upgrade")

#: What `Instance.every` asked for ends with these.
ENDING = ("start", "stop", "undeploy", "upgrade")

#: Where templates are rendered to, inside the data folder of an instance.
RENDERED = "rendered"

#: File of a `python` recipe inside its folder.
RECIPE = "recipe.py"

# File systems take 255 bytes for a name; some room is left for endings such as ".part".
_LONGEST_NAME = 200


class Instance:
    """One instance at the time of one step; the only argument of a recipe's functions.

    Attributes:
        node: id of the node that it runs on.
        instance, name, component: which instance this is, such as ``/vm1/web``, ``web``, ``Web``.
        path: the same as `instance`.
        application: name of the application.
        step: name of the function that is called.
        exports: ``{"port": "10000"}``, values are strings.
        ancestors: ``[["VM", {"ip": "10.0.0.7"}]]``: component and exports, the nearest last.
        imports: ``{"Data": [["/vm2/data", {"port": "10001"}]]}``: pairs of path and variables
            for every imported prefix, sorted by path, perhaps none.
        changed: for update: ``{"added": imports, "removed": imports, "changed": imports}``.
        cause: for stop: wanted, import-lost, ancestor, upgrade or check.
        data_dir: folder of this instance alone; it outlives versions and goes after undeploy.
        rendered_dir: where the recipe's ``*.mustache`` files are rendered before start and update.
        recipe_dir: folder of the recipe; other instances share it, so it is only read.
    """

    def __init__(
        self,
        request: "dict[str, Any]",
        data_dir: str,
        log: "Callable[[str], None]",
        every: "Callable[[int, Callable[[], object]], None]",
    ) -> None:
        self.node: str = request.get("node", "")
        self.path: str = request["path"]
        self.instance = self.path
        self.name: str = request["name"]
        self.component: str = request["component"]
        self.application: str = request["application"]
        self.step: str = request["step"]
        self.exports: dict[str, str] = request["exports"]
        self.ancestors: list[Any] = request["ancestors"]
        self.imports: dict[str, list[Any]] = request["imports"]
        self.changed: dict[str, Any] | None = request.get("changed")
        self.cause: str | None = request.get("cause")
        self.data_dir = data_dir
        self.rendered_dir = data_dir + "/" + RENDERED
        self.recipe_dir: str = request["recipe_dir"]
        self._log = log
        self._every = every

    def log(self, text: str) -> None:
        """Write a line to the log of this instance."""
        self._log(str(text))

    def every(self, ms: int, function: "Callable[[], object]") -> None:
        """Have `function` called every `ms` milliseconds, until the instance is stopped.

        Called from `start`. When `update` calls this, its calls take the place of those before.
        The function returns soon; an exception goes to the log, and the next call comes all the
        same. Calls that are late are not made up for.
        """
        self._every(ms, function)


def load(recipe_dir: str) -> "dict[str, Any] | None":
    """Run the recipe's file in a name space of its own and return that; None without a file.

    Modules beside it can be imported at its top. They are forgotten afterwards, since another
    version of the recipe may bring another module of that name.
    """
    file = recipe_dir + "/" + RECIPE
    try:
        with open(file, "rb") as source:
            text = source.read().decode()
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    space: dict[str, Any] = {"__name__": "recipe", "__file__": file}
    before = set(sys.modules)
    sys.path.insert(0, recipe_dir)
    try:
        exec(compile(text, file, "exec"), space)
    finally:
        sys.path.remove(recipe_dir)
        _forget_modules(recipe_dir, before)
    return space


def _forget_modules(folder: str, before: "set[str]") -> None:
    for name in [name for name in sys.modules if name not in before]:
        place = getattr(sys.modules[name], "__file__", None)
        if place and place.startswith(folder + "/"):
            del sys.modules[name]


def step_of(space: "dict[str, Any] | None", step: str) -> "Callable[[Instance], Any] | None":
    """Return the recipe's function for a step, or None where it has none."""
    function = space.get(step) if space and step in STEPS else None
    return function if callable(function) else None


def folder_name(path: str) -> str:
    """Return a name for the folder of the instance at `path`; no two paths share one.

    ``/vm 1/web`` becomes ``vm=201+web``. A very long path ends in a digest of all of it.
    """
    name = "+".join(_escaped(part) for part in path.strip("/").split("/"))
    if len(name) > _LONGEST_NAME:
        from . import compat

        digest = compat.hex(compat.sha256(path.encode()).digest())
        name = name[: _LONGEST_NAME - 66] + "=." + digest
    return name


def _escaped(text: str) -> str:
    out = ""
    for byte in text.encode():
        c = chr(byte)
        plain = c in "_-" or "0" <= c <= "9" or "a" <= c <= "z" or "A" <= c <= "Z"
        out += c if plain else "=%02X" % byte
    return out
