"""The installer `file`: downloads, copies, moves and deletes what `instructions.properties` says.

It may write in the data folders of the instance and of the one above, into which it may be put, and
in the folders that the agent's setting `roots` lists; `file_step`, which does the work in a process
of its own, keeps to that.
"""

import marshal
import os
import sys
import tempfile

from .file_instructions import FILE, Instruction, parsed
from .installer import Command, Installer, Request, StepError, base_environment, filled
from .variables import environment

_PACKAGE_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class FileInstaller(Installer):
    """Roboconf's file plug-in, mended."""

    name = "file"

    def command(self, request: Request, data_dir: str) -> "Command | None":
        todo = _read(request["recipe_dir"]).get(request["step"])
        if not todo:
            return None
        # Not those of the system: an instruction names what the step is told, or a path.
        env = environment(request, data_dir)
        told = [
            (one.place, one.action, filled(one.source, env), filled(one.to, env), one.sha256)
            for one in todo
        ]
        # A file, since a pipe would have to be written while the process reads.
        stdin = tempfile.TemporaryFile()
        roots = [*_above(env), *self._roots()]
        stdin.write(marshal.dumps([told, data_dir, request["recipe_dir"], roots]))
        stdin.seek(0)
        argv = [sys.executable, "-B", "-m", "fieldconf_microagent.file_step"]
        return Command(argv, _PACKAGE_DIR, base_environment(), stdin, called=FILE)

    def _roots(self) -> list[str]:
        roots = self.settings.get("roots", [])
        if not isinstance(roots, list) or not all(os.path.isabs(str(root)) for root in roots):
            raise StepError(f"the agent's setting 'roots' must list absolute paths, not {roots!r}")
        return [os.path.normpath(str(root)) for root in roots]


def _above(env: dict[str, str]) -> list[str]:
    folder = env.get("FIELDCONF_PARENT_DATA_DIR", "")
    return [folder] if os.path.isdir(folder) else []


def _read(recipe_dir: str) -> dict[str, list[Instruction]]:
    try:
        with open(os.path.join(recipe_dir, FILE), encoding="utf-8") as file:
            return parsed(file.read())
    except FileNotFoundError:
        raise StepError(f"the recipe has no {FILE}, which says what to do") from None
    except ValueError as error:
        raise StepError(f"cannot use {FILE}: {error}") from None


INSTALLER = FileInstaller()
