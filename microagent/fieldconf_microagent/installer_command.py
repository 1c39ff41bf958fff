"""The installer `command`: a command line per step, declared in the recipe's `installer.toml`.

    [defaults]                  # for every step that does not say otherwise
    folder = "cookbooks"        # works in; relative to the recipe; default: the recipe
    environment = { LOG = "${FIELDCONF_DATA_DIR}/log" }
    good = [0, 2]               # exit statuses that are successes; default: 0
    limit = "20m"               # time limit; default: the component's

    [start]
    run = ["tool", "--set", "port=${port}"]

A step without a table of its own is absent. ``${NAME}`` stands for a variable of the step; all of
them are in the environment too. No shell is involved, so a value never becomes anything else.
"""

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from .installer import Command, Installer, Request, StepError, filled, step_environment
from .recipe import STEPS

FILE = "installer.toml"

_DEFAULTS = "defaults"
_LIMIT = re.compile(r"(\d{1,9})\s*(ms|s|m|h|)")
_UNITS_MS = {"ms": 1, "": 1000, "s": 1000, "m": 60_000, "h": 3_600_000}


class Declared(NamedTuple):
    """What the file says of one step; nothing is filled in yet."""

    run: list[str]
    folder: str = ""
    environment: Mapping[str, str] = {}
    good: tuple[int, ...] = (0,)
    limit_ms: "int | None" = None


class CommandInstaller(Installer):
    """How Chef, Salt, CFEngine or a vendor's tool is driven."""

    name = "command"

    def command(self, request: Request, data_dir: str) -> "Command | None":
        recipe_dir = request["recipe_dir"]
        step = read(recipe_dir).get(request["step"])
        if step is None:
            return None
        env = step_environment(request, data_dir)
        own = {name: filled(value, env) for name, value in step.environment.items()}
        argv = [filled(word, env) for word in step.run]
        folder = os.path.join(recipe_dir, filled(step.folder, env))
        if not os.path.isdir(folder):
            raise StepError(f"cannot run {step.run[0]}: there is no folder {folder}")
        if "/" in argv[0]:
            argv[0] = os.path.join(recipe_dir, argv[0])
        env.update(own)
        return Command(
            argv, folder, env, good=step.good, limit_ms=step.limit_ms, called=step.run[0]
        )


def read(recipe_dir: str) -> dict[str, Declared]:
    """Return what the recipe declares, by step; nothing where it has no such file.

    Raises:
        StepError: the file cannot be read or says something that is not understood.
    """
    try:
        with open(os.path.join(recipe_dir, FILE), "rb") as file:
            text = file.read().decode("utf-8")
    except FileNotFoundError:
        raise StepError(f"the recipe has no {FILE}, which says what to run") from None
    except UnicodeDecodeError as error:
        raise StepError(f"cannot read {FILE}: it is not UTF-8 ({error})") from None
    try:
        return parsed(text)
    except ValueError as error:
        raise StepError(f"cannot use {FILE}: {error}") from None


def parsed(text: str) -> dict[str, Declared]:
    """Return what the text of such a file declares, by step.

    Raises:
        ValueError: it is not TOML, or not what is expected; the message names the place.
    """
    tables = _toml(text)
    for name, table in tables.items():
        if name != _DEFAULTS and name not in STEPS:
            raise ValueError(f"{name!r} is no step; steps are {', '.join(STEPS)}")
        if not isinstance(table, dict):
            raise ValueError(f"{name!r} must be a table: [{name}]")
    defaults = _checked(_DEFAULTS, tables.pop(_DEFAULTS, {}))
    if "run" in defaults:
        raise ValueError(f"[{_DEFAULTS}] run: belongs into the table of a step")
    return {name: _declared(name, defaults, table) for name, table in tables.items()}


def _declared(step: str, defaults: "dict[str, Any]", table: "dict[str, Any]") -> Declared:
    own = _checked(step, table)
    if "run" not in own:
        raise ValueError(f"[{step}] run is missing: a list of a program and its arguments")
    environment = {**defaults.get("environment", {}), **own.get("environment", {})}
    return Declared(**{**defaults, **own, "environment": environment})


def _checked(step: str, table: "dict[str, Any]") -> "dict[str, Any]":
    """Return the fields of `Declared` that a table gives."""
    found = {}
    for key, value in table.items():
        if key not in _FIELDS:
            raise ValueError(f"[{step}] has no key {key!r}; keys are {', '.join(_FIELDS)}")
        expected, check = _FIELDS[key]
        try:
            found["limit_ms" if key == "limit" else key] = check(value)
        except (TypeError, ValueError, KeyError):
            raise ValueError(f"[{step}] {key} must be {expected}, not {value!r}") from None
    return found


def _run(value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        raise TypeError
    return [_text(word) for word in value]


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    return value


def _environment(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or any("=" in name or not name for name in value):
        raise ValueError
    return {_text(name): _text(each) for name, each in value.items()}


def _good(value: Any) -> tuple[int, ...]:
    if not value or not all(type(each) is int and 0 <= each <= 255 for each in value):
        raise ValueError
    return tuple(value)


def _limit(value: Any) -> int:
    match = _LIMIT.fullmatch(_text(value).strip())
    if match is None:
        raise ValueError
    return int(match[1]) * _UNITS_MS[match[2]]


#: key: what it must be, and what checks it.
_FIELDS: "dict[str, tuple[str, Any]]" = {
    "run": ("a list of a program and its arguments", _run),
    "folder": ("a path", _text),
    "environment": ("a table of names and texts", _environment),
    "good": ("a list of exit statuses", _good),
    "limit": ('a duration such as "90s" or "20m"', _limit),
}


def _toml(text: str) -> "dict[str, Any]":
    # Few agents ever need it.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    found: dict[str, Any] = tomllib.loads(text)
    return found


INSTALLER = CommandInstaller()
