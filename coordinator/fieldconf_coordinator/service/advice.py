"""What a template says to the coordinator and to agents, checked without either of them.

The language keeps settings and installers as they are; a slip in one would be noticed when nothing
happens. Whether the language itself is kept is not judged here.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from fieldconf_dsl import errors
from fieldconf_dsl.errors import Problem
from fieldconf_dsl.loader import load_template
from fieldconf_dsl.model import Template
from fieldconf_microagent import installers

from ..core import requirements
from ..core.options import STEP_OPTIONS, instance_options, lost_after_ms, step_options
from ..errors import FleetError
from . import recipe_advice


def problems_of(paths: Iterable[Path]) -> list[Problem]:
    """Return what will not work as it is meant, in the templates among `paths`.

    Raises:
        OSError: one cannot be read.
    """
    found: list[Problem] = []
    for path in paths:
        if path.is_dir() or path.suffix.lower() == ".zip":
            template = load_template(path).template
            if template is not None:
                found += [*_settings(template), *_data(template), *_installers(template)]
                found += recipe_advice.problems_of(template)
    return found


def of_deployed(template: Template) -> list[Problem]:
    """Return what deploying tells, too: nothing is refused for it, but something is odd.

    What the fleet refuses by itself, and installers that only nodes may have, are left out.
    """
    odd = [problem for problem in _settings(template) if not problem.is_severe]
    return [*odd, *recipe_advice.problems_of(template)]


def _settings(template: Template) -> Iterator[Problem]:
    try:
        lost_after_ms(template.settings)
        for component in template.graph.components:
            step_options(template.settings, component)
    except FleetError as error:
        yield _severe("descriptor", error)
    known = ["lost-after", "target", *STEP_OPTIONS]
    known += [f"{name}.{option}" for name in template.graph.components for option in STEP_OPTIONS]
    for name in template.settings:
        meant = errors.meant(name, known)
        # Others may be there for somebody else.
        if name not in known and meant != errors.quoted(name):
            yield _warning("descriptor", "FC_UNKNOWN_SETTING", f"nothing reads the setting {meant}")


def _data(template: Template) -> Iterator[Problem]:
    for instance in template.instances:
        try:
            instance_options({}, instance.data)
            requirements.check(instance.data, instance.path)
        except FleetError as error:
            yield _severe(instance.path, error)


def _installers(template: Template) -> Iterator[Problem]:
    # Those of third parties count as far as they are installed here.
    known = ["target", *sorted(installers.load({}, lambda level, text: None))]
    for component in template.graph.components.values():
        if component.installer.lower() not in known:
            said = errors.meant(component.installer, known)
            text = f"{component.name}: no agent of this version has the installer {said}"
            yield _warning("graph", "FC_UNKNOWN_INSTALLER", f"{text}; known: {', '.join(known)}")


def _severe(place: str, error: FleetError) -> Problem:
    text = f"{error.message}; {error.hint}" if error.hint else error.message
    return Problem("FC_BAD_SETTING", errors.SEVERE, place, 0, 0, text)


def _warning(place: str, code: str, text: str) -> Problem:
    return Problem(code, errors.WARNING, place, 0, 0, text)
