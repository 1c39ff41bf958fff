"""Renders the `*.mustache` files of a recipe into the data folder of an instance.

The template engine, and what gathers the values, are only loaded when there is a template, since a
board has little memory.
"""

import os

from . import compat
from .recipe import RENDERED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENDING = ".mustache"

#: Steps before which the templates are rendered.
RENDERED_BEFORE = ("start", "update")

_FOLDER = 0x4000


def templates(folder: str, under: str = "") -> "list[str]":
    """Return the names of all templates in a recipe, relative to its folder."""
    found: list[str] = []
    for name in sorted(os.listdir(folder + "/" + under if under else folder)):
        relative = under + "/" + name if under else name
        if name.endswith(ENDING):
            found.append(relative)
        elif os.stat(folder + "/" + relative)[0] & _FOLDER:
            found += templates(folder, relative)
    return found


def render_text(text: str, request: "dict[str, Any]", data_dir: str) -> str:
    """Return one template of the request's recipe, rendered; its partials are the recipe's.

    Raises:
        ValueError: it is not well formed.
    """
    return _render(text, _context(request, data_dir), _texts(request["recipe_dir"]))


def render_recipe(request: "dict[str, Any]", data_dir: str) -> None:
    """Render every template of the recipe, where one is due before the request's step.

    Each file is replaced in one step: whoever reads it sees the old text or the new one.

    Raises:
        ValueError: a template is not well formed; those before it are rendered.
    """
    recipe_dir = request["recipe_dir"]
    if recipe_dir is None or request["step"] not in RENDERED_BEFORE:
        return
    texts = _texts(recipe_dir)
    if not texts:
        return
    seen = _context(request, data_dir)
    folder = request.get("rendered_dir") or data_dir + "/" + RENDERED
    for name in sorted(texts):
        try:
            text = _render(texts[name], seen, texts)
        except ValueError as error:
            raise ValueError("cannot render %s%s: %s" % (name, ENDING, error))
        _write(folder + "/" + name, text)


def _texts(recipe_dir: str) -> "dict[str, str]":
    """Return the source of every template by its name without the ending."""
    texts = {}
    for name in templates(recipe_dir):
        try:
            texts[name[: -len(ENDING)]] = compat.read_file(recipe_dir + "/" + name).decode()
        except UnicodeError:
            raise ValueError("cannot render %s: it is not UTF-8" % name)
    return texts


def _context(request: "dict[str, Any]", data_dir: str) -> "dict[str, Any]":
    from .variables import context

    return context(request, data_dir)


def _render(text: str, seen: "dict[str, Any]", partials: "dict[str, str]") -> str:
    from .mustache import render

    return render(text, seen, partials)


def _write(file: str, text: str) -> None:
    compat.makedirs(file.rpartition("/")[0])
    with open(file + ".part", "wb") as part:
        part.write(text.encode())
    compat.replace(file + ".part", file)
