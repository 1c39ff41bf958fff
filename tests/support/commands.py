"""The command line as a user runs it, in processes of their own, or in this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fieldconf_coordinator.cli import main as cli

ROOT = Path(__file__).parents[2]
# The packages need not be installed; where they are, this is the same code.
_BOOT = (
    "import sys; sys.path[:0] = sys.argv.pop(1).split(':'); "
    "from fieldconf_coordinator.cli.entry import main; main()"
)
_PARTS = ("coordinator", "microagent", "dsl", "targets", "firmware-images")
_PATHS = ":".join(str(ROOT / part) for part in _PARTS)


def command(*arguments):
    """Return the command line of ``fieldconf`` with these arguments."""
    return [sys.executable, "-c", _BOOT, _PATHS, *map(str, arguments)]


def environment(data):
    """Return an environment that names the data folder."""
    return {**os.environ, "FIELDCONF_DATA": str(data)}


def fieldconf(data, *arguments, timeout_s=90):
    """Run ``fieldconf`` to its end; return exit status, output and error output."""
    done = subprocess.run(
        command(*arguments),
        env=environment(data),
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )
    return done.returncode, done.stdout, done.stderr


def begin(data, *arguments):
    """Start ``fieldconf`` and return the process; its output is read as text."""
    return subprocess.Popen(
        command(*arguments),
        env=environment(data),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_below(folder):
    """Return the command lines of processes that work for nodes or brokers below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            if str(folder).encode() in words and int(entry.name) != os.getpid():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (OSError, ValueError):
            continue
    return found


def in_process(monkeypatch, capsys):
    """Return what runs the command line in this process, and gives status, output and errors."""

    def run(*arguments, **variables):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["fieldconf", *map(str, arguments)])
            for name, value in variables.items():
                patch.setenv(name, str(value))
            with pytest.raises(SystemExit) as caught:
                cli.main()
        told = capsys.readouterr()
        return caught.value.code, told.out, told.err

    return run
