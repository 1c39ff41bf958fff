"""Writes comprehensions as loops (CPython only; see `for_boards`).

A comprehension is a function of its own to MicroPython, and costs a board some 100 bytes of heap
for what a loop does in 20. One is written as a loop before its statement, as long as nothing is
evaluated before it that might have an effect, and it is evaluated in any case.
"""

import ast
import copy
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
#: These take a list as well as what makes one by and by.
_TAKE_LISTS = ("tuple", "list", "sorted", "min", "max", "set", "dict", "sum")
_STOP_EARLY = ("any", "all")
_PURE = (*_TAKE_LISTS, *_STOP_EARLY, "len", "isinstance", "bool", "int", "str")

Replace = Callable[[ast.expr], None]


def flatten(trees: Iterable[ast.Module]) -> None:
    """Do so in all functions of these modules, which are changed."""
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, _FUNCTIONS):
                _block(node.body, 0)


def _block(statements: list[ast.stmt], used: int) -> None:
    """Flatten what stands in a block; so many temporary names are in use around it."""
    index = 0
    while index < len(statements):
        statement = statements[index]
        if isinstance(statement, _FUNCTIONS | ast.ClassDef):
            index += 1
            continue
        temporary = used
        while (found := _found(statement)) is not None:
            new, temporary = _loop(statement, *found, temporary)
            statements[index:index] = new
            index += len(new)
        for name in ("body", "orelse", "finalbody"):
            _block(getattr(statement, name, []), used)
        for handler in getattr(statement, "handlers", []):
            _block(handler.body, used)
        index += 1


def _found(statement: ast.stmt) -> "tuple[ast.expr, Replace] | None":
    """Return the first comprehension that can stand before a statement, and how to replace it."""
    field = "value"
    if isinstance(statement, ast.If):
        field = "test"
    elif isinstance(statement, ast.For):
        field = "iter"
    elif not isinstance(statement, ast.Assign | ast.Expr | ast.Return):
        return None
    value = getattr(statement, field)
    if value is None:
        return None
    for node, replace in _evaluated(value, lambda new: setattr(statement, field, new)):
        if _is_loop(node) and not any(isinstance(n, ast.Lambda) for n in ast.walk(node)):
            return node, replace
    return None


def _is_loop(node: ast.expr) -> bool:
    return isinstance(node, _COMPREHENSIONS) or _generator(node, _STOP_EARLY) is not None


