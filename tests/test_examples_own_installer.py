"""The sample plug-in: built as a wheel, installed, found by an agent, used by an application."""

import subprocess
import sys
from pathlib import Path

import pytest

from fieldconf_microagent import states
from support.box import Box
from support.commands import fieldconf
from support.waiting import until

EXAMPLE = Path(__file__).parent.parent / "examples" / "own-installer"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Build the wheel from a copy and install it where only this test looks."""
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    copy, site = tmp_path / "source", tmp_path / "site"
    for file in EXAMPLE.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            (copy / file.relative_to(EXAMPLE)).parent.mkdir(parents=True, exist_ok=True)
            (copy / file.relative_to(EXAMPLE)).write_bytes(file.read_bytes())
    subprocess.run([*pip, "wheel", "--no-deps", "-w", tmp_path, copy], check=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "-t", site, wheel], check=True, timeout=100)
    monkeypatch.syspath_prepend(site)


@pytest.fixture
def box(tmp_path, installed):
    box = Box(tmp_path).up()
    yield box
    box.close()


def logs(box):
    return fieldconf(box.data, "logs", "/box/ledger")[1]


def test_an_application_uses_an_installer_of_a_third_party(box):
    status, out, err = fieldconf(box.data, "deploy", EXAMPLE / "ledger")
    assert status == 0, out + err
    told = box.ask("status", app="ledger")
    (node,) = told["nodes"]
    ledger = {one["path"]: one for one in told["applications"][0]["instances"]}["/box/ledger"]

    assert "sqlite" in node["installers"]
    assert ledger["state"] == states.STARTED
    until(lambda: "start\tO'Hara" in logs(box))

    status, out, err = fieldconf(box.data, "stop", "/box/ledger")
    assert status == 0, out + err
    until(lambda: "stop\tO'Hara" in logs(box))
