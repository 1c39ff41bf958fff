"""Joins the agent's modules into the few that a board gets (CPython only; see `for_boards`).

A module costs a board some 350 bytes of flash and as many names. So all that stays in memory
becomes one module, named after the one where everything begins; what is imported inside of a
function only becomes a module of its own, together with what nobody else needs. On the way:

* what is there for CPython, for type checkers and for readers goes,
* a global name becomes ``module.name`` and a local one ``:name``, until `board_names` gives them
  names that Python understands,
* numbers and texts that have a name are put where the name was,
* functions and methods that nobody calls are left out.

It understands the Python that the agent is written in, not all of it: imports stand at the top of
a module or of a function, a module's names are bound once, and only `unload` is told module names.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import Any

#: The package that is linked; tests name it in full.
PACKAGE = "fieldconf_microagent"

_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Bare(ast.NodeTransformer):
    """Leaves out what a board does without."""

    def __init__(self, absent: frozenset[str]) -> None:
        self.absent = absent

    def visit_If(self, node: ast.If) -> Any:
        named = node.test.attr if isinstance(node.test, ast.Attribute) else None
        named = node.test.id if isinstance(node.test, ast.Name) else named
        if named not in ("TYPE_CHECKING", "MICROPYTHON"):
            return self.generic_visit(node)
        kept = node.body if named == "MICROPYTHON" else node.orelse
        return [self.visit(inner) for inner in kept]

    def visit_Try(self, node: ast.Try) -> Any:
        first = node.body[0]
        if isinstance(first, ast.ImportFrom) and {a.name for a in first.names} & self.absent:
            return node.handlers[0].body
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value, lineno=node.lineno))

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: Any) -> Any:
        node.returns = None
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Expr(self, node: ast.Expr) -> Any:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> Any:
        named = node.targets[0]
        if isinstance(named, ast.Name) and named.id in ("TYPE_CHECKING", "MICROPYTHON", "__all__"):
            return None
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        """Name our own modules in one way."""
        module = node.module or ""
        if not node.level and module.split(".")[0] == PACKAGE:
            node.level, node.module = 1, module.partition(".")[2] or None
        return node


def own_imports(node: ast.AST) -> Iterator[ast.ImportFrom]:
    """Yield the imports of this package's modules below a node."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.ImportFrom) and inner.level:
            yield inner


def modules_of(node: ast.ImportFrom) -> list[str]:
    """Return which of our modules an import names."""
    return [node.module] if node.module else [alias.name for alias in node.names]


def top_imports(tree: ast.Module) -> list[str]:
    """Return the modules that have to be there before this one."""
    return [
        name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level
        for name in modules_of(node)
    ]


def late_imports(tree: ast.Module) -> set[str]:
    """Return the modules that are imported inside of functions."""
    every = {name for node in own_imports(tree) for name in modules_of(node)}
    inner = {
        name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in own_imports(function)
        for name in modules_of(node)
    }
    return inner & every


def grouped(
    trees: dict[str, ast.Module],
    first: str,
    staying: Iterable[str] = (),
    coming: Iterable[str] = (),
) -> dict[str, list[str]]:
    """Return which modules are joined, in the order they need each other: {name: modules}.

    The group of `first` is all that it imports at the top, and what that imports, and so on, and
    the same of those that are `staying` in memory although something imports them later. Each of
    those that are `coming` and going has a group of all that it needs besides, which is there for
    what is imported later still.
    """
    groups: dict[str, list[str]] = {first: []}
    for name in [*staying, first]:
        groups[first] += _closure(trees, name, set(groups[first]))
    home = dict.fromkeys(groups[first], first)
    for name in coming:
        groups[name] = _closure(trees, name, set(home))
        home.update(dict.fromkeys(groups[name], name))
    late: list[str] = []
    queue = list(home)
    while queue:
        for name in sorted(late_imports(trees[queue.pop(0)])):
            if name not in home and name not in late:
                late.append(name)
                queue.extend(_closure(trees, name, set(home)))
    closures = {name: _closure(trees, name, set(home)) for name in late}
    needed = [module for closure in closures.values() for module in closure]
    shared = sorted({m for m in needed if needed.count(m) > 1 and m not in late})
    for name in [*shared, *late]:
        apart = {*home, *(set(late) | set(shared)) - {name}}
        groups[name] = _closure(trees, name, apart)
        home.update(dict.fromkeys(groups[name], name))
    return groups


