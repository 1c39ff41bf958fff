"""The installer `python`: calls a function of the recipe's `recipe.py` in a process of its own."""

import marshal
import os
import sys
import tempfile

from .installer import Command, Installer, Request, base_environment
from .python_step import ABSENT_STATUS
from .recipe import RECIPE

_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class PythonInstaller(Installer):
    """The other half, which runs in that process, is `python_step`."""

    name = "python"

    def command(self, request: Request, data_dir: str) -> "Command | None":
        if not os.path.isfile(os.path.join(request["recipe_dir"], RECIPE)):
            return None
        told = {key: value for key, value in request.items() if key != "digest"}
        # A file, since a pipe would have to be written while the process reads.
        stdin = tempfile.TemporaryFile()
        stdin.write(marshal.dumps([told, data_dir]))
        stdin.seek(0)
        argv = [sys.executable, "-B", "-m", "fieldconf_microagent.python_step"]
        # Python finds the package in the working directory; the step itself moves to the recipe.
        env = {**base_environment(), "FIELDCONF_PYTHON": sys.executable}
        return Command(argv, _PACKAGE_DIR, env, stdin)

    def outcome(self, todo: Command, status: int) -> tuple[str, str]:
        return ("absent", "") if status == ABSENT_STATUS else super().outcome(todo, status)


INSTALLER = PythonInstaller()
