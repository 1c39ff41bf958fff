"""From blocks to instances: paths, own values, data, and `count` made out (codes `CO_`).

An instance with `count: 12` stands for `name01` to `name12`, each with all that lies in it; counts
inside counts multiply. All copies keep their `data.*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .errors import Place, Problem, meant, problem, quoted
from .model import Graph, Instance
from .names import DATA_PREFIX, PROPERTIES, local_of
from .syntax import Holder, SourceFile
from .values import read_data, split_names

MAX_INSTANCES = 200_000

STATES = (
    "NOT_DEPLOYED",
    "DEPLOYING",
    "DEPLOYED_STOPPED",
    "UNRESOLVED",
    "WAITING_FOR_ANCESTOR",
    "STARTING",
    "DEPLOYED_STARTED",
    "STOPPING",
    "UNDEPLOYING",
    "PROBLEM",
)


@dataclass
class BuiltInstances:
    """All instances, parents before children, and the blocks that they come from.

    Attributes:
        blocks: by path; the copies of a `count` share one.
    """

    instances: tuple[Instance, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    blocks: dict[str, Source] = field(default_factory=dict)


@dataclass(frozen=True)
class Source:
    """A block and the file it stands in."""

    file: SourceFile
    block: Holder

    @property
    def place(self) -> Place:
        return self.file.place(self.block.line, self.block.column, len(self.block.name))

    def place_of(self, variable: str) -> Place:
        """Return where `variable` is set, by its full or its local name; else the block."""
        for name in (variable, local_of(variable)):
            for found in self.block.properties(name):
                return self.file.place(found.line, found.column, len(found.name))
        return self.place


def build_instances(files: Iterable[SourceFile], graph: Graph, entry: str = "") -> BuiltInstances:
    """Return the instances that `files` declare together.

    Args:
        files: without severe problems of their own.
        graph: knows their components.
        entry: the first file's name, for errors that are nobody's line.
    """
    sources = [Source(file, block) for file in files for block in file.holders()]
    problems = list(_check_components(sources, graph)) or list(_check_twice(sources))
    if problems:
        return BuiltInstances(problems=problems)
    return _Expansion(graph, entry).run(sources)


def _check_components(sources: Iterable[Source], graph: Graph) -> Iterator[Problem]:
    """Yield unknown components; what lies in such an instance is not looked at."""
    for source in sources:
        if source.block.name not in graph.components:
            yield problem(
                "CO_INEXISTING_COMPONENT", source.place, meant(source.block.name, graph.components)
            )
        else:
            inner = (Source(source.file, block) for block in source.block.instances())
            yield from _check_components(inner, graph)


def _check_twice(sources: Iterable[Source]) -> Iterator[Problem]:
    by_path: dict[str, list[Source]] = {}
    for path, source in _declared_paths(sources, ""):
        by_path.setdefault(path, []).append(source)
    for path, same in by_path.items():
        if len(same) > 1:
            where = ", ".join(f"{one.place.file}:{one.place.line}" for one in same[:5])
            what = f"{quoted(path)} is declared at {where}"
            for source in same:
                yield problem("CO_ALREADY_DEFINED_INSTANCE", source.place, what)


def _declared_paths(sources: Iterable[Source], parent: str) -> Iterator[tuple[str, Source]]:
    for source in sources:
        path = f"{parent}/{source.block.value('name')}"
        yield path, source
        inner = (Source(source.file, block) for block in source.block.instances())
        yield from _declared_paths(inner, path)


def _count(block: Holder) -> int:
    return int(block.value("count") or "1")


def _names(block: Holder) -> list[str]:
    """Return the names that `count` makes of one: web01 to web12."""
    name, count = block.value("name") or "", _count(block)
    if count < 2:
        return [name]
    return [f"{name}{index:0{len(str(count))}}" for index in range(1, count + 1)]


def _size(block: Holder) -> int:
    """Return how many instances a block stands for."""
    return _count(block) * (1 + sum(_size(inner) for inner in block.instances()))


class _Expansion:
    def __init__(self, graph: Graph, entry: str) -> None:
        self.graph = graph
        self.entry = entry
        self.instances: list[Instance] = []
        self.problems: list[Problem] = []
        self.blocks: dict[str, Source] = {}
        self.conflicts: set[str] = set()

    def run(self, sources: list[Source]) -> BuiltInstances:
        if sum(_size(source.block) for source in sources) > MAX_INSTANCES:
            what = f"the counts make more than {MAX_INSTANCES:,} instances; lower them"
            return BuiltInstances(problems=[problem("FC_LIMIT_EXCEEDED", self._whole(), what)])
        for source in sources:
            self._expand(source, _Read(source.block, self.graph), "")
        return BuiltInstances(tuple(self.instances), self.problems, self.blocks)

    def _whole(self) -> Place:
        return Place(self.entry, 1, 1)

    def _expand(self, source: Source, read: _Read, parent: str) -> None:
        inner = [(Source(source.file, b), _Read(b, self.graph)) for b in source.block.instances()]
        for name in _names(source.block):
            path = f"{parent}/{name}"
            if path in self.blocks:
                self._conflict(path, source)
                continue
            self.blocks[path] = source
            self.instances.append(read.instance(name, path))
            for one, inner_read in inner:
                self._expand(one, inner_read, path)

    def _conflict(self, path: str, source: Source) -> None:
        if path in self.conflicts:
            return
        self.conflicts.add(path)
        there = [self.blocks[path].place, source.place]
        where = " and ".join(f"{place.file}:{place.line}" for place in there)
        what = f"{quoted(path)} twice ({where})"
        self.problems.append(problem("CO_CONFLICTING_INFERRED_INSTANCE", self._whole(), what))


class _Read:
    """The properties of an instance block, read once for all of its copies."""

    def __init__(self, block: Holder, graph: Graph) -> None:
        self.component = block.name
        self.channels: tuple[str, ...] = ()
        self.state: str | None = None
        self.exports: dict[str, str] = {}
        self.data: dict[str, str] = read_data(block.value("instance-data") or "")
        known = {local_of(name) for name in graph.components[block.name].exports}
        for found in block.properties():
            if found.name == "channels" or (found.name == "channel" and "channel" not in known):
                self.channels += tuple(item.text for item in split_names(found.value))
            elif found.name == "instance-state":
                state = found.value.upper()
                self.state = state if state in STATES else STATES[0]
            elif found.name.lower().startswith(DATA_PREFIX):
                self.data[found.name[len(DATA_PREFIX) :]] = found.value
            elif "instance" not in PROPERTIES.get(found.name, ()):
                self.exports[found.name] = _unquoted(found.value)

    def instance(self, name: str, path: str) -> Instance:
        return Instance(
            name, self.component, path, self.exports, self.data, self.channels, self.state
        )


def _unquoted(value: str) -> str:
    if len(value) > 1 and value.startswith('"') and value.endswith('"'):
        return value[1:-1]
    return value
