"""The installer `script`: runs a file of the recipe that is named after the step."""

import os

from .installer import Command, Installer, Request, step_environment
from .rendering import render_text
from .scripts import command, find_script


class ScriptInstaller(Installer):
    """Any executable, or a template of one; `scripts` says how it is found."""

    name = "script"

    def command(self, request: Request, data_dir: str) -> "Command | None":
        recipe_dir = request["recipe_dir"]
        script = find_script(recipe_dir, request["step"])
        if script is None:
            return None
        name = os.path.relpath(script.file, recipe_dir)
        env = step_environment(request, data_dir)
        cwd = os.path.dirname(script.file)
        if not script.is_template:
            return Command(command(script.file, name), cwd, env)
        with open(script.file, encoding="utf-8") as template:
            text = render_text(template.read(), request, data_dir)
        file = os.path.join(data_dir, ".step.sh")
        with open(file, "w", encoding="utf-8") as rendered:
            rendered.write(text)
        return Command(command(file, name), cwd, env, temporary=file)


INSTALLER = ScriptInstaller()
