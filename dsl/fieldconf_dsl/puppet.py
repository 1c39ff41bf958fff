"""What a Puppet recipe has to hold, judged by its text; and, where Puppet is there, by Puppet.

A recipe is one module, a folder `roboconf_<x>`. The classes that are steps (`init.pp` and those
named after a step) are told everything by parameters, so they must have these. A module's other
classes are its own affair; in Roboconf they needed the parameters too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .errors import Place, Problem, problem, quoted
from .model import Component, RecipeFile

INSTALLER = "puppet"

#: A folder whose name begins so is the module that is applied.
PREFIXES = ("roboconf_", "fieldconf_")

_STEPS = ("init", "deploy", "start", "update", "stop", "undeploy", "check", "upgrade")
_NO_CODE = re.compile(
    r"""\#[^\n]* | /\*.*?\*/ | '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" """, re.DOTALL | re.VERBOSE
)
_CLASS = re.compile(r"\bclass\s+([\w:]+)\s*(\(?)")
_ERROR = re.compile(
    r"Error: (?:Could not parse for environment \w+: )?(.*) "
    r"\(file: (.*?)(?:, line: (\d+)(?:, column: (\d+))?)?\)"
)
#: A class says what it takes at its beginning.
_MOST = 256 * 1024
_PATIENCE_S = 60

Recipe = Sequence[tuple[str, RecipeFile]]


def judge_imports(component: Component, place: Place) -> Iterator[Problem]:
    """Yield what is odd about the imports of a component with this installer."""
    if any(one.name == "*" for one in component.imports.values()):
        yield problem("REC_PUPPET_DISLIKES_WILDCARD_IMPORTS", place, quoted(component.name))


def judge_module(component: Component, recipe: Recipe, place: Place) -> Iterator[Problem]:
    """Yield what is wrong with the folders of a recipe."""
    modules = _modules(recipe)
    if not modules:
        yield problem("REC_PUPPET_HAS_NO_RBCF_MODULE", place, quoted(component.name))
    elif len(modules) > 1:
        what = f"{quoted(component.name)} has {', '.join(modules)}"
        yield problem("REC_PUPPET_HAS_TOO_MANY_RBCF_MODULES", place, what)


def manifests(recipe: Recipe) -> list[tuple[str, RecipeFile]]:
    """Return (path in the recipe, file) of all manifests at the top of its one module."""
    modules = _modules(recipe)
    if len(modules) != 1:
        return []
    folder = f"{modules[0]}/manifests/"
    return [
        (path, file)
        for path, file in recipe
        if path.startswith(folder)
        and "/" not in path[len(folder) :]
        and path.lower().endswith(".pp")
    ]


def judge_manifests(
    component: Component, files: Iterable[tuple[str, RecipeFile]], folder: str
) -> Iterator[Problem]:
    """Yield which parameters the steps of a module lack; `folder` holds the recipe."""
    steps = {path.rpartition("/")[2][:-3]: (path, file) for path, file in files}
    updates = "update" if "update" in steps else "init"
    for step in _STEPS:
        if step in steps:
            path, file = steps[step]
            yield from _judge(component, f"{folder}/{path}", file, step == updates)


def judge_syntax(files: Sequence[tuple[str, RecipeFile]]) -> list[Problem]:
    """Return the errors that Puppet finds in manifests; none where there is no Puppet."""
    puppet = shutil.which("puppet") or shutil.which("puppet", path="/opt/puppetlabs/bin")
    if puppet is None or not files:
        return []
    with tempfile.TemporaryDirectory() as scratch:
        # They may come from a ZIP, and their names may be anything.
        names: dict[str, tuple[str, str]] = {}
        for number, (path, file) in enumerate(files):
            copy = Path(scratch, f"{number}.pp")
            try:
                content = file.read()
            except OSError:
                continue  # The loader has told.
            copy.write_bytes(content)
            names[str(copy)] = path, content.decode("utf-8", "replace")
        command = [puppet, "parser", "validate", "--color=false", "--vardir", f"{scratch}/var"]
        try:
            ran = subprocess.run(
                [*command, *names],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_PATIENCE_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
    return list(_read_errors(ran.stdout.decode("utf-8", "replace"), names))


def _modules(recipe: Recipe) -> list[str]:
    folders = {path.partition("/")[0] for path, _ in recipe if "/" in path}
    return sorted(name for name in folders if name.lower().startswith(PREFIXES))


def _judge(
    component: Component, path: str, file: RecipeFile, is_updated: bool
) -> Iterator[Problem]:
    try:
        text = file.read()[:_MOST].decode("utf-8", "replace")
    except OSError as error:
        what = f"{error.strerror or error}; restore it and try again"
        yield problem("P_IO_ERROR", Place(path, 1, 1), what)
        return
    header = _header(text)
    if header is None:
        return
    name, at, parameters = header
    place = _place(path, text, at, len(name))
    if "runningState" not in parameters:
        yield problem("REC_PUPPET_MISSING_PARAM_RUNNING_STATE", place, quoted(name))
    if is_updated and "importDiff" not in parameters:
        yield problem("REC_PUPPET_MISSING_PARAM_IMPORT_DIFF", place, quoted(name))
    for prefix in sorted({one.prefix for one in component.imports.values()}):
        expected = re.sub(r"\W", "_", prefix.lower())
        # The agent appends "_" to what Puppet keeps for itself.
        if not parameters & {expected, expected + "_"}:
            what = f"{quoted(name)} has no parameter {quoted('$' + expected)}"
            yield problem("REC_PUPPET_MISSING_PARAM_FROM_IMPORT", place, what)


def _header(text: str) -> tuple[str, int, set[str]] | None:
    """Return name, place and parameters of the first class in a manifest."""
    # Of the same length, so that places stay.
    code = _NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    found = _CLASS.search(code)
    if found is None:
        return None
    parameters = set(_parameters(code[found.end() :])) if found[2] else set()
    return found[1], found.start(1), parameters


def _parameters(code: str) -> Iterator[str]:
    """Yield the names of parameters up to the bracket that closes their list."""
    depth = 1
    is_named = False
    for found in re.finditer(r"[(\[{]|[)\]}]|,|\$(\w+)", code):
        sign = found[0]
        if sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth == 0:
                return
        elif depth == 1:
            # A default may name other variables.
            if sign == ",":
                is_named = False
            elif not is_named:
                is_named = True
                yield found[1]


def _place(path: str, text: str, at: int, width: int) -> Place:
    start = text.rfind("\n", 0, at) + 1
    line = text[start:].partition("\n")[0].rstrip("\r")
    return Place(path, text.count("\n", 0, at) + 1, at - start + 1, line, width)


def _read_errors(said: str, names: dict[str, tuple[str, str]]) -> Iterator[Problem]:
    for message, file, line, column in _ERROR.findall(said):
        if file in names:
            path, text = names[file]
            number = int(line or 1)
            shown = text.splitlines()[number - 1 : number] or [""]
            place = Place(path, number, int(column or 1), shown[0])
            yield problem("REC_PUPPET_SYNTAX_ERROR", place, message)
