"""What the agent on CPython does not import while it looks after its instances, and why not.

What it takes otherwise, and how much of that paho brings along, is in docs/benchmarks.md.
"""

import os
import re
import subprocess
import sys

import pytest

from fieldconf_microagent import states
from support.box import Box
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

#: Module → its memory, with what it brings along, and why the agent at rest can do without.
HEAVY = {
    "asyncio": "2.5 MB; the loop is a poll, and recipes have processes of their own",
    "importlib.metadata": "1.0 MB; asked only where an installer of a third party is installed",
    "sqlite3": "1.0 MB; the state is one file",
    "dataclasses": "0.9 MB; a plain class or a NamedTuple does",
    "inspect": "0.8 MB; nothing here needs to look at its own code",
    "http.server": "0.8 MB; the agent listens to nobody",
    "multiprocessing": "0.6 MB; steps are processes of other programs",
    "xml": "0.6 MB; nothing here is XML",
    "zipfile": "0.5 MB; recipes come file by file",
    "argparse": "0.4 MB; there is one option",
    "tarfile": "0.4 MB; as zipfile",
    "ctypes": "0.4 MB; the system is asked through os and /proc",
    "ast": "0.4 MB; steps are run, not read",
    "configparser": "0.2 MB; settings are JSON",
    "pathlib": "0.2 MB; os.path does, and boards have nothing else",
    "concurrent": "0.1 MB; one thread watches all steps",
    "tomllib": "0.1 MB; read when a step of the installer `command` is due",
    "fieldconf_microagent.file_step": "0.6 MB; runs in a process of its own",
    "fieldconf_microagent.mustache": "only where a recipe has a template",
    "fieldconf_microagent.mqtt": "the client of boards",
    "fieldconf_microagent.runner_inline": "the runner of boards",
}
_LINE = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")


def imported(log):
    """Return the modules that Python told to have imported."""
    return set(_LINE.findall(log))


@pytest.fixture
def agents(tmp_path, monkeypatch):
    """A box whose agents tell in their logs what they import."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    box = Box(tmp_path)
    try:
        yield box.up()
    finally:
        box.close()


def test_an_agent_at_rest_has_not_imported_what_is_heavy(agents):
    agents.deploy()
    agents.until_state("/web-vm/web", states.STARTED)
    agents.deploy(value=6000)
    until(lambda: "update 6000" in agents.entries("/web-vm/web"), 30)
    logs = [log.read_text() for log in agents.data.glob("nodes/local/*/agent.log")]
    found = set.union(*map(imported, logs))

    assert len(logs) == 2
    assert {"fieldconf_microagent.wants", "subprocess", "paho.mqtt.client"} <= found
    # What others bring along is not ours to leave out.
    ours = found - imported_by("paho.mqtt.client, msgpack")
    assert not {
        f"{name}: {why}"
        for name, why in HEAVY.items()
        if any(one == name or one.startswith(name + ".") for one in ours)
    }


def imported_by(modules):
    """Return what importing these modules, and the start of Python itself, imports."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {modules}"],
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return imported(done.stderr)
