"""What is made for boards is small, and means the same as its source."""

import ast
import builtins
import re
import textwrap

import pytest

from fieldconf_microagent import (
    board_inliner,
    board_linker,
    board_loops,
    board_names,
    board_places,
    board_shaker,
    for_boards,
)
from support import interpreters

FIRST = '''
"""Begins everything."""
import sys
from . import tools
from .tools import Counter
from .compat import unload

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST = 3

class Box(Counter):
    def put(self, number):
        self._checked(number)
        return self.count

    def _checked(self, number):
        if number > _MOST:
            return
        self.count += number

    def unused(self):
        return 1

def main(numbers):
    box = Box(tools.start_of("x"), step=2)
    found = [box.put(number) for number in numbers]
    unload("late", "tools")
    return found + [tools.NAME, load_late(), sys.version_info.major]

def load_late():
    from . import late
    from .late import twice
    return late.LATE + str(twice(4))
'''
TOOLS = """
from .compat import const
_BASE = const(1 << 4)
NAME = "tools"
WORDS = {"x": _BASE}

class Counter:
    def __init__(self, start, step=1):
        self.count = start + step

def start_of(word):
    def found(key):
        return WORDS[key]
    try:
        return found(word)
    except KeyError as error:
        return len(error.args)

def nobody_calls_this():
    return WORDS
"""
LATE = """
from .tools import start_of
LATE = "late"
def twice(number):
    return 2 * number + start_of("x")
"""
COMPAT = """
from micropython import const
import sys
def unload(*names):
    sys.unloaded = names
"""
RECIPE = """
class Instance:
    def log(self, text):
        self.path = text
"""


def parsed(**texts):
    return {name: ast.parse(text) for name, text in texts.items()}


def joined(**more):
    trees = parsed(first=FIRST, tools=TOOLS, late=LATE, compat=COMPAT, recipe=RECIPE, **more)
    bare = board_linker.Bare(frozenset())
    trees = {name: bare.visit(tree) for name, tree in trees.items()}
    return board_shaker.joined(trees, "first", list(more))


def loaded(texts, name, monkeypatch):
    """Import joined modules as a package of this Python."""
    import sys
    import types

    package = types.ModuleType("joined")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "joined", package)
    for one in [n for n in texts if n != name] + [name]:
        module = types.ModuleType("joined." + one)
        module.__package__ = "joined"
        monkeypatch.setitem(sys.modules, "joined." + one, module)
        if one == name:
            exec(texts[one], vars(module))
    for one in texts:
        if one != name:
            exec(texts[one], vars(sys.modules["joined." + one]))
    return sys.modules["joined." + name]


def test_modules_that_stay_in_memory_become_one_and_the_others_stay_apart():
    assert sorted(joined()) == ["first", "late"]


def test_joined_modules_do_the_same(monkeypatch):
    import sys

    first = loaded(joined(), "first", monkeypatch)

    assert first.main([1, 5, 2]) == [19, 19, 21, "tools", "late24", sys.version_info.major]
    assert sys.unloaded == ("late",), "what was joined cannot be let go"


def test_names_are_short_but_for_those_that_others_know():
    texts = joined()

    for name in ("Counter", "start_of", "_checked", "number", "load_late", "error", "twice"):
        assert not any(name in text for text in texts.values()), name
    assert "def main(" in texts["first"]


def test_numbers_and_texts_stand_where_their_names_were():
    text = joined()["first"]

    assert "const" not in text
    assert "NAME" not in text
    assert "16" in text


def test_what_nobody_calls_is_left_out():
    tree = ast.parse(joined()["first"])

    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    # main, load_late, unload, start_of and the function in it, __init__, put with _checked in it.
    assert len(functions) == 7


def test_module_that_uses_the_agent_learns_the_new_names(monkeypatch):
    texts = joined(
        story="from fieldconf_microagent import tools\ndef test_it():\n"
        "    assert tools.start_of('x') == 16\n    assert tools.start_of('y') == 1\n"
    )

    assert "start_of" not in texts["story"]
    assert "def test_it()" in texts["story"]
    assert "assert" in texts["story"]


