"""Puts functions that are called from one place into that place (CPython only; see `for_boards`).

A function costs a board some 20 bytes of flash and 80 of heap, whatever it does, and many of the
agent's are there for readers. A call is replaced where it stands alone: as a statement, as the
whole value of an assignment or a `return`, or as the condition of an `if`. A function stays what it
is when it is passed around, when a loop would have to be left from within, and when the place it
goes to would have more local variables than the interpreter reaches with a short instruction.
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_LOOPS = ast.For | ast.While
# What a nested function remembers would be shared by every turn of a loop around it.
_REFUSED = (
    *(ast.Lambda, ast.GeneratorExp, ast.FunctionDef, ast.AsyncFunctionDef),
    *(ast.Yield, ast.YieldFrom, ast.Await, ast.Import, ast.ImportFrom),
)
#: Local variables of a function, parameters included.
_MOST_LOCALS = 24
#: These run for ever, and what they call lets go of memory when it returns.
_LASTING = ("run", "turn")


class _Callee:
    """A function that may be put elsewhere."""

    def __init__(self, node: Any, body: list[ast.stmt], is_method: bool) -> None:
        self.node = node
        self.place = body
        self.is_method = is_method


def inline(trees: Iterable[ast.Module], kept: frozenset[str]) -> None:
    """Do so for all functions of these modules; `kept` are names that others call."""
    trees = list(trees)
    while _pass(trees, kept):
        pass


def _pass(trees: list[ast.Module], kept: frozenset[str]) -> bool:
    """Put those that call no other candidate where they belong; tell whether there was any."""
    callees = _candidates(trees, kept)
    # Innermost first: what is put somewhere has then nothing left to be put into it, so that all
    # that is put into one function can share its variables.
    ready = {name: c for name, c in callees.items() if _find(c.node, callees) is None}
    done = False
    for tree in trees:
        for function in list(_functions(tree)):
            while (found := _find(function, ready)) is not None:
                done = True
                statements, index, call, callee = found
                del ready[_name_of(call)]
                new = _Expansion(callee, call).statements(statements[index])
                if new is None or _crowded(function, callee.node):
                    callee.node.stays = True
                    continue
                statements[index : index + 1] = new
                callee.place.remove(callee.node)
                if not callee.place:
                    callee.place.append(ast.Pass())
    return done


def _crowded(function: Any, callee: Any) -> bool:
    own = [name for name in _locals(function) if not name.startswith(":=")]
    shared = len(_locals(function)) - len(own)
    return len(own) + max(shared, len(_locals(callee)) + 1) > _MOST_LOCALS


def _functions(tree: ast.Module) -> Iterator[Any]:
    for node in tree.body:
        if isinstance(node, _FUNCTIONS):
            yield node
        elif isinstance(node, ast.ClassDef):
            yield from (inner for inner in node.body if isinstance(inner, _FUNCTIONS))


def _locals(function: Any) -> set[str]:
    found = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    return found | {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and ":" in n.id}


def _candidates(trees: list[ast.Module], kept: frozenset[str]) -> dict[str, _Callee]:
    """Return the functions and methods that are named once, and only called."""
    named: Counter[str] = Counter()
    defined: Counter[str] = Counter()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                named[node.attr] += 1
            elif isinstance(node, ast.Name):
                named[node.id] += 1
            elif isinstance(node, ast.alias):
                named[node.name] += 2
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                named[node.value] += 2
            elif isinstance(node, _FUNCTIONS):
                defined[node.name] += 1
    found = {}
    for tree in trees:
        for place, node, is_method in _defined(tree):
            once = named[node.name] == 1 and defined[node.name] == 1
            if once and node.name not in kept and _is_plain(node):
                found[node.name] = _Callee(node, place, is_method)
    return found


def _defined(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], Any, bool]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield tree.body, node, False
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef):
                    yield node.body, inner, True


def _is_plain(node: ast.FunctionDef) -> bool:
    args = node.args
    if args.vararg or args.kwarg or args.kwonlyargs or node.decorator_list:
        return False
    if node.name.startswith("__") or node.name in _LASTING or getattr(node, "stays", False):
        return False
    return not any(isinstance(inner, _REFUSED) for part in node.body for inner in ast.walk(part))


def _find(function: Any, callees: dict[str, _Callee]) -> Any:
    """Return where a call of one of them stands alone: (statements, index, call, callee)."""
    for statements in _blocks(function):
        for index, statement in enumerate(statements):
            call = _call_of(statement)
            if call is None or call.keywords:
                continue
            callee = callees.get(_name_of(call))
            if callee and callee.node is not function:
                if callee.is_method == isinstance(call.func, ast.Attribute):
                    return statements, index, call, callee
    return None


def _blocks(function: Any) -> Iterator[list[ast.stmt]]:
    """Yield all lists of statements in a function, but not of those that only a loop repeats."""
    lasting = function.name in _LASTING
    queue: list[Any] = [function]
    while queue:
        node = queue.pop()
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list) and not (lasting and isinstance(node, _LOOPS)):
                yield block
                queue.extend(block)
        queue.extend(getattr(node, "handlers", []))


def _call_of(statement: ast.stmt) -> "ast.Call | None":
    if isinstance(statement, ast.If):
        value: Any = statement.test
        if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not):
            value = value.operand
    elif isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        value = statement.value
        if not isinstance(statement.targets[0], ast.Name | ast.Tuple | ast.Attribute):
            return None
    elif isinstance(statement, ast.Expr | ast.Return):
        value = statement.value
    else:
        return None
    return value if isinstance(value, ast.Call) else None


def _name_of(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


class _Expansion:
    """One call and the statements that stand for it."""

    def __init__(self, callee: _Callee, call: ast.Call) -> None:
        node = copy.deepcopy(callee.node)
        self.body = node.body
        args = [arg.arg for arg in node.args.args]
        values = list(call.args)
        if callee.is_method:
            values.insert(0, call.func.value)  # type: ignore[attr-defined]
        missing = len(args) - len(values)
        if missing:
            values += node.args.defaults[-missing:]
        stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and not _is_load(n)}
        self.names = {name: f":={n}" for n, name in enumerate(sorted(_locals(node)))}
        self.values: dict[str, ast.expr] = {}
        self.before: list[ast.stmt] = []
        for name, value in zip(args, values):
            simple = isinstance(value, ast.Constant) or (
                isinstance(value, ast.Name) and ":" in value.id
            )
            if simple and name not in stored:
                self.values[name] = value
            else:
                target = ast.Name(self.names.get(name, name), ast.Store())
                self.before.append(ast.Assign([target], value, lineno=0))

    def statements(self, statement: ast.stmt) -> "list[ast.stmt] | None":
        """Return what replaces `statement`, or None if that cannot be done."""
        body = [self._renamed(part) for part in self.body]
        if isinstance(statement, ast.Return):
            return [*self.before, *body, *([] if _leaves(body) else [ast.Return(None)])]
        if isinstance(statement, ast.Expr):
            target = None
        elif isinstance(statement, ast.Assign):
            target = statement.targets[0]
            if isinstance(target, ast.Attribute) and not isinstance(target.value, ast.Name):
                return None
        else:
            target = ast.Name(":=if", ast.Store())
        inlined = _Returns(target).applied(body)
        if inlined is None:
            return None
        if isinstance(statement, ast.If):
            value = ast.Name(":=if", ast.Load())
            if isinstance(statement.test, ast.UnaryOp):
                statement.test.operand = value
            else:
                statement.test = value
            inlined.append(statement)
        return [*self.before, *inlined]

    def _renamed(self, part: ast.stmt) -> ast.stmt:
        return _Substitution(self.names, self.values).visit(part)  # type: ignore[no-any-return]


def _is_load(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _leaves(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise)


class _Substitution(ast.NodeTransformer):
    def __init__(self, names: dict[str, str], values: dict[str, ast.expr]) -> None:
        self.names = names
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.values:
            return copy.deepcopy(self.values[node.id])
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = node.name and self.names.get(node.name, node.name)
        return self.generic_visit(node)


class _Returns:
    """Turns returns into assignments, and into leaving a loop that goes round once."""

    def __init__(self, target: "ast.expr | None") -> None:
        self.target = target

    def applied(self, body: list[ast.stmt]) -> "list[ast.stmt] | None":
        """Return the new body, None if a return stands in a loop."""
        last = body[-1] if body else None
        returns = [n for part in body for n in ast.walk(part) if isinstance(n, ast.Return)]
        if not returns:
            none = ast.Return(ast.Constant(None))
            return [*body, *(self._assigned(none) if self.target else [])]
        if returns == [last]:
            assert isinstance(last, ast.Return)
            return [*body[:-1], *self._assigned(last)]
        if any(
            isinstance(inner, ast.Return)
            for part in body
            for loop in ast.walk(part)
            if isinstance(loop, _LOOPS)
            for inner in ast.walk(loop)
        ):
            return None
        if not isinstance(last, ast.Return):
            body.append(ast.Return(None))
        new = self._without(body)
        return [ast.While(ast.Constant(True), new, [])]

    def _without(self, body: list[ast.stmt]) -> list[ast.stmt]:
        new: list[ast.stmt] = []
        for node in body:
            if isinstance(node, ast.Return):
                new += [*self._assigned(node), ast.Break()]
                continue
            for name in ("body", "orelse", "finalbody"):
                if isinstance(getattr(node, name, None), list):
                    setattr(node, name, self._without(getattr(node, name)))
            for handler in getattr(node, "handlers", []):
                handler.body = self._without(handler.body)
            new.append(node)
        return new

    def _assigned(self, node: ast.Return) -> list[ast.stmt]:
        if self.target is None:
            useless = node.value is None or isinstance(node.value, ast.Constant | ast.Name)
            return [] if useless else [ast.Expr(node.value)]  # type: ignore[arg-type]
        value = node.value or ast.Constant(None)
        return [ast.Assign([copy.deepcopy(self.target)], value, lineno=0)]
