"""`fieldconf check` and `deploy` read recipes as agents do."""

import pytest

from fieldconf_coordinator.service import advice
from fieldconf_dsl import files

GRAPH = """
VM {
    installer: target;
    children: App, Other;
}
App {
    installer: %s;
}
Other {
    extends: App;
}
"""


@pytest.fixture
def problems(tmp_path):
    """Return what is told of a recipe with this file."""
    for name in ("descriptor", "graph/App/files", "graph/App/scripts", "instances"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "graph/App/files/x").write_text("x")
    (tmp_path / "descriptor/application.properties").write_text(
        "name = shop\nversion = 1.0\ndsl-id = roboconf-1.0\n"
        "graph-entry-point = main.graph\ninstance-entry-point = main.instances\n"
    )
    (tmp_path / "instances/main.instances").write_text(
        "instance of VM {\n  name: vm;\n  instance of App {\n    name: app;\n  }\n}\n"
    )

    def told(installer, file, text):
        (tmp_path / "graph/main.graph").write_text(GRAPH % installer)
        if text is not None:
            (tmp_path / "graph/App" / file).parent.mkdir(exist_ok=True)
            (tmp_path / "graph/App" / file).write_bytes(text)
        found = advice.problems_of([tmp_path])
        return [(one.code, one.file, one.message) for one in found]

    return told


@pytest.mark.parametrize(
    ("installer", "file", "text"),
    [
        ("file", "instructions.properties", b"deploy.1.copy = files/x -> x\n"),
        ("command", "installer.toml", b'[start]\nrun = ["x"]\n'),
        ("script", "installer.toml", b"rubbish"),
        ("script", "roboconf-templates/start.template", b"echo {{ip}}"),
        ("script", "conf.mustache", b"{{#Web}}{{ip}}{{/Web}}"),
        ("script", "scripts/start.py", b"print(1)\r\nprint(2)\r\n"),
        ("script", "files/check.json", b"{}"),
        ("python", "recipe.py", b"async def start(i):\n    pass\ndef stop(i):\n    pass\n"),
        ("python", "recipe.py", b"from common import *\ndef stop(i):\n    pass\n"),
        ("python", "recipe.py", b"def strat(i): pass\ndef start(i):\n    strat(i)\n"),
        ("python", "recipe.py", b"try:\n    from a import start\nexcept ImportError: pass\n"),
    ],
)
def test_a_good_recipe_is_passed_over(problems, installer, file, text):
    assert problems(installer, file, text) == []


@pytest.mark.parametrize(
    ("installer", "file", "text", "said"),
    [
        ("file", "instructions.properties", b"x\ndeploy.1.remove = x", "line 1: expected <step>"),
        ("file", "instructions.properties", b"deploy.1.remove = x", "unknown action 'remove'"),
        ("file", "instructions.properties", None, "the recipe lacks this file"),
        ("command", "installer.toml", b"[strat]\nrun = ['x']", "'strat' is no step"),
        ("command", "installer.toml", b"\xff", "'utf-8' codec"),
        ("command", "installer.toml", None, "the recipe lacks this file"),
        ("script", "conf/a.mustache", b"x\n{{#Web}", "cannot render it: line 2: tag is not closed"),
        ("script", "scripts/start.sh", b"#!/bin/sh\necho\r\n", "end with \\r\\n (Windows)"),
        ("python", "recipe.py", b"\n  def start(i):\n", "Python says: unexpected indent"),
        ("python", "recipe.py", b"\0", "Python says: source code"),
    ],
)
def test_a_slip_is_told_once_with_its_file(problems, installer, file, text, said):
    ((code, place, message),) = problems(installer, file, text)

    assert (code, place) == ("FC_BAD_RECIPE", f"graph/App/{file}")
    assert said in message


def test_a_download_that_is_not_pinned_is_a_warning(problems):
    ((code, _, message),) = problems(
        "file", "instructions.properties", b"deploy.7.download = http://x/y -> y"
    )

    assert code == "FC_DOWNLOAD_WITHOUT_DIGEST"
    assert message.startswith("deploy.7.download takes whatever is sent")


@pytest.fixture
def of_scripts(problems, tmp_path):
    """Return what is told of a recipe with these scripts."""

    def told(**files):
        for name, text in files.items():
            (tmp_path / "graph/App/scripts" / name.replace("_", ".")).write_text(text)
        return problems("script", "files/x", b"x")

    return told


def test_a_script_that_no_step_runs_is_told_with_the_name_that_was_meant(of_scripts):
    assert of_scripts(strat_sh="sh other.sh") == [
        (
            "FC_UNUSED_SCRIPT",
            "graph/App/scripts/strat.sh",
            "no step runs 'strat.sh' (did you mean 'start.sh'?), and no other file names it",
        )
    ]


def test_a_script_that_cannot_be_read_is_told(of_scripts, monkeypatch):
    real_read = files._read_file

    def read(path):
        if path.name == "start.sh":
            raise PermissionError(13, "Permission denied", str(path))
        return real_read(path)

    monkeypatch.setattr(files, "_read_file", read)

    ((code, place, message),) = of_scripts(start_sh="")

    assert (code, place) == ("FC_BAD_RECIPE", "graph/App")
    assert message.endswith("scripts/start.sh: Permission denied")


def test_a_recipe_that_can_be_stopped_but_not_started_is_told(of_scripts):
    assert of_scripts(stop_sh="", check_sh="") == [
        (
            "FC_NO_START",
            "graph/App",
            "there is a script for stop and check, but none for start; add scripts/start.sh",
        )
    ]


@pytest.mark.parametrize("file", ["start.sh", "script/start.sh", "stop"])
def test_a_script_beside_the_folder_of_scripts_is_told(problems, file):
    name = file.rpartition("/")[2]

    assert problems("script", file, b"echo") == [
        (
            "FC_UNUSED_SCRIPT",
            f"graph/App/{file}",
            f"no step runs it here; move it to graph/App/scripts/{name}",
        )
    ]


def test_a_python_recipe_of_another_name_is_told(problems):
    ((code, place, message),) = problems("python", "Recipe.py", b"def start(i): pass")

    assert (code, place) == ("FC_NO_START", "graph/App")
    assert message.startswith("there is no 'recipe.py' (did you mean 'Recipe.py'?), so no step")


def test_a_function_that_no_step_calls_is_told_with_the_name_that_was_meant(problems):
    found = problems("python", "recipe.py", b"def strat(i):\n  pass\n\ndef stop(i):\n  pass\n")

    assert [(code, message) for code, _, message in found] == [
        (
            "FC_UNUSED_FUNCTION",
            "no step calls 'strat' (did you mean 'start'?), and nothing else does",
        ),
        ("FC_NO_START", "there is a function for stop, but none for start"),
    ]


def test_scripts_that_others_run_and_names_that_begin_with_a_step_are_passed_over(of_scripts):
    assert (
        of_scripts(**{"starting_py": "import common", "stop_sh": ". ./lib.sh", "lib_sh": ""}) == []
    )