@pytest.mark.parametrize(
    "source",
    [
        "def f(key, end):\n    return [end for key in end] + [key]",
        "def f(items):\n    t = 0\n    def add(n):\n        nonlocal t\n        t += n\n"
        "    for item in items:\n        add(item)\n    return t",
        "def f(a):\n    import json as b\n    return b.dumps(a)",
        "def f(a):\n    try:\n        return a[9]\n    except IndexError as b:\n        str(b)",
        "def f(a):\n    return sorted(a, key=lambda n: -n)",
        "def f(a):\n    x, *rest = a\n    return rest if (y := x) else y",
    ],
    ids=["comprehension", "nonlocal", "import", "except", "lambda", "star and walrus"],
)  # fmt: skip
def test_names_of_a_function_keep_their_meaning(source, monkeypatch):
    call = "\ndef main(a):\n    return g(a)\ndef g(a):\n    return " + (
        "f(a, a)" if "key, end" in source else "f(a)"
    )
    trees = parsed(first=source + call, recipe=RECIPE)
    text = board_shaker.joined(trees, "first", [])["first"]
    before, after = {}, {}
    exec(source + call, before)
    exec(text, after)

    assert after["main"]([3, 1, 2]) == before["main"]([3, 1, 2])


INLINED = """
class A:
    def outer(self, items):
        found = []
        for item in items:
            {call}
            found.append({value})
        return found

    def inner(self, item, least=2):
        {body}
"""


@pytest.mark.parametrize(
    "case",
    [
        ("x = self.inner(item)", "x", "return item * least"),
        ("x = self.inner(item)", "x", "if item < least: return 0", "return item"),
        ("self.inner(item)", "self.seen", "if item < 2: return", "self.seen = item"),
        ("if self.inner(item): found.append(7)", "item", "return item > least"),
        ("if not self.inner(item): found.append(7)", "item", "if item > least: return True"),
        ("x = self.inner(item + 1)", "x", "item = item + least", "return item"),
        ("x = self.inner(item)", "x", "for n in (1, 2):", "    if n == item: return n"),
        ("x, y = self.inner(item)", "x - y", "return item, least"),
    ],
    ids=" ".join,
)
def test_function_that_is_called_from_one_place_may_be_put_there(case):
    call, value, *body = case
    source = INLINED.format(call=call, value=value, body="\n        ".join(body))
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in ("A",):
            node.id = ":" + node.id
        elif isinstance(node, ast.arg):
            node.arg = ":" + node.arg
    board_inliner.inline([tree], frozenset({"outer"}))
    board_names.shorten([tree], frozenset({"outer", "seen"}), frozenset(), frozenset())
    before, after = {}, {}
    exec(source, before)
    exec(ast.unparse(ast.fix_missing_locations(tree)), after)

    results = []
    for space in (before, after):
        made = next(v for v in space.values() if isinstance(v, type))()
        made.seen = None
        results.append(made.outer([1, 2, 3]))
    assert results[0] == results[1]
    in_loop = body[0].startswith("for")
    assert ("def " in ast.unparse(tree).split("outer")[1]) == in_loop


LOOPED = """
def outer(items, told, x=3):
    told.append("begun")
    {body}
"""


@pytest.mark.parametrize(
    "body",
    [
        "return [x * 2 for x in items if x]",
        "return {x: [y for y in range(x) if y != 1] for x in items}",
        "return sorted({x for x in items if all(x != y for y in (1, 2))})",
        "return [x, sum(x for x in items if x > 1), x]",
        "return [y for x in [items, items] for y in x if y > 1]",
        "x = [x for x in items if x != len(items)]; return x",
        "return [any(y == x for x in items) for y in (1, 7)]",
        """if not any(told.append(x) or x == 1 for x in items):
        return 0
    return told""",
        """for x in [x + 1 for x in items]:
        told += [[y, x] for y in range(x)]
        told.append(tuple(y for y in range(x)))
    return told""",
    ],
)
def test_comprehension_is_written_as_a_loop(body):
    source = LOOPED.format(body=body)
    tree = _prefixed(source)
    board_loops.flatten([tree])
    flat = not any(isinstance(n, ast.ListComp | ast.GeneratorExp) for n in ast.walk(tree))
    assert flat or "told +=" in body
    assert _result_of(tree, "outer", [1, 0, 2], []) == _result_of(source, "outer", [1, 0, 2], [])


