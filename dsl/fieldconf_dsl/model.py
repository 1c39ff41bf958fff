"""What a template means: components, facets, the graph, instances, and what instances export.

Frozen values without any input or output. `build` makes them from files; programs may make them
too, and `validate` checks both. Names of variables are full names, such as `Tomcat.port`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from .errors import NOWHERE, Problem, problem, quoted
from .names import FLEX_ID, is_ip, local_of


@dataclass(frozen=True)
class Export:
    """An exported variable: its value, None if it has none yet; `random` is "port" or None."""

    value: str | None = None
    random: str | None = None


@dataclass(frozen=True)
class Import:
    """An imported variable `prefix.name`; the name is "*" for all of a prefix."""

    prefix: str
    name: str
    optional: bool = False
    external: bool = False


@dataclass(frozen=True)
class Facet:
    """What components may have in common.

    Attributes:
        declared: its own exports by the names as declared.
        exports: all exports by full name, those of the facets it extends included.
        children: the names as declared, of components or facets.
        extends: the facets it extends, as declared.
    """

    name: str
    declared: Mapping[str, Export] = field(default_factory=dict)
    exports: Mapping[str, Export] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    extends: tuple[str, ...] = ()
    annotation: str = ""


@dataclass(frozen=True)
class Component:
    """A kind of software or machine, with all that it inherits worked out.

    Attributes:
        installer: own or inherited; "" where there is none. 2014's names are mapped to today's.
        exports: all by full name: own, inherited, of facets, and each under the own prefix.
        imports: all by full name (`Tomcat.port`, `Tomcat.*`), inherited ones included.
        children: the components that an instance may contain; facets and inheritance resolved.
        ancestors: the components whose instances may contain one; the reverse of `children`.
        facets: the facets as declared.
        extends: the component it extends.
        types: itself, all that it extends, nearest first, then all facets.
        declared: the component's own exports, by the names as declared.
        recipe_owner: the component whose folder holds the recipe; the loader sets it.
        annotation: the comment above the declaration.
    """

    name: str
    installer: str = ""
    exports: Mapping[str, Export] = field(default_factory=dict)
    imports: Mapping[str, Import] = field(default_factory=dict)
    children: tuple[str, ...] = ()
    ancestors: tuple[str, ...] = ()
    facets: tuple[str, ...] = ()
    extends: str | None = None
    types: tuple[str, ...] = ()
    declared: Mapping[str, Export] = field(default_factory=dict)
    recipe_owner: str | None = None
    annotation: str = ""
    #: local name: the full names it may mean. Worked out once, since instances are many.
    locals: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, list[str]] = {}
        for name in self.exports:
            found.setdefault(local_of(name), []).append(name)
        object.__setattr__(self, "locals", {name: tuple(full) for name, full in found.items()})


@dataclass(frozen=True)
class Graph:
    """All components and facets; `roots` are the components that no other may contain."""

    components: Mapping[str, Component] = field(default_factory=dict)
    facets: Mapping[str, Facet] = field(default_factory=dict)
    roots: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance, such as `/vm1/web`.

    Attributes:
        exports: the overridden values, by the names as declared.
        data: `data.*` and `instance-data`.
        channels: kept, without a meaning.
        state: the status that a saved file names, or None.
    """

    name: str
    component: str
    path: str
    exports: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[str, ...] = ()
    state: str | None = None


@dataclass(frozen=True)
class RecipeFile:
    """One file of a recipe.

    Attributes:
        path: relative to the recipe's folder, with slashes.
        mode: 0o755 for what can be executed, else 0o644.
        read: returns the content; raises OSError where it is gone since.
    """

    path: str
    mode: int
    read: Callable[[], bytes] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Template:
    """An application's description, whole and checked.

    Attributes:
        external_exports: what other applications may import: {"Comp.var": "PREFIX.alias"}.
        instances: parents before children, each `count` expanded.
        settings: all other keys of the descriptor, flattened: {"Web.check.every": "1s"}.
        root: where it came from.
        recipes: {component: {path: file}} for each component with a recipe, own or inherited.
    """

    name: str
    version: str
    graph: Graph
    instances: tuple[Instance, ...] = ()
    description: str = ""
    tags: tuple[str, ...] = ()
    exports_prefix: str = ""
    external_exports: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    recipes: Mapping[str, Mapping[str, RecipeFile]] = field(default_factory=dict)


def parent_path(path: str) -> str:
    """Return the path of the parent: "/vm1" for "/vm1/web", "" for a root instance."""
    return path.rpartition("/")[0]


def may_contain(graph: Graph, parent: str | None, component: str) -> bool:
    """Tell whether an instance of `component` may lie in one of `parent`; None is the top."""
    if component not in graph.components:
        return False
    if parent is None:
        return not graph.components[component].ancestors
    return parent in graph.components and component in graph.components[parent].children


