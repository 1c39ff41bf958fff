"""What recipes of the installers `script`, `file` and `command` say, read as an agent reads them.

A script of a wrong name is no mistake to an agent: there is nothing to do in that step. So here is
told what no step runs, and what would never be started.
"""

from collections.abc import Callable, Iterator, Mapping

from fieldconf_dsl.errors import SEVERE, WARNING, Problem, meant, quoted
from fieldconf_dsl.model import RecipeFile, Template
from fieldconf_microagent import file_instructions, installer_command, recipe, scripts

_SCRIPTS = "scripts/"

# Text of a file → what is odd about it; a ValueError tells what is wrong.
_Judge = Callable[[str], list[str]]


def problems_of(template: Template) -> Iterator[Problem]:
    """Yield what is wrong with the recipes; components that share one share its faults."""
    seen = set()
    for component in template.graph.components.values():
        owner = component.recipe_owner
        installer = component.installer.lower()
        if owner is None or owner in seen:
            continue
        seen.add(owner)
        if installer == "script":
            yield from _scripts(f"graph/{owner}", template.recipes[component.name])
        if installer not in _FILES:
            continue
        name, judge = _FILES[installer]
        place = f"graph/{owner}/{name}"
        yield from _problems(place, template.recipes[component.name].get(name), judge)


def _scripts(place: str, files: Mapping[str, RecipeFile]) -> Iterator[Problem]:
    """Yield which scripts no step runs, and whether nothing is ever started."""
    names = sorted(file[len(_SCRIPTS) :] for file in files if file.startswith(_SCRIPTS))
    names = [name for name in names if "/" not in name and scripts.may_be_script(name)]
    chosen = {step: scripts.chosen(step, names) for step in recipe.STEPS}
    for name in names:
        if name not in chosen.values() and not _is_named(name, files):
            yield _warning(f"{place}/{_SCRIPTS}{name}", "FC_UNUSED_SCRIPT", _unused(name))
    ending = [step for step in ("stop", "check") if chosen[step]]
    if (
        ending
        and not chosen["start"]
        and not any(one in files for one in scripts.templates("start"))
    ):
        text = f"there is a script for {' and '.join(ending)}, but none for start"
        yield _warning(place, "FC_NO_START", f"{text}; add {_SCRIPTS}start.sh")


def _unused(name: str) -> str:
    _, dot, ending = name.partition(".")
    said = meant(name, [step + dot + ending for step in recipe.STEPS])
    if said == quoted(name):
        said += f" (steps: {', '.join(recipe.STEPS)})"
    return f"no step runs {said}, and no other file names it"


def _is_named(name: str, files: Mapping[str, RecipeFile]) -> bool:
    """Tell whether another file of the recipe names a script, so that it may run it."""
    return any(
        name.encode() in one.read() for path, one in files.items() if path != _SCRIPTS + name
    )


def _problems(place: str, file: RecipeFile | None, judge: _Judge) -> Iterator[Problem]:
    if file is None:
        yield _severe(place, "the recipe lacks this file, which says what to do")
        return
    try:
        odd = judge(file.read().decode("utf-8"))
    except ValueError as error:
        yield _severe(place, str(error))
        return
    for text in odd:
        yield _warning(place, "FC_DOWNLOAD_WITHOUT_DIGEST", text)


def _severe(place: str, text: str) -> Problem:
    return Problem("FC_BAD_RECIPE", SEVERE, place, 0, 0, text)


def _warning(place: str, code: str, text: str) -> Problem:
    return Problem(code, WARNING, place, 0, 0, text)


def _instructions(text: str) -> list[str]:
    every = [one for step in file_instructions.parsed(text).values() for one in step]
    return [
        f"{one.place} takes whatever is sent; add sha256=<64 hex digits>"
        for one in every
        if one.action == "download" and not one.sha256
    ]


def _commands(text: str) -> list[str]:
    installer_command.parsed(text)
    return []


#: Installer → its file in a recipe, and what judges that.
_FILES: Mapping[str, tuple[str, _Judge]] = {
    "file": (file_instructions.FILE, _instructions),
    "command": (installer_command.FILE, _commands),
}