@pytest.mark.parametrize(
    "body",
    [
        "return (told.pop(), [x + len(told) for x in items])",
        "return told and [1 // x for x in items]",
        "return [1 // x for x in items] if len(told) > 5 else 0",
        "return {told.pop(): [len(told) for x in items]}",
    ],
)
def test_comprehension_stays_where_something_comes_before_it(body):
    tree = _prefixed(LOOPED.format(body=body))
    board_loops.flatten([tree])
    assert any(isinstance(node, ast.ListComp) for node in ast.walk(tree))


def test_what_only_a_late_module_needs_goes_there():
    stays = _parsed("""
        def common(): return 1
        def helper(): return common() + 1
        def made(step, kind=Thing): return kind(step, helper())
        class Thing:
            def __init__(self, step, least=4): self.sum = step + least
            def more(self): return self.sum + common()
        """)
    late = _parsed("def start(): return made(2).more() + common()")
    moved = board_places.settle({"stays": [stays], "late": [late]}, "stays", frozenset())

    assert sorted(moved) == ["Thing made", "helper", "made"]
    assert "__init__" not in ast.unparse(stays)
    joined = ast.unparse(ast.Module([*stays.body, *late.body], [])).replace("Thing made", "new")
    assert _result_of(joined, "start") == 6


def test_attributes_share_a_name_unless_an_object_has_both():
    source = """
        class A:
            def __init__(self): self.first = 1; self.second = 2
        class B(A):
            def __init__(self): self.third = 3
        class C:
            def __init__(self): self.fourth = 4
        def seen(some): some.fifth = some.first + some.third + some.fourth
        """
    tree = _prefixed(source)
    together = board_names.attributes_together([tree])
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    before = [node.attr for node in nodes]
    board_names.shorten([tree], frozenset(), frozenset(), frozenset(), together)
    short = {name: node.attr for name, node in zip(before, nodes, strict=True)}
    assert len({short[name] for name in ("first", "second", "third", "fifth")}) == 4
    assert short["fourth"] in {short["first"], short["second"], short["third"]}
    assert short["fourth"] != short["fifth"]


def _parsed(text):
    return ast.parse(textwrap.dedent(text))


def _prefixed(text):
    """Return the tree of a text with the names of local variables as `board_linker` writes them."""
    tree = _parsed(text)
    known = {n.name for n in tree.body} | set(dir(builtins))
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in known:
            node.id = ":" + node.id
        elif isinstance(node, ast.arg):
            node.arg = ":" + node.arg
    return tree


def _result_of(source, name, *arguments):
    if not isinstance(source, str):
        source = ast.unparse(ast.fix_missing_locations(source)).replace(":~", "v_")
        source = re.sub(r"(?<![\w\])]):(?=[a-z])", "", source)
    space = {}
    exec(source, space)
    return space[name](*arguments)


def test_no_module_for_boards_names_what_is_not_there():
    for name, text in for_boards.linked().items():
        tree = ast.parse(text)
        bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and _binds(n)}
        bound |= {n.arg for n in ast.walk(tree) if isinstance(n, ast.arg)}
        bound |= {
            n.name
            for n in ast.walk(tree)
            if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        }
        bound |= {
            a.asname or a.name
            for n in ast.walk(tree)
            if isinstance(n, ast.Import | ast.ImportFrom)
            for a in n.names
        }
        bound |= {n.name for n in ast.walk(tree) if isinstance(n, ast.ExceptHandler)}
        used = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
        assert used - bound - set(dir(builtins)) - {"__name__"} == set(), name


def _binds(node):
    return isinstance(node.ctx, ast.Store)


def test_everything_comes_out_compiled(tmp_path):
    for_boards.compile_all(tmp_path, interpreters.find("mpy-cross"))

    made = {file.stem for file in tmp_path.glob("*.mpy")}
    assert {"main_board", "agent", "fetch", "rendering"} <= made
    assert "host" not in made, "it is a part of main_board"
    assert "tree" not in made, "it comes and goes with agent"


def test_wrong_call_is_told(capsys):
    assert for_boards.main([]) == 2
    assert "usage" in capsys.readouterr().err
