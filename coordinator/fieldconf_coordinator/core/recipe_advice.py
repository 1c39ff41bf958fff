"""What the recipes of the installers `file` and `command` say, read as an agent will read them."""

from collections.abc import Callable, Iterator, Mapping

from fieldconf_dsl.errors import SEVERE, WARNING, Problem
from fieldconf_dsl.model import RecipeFile, Template
from fieldconf_microagent import file_instructions, installer_command

# Text of a file → what is odd about it; a ValueError tells what is wrong.
_Judge = Callable[[str], list[str]]


def problems_of(template: Template) -> Iterator[Problem]:
    """Yield what is wrong with the recipes; components that share one share its faults."""
    seen = set()
    for component in template.graph.components.values():
        owner = component.recipe_owner
        installer = component.installer.lower()
        if installer not in _FILES or owner is None or owner in seen:
            continue
        seen.add(owner)
        name, judge = _FILES[installer]
        place = f"graph/{owner}/{name}"
        yield from _problems(place, template.recipes[component.name].get(name), judge)


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
        yield Problem("FC_DOWNLOAD_WITHOUT_DIGEST", WARNING, place, 0, 0, text)


def _severe(place: str, text: str) -> Problem:
    return Problem("FC_BAD_RECIPE", SEVERE, place, 0, 0, text)


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
