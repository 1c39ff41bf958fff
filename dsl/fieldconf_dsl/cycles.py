"""Finds circles: of names that refer to each other, and of components that wait for each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .model import Component, Graph


def cycles(edges: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Return the groups of names that can reach each other, a name that refers to itself included.

    This is Tarjan's algorithm for strongly connected components, without recursion.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for start in edges:
        if start in index:
            continue
        work = [(start, iter(edges[start]))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            name, rest = work[-1]
            for other in rest:
                if other not in edges:
                    continue
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(edges[other])))
                    break
                if other in on_stack:
                    low[name] = min(low[name], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    group = _pop_group(stack, on_stack, name)
                    if len(group) > 1 or name in edges[name]:
                        found.append(group)
    return found


def _pop_group(stack: list[str], on_stack: set[str], last: str) -> list[str]:
    group = []
    while True:
        name = stack.pop()
        on_stack.discard(name)
        group.append(name)
        if name == last:
            return group[::-1]


def import_cycles(graph: Graph) -> list[tuple[list[str], str]]:
    """Return circles of components that never start, each with an import of its first one.

    A component can start when one that may contain it can, and for each prefix that it must
    import one that exports it can. What cannot start by these rules waits in a circle, or for one.
    """
    exporters: dict[str, list[str]] = {}
    for one in graph.components.values():
        for prefix in dict.fromkeys(name.partition(".")[0] for name in one.exports):
            exporters.setdefault(prefix, []).append(one.name)
    stuck = _stuck(graph, exporters)
    waits = {name: _waits(graph.components[name], stuck, exporters) for name in stuck}
    result = []
    for group in cycles({name: list(found) for name, found in waits.items()}):
        ring = _ring(group, waits)
        result.append((ring, waits[ring[0]][ring[1 % len(ring)]]))
    return result


def _needs(one: Component, exporters: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return {imported variable: the components that could provide it}, one per prefix."""
    needed: dict[str, list[str]] = {}
    prefixes: set[str] = set()
    for name, found in one.imports.items():
        if not (found.optional or found.external or found.prefix in prefixes):
            prefixes.add(found.prefix)
            needed[name] = exporters.get(found.prefix, [])
    return needed


def _stuck(graph: Graph, exporters: Mapping[str, list[str]]) -> list[str]:
    """Return the components that can never start, by letting all others start first."""
    waiting = {
        one.name: [list(one.ancestors)] * bool(one.ancestors)
        + list(_needs(one, exporters).values())
        for one in graph.components.values()
    }
    started: set[str] = set()
    progress = True
    while progress:
        ready = [
            name
            for name, groups in waiting.items()
            if all(any(other in started for other in group) for group in groups)
        ]
        for name in ready:
            started.add(name)
            del waiting[name]
        progress = bool(ready)
    return list(waiting)


def _waits(one: Component, stuck: list[str], exporters: Mapping[str, list[str]]) -> dict[str, str]:
    """Return {component waited for: the import that waits for it, "" for a parent}."""
    still = set(stuck)
    result: dict[str, str] = {}
    if one.ancestors and all(name in still for name in one.ancestors):
        result.update(dict.fromkeys(one.ancestors, ""))
    for variable, others in _needs(one, exporters).items():
        if all(name in still for name in others):
            for other in others:
                result[other] = variable
    return result


def _ring(group: list[str], waits: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return one circle inside `group`, turned so that its first step is an import if any is."""
    inside = set(group)
    trail = [group[0]]
    while True:
        step = next(other for other in waits[trail[-1]] if other in inside)
        if step in trail:
            ring = trail[trail.index(step) :]
            break
        trail.append(step)
    for turn in range(len(ring)):
        turned = ring[turn:] + ring[:turn]
        if waits[turned[0]][turned[1 % len(turned)]]:
            return turned
    return ring
