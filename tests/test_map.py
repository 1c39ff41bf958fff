"""Who may import whom, and what is installed: the map that the README draws."""

import ast
import configparser
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "dsl": set(),
    "microagent": set(),
    "firmware_images": {"microagent"},
    "targets": {"microagent", "firmware_images"},
    "coordinator": {"dsl", "microagent", "targets", "firmware_images", "examples"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_package_imports_only_those_below_it(part):
    ours = set()
    for path in (ROOT / part.replace("_", "-") / f"fieldconf_{part}").rglob("*.py"):
        for name in imports(path):
            if name.startswith("fieldconf_"):
                ours.add(name.split(".")[0].removeprefix("fieldconf_"))

    assert ours <= MAY_IMPORT[part] | {part}


@pytest.mark.parametrize(
    "core",
    [
        "dsl/fieldconf_dsl/parser.py",
        "microagent/fieldconf_microagent/agent.py",
        "microagent/fieldconf_microagent/tree.py",
        "microagent/fieldconf_microagent/imports.py",
        "microagent/fieldconf_microagent/serial_frames.py",
        "targets/fieldconf_targets/bridge_text.py",
        *sorted(
            str(path.relative_to(ROOT))
            for path in (ROOT / "coordinator/fieldconf_coordinator/core").glob("*.py")
        ),
        "firmware-images/fieldconf_firmware_images/board_schema.py",
        "firmware-images/fieldconf_firmware_images/uf2.py",
        "firmware-images/fieldconf_firmware_images/esp.py",
        "firmware-images/fieldconf_firmware_images/romfs_image.py",
    ],
)
def test_a_core_module_does_no_io(core):
    forbidden = {"socket", "os", "pathlib", "threading", "subprocess", "time", "io", "select"}

    assert not forbidden & {name.split(".")[0] for name in imports(ROOT / core)}


def declared():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return {name for name in config["options"]["packages"].split() if name}


def test_every_package_is_declared():
    found = set()
    for init in ROOT.glob("*/fieldconf_*/**/__init__.py"):
        folder = init.parent
        parts = folder.relative_to(ROOT).parts
        if parts[0] not in ("tests", "build"):
            found.add(".".join(parts[1:]))

    assert found <= declared()


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(tmp_path):
    """What works from a checkout but is missing in the wheel fails at the user's."""
    copy = tmp_path / "source"
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    names = files.stdout.split("\0") if files.returncode == 0 else []
    if not names:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if ".venv" not in p.parts]
    for name in filter(None, names):
        source = ROOT / name
        if source.is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes(source.read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, copy],
        check=True, timeout=100,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())

    for package in copy.glob("*/fieldconf_*"):
        for path in package.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{package.name}/{path.relative_to(package).as_posix()}" in inside
    for path in (copy / "examples").glob("*/**/*"):
        if path.is_file():
            relative = path.relative_to(copy / "examples").as_posix()
            assert f"fieldconf_examples/{relative}" in inside
