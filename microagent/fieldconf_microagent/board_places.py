"""Puts what only a late module needs into that module (CPython only; see `for_boards`).

Functions, and constructors of objects that are made once, need not stay in memory with all the
rest: they come with the late module and go with it.
"""

import ast
from collections import Counter
from collections.abc import Iterable
from typing import Any

Trees = dict[str, list[ast.Module]]


def settle(groups: Trees, first: str, kept: frozenset[str]) -> dict[str, str]:
    """Move them, and return where each is now: {name: group}.

    Args:
        groups: the modules that each group is joined from; `first` is the one that stays.
        first: whose functions are moved.
        kept: names that others know.
    """
    moved: dict[str, str] = {}
    users = {group: _used(trees) for group, trees in groups.items()}
    while name := _moved(groups, first, kept, moved, users):
        _settle_defaults(groups[moved[name]], groups)
        for group in (first, moved[name]):
            users[group] = _used(groups[group])
    return moved


def nodes_of(trees: Iterable[ast.AST]) -> list[ast.AST]:
    """Return all nodes of trees, but for what says whether names are read or written.

    As `ast.walk` finds them, in a fifth of the time: all are looked at again and again.
    """
    found = list(trees)
    for node in found:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                found += [each for each in value if isinstance(each, ast.AST)]
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                found.append(value)
    return found


def _moved(
    groups: Trees,
    first: str,
    kept: frozenset[str],
    moved: dict[str, str],
    users: "dict[str, Counter[str]]",
) -> str:
    """Move one function or constructor; return its name, which is then in `moved`."""
    for tree in groups[first]:
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name in kept:
                continue
            using = [group for group in users if users[group][node.name]]
            if len(using) != 1 or using == [first]:
                continue
            (group,) = using
            if isinstance(node, ast.FunctionDef):
                tree.body.remove(node)
                made: ast.FunctionDef = node
            elif users[group][node.name] == 1 and (found := _constructor(node, groups[group])):
                made = found
            else:
                continue
            groups[group][0].body.insert(0, made)
            moved[made.name] = group
            return made.name
    return ""


def _used(trees: list[ast.Module]) -> "Counter[str]":
    return Counter(node.id for node in nodes_of(trees) if isinstance(node, ast.Name))


def _constructor(owner: ast.ClassDef, trees: list[ast.Module]) -> "ast.FunctionDef | None":
    """Take a constructor out of its class if one call is all that uses the class."""
    inits = [n for n in owner.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"]
    nodes = nodes_of(trees)
    calls = [n for n in nodes if isinstance(n, ast.Call) and _named(n.func) == owner.name]
    if owner.bases or not inits or not calls:
        return None
    (init,), (call,) = inits, calls
    owner.body.remove(init)
    owner.body = owner.body or [ast.Pass()]
    init.name = owner.name + " made"
    init.body.append(ast.Return(ast.Name(init.args.args[0].arg, ast.Load())))
    call.args.insert(0, ast.Call(call.func, [], []))
    call.func = ast.Name(init.name, ast.Load())
    return init


def _named(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _settle_defaults(settled: list[ast.Module], groups: Trees) -> None:
    """Put defaults that nobody replaces where the parameters are used."""
    every = nodes_of(tree for trees in groups.values() for tree in trees)
    used = Counter(node.id for node in every if isinstance(node, ast.Name))
    calls = {_named(node.func): node for node in every if isinstance(node, ast.Call)}
    for tree in settled:
        for function in tree.body:
            if isinstance(function, ast.FunctionDef) and used[function.name] == 1:
                if function.name in calls:
                    _settle_default(function, calls[function.name])


def _settle_default(function: ast.FunctionDef, call: ast.Call) -> None:
    args = function.args
    while args.defaults and len(call.args) < len(args.args):
        name, value = args.args[-1].arg, args.defaults[-1]
        given: list[Any] = [word.arg for word in call.keywords]
        if name.lstrip(":") in given or None in given or not isinstance(value, ast.Name):
            return
        args.args.pop()
        args.defaults.pop()
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id == name:
                node.id = value.id
