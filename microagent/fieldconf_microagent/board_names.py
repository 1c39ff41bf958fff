"""Short names for what `board_linker` joined (CPython only).

A name costs a board its length in flash, and some 20 bytes of heap wherever its code lies. So all
names that the agent makes itself become short ones, the same in every module. The best ones are
those that every MicroPython carries and that compiled modules refer to by number: they are free.

Names stay as they are where somebody else knows them: attributes that builtin types have too, what
stands as a text somewhere in the agent (its name is there anyway, and `getattr` may use it), and
what is told to recipes.
"""

import ast
import io
import re
import select
import socket
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, product
from string import ascii_lowercase

#: Names that MicroPython numbers in its compiled modules and that Python has no use for as a
#: variable; the first ones in `py/makeqstrdata.py`.
FREE = (
    "key end start stop step value values index count copy clear close append extend insert pop "
    "popitem remove replace reverse sort find rfind rindex format get items keys join lower upper "
    "lstrip rstrip strip split rsplit startswith endswith isalpha isdigit islower isspace isupper "
    "little sep send throw update write read readinto readline setdefault to_bytes from_bytes "
    "bytecode micropython main args"
).split()
#: More of them, which a module may well call; fine for attributes.
BUILTINS = (
    "id hash iter next object ord chr map zip all any abs pow sum dir eval exec open repr "
    "round set list dict tuple bool int str bytes bytearray callable divmod getattr globals "
    "hasattr isinstance issubclass len locals print range setattr sorted type self "
    "classmethod staticmethod builtins _ Ellipsis NoneType EOFError KeyError NameError "
    "IndexError SystemExit ImportError LookupError SyntaxError RuntimeError OverflowError "
    "StopIteration AttributeError AssertionError BaseException GeneratorExit ArithmeticError "
    "IndentationError KeyboardInterrupt ZeroDivisionError NotImplementedError"
).split()

#: Objects that are not ours and whose attributes the agent uses.
_FOREIGN: tuple[object, ...] = (
    "", b"", bytearray(), [], (), {}, set(), 0, 0.0, deque(), OSError(), io.BytesIO(),
    io.StringIO(), socket.socket, select.poll(), (lambda: (yield))(), re.compile(""),
    memoryview(b""),
)  # fmt: skip
_BOARDS = (
    "readinto feed active isconnected ifconfig ipconfig config connect disconnect status scan "
    "create_task run_until_complete new_event_loop sleep_ms cancel done coro wrap_socket "
    "load_verify_locations verify_mode ioctl readblocks writeblocks"
).split()


def foreign_attributes() -> frozenset[str]:
    """Return the attributes that are not ours to rename."""
    return frozenset(chain(*map(dir, _FOREIGN), _BOARDS))


def shorten(
    trees: Iterable[ast.Module],
    kept: frozenset[str],
    by_name: frozenset[str],
    known: frozenset[str],
    together: "Sequence[set[str]]" = (),
) -> None:
    """Give short names to everything in these modules, which are changed.

    Args:
        trees: all modules, with names as `board_linker` writes them; the first stays in memory.
        kept: attributes that others know.
        by_name: parameters that somebody passes by name.
        known: global names that others know.
        together: what `attributes_together` found; attributes of different objects share names.
    """
    trees = list(trees)
    seen, made, texts = _attributes(trees)
    kept = kept | texts | foreign_attributes()
    ours = [name for name, _ in seen.most_common() if name in made - kept]
    ours = [name for name in ours if not (name.startswith("__") and name.endswith("__"))]
    taken = (made & kept) | {"args", "value", "errno"} | by_name
    attributes = _shared_names(ours, together, taken)
    builtins = {node.id for node in _names(trees) if "." not in node.id and ":" not in node.id}
    stays = {name: name.rpartition(".")[2] for name in known}
    taken = builtins | by_name | _external(trees) | set(stays.values())
    globals_ = _global_names(trees, taken)
    globals_.update(stays)
    for tree in trees:
        _Renamer(attributes, globals_).visit(tree)
        for node in list(ast.walk(tree)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                if not getattr(node, "is_inner", False):
                    _shorten_locals(node)
        for node in tree.body:
            _shorten_locals(node)


def attributes_together(trees: Iterable[ast.Module]) -> "list[set[str]]":
    """Return the attributes that objects of each class have, those it inherits among them.

    To be asked before functions are put elsewhere: ``self`` tells whose an attribute is. Those that
    are set from outside only might be anybody's; `_shared_names` shares none that it does not know.
    """
    own: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                stored = {
                    inner.attr
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Attribute)
                    and isinstance(inner.ctx, ast.Store)
                    and isinstance(inner.value, ast.Name)
                    and inner.value.id == ":self"
                }
                own[node.name] = stored | set(_of_class(node))
                bases[node.name] = [n.id for n in node.bases if isinstance(n, ast.Name)]
            elif is_namedtuple(node):
                own[str(id(node))] = {field.value for field in node.args[1].elts}  # type: ignore[attr-defined]
    return [_inherited(name, own, bases) for name in own]


