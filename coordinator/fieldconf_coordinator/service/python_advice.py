"""What recipes of the installer `python` say, read without running them.

No Python of a node is asked: one that is much newer than this one may read what this one cannot.
"""

import ast
import warnings
from collections.abc import Iterator, Mapping

from fieldconf_dsl.errors import SEVERE, WARNING, Problem, meant, quoted
from fieldconf_dsl.model import RecipeFile
from fieldconf_microagent import recipe


def problems_of(place: str, files: Mapping[str, RecipeFile]) -> Iterator[Problem]:
    """Yield what is wrong with the recipe in the folder `place`."""
    if recipe.RECIPE not in files:
        beside = [name for name in files if "/" not in name]
        said = meant(recipe.RECIPE, [name.lower() for name in beside] + beside)
        text = f"there is no {said}, so no step does anything; add it with a function for each step"
        yield Problem("FC_NO_START", WARNING, place, 0, 0, text)
        return
    place = f"{place}/{recipe.RECIPE}"
    try:
        tree = _parsed(files[recipe.RECIPE].read())
    except SyntaxError as error:
        at = (error.lineno or 0, error.offset or 1 if error.lineno else 0)
        line = (error.text or "").rstrip("\r\n")
        yield Problem("FC_BAD_RECIPE", SEVERE, place, *at, f"Python says: {error.msg}", line)
    except (ValueError, RecursionError, MemoryError) as error:
        yield Problem("FC_BAD_RECIPE", SEVERE, place, 0, 0, f"Python says: {error}")
    else:
        yield from _functions(place, tree)


def _parsed(content: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(content, recipe.RECIPE)


def _functions(place: str, tree: ast.Module) -> Iterator[Problem]:
    """Yield which functions look like a step's and are none, and whether nothing is started."""
    bound, used = _names(tree)
    if "*" in bound:
        return
    lacking = [step for step in recipe.STEPS if step not in bound]
    for one in tree.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name not in used:
            said = meant(one.name, lacking)
            if one.name not in recipe.STEPS and said != quoted(one.name):
                text = f"no step calls {said}, and nothing else does"
                at = (one.lineno, one.col_offset + 1)
                yield Problem("FC_UNUSED_FUNCTION", WARNING, place, *at, text)
    ending = [step for step in ("stop", "check") if step in bound]
    if ending and "start" in lacking:
        text = f"there is a function for {' and '.join(ending)}, but none for start"
        yield Problem("FC_NO_START", WARNING, place, 0, 0, text)


def _names(tree: ast.Module) -> tuple[set[str], set[str]]:
    """Return the names that are bound anywhere, and those that are used; * stands for any."""
    bound: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.alias):
            bound.add(node.asname or node.name)
        elif isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else bound).add(node.id)
    return bound, used
