"""Finds what the extra ``boards`` brings, when it is used, and says how to get what is missing."""

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

from .errors import ImageError


def module(name: str, package: str) -> Any:
    """Return a module of the extra ``boards``.

    Raises:
        ImageError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImageError(_missing(package)) from error


def command(name: str) -> str:
    """Return the path of a command: beside the running Python, else on PATH.

    Raises:
        ImageError: there is none.
    """
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    if found is None:
        raise ImageError(_missing(name))
    return found


def _missing(package: str) -> str:
    return (
        f"this needs {package}, which is not installed: .venv/bin/pip install '.[boards]' in the "
        "folder of Fieldconf, or pip install 'WHEEL[boards]'"
    )