def _closure(trees: dict[str, ast.Module], name: str, apart: set[str]) -> list[str]:
    found: list[str] = []
    for needed in top_imports(trees[name]):
        if needed not in apart and needed not in found:
            found += [m for m in _closure(trees, needed, apart | {name}) if m not in found]
    return [*found, name]


def bound_in(function: ast.AST) -> set[str]:
    """Return the names that a function or comprehension binds itself."""
    found: set[str] = set()
    freed: set[str] = set()
    if isinstance(function, _SCOPES):
        parts = function.args
        several = [parts.vararg, parts.kwarg]
        for arg in [*parts.posonlyargs, *parts.args, *parts.kwonlyargs, *several]:
            if arg:
                found.add(arg.arg)
        body = function.body if isinstance(function.body, list) else [function.body]
    else:
        body = function.generators  # type: ignore[attr-defined]
    queue: list[ast.AST] = list(body)
    while queue:
        node = queue.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Lambda | _COMPREHENSIONS):
            continue
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.Import):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Nonlocal | ast.Global):
            freed.update(node.names)
        queue.extend(ast.iter_child_nodes(node))
    return found - freed


Env = dict[str, tuple[str, str]]


def names_at_top(module: str, tree: ast.Module) -> Env:
    """Return what a module's global names stand for: (kind, qualified name or module)."""
    env: Env = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            env.update({a.name: ("external", a.name) for a in node.names})
        elif isinstance(node, ast.ImportFrom) and node.level:
            env.update(imported(node))
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                env[name] = ("global", f"{module}.{name}")
        else:
            for name in sorted(_bound_at_top(node)):
                env[name] = ("global", f"{module}.{name}")
    return env


def imported(node: ast.ImportFrom) -> Env:
    """Return what an import of ours binds."""
    if node.module is None:
        return {a.asname or a.name: ("module", a.name) for a in node.names}
    return {a.asname or a.name: ("global", f"{node.module}.{a.name}") for a in node.names}


def _bound_at_top(node: ast.AST) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    }


