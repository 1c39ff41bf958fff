"""From text to blocks, line by line: every header, property and closing bracket has its own line.

    file      = { blank | comment | import | facet | component | instance }
    import    = "import" blanks path ";" [comment]
    facet     = "facet" blanks name "{" [comment]          body  "}" [comment]
    instance  = "instance of" blanks name "{" [comment]    body  "}" [comment]
    component = name "{" [comment]                         body  "}" [comment]
    body      = { blank | comment | property | instance }
    property  = name ":" value ";" [comment]

Never raises, whatever the text is. Some errors *cancel*: the rest of the file is not read, since
nobody could tell to what it belongs. All others are collected and the reading goes on. A `#` inside
two quotes is text. Nesting is bounded, so that what follows may recurse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import MAX_PROBLEMS, quoted
from .names import BLANKS, ID
from .syntax import (
    COMPONENT,
    EMPTY,
    FACET,
    INSTANCE,
    Blank,
    Comment,
    Holder,
    ImportFile,
    Property,
    SourceFile,
    Unknown,
)

MAX_DEPTH = 64

_IMPORT = re.compile(r"import\s+([^;]*)(;?)(.*)", re.ASCII | re.IGNORECASE | re.DOTALL)
#: keyword: the kind of block. The last one is how 2014 wrote it.
_KEYWORDS = (
    (re.compile(r"facet(?=\s|$)", re.ASCII | re.IGNORECASE), FACET),
    (re.compile(r"instance\s+of(?=\s|$)", re.ASCII | re.IGNORECASE), INSTANCE),
    (re.compile(r"instanceof(?=\s|$)", re.ASCII | re.IGNORECASE), INSTANCE),
)
_IMPORT_WORD = re.compile(r"import(?=\s|$)", re.ASCII | re.IGNORECASE)
_WORD_BEFORE = re.compile(r"[^:\s]+", re.ASCII)
_QUOTED = re.compile(r'"[^"]*"')

#: What a recogniser found: (code, column, width).
Found = tuple[str, int, int]


def is_blank(line: str) -> bool:
    """Tell whether `line` holds nothing."""
    return not line.strip(BLANKS)


def is_comment(line: str) -> bool:
    """Tell whether `line` holds nothing but a comment."""
    return line.strip(BLANKS).startswith("#")


def split_comment(line: str) -> tuple[str, str]:
    """Cut `line` at its comment, which takes the blanks before it along.

    A `#` between two quotes begins no comment; one behind a quote that is never closed does.
    """
    if "#" not in line:
        return line, ""
    at = 0
    while at < len(line):
        if line[at] == "#":
            content = line[:at].rstrip(BLANKS)
            return content, line[len(content) :]
        if line[at] == '"':
            closing = line.find('"', at + 1)
            if closing < 0:
                cut = line.find("#", at)
                content = line[:cut].rstrip(BLANKS) if cut >= 0 else line
                return content, line[len(content) :]
            at = closing
        at += 1
    return line, ""


def read_import(line: str, number: int) -> tuple[ImportFile | None, list[Found]]:
    """Read: "import" blanks path ";" [comment]; None where the line is no import."""
    content, comment = split_comment(line)
    start = len(content) - len(content.lstrip(BLANKS))
    match = _IMPORT.fullmatch(content.strip(BLANKS))
    if match is None:
        return None, []
    path = match[1].strip(BLANKS)
    block = ImportFile(number, start + match.start(1) + 1, path, comment.strip(BLANKS))
    if not match[2]:
        return block, [("P_IMPORT_ENDS_WITH_SEMI_COLON", start + match.end() + 1, 1)]
    if match[3]:
        return block, [("P_ONE_BLOCK_PER_LINE", start + match.start(3) + 1, len(match[3]))]
    return block, []


def read_property(line: str, number: int) -> tuple[Property | None, list[Found]]:
    """Read: name ":" value ";" [comment]; None where the line is no property."""
    content, comment = split_comment(line)
    text = content.rstrip(BLANKS)
    name_at, name, colon = _property_name(text)
    if not name:
        return None, []
    found: list[Found] = []
    raw = text[colon + 1 :]
    value_at = colon + 1 + len(raw) - len(raw.lstrip(BLANKS))
    value = text[value_at:]
    if value.endswith(";"):
        value = value[:-1]
    else:
        found.append(("P_PROPERTY_ENDS_WITH_SEMI_COLON", len(text) + 1, 1))
    extra = _bare_semicolon(value)
    if extra >= 0:
        found.append(("P_ONE_BLOCK_PER_LINE", value_at + extra + 1, len(value) - extra))
    value = value.rstrip(BLANKS)
    block = Property(number, name_at + 1, name, value, value_at + 1, comment.strip(BLANKS))
    return block, found


def _property_name(text: str) -> tuple[int, str, int]:
    """Find the last word before the first colon that has one: (where, word, where the colon is).

    Scanned by hand, because the obvious expression takes quadratic time on a long line.
    """
    start, colon = 0, text.find(":")
    while colon >= 0:
        words = list(_WORD_BEFORE.finditer(text, start, colon))
        if words:
            return words[-1].start(), words[-1][0], colon
        start, colon = colon + 1, text.find(":", colon + 1)
    return 0, "", -1


def _bare_semicolon(value: str) -> int:
    """Return where a `;` stands outside quotes, or -1."""
    masked = _QUOTED.sub(lambda match: " " * len(match[0]), value)
    return masked.find(";")


@dataclass
class Header:
    """A line that looks like the beginning of a block; `bracket` is -1 where there is no `{`."""

    kind: str
    name: str
    column: int
    bracket: int
    rest: str
    comment: str
    old: bool


def read_header(line: str) -> Header:
    """Take `line` for the beginning of a block, whether or not it is one."""
    content, comment = split_comment(line)
    content = content.rstrip(BLANKS)
    start = len(content) - len(content.lstrip(BLANKS))
    kind, old = COMPONENT, False
    for pattern, keyword_kind in _KEYWORDS:
        match = pattern.match(content, start)
        if match:
            kind, start = keyword_kind, match.end()
            old = match[0].lower() == "instanceof"
            break
    bracket = content.find("{", start)
    name = content[start:] if bracket < 0 else content[start:bracket]
    column = start + len(name) - len(name.lstrip(BLANKS)) + 1
    rest = "" if bracket < 0 else content[bracket + 1 :]
    return Header(kind, name.strip(BLANKS), column, bracket, rest, comment.strip(BLANKS), old)


class _Parser:
    def __init__(self, text: str, name: str) -> None:
        lines = text.replace("\r", "").split("\n")
        if lines[-1] == "":
            lines.pop()
        self.file = SourceFile(name, lines)
        self.open: list[Holder] = []
        self.cancelled = False

    def run(self) -> SourceFile:
        for number, line in enumerate(self.file.lines, start=1):
            self._line(line, number)
            if self.cancelled:
                break
        else:
            if self.open:
                # One error is enough, however many blocks are open.
                after = len(self.file.lines) + 1
                what = f"{self.open[-1].described()} (line {self.open[-1].line})"
                self._report("P_C_C_BRACKET_MISSING", after, what=what)
        self._check_type()
        return self.file

    def _report(
        self, code: str, line: int, column: int = 1, width: int = 1, what: str = ""
    ) -> None:
        self.file.problems.append(self.file.problem(code, line, column, width, what))
        if len(self.file.problems) == MAX_PROBLEMS:
            what = f"there are more than {MAX_PROBLEMS:,} errors; correct these first"
            self._cancel("FC_LIMIT_EXCEEDED", line, 1, 1, what)

    def _cancel(self, code: str, line: int, column: int, width: int, what: str = "") -> None:
        self._report(code, line, column, width, what)
        self.cancelled = True

    def _line(self, line: str, number: int) -> None:
        blocks = self.open[-1].blocks if self.open else self.file.blocks
        if self.open and line.strip(BLANKS).startswith("}"):
            self._close(line, number)
        elif is_blank(line):
            blocks.append(Blank(number))
        elif is_comment(line):
            blocks.append(Comment(number, line.strip(BLANKS)))
        elif self.open:
            self._inner(line, number)
        else:
            self._outer(line, number)

    def _outer(self, line: str, number: int) -> None:
        """Take import | facet | component | instance; blanks and comments are taken already."""
        block, found = read_import(line, number)
        if block is not None:
            self.file.blocks.append(block)
            self._found(found, number)
            return
        header = read_header(line)
        if _IMPORT_WORD.match(line.strip(BLANKS)) or not self._opens(header, line, number):
            self.file.blocks.append(Unknown(number, line))
            self._report("P_UNRECOGNIZED_BLOCK", number, *_span(line))
        elif self.cancelled and header.kind == COMPONENT:
            self.file.blocks.append(Unknown(number, line))

    def _inner(self, line: str, number: int) -> None:
        """Take property | instance."""
        # Most lines are properties, so the cheap question comes first.
        if line.strip(BLANKS)[:8].lower() == "instance":
            header = read_header(line)
            if header.kind == INSTANCE and self._opens(header, line, number):
                return
        block, found = read_property(line, number)
        if block is not None:
            self.open[-1].blocks.append(block)
            self._found(found, number, block.name)
            return
        holder = self.open[-1]
        code = "P_INVALID_PROPERTY_OR_INSTANCE" if holder.kind == INSTANCE else "P_INVALID_PROPERTY"
        self._cancel(code, number, *_span(line), holder.described())

    def _found(self, found: list[Found], number: int, name: str = "") -> None:
        for code, column, width in found:
            self._report(code, number, column, width, quoted(name))

    def _opens(self, header: Header, line: str, number: int) -> bool:
        """Open the block of `header`; False where the line is no header at all."""
        if header.bracket < 0:
            if header.name and not ID.fullmatch(header.name):
                return False
            self._cancel("P_O_C_BRACKET_MISSING", number, *_span(line), quoted(line.strip(BLANKS)))
            return True
        if header.rest:
            column = header.bracket + 2
            self._cancel("P_O_C_BRACKET_EXTRA_CHARACTERS", number, column, len(header.rest))
            return True
        if len(self.open) == MAX_DEPTH:
            what = f"instances are nested more than {MAX_DEPTH} deep; move some up"
            self._cancel("FC_LIMIT_EXCEEDED", number, *_span(line), what)
            return True
        holder = Holder(
            header.kind, number, header.column, header.name, header.comment, old=header.old
        )
        (self.open[-1].blocks if self.open else self.file.blocks).append(holder)
        self.open.append(holder)
        return True

    def _close(self, line: str, number: int) -> None:
        content, comment = split_comment(line)
        bracket = content.index("}")
        rest = content[bracket + 1 :]
        self.open.pop().closing_comment = comment.strip(BLANKS)
        if not is_blank(rest):
            column = bracket + 2
            self._cancel("P_C_C_BRACKET_EXTRA_CHARACTERS", number, column, len(rest.rstrip(BLANKS)))

    def _check_type(self) -> None:
        kinds = {block.kind for block in self.file.holders()}
        if INSTANCE in kinds and len(kinds) > 1:
            self._report("P_INVALID_FILE_TYPE", 1)
        elif self.file.kind == EMPTY and not self.file.problems:
            self._report("P_EMPTY_FILE", 1)


def _span(line: str) -> tuple[int, int]:
    """Return column and width of what a line holds besides blanks and its comment."""
    content = split_comment(line)[0].rstrip(BLANKS)
    start = len(content) - len(content.lstrip(BLANKS))
    return start + 1, max(1, len(content) - start)


def parse(text: str, name: str = "") -> SourceFile:
    """Return the blocks of `text`, and all that is wrong with its grammar.

    Args:
        text: a graph or instances.
        name: how messages call the file.
    """
    return _Parser(text, name).run()
