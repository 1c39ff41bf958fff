"""What recipes say, read as an agent reads them; of the installers that come with it.

A script of a wrong name is no mistake to an agent: there is nothing to do in that step. So here is
told what no step runs, and what would never be started.
"""

from collections.abc import Callable, Iterator, Mapping

from fieldconf_dsl.errors import SEVERE, WARNING, Problem, meant, quoted
from fieldconf_dsl.model import RecipeFile, Template
from fieldconf_microagent import (
    file_instructions,
    installer_command,
    mustache,
    recipe,
    rendering,
    scripts,
)

from . import python_advice

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
        try:
            yield from _of_recipe(f"graph/{owner}", installer, template.recipes[component.name])
        except OSError as error:
            yield _severe(f"graph/{owner}", f"cannot read {error.filename}: {error.strerror}")


def _of_recipe(place: str, installer: str, files: Mapping[str, RecipeFile]) -> Iterator[Problem]:
    yield from _templates(place, files)
    if installer in _ADVICE:
        yield from _ADVICE[installer](place, files)
    if installer in _FILES:
        name, judge = _FILES[installer]
        yield from _problems(f"{place}/{name}", files.get(name), judge)


def _templates(place: str, files: Mapping[str, RecipeFile]) -> Iterator[Problem]:
    """Yield which templates cannot be rendered."""
    for name in sorted(files):
        if name.endswith(rendering.ENDING):
            try:
                mustache.render(files[name].read().decode("utf-8"), {})
            except ValueError as error:
                text = str(error).removeprefix("template, ")
                yield _severe(f"{place}/{name}", f"cannot render it: {text}")


def _scripts(place: str, files: Mapping[str, RecipeFile]) -> Iterator[Problem]:
    """Yield which scripts no step runs, and whether nothing is ever started."""
    names = sorted(file[len(_SCRIPTS) :] for file in files if file.startswith(_SCRIPTS))
    names = [name for name in names if "/" not in name and scripts.may_be_script(name)]
    chosen = {step: scripts.chosen(step, names) for step in recipe.STEPS}
    for name in names:
        if name not in chosen.values() and not _is_named(name, files, _SCRIPTS + name):
            yield _warning(f"{place}/{_SCRIPTS}{name}", "FC_UNUSED_SCRIPT", _unused(name))
        elif scripts.stumbles(files[_SCRIPTS + name].read()[:4096], name):
            yield _severe(f"{place}/{_SCRIPTS}{name}", scripts.WINDOWS)
    yield from _elsewhere(place, files, chosen)
    ending = [step for step in ("stop", "check") if chosen[step]]
    if (
        ending
        and not chosen["start"]
        and not any(one in files for one in scripts.templates("start"))
    ):
        text = f"there is a script for {' and '.join(ending)}, but none for start"
        yield _warning(place, "FC_NO_START", f"{text}; add {_SCRIPTS}start.sh")


def _elsewhere(
    place: str, files: Mapping[str, RecipeFile], chosen: Mapping[str, str | None]
) -> Iterator[Problem]:
    """Yield what is called like a step's script, but stands where none is looked for."""
    for path in sorted(files):
        folder, _, name = path.rpartition("/")
        step, dot, ending = name.partition(".")
        is_like_one = dot + ending in ("", *scripts.BY_ENDING) and not chosen.get(step, name)
        if is_like_one and folder + "/" != _SCRIPTS and not _is_named(name, files, path):
            text = f"no step runs it here; move it to {place}/{_SCRIPTS}{name}"
            yield _warning(f"{place}/{path}", "FC_UNUSED_SCRIPT", text)


def _unused(name: str) -> str:
    _, dot, ending = name.partition(".")
    said = meant(name, [step + dot + ending for step in recipe.STEPS])
    if said == quoted(name):
        said += f" (steps: {', '.join(recipe.STEPS)})"
    return f"no step runs {said}, and no other file names it"


def _is_named(name: str, files: Mapping[str, RecipeFile], itself: str) -> bool:
    """Tell whether another file of the recipe names a script, so that it may run it."""
    return any(name.encode() in one.read() for path, one in files.items() if path != itself)


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


#: Installer → what judges the whole folder of a recipe.
_ADVICE: Mapping[str, Callable[[str, Mapping[str, RecipeFile]], Iterator[Problem]]] = {
    "script": _scripts,
    "python": python_advice.problems_of,
}
#: Installer → its file in a recipe, and what judges that.
_FILES: Mapping[str, tuple[str, _Judge]] = {
    "file": (file_instructions.FILE, _instructions),
    "command": (installer_command.FILE, _commands),
}
