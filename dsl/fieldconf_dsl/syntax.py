"""The blocks of a file as its author wrote them, comments and blank lines included.

Made by `parser`, checked by `check_model`, read by `build`, written again by `writer`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from .errors import Place, Problem, problem, quoted

FACET = "facet"
COMPONENT = "component"
INSTANCE = "instance"

# Types of files.
GRAPH = "graph"
INSTANCES = "instances"
AGGREGATOR = "imports only"
EMPTY = "empty"
UNDETERMINED = "mixed or unreadable"


@dataclass
class Comment:
    """A line with nothing but a comment; `text` begins with its `#`."""

    line: int
    text: str


@dataclass
class Blank:
    """A line with nothing in it."""

    line: int


@dataclass
class Unknown:
    """A line that is none of the language's."""

    line: int
    text: str


@dataclass
class ImportFile:
    """`import path;`"""

    line: int
    column: int
    path: str
    comment: str = ""


@dataclass
class Property:
    """`name: value;` — `value` starts at `value_column` of `line`, blanks around it removed."""

    line: int
    column: int
    name: str
    value: str
    value_column: int
    comment: str = ""


@dataclass
class Holder:
    """A component, a facet or an instance; `name` is the component's for an instance.

    `old` tells that the header says `instanceof`, as in 2014.
    """

    kind: str
    line: int
    column: int
    name: str
    comment: str = ""
    closing_comment: str = ""
    old: bool = False
    blocks: list[Block] = field(default_factory=list)

    def properties(self, name: str | None = None) -> Iterator[Property]:
        """Yield the properties called `name`, or all of them."""
        for block in self.blocks:
            if isinstance(block, Property) and name in (None, block.name):
                yield block

    def instances(self) -> Iterator[Holder]:
        for block in self.blocks:
            if isinstance(block, Holder):
                yield block

    def value(self, name: str) -> str | None:
        """Return the value of the first property called `name`."""
        return next((found.value for found in self.properties(name)), None)

    def described(self) -> str:
        """Return how messages call this block."""
        of = " of" if self.kind == INSTANCE else ""
        return f"the {self.kind}{of} {quoted(self.name)}"


Block: TypeAlias = "Comment | Blank | Unknown | ImportFile | Property | Holder"


@dataclass
class SourceFile:
    """One file: its blocks, and what the parser found wrong."""

    name: str
    lines: list[str]
    blocks: list[Block] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What the file holds, told from its blocks."""
        kinds = {block.kind for block in self.holders()}
        if INSTANCE in kinds:
            return INSTANCES if len(kinds) == 1 else UNDETERMINED
        if kinds:
            return GRAPH
        if any(isinstance(block, ImportFile) for block in self.blocks):
            return AGGREGATOR
        return UNDETERMINED if any(isinstance(b, Unknown) for b in self.blocks) else EMPTY

    def holders(self) -> Iterator[Holder]:
        for block in self.blocks:
            if isinstance(block, Holder):
                yield block

    def imports(self) -> Iterator[ImportFile]:
        for block in self.blocks:
            if isinstance(block, ImportFile):
                yield block

    def place(self, line: int, column: int = 1, width: int = 1) -> Place:
        text = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return Place(self.name, line, column, text, width)

    def problem(
        self, code: str, line: int, column: int = 1, width: int = 1, what: str = ""
    ) -> Problem:
        return problem(code, self.place(line, column, width), what)