def _inherited(name: str, own: dict[str, set[str]], bases: dict[str, list[str]]) -> set[str]:
    found = set(own.get(name, ()))
    for base in bases.get(name, ()):
        found |= _inherited(base, own, bases)
    return found


def _shared_names(
    ours: list[str], together: "Sequence[set[str]]", taken: "frozenset[str] | set[str]"
) -> dict[str, str]:
    """Return a name for each attribute, the same for several that no object has together."""
    known: set[str] = set().union(*together)
    found: dict[str, str] = {}
    # First those that share with nobody.
    for name in sorted(ours, key=known.__contains__):
        others = set().union(*(names for names in together if name in names))
        used = {found[other] for other in others if other in found}
        alone = {short for other, short in found.items() if other not in known}
        found[name] = next(_free([*FREE, *BUILTINS], used | alone | taken))
    return found


def _global_names(trees: list[ast.Module], taken: set[str]) -> dict[str, str]:
    """Return a name for each global; modules that come and go use the same for their own."""
    seen = [_globals([tree]) for tree in trees]
    passed = {
        alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    first = [*seen[0], *(name for names in seen for name in names if name in passed)]
    first = list(dict.fromkeys(first))
    found = dict(zip(first, _free([*FREE, *BUILTINS], taken)))
    for names in seen[1:]:
        used = {found[name] for name in names if name in found} | taken
        used |= {found[name] for name in passed if name in found}
        found.update(zip((n for n in names if n not in found), _free([*FREE, *BUILTINS], used)))
    return found


def _free(first: Iterable[str], taken: "frozenset[str] | set[str]") -> Iterator[str]:
    """Yield names that are not taken, the cheapest first."""
    given = set(taken)
    letters = ("".join(some) for n in (1, 2) for some in product(ascii_lowercase, repeat=n))
    for name in chain(first, letters):
        if name not in given and name not in ("as", "if", "in", "is", "or"):
            given.add(name)
            yield name


def _names(trees: Iterable[ast.Module]) -> Iterator[ast.Name]:
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                yield node


def _external(trees: Iterable[ast.Module]) -> set[str]:
    return {
        alias.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }


def _globals(trees: Iterable[ast.Module]) -> list[str]:
    """Return our global names, the most frequent first."""
    seen: Counter[str] = Counter()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and "." in node.id:
                seen[node.id] += 1
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if "." in node.name:
                    seen[node.name] += 1
            elif isinstance(node, ast.ImportFrom):
                seen.update(n for a in node.names for n in (a.name, a.asname or "") if "." in n)
    return [name for name, _ in seen.most_common()]


def _attributes(trees: Iterable[ast.Module]) -> "tuple[Counter[str], set[str], set[str]]":
    """Return how often each attribute is named, those that are ours, and all texts."""
    seen: Counter[str] = Counter()
    made: set[str] = set()
    texts: set[str] = set()
    fields: list[ast.Constant] = []
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute):
                seen[node.attr] += 1
                if isinstance(node.ctx, ast.Store):
                    made.add(node.attr)
            elif isinstance(node, ast.ClassDef):
                for name in _of_class(node):
                    seen[name] += 1
                    made.add(name)
            elif is_namedtuple(node):
                fields += node.args[1].elts  # type: ignore[attr-defined]
    names = {id(field) for field in fields}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if id(node) not in names:
                    texts.add(node.value)
    made.update(str(field.value) for field in fields)
    return seen, made, texts


