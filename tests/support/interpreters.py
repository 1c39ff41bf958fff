"""The other Python: MicroPython for the desktop and its compiler, both from PyPI.

They are looked for beside the running interpreter, then on PATH; a test that needs one is skipped
where it is absent (``pip install 'fieldconf[test]'`` brings both).
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What a board finds in /lib.
PACKAGES = ROOT / "microagent"
RUN_PLAIN = ROOT / "tests/microagent/run_plain.py"


def find(command):
    """Return the path of `command`; skip the test where it is not installed."""
    beside = shutil.which(command, path=str(Path(sys.executable).parent))
    path = beside or shutil.which(command)
    if path is None:
        pytest.skip(f"needs {command}: pip install 'fieldconf[test]' brings it")
    return path


def run_micropython(*arguments, options=()):
    """Run MicroPython to its end; return what it wrote, fail with that if its status is not 0."""
    command = [find("micropython"), *options, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output
