"""Leaves out what a board never uses, and writes the joined modules (CPython only).

Second half of `board_linker`: names of numbers and texts are replaced by what they stand for;
functions, methods and globals that nothing reaches from the start go.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from . import board_inliner, board_linker, board_loops, board_names, board_places

_FOLDABLE = int | str | None


class _Unit:
    """A statement at the top of a module, or a method."""

    def __init__(self, node: ast.stmt, defines: set[str], owner: str = "") -> None:
        self.node = node
        self.defines = defines
        self.owner = owner
        own = [node]
        if isinstance(node, ast.ClassDef):
            own = [*node.bases, *[n for n in node.body if not isinstance(n, _FUNCTIONS)]]  # type: ignore[list-item]
        inner = [n for part in own for n in ast.walk(part)]
        self.names = {n.id for n in inner if isinstance(n, ast.Name)}
        self.names |= {
            a.name for n in inner if isinstance(n, ast.ImportFrom) and n.level for a in n.names
        }
        self.attributes = {n.attr for n in inner if isinstance(n, ast.Attribute)}
        self.attributes |= {
            n.value for n in inner if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def joined(
    trees: dict[str, ast.Module],
    first: str,
    others: list[str],
    staying: Iterable[str] = (),
    coming: Iterable[str] = (),
) -> dict[str, str]:
    """Return the text of each joined module.

    Args:
        trees: all modules, bare.
        first: where everything begins; its function `main` is called.
        others: modules that are used by nobody, and keep what they are.
        staying: modules that are joined to the first though something imports them later.
        coming: modules that come and go with all that they need.
    """
    groups = board_linker.grouped(trees, first, staying, coming)
    for other in others:
        # What is imported by these only would have no place else.
        for name in board_linker.top_imports(trees[other]):
            if not any(name in modules for modules in groups.values()):
                groups[name] = [name]
        groups[other] = [other]
    home = {module: group for group, modules in groups.items() for module in modules}
    by_name = _passed_by_name(trees[name] for name in home)
    public = frozenset(_public(trees["recipe"], "Instance"))
    wanted: dict[str, set[str]] = {group: set() for group in groups}
    external: dict[str, set[str]] = {group: set() for group in groups}
    for module, group in home.items():
        env = board_linker.names_at_top(module, trees[module])
        external[group] |= {name for kind, name in env.values() if kind == "external"}
        resolver = board_linker.Resolver(module, env, home, first, by_name)
        body = [resolver.visit(node) for node in trees[module].body]
        trees[module].body = board_linker._flat(body)
        wanted[group] |= resolver.wanted
    known, aliases = _fold([trees[module] for module in home if module not in others])
    for other in others:
        _Fold(known, aliases).visit(trees[other])
    wanted = {group: {aliases.get(name, name) for name in wanted[group]} for group in wanted}
    roots = {f"{first}.main"}
    keep = _reached({m: trees[m] for m in home}, roots, others, public)
    for group, modules in groups.items():
        if group not in others:
            for module in modules:
                trees[module].body = list(_shaken(trees[module], keep))
    kept = public | board_names.foreign_attributes() | {f"{first}.main"}
    used_by_others = _names_in([trees[other] for other in others])
    together = board_names.attributes_together(trees[module] for module in home)
    movable = {g: [trees[m] for m in ms] for g, ms in groups.items() if g not in others}
    moved = board_places.settle(movable, first, kept | used_by_others)
    defined = {name for m in groups[first] for u in _units(trees[m]) for name in u.defines}
    # Not what a comprehension of a module calls its items.
    staying_names = {name for name in defined if "." in name}
    for group in set(moved.values()):
        wanted[group] = (wanted[group] | staying_names) - set(moved)
        external[group] |= external[first]
    for modules in groups.values():
        inside = [trees[module] for module in modules if module not in others]
        outside = [trees[module] for module in home if module not in modules]
        board_loops.flatten(inside)
        board_inliner.inline(inside, kept | used_by_others | _names_in(outside))
    texts = {}
    for group, modules in groups.items():
        statements = [node for m in modules for node in trees[m].body]
        texts[group] = _module(statements, wanted[group], external[group], home, group in others)
    stay = {f"{first}.main"}
    for other in others:
        stay |= {name for unit in _units(trees[other]) for name in unit.defines}
    return _text(texts, public, by_name, frozenset(stay), together)


def _names_in(trees: list[ast.Module]) -> frozenset[str]:
    nodes = board_places.nodes_of(trees)
    found = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return frozenset(found | {node.id for node in nodes if isinstance(node, ast.Name)})


def _public(tree: ast.Module, name: str) -> set[str]:
    """Return what others may use of a class."""
    (node,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name]
    found = {n.name for n in node.body if isinstance(n, _FUNCTIONS)}
    found |= {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return {name for name in found if not name.startswith("_")}


def _passed_by_name(trees: Iterable[ast.Module]) -> frozenset[str]:
    return frozenset(
        node.arg
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg
    )


# Numbers and texts


def _fold(trees: list[ast.Module]) -> tuple[dict[str, Any], dict[str, str]]:
    """Put numbers and texts where their names are used."""
    known: dict[str, Any] = {}
    aliases: dict[str, str] = {}
    for tree in trees:
        for node in tree.body:
            for target, value in _assigned(node):
                found = _without_const(value)
                if isinstance(found, ast.Name) and "." in found.id:
                    aliases[target] = aliases.get(found.id, found.id)
                elif (number := _value(found, known)) is not None:
                    known[target] = number
    for tree in trees:
        tree.body = [node for node in tree.body if not _is_gone(node, {*known, *aliases})]
        _Fold(known, aliases).visit(tree)
    return known, aliases


def _is_gone(node: ast.stmt, gone: set[str]) -> bool:
    targets = [target for target, _ in _assigned(node)]
    return bool(targets) and gone.issuperset(targets)


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        if isinstance(target, ast.Name):
            yield target.id, node.value
        elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            for name, value in zip(target.elts, node.value.elts):
                if isinstance(name, ast.Name):
                    yield name.id, value


def _without_const(value: ast.expr) -> ast.expr:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        if value.func.id == "compat.const":
            return value.args[0]
    return value


def _value(value: ast.expr, known: dict[str, Any]) -> Any:
    """Return a number or text, None if it is something else."""
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and node.id in known:
            continue
        if not isinstance(
            node,
            ast.Constant
            | ast.BinOp
            | ast.UnaryOp
            | ast.operator
            | ast.unaryop
            | ast.expr_context
            | ast.Name,
        ):
            return None
        if isinstance(node, ast.Name):
            return None
    folded = _Fold(known, {}).visit(ast.Expression(value))
    found = eval(compile(ast.fix_missing_locations(folded), "", "eval"), {"__builtins__": {}})
    return found if isinstance(found, int | str) and not isinstance(found, bool) else None


class _Fold(ast.NodeTransformer):
    def __init__(self, known: dict[str, Any], aliases: dict[str, str]) -> None:
        self.known = known
        self.aliases = aliases

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id in self.known:
            return ast.copy_location(ast.Constant(self.known[node.id]), node)
        node.id = self.aliases.get(node.id, node.id)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> "ast.ImportFrom | None":
        node.names = [alias for alias in node.names if alias.name not in self.known]
        for alias in node.names:
            alias.name = self.aliases.get(alias.name, alias.name)
        return node if node.names else None


# What is reached


def _units(tree: ast.Module) -> Iterator[_Unit]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield _Unit(node, {node.name})
            for inner in node.body:
                if isinstance(inner, _FUNCTIONS):
                    yield _Unit(inner, set(), node.name)
        elif isinstance(node, _FUNCTIONS):
            yield _Unit(node, {node.name})
        elif isinstance(node, ast.ImportFrom):
            yield _Unit(node, {alias.asname or alias.name for alias in node.names})
        elif not isinstance(node, ast.Import):
            stores = {
                n.id
                for n in ast.walk(node)
                if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and ":" not in n.id
            }
            yield _Unit(node, stores)


def _reached(
    trees: dict[str, ast.Module], roots: set[str], others: list[str], public: frozenset[str]
) -> set[int]:
    """Return the nodes that are needed, by their id."""
    units = [(module, unit) for module, tree in trees.items() for unit in _units(tree)]
    names, attributes, keep = set(roots), set(public), set()
    grown = True
    while grown:
        grown = False
        for module, unit in units:
            if id(unit.node) in keep:
                continue
            if unit.owner:
                name = unit.node.name  # type: ignore[attr-defined]
                needed = unit.owner in names and (name in attributes or name.startswith("__"))
            else:
                needed = bool(unit.defines & names) or not unit.defines
            if needed or module in others:
                keep.add(id(unit.node))
                names |= unit.names | unit.defines
                attributes |= unit.attributes
                grown = True
    return keep


def _shaken(tree: ast.Module, keep: set[int]) -> Iterator[ast.stmt]:
    for node in tree.body:
        if id(node) in keep:
            if isinstance(node, ast.ClassDef):
                body = [n for n in node.body if not isinstance(n, _FUNCTIONS) or id(n) in keep]
                node.body = body or [ast.Pass()]
            yield node


# The modules


def _module(
    body: list[ast.stmt], wanted: set[str], external: set[str], home: dict[str, str], absolute: bool
) -> ast.Module:
    used = {n.id for node in body for n in ast.walk(node) if isinstance(n, ast.Name)}
    imports: list[ast.stmt] = [
        ast.Import([ast.alias(name)]) for name in sorted(external) if name in used
    ]
    by_group: dict[str, list[str]] = {}
    for name in sorted(wanted & used):
        by_group.setdefault(home[name.partition(".")[0]], []).append(name)
    for group in sorted(by_group):
        names = [ast.alias(name) for name in by_group[group]]
        package = board_linker.PACKAGE + "." if absolute else ""
        imports.append(ast.ImportFrom(package + group, names, 0 if absolute else 1))
    return ast.Module([*imports, *body], [])


def _text(
    modules: dict[str, ast.Module],
    public: frozenset[str],
    by_name: frozenset[str],
    known: frozenset[str],
    together: "list[set[str]]",
) -> dict[str, str]:
    board_names.shorten(modules.values(), public, by_name, known, together)
    return {name: ast.unparse(ast.fix_missing_locations(tree)) for name, tree in modules.items()}