def _generator(node: ast.expr, callers: tuple[str, ...]) -> "ast.GeneratorExp | None":
    """Return the generator that one of these is called with."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        if isinstance(node.func, ast.Name) and node.func.id in callers:
            if isinstance(node.args[0], ast.GeneratorExp):
                return node.args[0]
    return None


def _evaluated(node: ast.expr, replace: Replace) -> Iterator[tuple[ast.expr, Replace]]:
    """Yield expressions as they are met on the way, until one may have an effect."""
    try:
        yield from _walked(node, replace)
    except _EffectError:
        return


class _EffectError(Exception):
    """What follows may be evaluated after an effect, or not at all."""


def _walked(node: ast.expr, replace: Replace) -> Iterator[tuple[ast.expr, Replace]]:
    if (generator := _generator(node, _TAKE_LISTS)) is not None:
        node.args[0] = ast.ListComp(generator.elt, generator.generators)  # type: ignore[attr-defined]
    yield node, replace
    for field in _parts(node):
        value = getattr(node, field)
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _walked(item, _setter(value, index))
        else:
            yield from _walked(value, lambda new, field=field: setattr(node, field, new))  # type: ignore[misc]
    if isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.Subscript | ast.Tuple):
        return
    if isinstance(node, ast.List | ast.Starred | ast.BinOp | ast.UnaryOp):
        return
    if isinstance(node, ast.Call) and not node.keywords:
        if isinstance(node.func, ast.Name) and node.func.id in _PURE:
            return
    if isinstance(node, ast.Compare) and len(node.comparators) == 1:
        return
    raise _EffectError


def _setter(values: list[Any], index: int) -> Replace:
    return lambda new: values.__setitem__(index, new)


def _parts(node: ast.expr) -> tuple[str, ...]:
    """Return which parts of an expression are evaluated in any case, in their order."""
    for kind, fields in _PARTS.items():
        if isinstance(node, kind):
            return fields
    return ()


_PARTS: dict[type[ast.expr], tuple[str, ...]] = {
    ast.Attribute: ("value",),
    ast.Subscript: ("value", "slice"),
    ast.List: ("elts",),
    ast.Tuple: ("elts",),
    ast.Starred: ("value",),
    ast.BinOp: ("left", "right"),
    ast.UnaryOp: ("operand",),
    ast.Compare: ("left",),
    ast.Call: ("func", "args"),
    ast.IfExp: ("test",),
}


def _loop(
    statement: ast.stmt, node: ast.expr, replace: Replace, temporary: int
) -> tuple[list[ast.stmt], int]:
    """Return the statements of a loop for a comprehension, and how many names are in use then."""
    early = _generator(node, _STOP_EARLY)
    loop: Any = early or node
    loop = copy.deepcopy(loop)
    result = f":~{temporary}"
    temporary += 1
    if isinstance(statement, ast.Assign) and statement.value is node and early is None:
        target = statement.targets[0]
        if len(statement.targets) == 1 and isinstance(target, ast.Name):
            if target.id.startswith(":") and target.id not in _names_of(loop):
                result = target.id
    inner = temporary + _rename(loop, temporary)
    block = _innermost(node, loop, result, early)
    _block(block, inner)
    for part in reversed(loop.generators):
        for test in reversed(part.ifs):
            block = [ast.If(test, block, [])]
            _block(block, inner)
        block = [ast.For(part.target, part.iter, block, [], lineno=0)]
    _block(block, inner)
    empty: Any = {ast.ListComp: ast.List([], ast.Load()), ast.DictComp: ast.Dict([], [])}.get(
        type(loop), ast.Call(ast.Name("set", ast.Load()), [], [])
    )
    if early:
        empty = ast.Constant(_caller(node) == "all")
    replace(ast.Name(result, ast.Load()))
    return [ast.Assign([ast.Name(result, ast.Store())], empty, lineno=0), *block], temporary


def _caller(node: Any) -> str:
    return str(node.func.id)


def _innermost(
    node: ast.expr, loop: Any, result: str, early: "ast.GeneratorExp | None"
) -> list[ast.stmt]:
    """Return what is done with each item."""
    made = ast.Name(result, ast.Load())
    if early:
        every = _caller(node) == "all"
        test = ast.UnaryOp(ast.Not(), loop.elt) if every else loop.elt
        found = ast.Assign([ast.Name(result, ast.Store())], ast.Constant(not every), lineno=0)
        return [ast.If(test, [found, ast.Break()], [])]
    if isinstance(loop, ast.DictComp):
        target = ast.Subscript(made, loop.key, ast.Store())
        return [ast.Assign([target], loop.value, lineno=0)]
    method = "append" if isinstance(loop, ast.ListComp) else "add"
    return [ast.Expr(ast.Call(ast.Attribute(made, method, ast.Load()), [loop.elt], []))]


def _names_of(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _rename(loop: Any, first: int) -> int:
    """Give names of its own to what a comprehension binds; return how many."""
    bound = sorted({n for part in loop.generators for n in _names_of(part.target)})
    names = {name: f":~{first + n}" for n, name in enumerate(bound)}
    outside = loop.generators[0].iter
    loop.generators[0].iter = ast.Constant(None)
    for inner in ast.walk(loop):
        if isinstance(inner, ast.Name):
            inner.id = names.get(inner.id, inner.id)
    loop.generators[0].iter = outside
    return len(names)
