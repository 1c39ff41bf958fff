"""Writes the language in its one canonical form: of a text that is there, or of instances.

Two blanks of indentation, one blank line between blocks, lists with ", " between their items, one
blank before a comment at the end of a line. Comments survive, words of 2014 stay. Formatting what
is formatted changes nothing, and reading the result gives the same model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .errors import Problem, has_severe
from .model import Instance, parent_path
from .names import DATA_PREFIX
from .parser import parse, read_header, read_property
from .syntax import (
    COMPONENT,
    FACET,
    INSTANCE,
    Blank,
    Block,
    Comment,
    Holder,
    ImportFile,
    Property,
    SourceFile,
)
from .values import read_exports, split_names

INDENT = "  "

#: property: the kinds of blocks in which it is a list of names.
_LISTS = {
    "children": (COMPONENT, FACET),
    "facets": (COMPONENT,),
    "extends": (FACET,),
    "imports": (COMPONENT,),
    "channels": (INSTANCE,),
}


class CannotFormat(ValueError):
    """A text that cannot be read cannot be formatted; `problems` tell why."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def format_text(text: str, name: str = "") -> str:
    """Return `text` in the canonical form.

    Args:
        text: a graph or instances; only its grammar has to be right.
        name: how messages call the file.

    Raises:
        CannotFormat: the grammar is wrong.
    """
    file = parse(text, name)
    if has_severe(file.problems):
        raise CannotFormat([found for found in file.problems if found.is_severe])
    return format_file(file)


def format_file(file: SourceFile) -> str:
    """Return the canonical form of a file whose grammar is right."""
    return "".join(f"{line}\n" for line in _blocks(file.blocks, ""))


def _blocks(blocks: Sequence[Block], indent: str, kind: str = "") -> Iterator[str]:
    """Yield the lines of `blocks`, with a blank line where the author or the form wants one.

    Never between a comment and what it stands above: that would cost a component its annotation.
    """
    before: Block | None = None
    for block in blocks:
        if isinstance(block, Blank):
            before = block if before is not None else None
            continue
        begins_block = isinstance(block, Holder) and isinstance(before, (ImportFile, Property))
        if begins_block or isinstance(before, (Blank, Holder)):
            yield ""
        yield from _block(block, indent, kind)
        before = block


def _block(block: Block, indent: str, kind: str) -> Iterator[str]:
    """Yield the lines of one block that stands in one of `kind`, "" for the file itself."""
    if isinstance(block, Comment):
        yield indent + block.text
    elif isinstance(block, ImportFile):
        yield _with_comment(f"{indent}import {block.path};", block.comment)
    elif isinstance(block, Property):
        yield _with_comment(f"{indent}{block.name}: {_value(kind, block)};", block.comment)
    elif isinstance(block, Holder):
        yield _with_comment(indent + _header(block), block.comment)
        yield from _blocks(block.blocks, indent + INDENT, block.kind)
        yield _with_comment(f"{indent}}}", block.closing_comment)


def _with_comment(text: str, comment: str) -> str:
    return f"{text} {comment}" if comment else text


def _header(holder: Holder) -> str:
    word = "instanceof" if holder.old else "instance of"
    keyword = {FACET: "facet ", INSTANCE: f"{word} ", COMPONENT: ""}[holder.kind]
    text = f"{keyword}{holder.name} {{".replace("  {", " {").lstrip()
    again = read_header(text)
    if (again.kind, again.name) != (holder.kind, holder.name):
        # A component may be called like a keyword, as long as no blank follows.
        return f"{holder.name}{{"
    return text


def _value(kind: str, found: Property) -> str:
    """Return the value of a property in its canonical form, or as it is where it is in doubt."""
    if found.name == "exports" and kind != INSTANCE:
        return _exports(found.value)
    if kind in _LISTS.get(found.name, ()):
        items = [item.text for item in split_names(found.value)]
        return ", ".join(items) if any(items) else found.value
    return found.value


def _exports(value: str) -> str:
    exports = read_exports(value)
    if exports.errors or not all(item.name for item in exports.items):
        return value
    items = []
    for item in exports.items:
        text = item.name if item.random is None else f"random[{item.random}] {item.name}"
        if item.value is not None:
            text += f' = "{item.value}"' if item.is_quoted else f" = {item.value}"
        items.append(text)
    return ", ".join(items)


# Instances -----------------------------------------------------------------------------------


def write_instances(instances: Iterable[Instance]) -> str:
    """Return `instances` as a text that, read again, gives them again.

    Args:
        instances: parents before children.

    Raises:
        ValueError: a value cannot be written in the language, such as one with a line break.
    """
    children: dict[str, list[Instance]] = {}
    for instance in instances:
        children.setdefault(parent_path(instance.path), []).append(instance)
    lines: list[str] = []
    for index, root in enumerate(children.get("", [])):
        if index:
            lines.append("")
        lines += _instance(root, children, "")
    return "".join(f"{line}\n" for line in lines)


def _instance(
    instance: Instance, children: dict[str, list[Instance]], indent: str
) -> Iterator[str]:
    yield f"{indent}instance of {instance.component} {{"
    inner = indent + INDENT
    yield inner + _line("name", instance.name, instance.name)
    if instance.channels:
        channels = ", ".join(instance.channels)
        yield inner + _line("channels", channels, channels)
    if instance.state is not None:
        yield inner + _line("instance-state", instance.state, instance.state)
    for key, value in instance.data.items():
        yield inner + _line(f"{DATA_PREFIX}{key}", value, value)
    for key, value in instance.exports.items():
        text = _quoted(value)
        yield inner + _line(key, text, text)
    for child in children.get(instance.path, ()):
        yield ""
        yield from _instance(child, children, inner)
    yield f"{indent}}}"


def _quoted(value: str) -> str:
    """Put quotes around an overridden value that would be read differently without them."""
    is_quoted = len(value) > 1 and value[0] == value[-1] == '"'
    if is_quoted or not value or value != value.strip() or any(c in value for c in ";#"):
        return f'"{value}"'
    return value


def _line(name: str, text: str, value: str) -> str:
    line = f"{name}: {text};"
    again, found = read_property(line, 1)
    is_same = again is not None and (again.name, again.value, again.comment) == (name, value, "")
    if not is_same or found or "\n" in line or "\r" in line:
        raise ValueError(f"cannot write the value of {name!r} in the language: {value!r}")
    return line
