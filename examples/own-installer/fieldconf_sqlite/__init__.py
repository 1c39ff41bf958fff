"""The installer `sqlite`: a recipe is `<step>.sql`, run on a database of the instance's own.

``:NAME`` in it stands for a variable of the step. A step without a file is absent.
"""

import os
import sys

from fieldconf_microagent.installer import Command, Installer, step_environment

_STEP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "step.py")


class SqliteInstaller(Installer):
    name = "sqlite"

    def missing(self):
        try:
            import sqlite3  # noqa: F401
        except ImportError:
            return "needs sqlite3: this Python was built without it"
        return None

    def command(self, request, data_dir):
        script = os.path.join(request["recipe_dir"], request["step"] + ".sql")
        if not os.path.isfile(script):
            return None
        argv = [sys.executable, _STEP, os.path.join(data_dir, "data.db"), script]
        return Command(argv, data_dir, step_environment(request, data_dir))
