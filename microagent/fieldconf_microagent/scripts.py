"""Finds the script of a step in a recipe, and the command that runs it (CPython only).

A recipe comes from another machine, perhaps without run bits and with the line ends of that
machine, and it is not ours to change. So the interpreter is chosen here, by the first line.
"""

import os
import sys
from typing import NamedTuple

from .installer import StepError

#: Interpreter by the ending of the name, for scripts without a first line that names one.
#: Python writes no __pycache__ into the recipe, which other instances share.
BY_ENDING = {".sh": ["/bin/sh"], ".py": [sys.executable, "-B"]}

# Roboconf's steps match by the beginning of a name and fall back on default.template. Steps that
# it does not have must not pick up a file that happens to be there, such as checksum.py.
_ROBOCONF_STEPS = ("deploy", "start", "update", "stop", "undeploy")
#: What is wrong with a script at which a shell stumbles.
WINDOWS = "its lines end with \\r\\n (Windows); save it with \\n alone"
_SHELLS = ("sh", "bash", "dash", "ash", "ksh", "zsh")


class Script(NamedTuple):
    """File of a step; a template has to be rendered before it is run."""

    file: str
    is_template: bool


def find_script(recipe_dir: str, step: str) -> "Script | None":
    """Return what to run for a step, by Roboconf's rules; None: nothing."""
    scripts = recipe_dir + "/scripts"
    name = chosen(step, _files(scripts))
    if name is not None:
        return Script(f"{scripts}/{name}", False)
    for template in templates(step):
        if os.path.isfile(f"{recipe_dir}/{template}"):
            return Script(f"{recipe_dir}/{template}", True)
    return None


def chosen(step: str, names: "list[str]") -> "str | None":
    """Return which file of the folder `scripts` is for a step; `names` are sorted."""
    if step + ".sh" in names:
        return step + ".sh"
    names = [name for name in names if may_be_script(name)]
    for name in names:
        if os.path.splitext(name)[0] == step:
            return name
    if step in _ROBOCONF_STEPS:
        for name in names:
            if name.startswith(step):
                return name
    return None


def templates(step: str) -> "list[str]":
    """Return where a recipe may have a template for a step that has no script."""
    default = ["default"] if step in _ROBOCONF_STEPS else []
    return [f"roboconf-templates/{stem}.template" for stem in [step, *default]]


def command(file: str, name: str) -> "list[str]":
    """Return the command line that runs a script; `name` is what people call it.

    Raises:
        StepError: there is no way to run it.
    """
    with open(file, "rb") as script:
        head = script.read(4096)
    interpreter = _interpreter(head) or BY_ENDING.get(os.path.splitext(file)[1], [])
    if not interpreter:
        if os.access(file, os.X_OK):
            return [file]
        raise StepError(
            f"cannot run {name}: it has no run bit, and no first line such as #!/bin/sh"
        )
    if stumbles(head, file):
        raise StepError(f"cannot run {name}: {WINDOWS}")
    return [*interpreter, file]


def stumbles(head: bytes, name: str) -> bool:
    """Tell whether a shell stumbles over how the lines of a script end, by how it begins."""
    named = _interpreter(head)
    # A first line that names an interpreter is read without its end.
    rest = head.partition(b"\n")[2] if named else head
    interpreter = named or BY_ENDING.get(os.path.splitext(name)[1], [])
    return b"\r\n" in rest and _is_shell(interpreter)


def _interpreter(head: bytes) -> "list[str]":
    """Return what `#!` names, as the system does it: a program and at most one argument."""
    first = head.partition(b"\n")[0]
    if not first.startswith(b"#!"):
        return []
    return first[2:].decode(errors="surrogateescape").strip().split(None, 1)


def _is_shell(interpreter: "list[str]") -> bool:
    words = " ".join(interpreter).split()
    return any(os.path.basename(word) in _SHELLS for word in words)


def _files(folder: str) -> "list[str]":
    """Return the files of a folder, sorted."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []


def may_be_script(name: str) -> bool:
    """Tell whether a file can be one by its name: it is no copy of an editor, nor a template."""
    return not name.startswith(".") and not name.endswith(("~", ".mustache"))
