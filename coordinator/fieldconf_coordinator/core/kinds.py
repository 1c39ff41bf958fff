"""From a template's graph to what wants need: kinds of instances, and the values they export."""

from collections.abc import Mapping
from typing import Any

from fieldconf_dsl import model as dsl
from fieldconf_dsl.names import is_ip

from ..errors import FleetError
from .model import Kind
from .options import instance_options, lost_after_ms, step_options


def make_kinds(template: dsl.Template, digests: Mapping[str, bytes]) -> tuple[dict[str, Kind], int]:
    """Return the kind of each component, and `lost-after` in ms.

    Raises:
        FleetError: a setting of the template is no duration.
    """
    kinds = {}
    for component in template.graph.components.values():
        # Names of installers may be written in any case, as in Roboconf.
        kind = Kind(component.name, component.installer.lower())
        kind.digest = digests.get(component.name)
        kind.options = step_options(template.settings, component.name)
        kind.ports = tuple(name for name, export in component.exports.items() if export.random)
        _imports(kind, component)
        _exports(kind, component, template.external_exports)
        kinds[component.name] = kind
    return kinds, lost_after_ms(template.settings)


def _imports(kind: Kind, component: dsl.Component) -> None:
    names: dict[str, set[str]] = {}
    mandatory: set[str] = set()
    for one in component.imports.values():
        names.setdefault(one.prefix, set()).add(one.name)
        if not one.optional:
            mandatory.add(one.prefix)
    for prefix, imported in sorted(names.items()):
        listed = ["*"] if "*" in imported else sorted(imported)
        kind.imports[prefix] = [prefix in mandatory, listed]
    imports = component.imports.values()
    kind.imported = frozenset(one.prefix for one in imports if not one.external)
    kind.outside = frozenset(one.prefix for one in imports if one.external)


def _exports(kind: Kind, component: dsl.Component, external: Mapping[str, str]) -> None:
    kind.aliases = {external[name]: name for name in sorted(component.exports) if name in external}
    published = [*component.exports, *kind.aliases]
    kind.exported = frozenset(name.partition(".")[0] for name in published if "." in name)


def check_options(kind: Kind, data: Mapping[str, str]) -> None:
    """Refuse ``data.*`` that should be a duration and is none.

    Raises:
        FleetError: with the name and the value.
    """
    instance_options(kind.options, data)


Worked = tuple[Mapping[str, str | None], Mapping[str, str | None]]


def work_out(
    graph: dsl.Graph,
    kind: Kind,
    path: str,
    overrides: Mapping[str, str | None],
    shared: dict[Any, Any],
) -> Worked:
    """Return what an instance exports, ports it has recorded left out, and what only it sees.

    `shared` holds the results for equal instances; the caller keeps it for the time of one batch.
    """
    recorded = [name for name in kind.ports if name in overrides]
    if recorded:
        # No two are alike, but all the rest of them may be.
        overrides = {name: value for name, value in overrides.items() if name not in recorded}
    key = (kind.component, tuple(overrides.items()))
    if key in shared:
        found: Worked = shared[key]
        return found
    component = graph.components[kind.component]
    published: dict[str, str | None] = {}
    own: dict[str, str | None] = {}
    for name, export in dsl.exported_values(graph, as_dsl(path, kind, overrides)).items():
        # An address that nobody has set is the agent's to fill in.
        value = None if is_ip(name) and not export.value else export.value or ""
        (published if name in component.exports else own)[name] = value
    if not _names_itself(component, overrides):
        shared[key] = (published, own)
    return published, own


def _names_itself(component: dsl.Component, overrides: Mapping[str, str | None]) -> bool:
    """Tell whether values hold names of the instance itself, so that no other has the same."""
    values = [*overrides.values(), *(export.value for export in component.exports.values())]
    return any("$(" in (value or "") for value in values)


def as_dsl(
    path: str,
    kind: Kind,
    overrides: Mapping[str, str | None],
    data: Mapping[str, str] | None = None,
) -> dsl.Instance:
    """Return an instance in the terms of the language."""
    exports = {name: value or "" for name, value in overrides.items()}
    return dsl.Instance(path.rpartition("/")[2], kind.component, path, exports, data or {})


def check(
    graph: dsl.Graph, instance: dsl.Instance, parent: str | None, siblings: frozenset[str]
) -> None:
    """Refuse an instance that the graph does not allow in one of the component `parent`.

    Raises:
        FleetError: with all that is wrong.
    """
    problems = dsl.check_instance(graph, instance, parent, siblings)
    severe = [problem.message for problem in problems if problem.is_severe]
    if severe:
        raise FleetError("not-allowed", f"cannot have {instance.path}: " + "; ".join(severe))