def is_namedtuple(node: ast.AST) -> bool:
    """Tell whether a node makes a namedtuple."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id.endswith(".namedtuple")
    )


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            yield inner.name
        elif isinstance(inner, ast.Assign):
            for target in inner.targets:
                yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))


class _Renamer(ast.NodeTransformer):
    def __init__(self, attributes: dict[str, str], globals_: dict[str, str]) -> None:
        self.attributes = attributes
        self.globals = globals_

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.globals.get(node.id, node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        if not getattr(node, "is_external", False):
            node.attr = self.attributes.get(node.attr, node.attr)
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if is_namedtuple(node):
            for field in node.args[1].elts:  # type: ignore[attr-defined]
                field.value = self.attributes.get(field.value, field.value)
        return self.generic_visit(node)

    def visit_alias(self, node: ast.alias) -> ast.alias:
        node.name = self.globals.get(node.name, node.name)
        node.asname = node.asname and self.globals.get(node.asname, node.asname)
        return node

    def visit_FunctionDef(self, node: "ast.FunctionDef | ast.AsyncFunctionDef") -> ast.AST:
        self.generic_visit(node)
        node.name = self.globals.get(node.name, node.name)
        for inner in ast.walk(node):
            if inner is not node and isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                inner.is_inner = True  # type: ignore[union-attr]
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self.globals.get(node.name, node.name)
        self.generic_visit(node)
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                inner.name = self.attributes.get(inner.name, inner.name)
            elif isinstance(inner, ast.Assign):
                for target in inner.targets:
                    for named in ast.walk(target):
                        if isinstance(named, ast.Name):
                            named.id = self.attributes.get(named.id, named.id)
        return node


def _shorten_locals(function: ast.AST) -> None:
    """Name everything local of an outermost function; only parameters cost anything."""
    nodes = list(ast.walk(function))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    used |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    used |= {
        alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    args = [node.arg for node in nodes if isinstance(node, ast.arg)]
    others = sorted(used - set(args))
    first = ["self"] if ":self" in args else []
    ordered = [name for name in dict.fromkeys([*args, *others]) if name.startswith(":")]
    ordered.sort(key=lambda name: name != ":self")
    free = _free([*first, *FREE, *BUILTINS], {name for name in used if ":" not in name})
    names = dict(zip(ordered, free))
    # What is bound without a plain name of that kind.
    bound = (
        {getattr(node, "name", None) for node in nodes}
        | {name for node in nodes if isinstance(node, ast.Nonlocal) for name in node.names}
        | {a.asname for n in nodes if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
    )
    for name in sorted(n for n in bound if n and n.startswith(":") and n not in names):
        names[name] = next(free)
    _Locals(names).visit(function)


class _Locals(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def _named(self, name: str) -> str:
        return self.names.get(name, name)

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self._named(node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self._named(node.arg)
        return node

    def visit_alias(self, node: ast.alias) -> ast.alias:
        node.asname = node.asname and self._named(node.asname)
        return node

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.Nonlocal:
        node.names = [self._named(name) for name in node.names]
        return node

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.AST:
        node.name = node.name and self._named(node.name)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: "ast.FunctionDef | ast.AsyncFunctionDef") -> ast.AST:
        node.name = self._named(node.name)
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef
