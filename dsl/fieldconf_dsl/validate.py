"""Checks a built model: the graph, the instances, what is exported to other applications (`RM_`).

Like Roboconf it looks at the components that hang together with a root; where everything is in a
loop there is no root, and that is all that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .build import Places
from .build_instances import Source
from .cycles import cycles, import_cycles
from .errors import NOWHERE, Place, Problem, meant, problem, quoted
from .model import (
    Component,
    Facet,
    Graph,
    Instance,
    judge_instance,
    parent_path,
)
from .names import FLEX_ID, ID, RANDOM_PORT, TARGET, WILDCARD, prefix_of


def validate_graph(graph: Graph, places: Places | None = None, entry: str = "") -> list[Problem]:
    """Return what is wrong with `graph`.

    Args:
        graph: made by `build` or by a program.
        places: where its parts were declared.
        entry: the file to blame for what is nobody's line.
    """
    return _GraphCheck(graph, places or {}, entry).run()


class _GraphCheck:
    def __init__(self, graph: Graph, places: Places, entry: str) -> None:
        self.graph = graph
        self.entry = entry
        self.places = places
        self.problems: list[Problem] = []

    def run(self) -> list[Problem]:
        if not self.graph.roots:
            self.problems.append(problem("RM_NO_ROOT_COMPONENT", Place(self.entry)))
        for name in self.graph.roots:
            if self.graph.components[name].ancestors:
                self._report("RM_NOT_A_ROOT_COMPONENT", name)
        components = _connected(self.graph)
        for component in components:
            self._component(component)
        self._facets(components)
        self._containment(components)
        self._unresolvable(components)
        self._orphans(components)
        return self.problems

    def _report(self, code: str, name: str, *rest: str, what: str = "") -> None:
        """Report at the property and item given in `rest`, else at the declaration of `name`."""
        place = self.places.get((name, *rest)) or self.places.get((name,), NOWHERE)
        self.problems.append(problem(code, place, what or quoted(name)))

    def _component(self, component: Component) -> None:
        self._type_name(component.name, "COMPONENT")
        self._installer(component)
        for name, export in component.declared.items():
            self._export(component.name, name, export.random, export.value)
        self._imports(component)
        if component.name in _extended(self.graph, component.name)[1:]:
            self._inheritance_cycle(component)

    def _type_name(self, name: str, kind: str) -> None:
        if not name.strip():
            self._report(f"RM_EMPTY_{kind}_NAME", name)
        elif not FLEX_ID.fullmatch(name):
            self._report(f"RM_INVALID_{kind}_NAME", name)
        elif "." in name:
            self._report("RM_DOT_IS_NOT_ALLOWED", name)

    def _installer(self, component: Component) -> None:
        name, installer = component.name, component.installer
        if not installer.strip():
            self._report("RM_EMPTY_COMPONENT_INSTALLER", name)
        elif not FLEX_ID.fullmatch(installer):
            what = quoted(installer)
            self._report("RM_INVALID_COMPONENT_INSTALLER", name, "installer", "", what=what)
        elif not component.ancestors and installer != TARGET:
            self._report("RM_ROOT_INSTALLER_MUST_BE_TARGET", name)

    def _export(self, owner: str, name: str, random: str | None, value: str | None) -> None:
        at = (owner, "exports", name)
        if not name.strip():
            self._report("RM_EMPTY_VARIABLE_NAME", *at, what=quoted(owner))
        elif not ID.fullmatch(name):
            self._report("RM_INVALID_VARIABLE_NAME", *at, what=quoted(name))
        if random is not None and random != RANDOM_PORT:
            self._report("RM_INVALID_RANDOM_KIND", *at, what=quoted(random))
        if random is not None and value is not None:
            self._report("RM_NO_VALUE_FOR_RANDOM", *at, what=quoted(name))

    def _imports(self, component: Component) -> None:
        own = {*component.exports, *(f"{name}.{WILDCARD}" for name in component.types)}
        for name, one in component.imports.items():
            at = (component.name, "imports", name)
            if not name.strip():
                self._report("RM_EMPTY_VARIABLE_NAME", *at, what=quoted(component.name))
            elif not _is_import(name):
                self._report("RM_INVALID_VARIABLE_NAME", *at, what=quoted(name))
            if not one.optional and name in own:
                self._report("RM_COMPONENT_IMPORTS_EXPORTS", *at, what=quoted(name))

    def _inheritance_cycle(self, component: Component) -> None:
        cycle = " -> ".join(_extended(self.graph, component.name))
        at = (component.name, "extends", component.extends or "")
        self._report("RM_CYCLE_IN_COMPONENTS_INHERITANCE", *at, what=cycle)

    def _facets(self, components: list[Component]) -> None:
        """Check the facets that some component has, each once."""
        used = dict.fromkeys(name for one in components for name in one.types)
        extends = {name: list(facet.extends) for name, facet in self.graph.facets.items()}
        in_cycle = {name: cycle for cycle in cycles(extends) for name in cycle}
        for name in used:
            facet = self.graph.facets.get(name)
            if facet is None:
                continue
            self._type_name(name, "FACET")
            for variable, export in facet.declared.items():
                self._export(name, variable, export.random, export.value)
            if name in in_cycle:
                cycle = ", ".join(in_cycle[name])
                self._report("RM_CYCLE_IN_FACETS_INHERITANCE", name, what=cycle)

    def _containment(self, components: list[Component]) -> None:
        known = {one.name for one in components}
        for cycle in cycles({one.name: list(one.children) for one in components}):
            for name in cycle:
                if name in known:
                    self._report("RM_CYCLE_IN_COMPONENTS", name, what=", ".join(cycle))

    def _unresolvable(self, components: list[Component]) -> None:
        exported = _with_wildcards(name for one in components for name in one.exports)
        of_facets = {f"{name}.{WILDCARD}" for name in self.graph.facets}
        of_facets |= {name for facet in self.graph.facets.values() for name in facet.exports}
        for component in components:
            for name, one in component.imports.items():
                if one.external or name in exported:
                    continue
                facet = name in of_facets
                code = "RM_UNRESOLVABLE_FACET_VARIABLE" if facet else "RM_UNRESOLVABLE_VARIABLE"
                self._report(code, *self._declared_at(component, name), what=meant(name, exported))

    def _declared_at(self, component: Component, variable: str) -> tuple[str, ...]:
        """Return the key of the place where the import stands: here or in what is extended."""
        for owner in component.types:
            if (owner, "imports", variable) in self.places:
                return (owner, "imports", variable)
        return (component.name,)

    def _orphans(self, components: list[Component]) -> None:
        used = {name for one in components for name in one.types}
        for name, facet in self.graph.facets.items():
            if name in used:
                continue
            self._report(
                "RM_ORPHAN_FACET_WITH_CHILDREN" if facet.children else "RM_ORPHAN_FACET", name
            )
            self._lost_children(facet)

    def _lost_children(self, facet: Facet) -> None:
        for child in dict.fromkeys(facet.children):
            component = self.graph.components.get(child)
            if component is not None and not component.ancestors:
                self._report("RM_UNREACHABLE_COMPONENT", child)


def _is_import(name: str) -> bool:
    """Tell whether `name` can be imported; names of 2014 may hold blanks before the dot."""
    prefix, _, variable = name.partition(".")
    return bool(FLEX_ID.fullmatch(prefix)) and (
        variable in ("", WILDCARD) or bool(ID.fullmatch(f"_{variable.removesuffix('.*')}"))
    )


def _with_wildcards(names: Iterable[str]) -> set[str]:
    result = set(names)
    return result | {f"{prefix_of(name)}.{WILDCARD}" for name in result}


def _extended(graph: Graph, name: str) -> list[str]:
    """Return the chain that `name` extends; it ends with `name` again if that is a cycle."""
    chain = [name]
    above = graph.components[name].extends
    while above is not None and above not in chain:
        chain.append(above)
        above = graph.components[above].extends
    return [*chain, name] if above == name else chain


def _connected(graph: Graph) -> list[Component]:
    """Return the components that hang together with a root, in the order of declaration."""
    heirs: dict[str, list[str]] = {}
    for one in graph.components.values():
        if one.extends is not None:
            heirs.setdefault(one.extends, []).append(one.name)
    seen: set[str] = set()
    waiting = list(graph.roots)
    while waiting:
        name = waiting.pop()
        if name in seen or name not in graph.components:
            continue
        seen.add(name)
        one = graph.components[name]
        waiting += [*one.children, *one.ancestors, *one.types, *heirs.get(name, ())]
    return [one for one in graph.components.values() if one.name in seen]


def warn_of_cycles(graph: Graph, places: Places | None = None) -> list[Problem]:
    """Return a warning for each circle of components that wait for each other for ever."""
    problems = []
    for names, waits in import_cycles(graph):
        first = names[0]
        place = (places or {}).get((first, "imports", waits)) or (places or {}).get((first,))
        what = f"{' -> '.join([*names, first])}"
        if waits:
            what += f"; make the import {quoted(waits)} of {quoted(first)} optional"
        problems.append(problem("FC_CYCLE_IN_IMPORTS", place or NOWHERE, what))
    return problems


def validate_instances(
    graph: Graph, instances: Iterable[Instance], sources: Mapping[str, Source] | None = None
) -> list[Problem]:
    """Return what is wrong with `instances`; the copies of one `count` are judged once.

    Args:
        graph: without severe problems.
        instances: parents before children.
        sources: by path, the blocks that they come from.
    """
    sources = sources or {}
    component_of: dict[str, str] = {}
    judged: set[int] = set()
    problems: list[Problem] = []
    for instance in instances:
        component_of[instance.path] = instance.component
        source = sources.get(instance.path)
        if source is not None:
            if id(source.block) in judged:
                continue
            judged.add(id(source.block))
        parent = component_of.get(parent_path(instance.path))
        for code, what, prop in judge_instance(graph, instance, parent):
            place = source.place_of(prop) if source is not None else NOWHERE
            problems.append(problem(code, place, what))
    return problems


def validate_external_exports(
    graph: Graph, exports: Mapping[str, str], place_of: Place
) -> list[Problem]:
    """Return what is wrong with {"Comp.var": "alias"} once the graph is known."""
    known = {name for one in graph.components.values() for name in one.exports}
    problems = []
    seen: set[str] = set()
    for name, alias in exports.items():
        if name not in known:
            problems.append(problem("RM_INVALID_EXTERNAL_EXPORT", place_of, quoted(name)))
        if alias in seen:
            problems.append(problem("RM_ALREADY_DEFINED_EXTERNAL_EXPORT", place_of, quoted(alias)))
        seen.add(alias)
    return problems