class Resolver(ast.NodeTransformer):
    """Gives every name of one module the form that tells what it is.

    Attributes:
        wanted: global names of other groups that have to be there before this module.
    """

    def __init__(
        self, module: str, env: Env, home: dict[str, str], base: str, by_name: frozenset[str]
    ) -> None:
        self.group = home[module]
        self.module = module
        self.home = home
        self.base = base
        self.by_name = by_name
        self.envs: list[Env] = [env]
        self.wanted: set[str] = set()
        self.in_class = False

    def look_up(self, name: str) -> "tuple[str, str] | None":
        for env in reversed(self.envs):
            if name in env:
                return env[name]
        return None

    def local(self, name: str) -> str:
        return name if name in self.by_name else ":" + name

    def named(self, name: str) -> str:
        found = self.look_up(name)
        if found is None or found[0] == "external":
            return name
        kind, target = found
        if kind == "local":
            return self.local(name)
        if kind == "module":
            raise ValueError(f"{self.module}: the module {target} is used as a value")
        return self.use(target, name)

    def use(self, target: str, name: str) -> str:
        late = any(env.get(name, ("",))[0] in ("global", "module") for env in self.envs[1:])
        if self.home[target.partition(".")[0]] != self.group and not late:
            self.wanted.add(target)
        return target

    def visit_Name(self, node: ast.Name) -> Any:
        if not (self.in_class and isinstance(node.ctx, ast.Store)):
            node.id = self.named(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        if isinstance(node.value, ast.Name):
            kind, target = self.look_up(node.value.id) or ("", "")
            if kind == "module":
                name = self.use(f"{target}.{node.attr}", node.value.id)
                return ast.Name(name, node.ctx)
            node.is_external = kind == "external" or target == "external"  # type: ignore[attr-defined]
        self.generic_visit(node)
        if getattr(node.value, "is_external", False):
            node.is_external = True  # type: ignore[attr-defined]
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "compat.unload":
            names = {
                self.home[str(arg.value)] for arg in node.args if isinstance(arg, ast.Constant)
            }
            node.args = [ast.Constant(name) for name in sorted(names - {self.base})]
        return node

    def visit_arg(self, node: ast.arg) -> Any:
        node.arg = self.local(node.arg)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> Any:
        node.name = node.name and self.local(node.name)
        return self.generic_visit(node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> Any:
        node.names = [self.local(name) for name in node.names]
        return node

    def visit_Import(self, node: ast.Import) -> Any:
        if len(self.envs) > 1:
            for alias in node.names:
                alias.asname = self.local(alias.asname or alias.name)
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        if not node.level:
            for alias in node.names:
                alias.asname = self.named(alias.asname or alias.name)
            return node
        targets = node.targets if hasattr(node, "targets") else []
        by_group: dict[str, list[str]] = {}
        for target in targets:
            home = self.home[target.partition(".")[0]]
            if home not in (self.group, self.base):
                by_group.setdefault(home, []).append(target)
            elif home != self.group:
                self.wanted.add(target)
        return [
            ast.ImportFrom(group, [ast.alias(name) for name in sorted(by_group[group])], 1)
            for group in sorted(by_group)
        ]

    def visit_FunctionDef(self, node: Any) -> Any:
        node.decorator_list = [self.visit(decorator) for decorator in node.decorator_list]
        self._defaults(node.args)
        if not self.in_class:
            node.name = self.named(node.name)
        self._inside(node)
        node.body = node.body or [ast.Pass()]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self._defaults(node.args)
        self._inside(node)
        return node

    def _defaults(self, args: ast.arguments) -> None:
        args.defaults = [self.visit(value) for value in args.defaults]
        args.kw_defaults = [value and self.visit(value) for value in args.kw_defaults]

    def _inside(self, node: Any) -> None:
        env: Env = {name: ("local", "") for name in bound_in(node)}
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import):
                env.update({a.asname or a.name: ("local", "external") for a in inner.names})
        if not isinstance(node, ast.Lambda):
            for found in own_imports(node):
                env.update(imported(found))
                found.targets = _targets(found, node)  # type: ignore[attr-defined]
        self.envs.append(env)
        outer, self.in_class = self.in_class, False
        defaults, kw_defaults = node.args.defaults, node.args.kw_defaults
        node.args.defaults, node.args.kw_defaults = [], []
        self.visit(node.args)
        node.args.defaults, node.args.kw_defaults = defaults, kw_defaults
        if isinstance(node.body, list):
            node.body = _flat([self.visit(statement) for statement in node.body])
        else:
            node.body = self.visit(node.body)
        self.in_class = outer
        self.envs.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        node.bases = [self.visit(base) for base in node.bases]
        node.name = self.named(node.name)
        self.in_class = True
        node.body = _flat([self.visit(statement) for statement in node.body])
        self.in_class = False
        return node

    def _comprehension(self, node: Any) -> Any:
        self.envs.append({name: ("local", "") for name in bound_in(node)})
        outer, self.in_class = self.in_class, False
        self.generic_visit(node)
        self.in_class = outer
        self.envs.pop()
        return node

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension


def _flat(found: Iterable[Any]) -> list[ast.stmt]:
    flat: list[ast.stmt] = []
    for node in found:
        flat.extend(node if isinstance(node, list) else [node] if node else [])
    return flat


def _targets(node: ast.ImportFrom, function: ast.AST) -> list[str]:
    """Return the qualified names that an import inside of a function is there for."""
    found = set()
    for name, (kind, target) in imported(node).items():
        if kind == "global":
            found.add(target)
            continue
        for inner in ast.walk(function):
            if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
                if inner.value.id == name:
                    found.add(f"{target}.{inner.attr}")
    return sorted(found)
