"""The modules that a Puppet recipe names: there, installed, or told missing (CPython only).

The installer `puppet` runs this module before `deploy`, in the step's own process, since asking
Puppet takes a while; its arguments are RECIPE TARGET MODULEPATH -- COMMAND …, and in the end it
becomes the command. What no folder of Puppet's module path has
is fetched with ``puppet module install`` into the folder TARGET of the instance. On a node that
does not reach the Forge this fails, and the text says which modules to bring.
"""

import json
import os
import re
import subprocess
import sys

FILE = "modules.properties"

#: Exit status when a module is missing; Puppet has no such one.
MISSING_STATUS = 77

_COMPARE = re.compile(r"(>=|<=|>|<|=|)\s*(\d+(?:\.\d+)*)(\.x)?$")


def read(text: str) -> "list[tuple[str, str]]":
    """Return the modules of a `modules.properties`, (name, version or ""), by name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        line = line.strip()
        if line and line[0] not in "#!":
            name, _, version = (
                part.strip() for part in re.sub("[:=]", "=", line, count=1).partition("=")
            )
            found[name] = version
    return sorted(found.items())


def fits(version: str, wanted: str) -> bool:
    """Tell whether a version is what the recipe asks for: ``1.2.3``, ``1.x``, ``>=1.2 <2.0``."""
    return all(_fits_one(version, one) for one in re.sub(r"([<>=])\s+", r"\1", wanted).split())


def lacking(wanted: "list[tuple[str, str]]", folders: "list[str]") -> "list[tuple[str, str, str]]":
    """Return the modules that no folder has as they are wanted: (name, version, what is there)."""
    found = []
    for name, version in wanted:
        # As in Puppet, the first folder with a module of that name is the one that counts.
        short = re.split("[-/]", name)[-1]
        there = next((at for at in folders if os.path.isdir(os.path.join(at, short))), None)
        has = _version(os.path.join(there, short)) if there else ""
        if there is None or not fits(has, version):
            found.append((name, version, has))
    return found


def see_to(recipe: str, target: str, modulepath: str) -> bool:
    """Install what is missing; tell whether all is there."""
    with open(os.path.join(recipe, FILE), encoding="utf-8") as file:
        wanted = read(file.read())
    # Puppet leaves out of its path what does not exist.
    os.makedirs(target, exist_ok=True)
    folders = _folders(modulepath)
    for name, version, has in lacking(wanted, folders):
        print(f"the module {_shown(name, version)} is missing{_instead(has)}", flush=True)
        if not _install(name, version, target):
            break
    missing = lacking(wanted, folders)
    if missing:
        print(explain(missing), flush=True)
    return not missing


def explain(missing: "list[tuple[str, str, str]]") -> str:
    """Return what is missing and what to do about it."""
    lines = [
        f"Error: cannot find the Puppet module {_shown(name, version)}{_instead(has)}; run "
        f"'puppet module install {name}{_option(version)}' on the "
        f"node, or put it into the recipe as {re.split('[-/]', name)[-1]}/"
        for name, version, has in missing
    ]
    return "\n".join(lines)


def _option(version: str) -> str:
    return f' --version "{version}"' if version else ""


def _shown(name: str, version: str) -> str:
    return f"{name} {version}" if version else name


def _instead(has: str) -> str:
    return f" (there is {has})" if has else ""


def _fits_one(version: str, wanted: str) -> bool:
    found = _COMPARE.match(wanted)
    if found is None:
        return version == wanted
    sign, number, any_below = found.groups()
    asked = _numbers(number)
    have = _numbers(version)
    if any_below:
        return have[: len(asked)] == asked
    return {
        ">=": have >= asked,
        "<=": have <= asked,
        ">": have > asked,
        "<": have < asked,
    }.get(sign, have == asked)


def _numbers(version: str) -> "list[int]":
    return [int(part) for part in re.findall(r"\d+", version.partition("-")[0])]


def _version(module: str) -> str:
    try:
        with open(os.path.join(module, "metadata.json"), encoding="utf-8") as file:
            return str(json.load(file)["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


def _folders(modulepath: str) -> "list[str]":
    """Return the folders that Puppet looks for modules in; it alone knows its own."""
    asked = ["puppet", "config", "print", "modulepath", "--modulepath", modulepath]
    said = subprocess.run(asked, stdout=subprocess.PIPE, check=True).stdout
    return said.decode(errors="surrogateescape").strip().split(os.pathsep)


def _install(name: str, version: str, target: str) -> bool:
    wanted = ["--version", version] if version else []
    # By force: what lies there is a version that does not fit.
    todo = ["puppet", "module", "install", "--color=false", "--force", *wanted]
    return subprocess.run([*todo, "--target-dir", target, name]).returncode == 0


def main(arguments: "list[str]") -> int:
    """See to the modules and become the command, or return an exit status."""
    recipe, target, modulepath, _, *command = arguments
    if not see_to(recipe, target, modulepath):
        return MISSING_STATUS
    sys.stdout.flush()
    os.chdir(recipe)
    os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
