"""JSON schemas of bodies and answers, and the check of what strangers send.

The check knows the words that the schemas here use and no others: one table serves it, the OpenAPI
document and the tests. Unknown members are ignored, as everywhere in Fieldconf.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from fieldconf_dsl.errors import quoted

from .envelope import Refusal

Schema = Mapping[str, Any]


def text(longest: int = 1000, **more: Any) -> dict[str, Any]:
    """Return the schema of a text."""
    return {"type": "string", "maxLength": longest, **more}


def whole(lowest: int, highest: int, **more: Any) -> dict[str, Any]:
    """Return the schema of a whole number."""
    return {"type": "integer", "minimum": lowest, "maximum": highest, **more}


def items(schema: Schema, most: int = 1000, **more: Any) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": schema, "maxItems": most, **more}


def mapping(schema: Schema, most: int = 1000, **more: Any) -> dict[str, Any]:
    """Return the schema of an object whose names are free."""
    return {"type": "object", "additionalProperties": schema, "maxProperties": most, **more}


def record(required: str = "", /, **properties: Schema) -> dict[str, Any]:
    """Return the schema of an object; `required` names properties, with blanks between."""
    found: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        found["required"] = required.split()
    return found


def or_null(schema: Schema) -> dict[str, Any]:
    """Return the schema of something that may be null."""
    return {**schema, "type": [schema["type"], "null"]}


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}
_NAMES = {
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def _fits(kind: Any, value: Any, most: int) -> bool:
    """Tell whether a value is of another kind, which the word does not concern, or short enough."""
    return not isinstance(value, kind) or len(value) <= most


# word → tells whether a value keeps to it, what is said if not
_WORDS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "enum": (lambda value, those: value in those, "one of {0}"),
    "maxLength": (lambda value, most: _fits(str, value, most), "at most {0} characters"),
    "minLength": (lambda value, least: len(value) >= least, "at least {0} characters"),
    "pattern": (lambda value, form: bool(re.search(form, value)), "a text like {0}"),
    "minimum": (lambda value, least: value >= least, "at least {0}"),
    "maximum": (lambda value, most: value <= most, "at most {0}"),
    "maxItems": (lambda value, most: _fits(list, value, most), "at most {0} of them"),
    "minItems": (lambda value, least: len(value) >= least, "at least {0} of them"),
    "maxProperties": (lambda value, most: len(value) <= most, "at most {0} of them"),
}
# Half a character cannot be stored or sent on; no name or text of ours holds a control character.
_UNFIT = re.compile("[\ud800-\udfff\x00]")


def check(schema: Schema, value: Any, where: str = "") -> None:
    """Refuse a value that is not what the schema says.

    Raises:
        Refusal: 422, with the place as a JSON pointer.
    """
    types = schema.get("type", ())
    types = [types] if isinstance(types, str) else types
    if types and not any(_TYPES[name](value) for name in types):
        raise _refused(" or ".join(_NAMES[name] for name in types), where)
    if value is None:
        return
    if isinstance(value, str) and _UNFIT.search(value):
        raise _refused("a text of whole characters, without NUL", where)
    for word, (keeps, expected) in _WORDS.items():
        if word in schema and not keeps(value, schema[word]):
            if word == "pattern" and "description" in schema:
                raise _refused(f"{schema['description']}, not {quoted(value)}", where)
            shown = schema[word]
            shown = ", ".join(map(str, shown)) if isinstance(shown, (list, tuple)) else shown
            raise _refused(expected.format(shown), where)
    if isinstance(value, dict):
        _check_members(schema, value, where)
    elif isinstance(value, list):
        for place, one in enumerate(value):
            check(schema.get("items", {}), one, f"{where}/{place}")


def _check_members(schema: Schema, value: dict[str, Any], where: str) -> None:
    for name in schema.get("required", ()):
        if name not in value:
            raise Refusal(422, "bad-body", f"{name!r} is missing", where or "/")
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", {})
    for name, one in value.items():
        place = f"{where}/{name.replace('~', '~0').replace('/', '~1')}"
        if _UNFIT.search(name):
            raise _refused("names of whole characters", where)
        check(known.get(name, others), one, place)


def _refused(expected: str, where: str) -> Refusal:
    return Refusal(422, "bad-body", f"expected {expected}", where or "/")
