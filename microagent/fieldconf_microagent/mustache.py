"""Mustache templates, by the language's specification 1.4 without its optional parts.

Variables, sections, inverted sections, comments, delimiters, dotted names, the implicit iterator
and partials. Inheritance and dynamic names of partials are refused; values are never functions, so
there are no lambdas. As the specification has it, ``{{x}}`` is escaped for HTML: in most
configuration files ``{{{x}}}`` is meant. False, None, 0, an empty text, list or map hide a section;
what does not exist is an empty text. Does not read files.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# A partial may contain itself, but a chain as long as this has no end.
_DEEPEST = 20


class MustacheError(ValueError):
    """A template is not well formed; `line` counts from 1, in the partial that the text names."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


def render(template: str, context: "Any", partials: "dict[str, str] | None" = None) -> str:
    """Return the text that the template gives for `context`, a map of names to values.

    Args:
        template: the source.
        context: maps, lists, and what `str` shows well.
        partials: sources by name, or anything with `get`; one that is missing is empty.

    Raises:
        MustacheError: template or partial is not well formed, or partials have no end.
    """
    out: "list[str]" = []
    _render(_parse(template, "template"), [context], partials or {}, out, 0)
    return "".join(out)


def _parse(text: str, name: str) -> "list[Any]":
    """Return the tokens: plain text, or tuples of kind, key, and content or indentation."""

    def fail(what: str, place: int) -> None:
        line = text[:place].count("\n") + 1
        raise MustacheError("%s, line %d: %s" % (name, line, what), line)

    opening, closing = "{{", "}}"
    tokens: "list[Any]" = []
    outer: "list[tuple[list[Any], str, int]]" = []
    at = 0
    while True:
        start = text.find(opening, at)
        if start < 0:
            tokens.append(text[at:])
            if outer:
                fail("section %s is not closed" % outer[-1][1], outer[-1][2])
            return tokens
        inner = start + len(opening)
        close = {"{": "}", "=": "="}.get(text[inner : inner + 1], "") + closing
        end = text.find(close, inner)
        if end < 0:
            fail("tag is not closed", start)
        kind, key = _kind_and_key(text[inner:end].strip())
        wrong = _wrong(kind, key)
        if wrong:
            fail(wrong, start)
        end += len(close)
        line, stop = start, end
        if kind not in "{&":
            line, stop = _whole_line(text, start, end)
        tokens.append(text[at:line])
        at = stop
        if kind == "=":
            marks = key.split()
            if len(marks) != 2:
                fail("two delimiters are expected", start)
            opening, closing = marks
        elif kind == "/":
            if not outer or outer[-1][1] != key:
                fail("section %s is not open here" % key, start)
            tokens = outer.pop()[0]
        elif kind == ">":
            tokens.append((kind, key, text[line:start]))
        elif kind != "!":
            below: "list[Any]" = []
            tokens.append((kind, key, below))
            if kind in ("#", "^"):
                outer.append((tokens, key, start))
                tokens = below


def _kind_and_key(tag: str) -> "tuple[str, str]":
    kind = tag[:1]
    return (kind, tag[1:].strip()) if kind in "{&#^/>!=<$" else ("", tag)


def _wrong(kind: str, key: str) -> str:
    """Return what is wrong with a tag by itself, if anything."""
    if kind in ("<", "$"):
        return "inheritance is not supported: " + kind + key
    if kind == ">" and key[:1] == "*":
        return "the name of a partial cannot be a value: " + key
    if kind in ("!", "=") or len(key.split()) == 1:
        return ""
    return "this is no name: " + (key or "nothing")


def _whole_line(text: str, start: int, end: int) -> "tuple[int, int]":
    """Widen the tag's place to its whole line if it stands there alone."""
    line = text.rfind("\n", 0, start) + 1
    stop = text.find("\n", end) + 1 or len(text)
    if text[line:start].strip() or text[end:stop].strip():
        return start, end
    return line, stop


def _render(
    tokens: "list[Any]", scopes: "list[Any]", partials: "Any", out: "list[str]", depth: int
) -> None:
    for token in tokens:
        if isinstance(token, str):
            out.append(token)
            continue
        kind, key, more = token
        if kind == ">":
            if depth > _DEEPEST:
                raise MustacheError("partial %s has no end" % key, 1)
            source = _indented(partials.get(key) or "", more)
            _render(_parse(source, "partial " + key), scopes, partials, out, depth + 1)
            continue
        value = _lookup(key, scopes)
        if kind == "^":
            if not value:
                _render(more, scopes, partials, out, depth)
        elif kind == "#":
            items = value if isinstance(value, (list, tuple)) else (value,) if value else ()
            for item in items:
                _render(more, scopes + [item], partials, out, depth)
        elif value is not None:
            out.append(str(value) if kind else _escape(str(value)))


def _lookup(key: str, scopes: "list[Any]") -> "Any":
    if key == ".":
        return scopes[-1]
    names = key.split(".")
    value = None
    for scope in reversed(scopes):
        if isinstance(scope, dict) and names[0] in scope:
            value = scope[names[0]]
            break
    # Once the first name is found the others have to be in there, not further out.
    for name in names[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _indented(text: str, indentation: str) -> str:
    if not indentation:
        return text
    return "\n".join([indentation + line if line else line for line in text.split("\n")])


def _escape(text: str) -> str:
    for plain, escaped in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(plain, escaped)
    return text
