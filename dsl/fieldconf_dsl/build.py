"""From blocks to the graph: names are put together and inheritance is worked out (codes `CO_`).

The stages follow Roboconf: names in both kinds, then duplicates, then references of components,
then those of facets; a stage runs where the ones before found nothing. Cycles are built as far as
they go, and told by `validate`.

What a component exports, in this order, later values winning:

1. the variables of its facets and of the facets they extend, under the facet that declares them;
2. those of the component that it extends, worked out the same way;
3. its own; each also takes the place of inherited ones of the same local name;
4. all of these again under the component's own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .errors import Place, Problem, has_severe, meant, problem, quoted
from .model import Component, Export, Facet, Graph, Import
from .names import OLD_INSTALLERS, RANDOM_PORT, local_of
from .syntax import FACET, Block, Comment, Holder, SourceFile
from .values import read_exports, read_imports, split_names

#: Where things were declared: ("Web",), ("Web", "exports", "port"), ("Web", "children", "F").
Places = dict[tuple[str, ...], Place]


@dataclass
class Declared:
    """One component or facet as written, its references not yet followed."""

    name: str
    kind: str
    place: Place
    annotation: str = ""
    installer: str | None = None
    exports: dict[str, Export] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    facets: list[str] = field(default_factory=list)
    extends: list[str] = field(default_factory=list)


@dataclass
class BuiltGraph:
    """The graph, None where something severe was found, and where its parts were declared."""

    graph: Graph | None
    problems: list[Problem]
    places: Places


def build_graph(files: Iterable[SourceFile]) -> BuiltGraph:
    """Return the graph that `files` declare together."""
    places: Places = {}
    declared = [one for file in files for one in _read_file(file, places)]
    problems = _check_names(declared) or _check_twice(declared)
    if problems:
        return BuiltGraph(None, problems, places)
    types = {one.name: one for one in declared}
    problems = _check_references(types, places)
    if has_severe(problems):
        return BuiltGraph(None, problems, places)
    return BuiltGraph(Resolver(types).graph(), problems, places)


# Reading declarations ----------------------------------------------------------------------


def _read_file(file: SourceFile, places: Places) -> Iterator[Declared]:
    for index, block in enumerate(file.blocks):
        if isinstance(block, Holder):
            annotation = _annotation(file.blocks[:index])
            yield _read_type(file, block, annotation, places)


def _annotation(before: list[Block]) -> str:
    """Return the comment that ends right above a declaration, without its `#`."""
    lines: list[str] = []
    for block in reversed(before):
        if not isinstance(block, Comment):
            break
        lines.insert(0, block.text.lstrip("#").strip())
    return "\n".join(lines)


def _read_type(file: SourceFile, block: Holder, annotation: str, places: Places) -> Declared:
    place = file.place(block.line, block.column, len(block.name))
    one = Declared(block.name, block.kind, place, annotation or block.value("alias") or "")
    places.setdefault((one.name,), place)

    def put(prop: str, name: str, line: int, column: int) -> None:
        places[(one.name, prop, name)] = file.place(line, column, len(name))

    for found in block.properties():
        line, column = found.line, found.value_column
        if found.name == "installer":
            one.installer = OLD_INSTALLERS.get(found.value, found.value)
            put("installer", "", line, column)
        elif found.name == "exports":
            for export in read_exports(found.value).items:
                one.exports[export.name] = Export(export.value, _kind(export.random))
                put("exports", export.name, line, column + export.offset)
        elif found.name == "imports":
            for wanted in read_imports(found.value):
                prefix, _, name = wanted.name.partition(".")
                one.imports[wanted.name] = Import(prefix, name, wanted.optional, wanted.external)
                put("imports", wanted.name, line, column + wanted.offset)
        elif found.name == "extends" and block.kind != FACET:
            one.extends = [found.value]
            put("extends", found.value, line, column)
        elif found.name in ("children", "facets", "extends"):
            for item in split_names(found.value):
                getattr(one, found.name).append(item.text)
                put(found.name, item.text, line, column + item.offset)
    return one


def _kind(random: str | None) -> str | None:
    """Return the kind of a random variable as the model has it: "port" in small letters."""
    if random is not None and random.lower() == RANDOM_PORT:
        return RANDOM_PORT
    return random


# Checking names ----------------------------------------------------------------------------


def _check_names(declared: list[Declared]) -> list[Problem]:
    kinds: dict[str, set[str]] = {}
    for one in declared:
        kinds.setdefault(one.name, set()).add(one.kind)
    return [
        problem("CO_CONFLICTING_NAME", one.place, quoted(one.name))
        for one in declared
        if len(kinds[one.name]) > 1
    ]


def _check_twice(declared: list[Declared]) -> list[Problem]:
    by_name: dict[str, list[Declared]] = {}
    for one in declared:
        by_name.setdefault(one.name, []).append(one)
    problems = []
    for one in declared:
        same = by_name[one.name]
        if len(same) > 1:
            code = f"CO_ALREADY_DEFINED_{one.kind.upper()}"
            where = ", ".join(f"{other.place.file}:{other.place.line}" for other in same[:5])
            problems.append(problem(code, one.place, f"{quoted(one.name)} is declared at {where}"))
    return problems


def _check_references(types: dict[str, Declared], places: Places) -> list[Problem]:
    """Check components first; facets only where all components are well."""
    components = [one for one in types.values() if one.kind != FACET]
    facets = [one for one in types.values() if one.kind == FACET]
    problems = [found for one in components for found in _check_type(one, types, places)]
    return problems or [found for one in facets for found in _check_type(one, types, places)]


def _check_type(one: Declared, types: dict[str, Declared], places: Places) -> Iterator[Problem]:
    of_facets = one.facets if one.kind != FACET else one.extends
    of_components = one.extends if one.kind != FACET else []
    listed_in = "facets" if one.kind != FACET else "extends"

    def missing(code: str, prop: str, name: str) -> Problem:
        return problem(code, places[(one.name, prop, name)], meant(name, types))

    for name in of_components:
        if name not in types or types[name].kind == FACET:
            yield missing("CO_INEXISTING_COMPONENT", "extends", name)
    for name in dict.fromkeys(of_facets):
        if name not in types or types[name].kind != FACET:
            yield missing("CO_INEXISTING_FACET", listed_in, name)
    for name in dict.fromkeys(one.children):
        if name not in types:
            yield missing("CO_INEXISTING_CHILD", "children", name)


# Working out inheritance -------------------------------------------------------------------


class Resolver:
    """Follows the references of declared types, cycles as far as they go, and makes the graph."""

    def __init__(self, types: dict[str, Declared]) -> None:
        self.types = types
        self.components = [one for one in types.values() if one.kind != FACET]
        self.chains = {one.name: self._chain(one) for one in self.components}
        self.facets_of = {one.name: self._all_facets(one.name) for one in self.components}

    def graph(self) -> Graph:
        children = self._children()
        ancestors: dict[str, list[str]] = {one.name: [] for one in self.components}
        for parent, names in children.items():
            for name in names:
                ancestors[name].append(parent)
        components = {
            one.name: self._component(one, children[one.name], ancestors[one.name])
            for one in self.components
        }
        facets = {one.name: self._facet(one) for one in self.types.values() if one.kind == FACET}
        roots = tuple(name for name, one in components.items() if not one.ancestors)
        return Graph(components, facets, roots)

    def _chain(self, one: Declared) -> list[str]:
        """Return the component and all that it extends, nearest first."""
        chain = [one.name]
        while one.extends and one.extends[0] not in chain:
            one = self.types[one.extends[0]]
            chain.append(one.name)
        return chain

    def _all_facets(self, component: str) -> list[str]:
        """Return the facets of a component, inherited and extended ones included."""
        found: dict[str, None] = {}
        waiting = [name for link in self.chains[component] for name in self.types[link].facets]
        while waiting:
            name = waiting.pop(0)
            if name not in found:
                found[name] = None
                waiting += self.types[name].extends
        return list(found)

    def _children(self) -> dict[str, list[str]]:
        """Return for each component the components that it may contain."""
        members: dict[str, list[str]] = {}
        for one in self.components:
            for name in (*self.chains[one.name], *self.facets_of[one.name]):
                members.setdefault(name, []).append(one.name)
        result = {}
        for one in self.components:
            sources = (*self.chains[one.name], *self.facets_of[one.name])
            named = dict.fromkeys(
                child for source in sources for child in self.types[source].children
            )
            result[one.name] = list(dict.fromkeys(m for n in named for m in members.get(n, ())))
        return result

    def _component(self, one: Declared, children: list[str], ancestors: list[str]) -> Component:
        chain = self.chains[one.name]
        imports: dict[str, Import] = {}
        for link in reversed(chain):
            imports.update(self.types[link].imports)
        installers = (self.types[link].installer for link in chain)
        return Component(
            name=one.name,
            installer=next((found for found in installers if found is not None), ""),
            exports=self._component_exports(one.name),
            imports=imports,
            children=tuple(children),
            ancestors=tuple(ancestors),
            facets=tuple(one.facets),
            extends=one.extends[0] if one.extends else None,
            types=(*chain, *self.facets_of[one.name]),
            declared=one.exports,
            annotation=one.annotation,
        )

    def _facet(self, one: Declared) -> Facet:
        exports = self._facet_exports(one.name)
        children, extends = tuple(one.children), tuple(one.extends)
        return Facet(one.name, one.exports, exports, children, extends, one.annotation)

    def _component_exports(self, name: str) -> dict[str, Export]:
        """Work out step by step what the chain exports, its root first."""
        result: dict[str, Export] = {}
        for link in reversed(self.chains[name]):
            inherited: dict[str, Export] = {}
            for facet in self.types[link].facets:
                inherited.update(self._facet_exports(facet))
            result = _with_own(link, {**inherited, **result}, self.types[link].exports)
        return result

    def _facet_exports(self, name: str) -> dict[str, Export]:
        result: dict[str, Export] = {}
        for facet in self._extended_first(name):
            _put_own(facet, result, self.types[facet].exports)
        return result

    def _extended_first(self, facet: str) -> list[str]:
        """Return `facet` and all that it extends, each behind those that it extends itself."""
        order: list[str] = []
        seen: set[str] = set()
        waiting = [(facet, False)]
        while waiting:
            name, is_done = waiting.pop()
            if is_done:
                order.append(name)
            elif name not in seen:
                seen.add(name)
                waiting.append((name, True))
                waiting += [(other, False) for other in reversed(self.types[name].extends)]
        return order


def _put_own(owner: str, result: dict[str, Export], own: dict[str, Export]) -> None:
    """Put what `owner` declares into `result`, under its name unless it has one."""
    for name, export in own.items():
        if name not in result and not name.startswith(f"{owner}."):
            name = f"{owner}.{name}"
        # Taken out first, so that the newest comes last and wins when names are made again.
        result.pop(name, None)
        result[name] = export


def _with_own(
    owner: str, inherited: dict[str, Export], own: dict[str, Export]
) -> dict[str, Export]:
    result = dict(inherited)
    for name, export in own.items():
        if name not in inherited:
            local = local_of(name) if name.startswith(f"{owner}.") else name
            for full in inherited:
                if local_of(full) == local:
                    result[full] = export
    _put_own(owner, result, own)
    replicated = {f"{owner}.{local_of(name)}": export for name, export in result.items()}
    return {**replicated, **result}