def exported_values(graph: Graph, instance: Instance) -> dict[str, Export]:
    """Return what `instance` exports, by full name, with its own values put in.

    A variable that the component does not know keeps its name without a prefix: only the instance's
    own recipe sees it. The value of `ip` and of random variables may be None.
    """
    component = graph.components[instance.component]
    values = dict(component.exports)
    for name, value in instance.exports.items():
        _override(values, component, name, value)
    for name, export in values.items():
        if export.value and "$(" in export.value:
            values[name] = replace(export, value=_fill_in(export.value, instance))
    return values


def _override(values: dict[str, Export], component: Component, name: str, value: str) -> None:
    meant = (name,) if name in component.exports else component.locals.get(name, ())
    for full in meant:
        values[full] = Export(value, values[full].random)
    if name not in component.exports and len(meant) != 1:
        values[name] = Export(value)


_META = re.compile(r"\$\((?:ROBOCONF|FIELDCONF)_(\w+)\)", re.ASCII)


def _clean(path: str) -> str:
    return re.sub(r"\W", "_", path.strip("/"), flags=re.ASCII)


_META_VALUES: dict[str, Callable[[Instance], str]] = {
    "INSTANCE_NAME": lambda instance: instance.name,
    "INSTANCE_PATH": lambda instance: instance.path,
    "CLEAN_INSTANCE_PATH": lambda instance: _clean(instance.path),
    "CLEAN_REVERSED_INSTANCE_PATH": lambda instance: _clean(
        "/".join(reversed(instance.path.split("/")))
    ),
    "COMPONENT_NAME": lambda instance: instance.component,
}


def _fill_in(value: str, instance: Instance) -> str:
    """Put the instance's names in the place of meta-variables; unknown ones stay."""

    def known(match: re.Match[str]) -> str:
        found = _META_VALUES.get(match[1])
        return match[0] if found is None else found(instance)

    return _META.sub(known, value)


def check_instance(
    graph: Graph, instance: Instance, parent: str | None, siblings: Collection[str] = ()
) -> list[Problem]:
    """Return what forbids `instance` in an application, warnings included; they name no place.

    Args:
        graph: knows the components.
        instance: need not be in any application yet.
        parent: the component of the instance that it lies in; None at the top.
        siblings: the names that are taken there already, its own not included.
    """
    found = judge_instance(graph, instance, parent, siblings)
    return [problem(code, NOWHERE, what) for code, what, _ in found]


#: (code, what it says, the variable or property that it is about)
Finding = tuple[str, str, str]


def judge_instance(
    graph: Graph, instance: Instance, parent: str | None, siblings: Collection[str] = ()
) -> list[Finding]:
    """Return the findings of `check_instance` in a form that can still be given a place."""
    found: list[Finding] = []
    if not instance.name:
        found.append(("RM_EMPTY_INSTANCE_NAME", "", "name"))
    elif not FLEX_ID.fullmatch(instance.name):
        found.append(("RM_INVALID_INSTANCE_NAME", quoted(instance.name), "name"))
    elif instance.name in siblings:
        what = f"{quoted(instance.path)} is there already"
        found.append(("CO_ALREADY_DEFINED_INSTANCE", what, "name"))
    component = graph.components.get(instance.component)
    if component is None:
        return [*found, ("RM_EMPTY_INSTANCE_COMPONENT", quoted(instance.path), "")]
    found += _judge_parent(graph, instance, component, parent)
    found += _judge_overrides(component, instance)
    for name in _without_value(graph, instance):
        found.append(("RM_MISSING_VARIABLE_VALUE", quoted(name), name))
    return found


def _judge_parent(
    graph: Graph, instance: Instance, component: Component, parent: str | None
) -> list[Finding]:
    if may_contain(graph, parent, component.name):
        return []
    allowed = ", ".join(component.ancestors)
    if parent is None:
        what = f"{quoted(instance.path)} must lie in an instance of {allowed}"
        return [("RM_MISSING_INSTANCE_PARENT", what, "")]
    where = f"only in one of {allowed}" if allowed else "only at the top"
    what = f"{quoted(instance.path)} cannot lie in an instance of {quoted(parent)}, {where}"
    return [("RM_INVALID_INSTANCE_PARENT", what, "")]


def _judge_overrides(component: Component, instance: Instance) -> list[Finding]:
    found = []
    for name in instance.exports:
        if name in component.exports:
            continue
        meant = component.locals.get(name, ())
        if not meant:
            found.append(("RM_MAGIC_INSTANCE_VARIABLE", quoted(name), name))
        elif len(meant) > 1:
            what = f"{quoted(name)} could mean {', '.join(meant)}"
            found.append(("RM_AMBIGUOUS_OVERRIDING", what, name))
    return found


def _without_value(graph: Graph, instance: Instance) -> list[str]:
    """Return the exported variables that lack a value and get none by themselves."""
    return [
        name
        for name, export in exported_values(graph, instance).items()
        if not (export.value and export.value.strip()) and not export.random and not is_ip(name)
    ]
