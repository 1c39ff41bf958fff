"""Nodes whose files lie in a folder: MicroPython on the desktop, Linux set up by cloud-init."""

import io
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from fieldconf_firmware_images import boards, building, linux
from support import brokers, interpreters
from support.hearing import Listener, powered
from support.images import settings

yaml = pytest.importorskip("yaml", reason="needs PyYAML: pip install 'fieldconf[test]' brings it")


@pytest.fixture
def broker(tmp_path):
    with brokers.running("embedded", tmp_path / "broker") as running:
        yield running


@pytest.fixture
def listener(broker):
    listening = Listener(broker.url)
    yield listening
    listening.close()


def user_data(**others):
    image = building.build(boards.load("linux"), settings(**others), package="fieldconf==9.9")
    return image, yaml.safe_load(image.packed)


def test_folder_for_the_desktop_starts_where_it_is_unpacked(agent, broker, listener, tmp_path):
    image = building.build(boards.load("unix"), settings(broker.url))
    folder = tmp_path / "node"
    with tarfile.open(fileobj=io.BytesIO(image.packed)) as archive:
        archive.extractall(folder)

    with powered([interpreters.find("micropython"), "main.py"], folder):
        listener.hear(1, 1, True)


def test_user_data_is_what_cloud_init_reads():
    image, document = user_data()

    assert image.packed.startswith(b"#cloud-config\n")
    assert document["packages"] == ["python3-venv"] and document["package_update"] is True
    modes = {one["path"]: one["permissions"] for one in document["write_files"]}
    assert modes == {"/var/lib/fieldconf/settings.json": "0600", linux.UNIT: "0644"}
    assert ["/opt/fieldconf/bin/pip", "install", "fieldconf==9.9"] in document["runcmd"]
    assert document["runcmd"][-1][:3] == ["systemctl", "enable", "--now"]


def test_machine_set_up_by_user_data_runs_the_agent(broker, listener, tmp_path, monkeypatch):
    """Its files are written, and its service's command run, under another root."""
    _, document = user_data(broker=broker.url)
    for one in document["write_files"]:
        path = tmp_path / one["path"].lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one["content"])
    unit = (tmp_path / linux.UNIT.lstrip("/")).read_text()
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    python, *rest = shlex.split(line.removeprefix("ExecStart="))
    assert python == "/opt/fieldconf/bin/python"

    assert rest[:2] == ["-m", "fieldconf_microagent"]
    options = [str(tmp_path / one.lstrip("/")) if "/" in one else one for one in rest]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    with powered([sys.executable, *options], tmp_path):
        listener.hear(1, 1, True)


def test_service_is_one_that_systemd_understands(tmp_path):
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("needs systemd-analyze: Debian's package systemd has it")
    unit = tmp_path / Path(linux.UNIT).name
    # It is checked, too, that the program is there.
    text = linux.service("n7").replace("/opt/fieldconf/bin/python", sys.executable)
    unit.write_text(text)

    done = subprocess.run([tool, "verify", unit], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
