"""What can be wrong with a recipe or with what it is told, for installers that need no tool.

Faults that only one installer knows stand with it; what its process may do stands in
`test_runner_process`. Each is told in words, and the runner goes on.
"""

import json
import shutil

import pytest

#: installer: a recipe whose `start` prints what its export `value` is, where it can.
RECIPES = {
    "script": ("scripts/start.py", "import os\nprint(len(os.environ['value']))\n"),
    "python": ("recipe.py", "def start(instance):\n    print(len(instance.exports['value']))\n"),
    "command": ("installer.toml", '[start]\nrun = ["sh", "-c", "echo ${#value}"]\n'),
    "file": ("instructions.properties", "start.1.delete = nothing\n"),
}
INSTALLERS = list(RECIPES)


@pytest.fixture(params=INSTALLERS)
def installer(request, recipe):
    name, text = RECIPES[request.param]
    recipe.write(name, text.replace("${#value}", "${FIELDCONF_STEP}"))
    yield request.param
    # Whatever happened, the next step of another instance runs.
    if recipe.folder.is_dir():
        assert (
            recipe.run(installer=request.param, path="/next", exports={"value": "1"})[0] == "done"
        )
    assert recipe.runner.busy() == 0


def test_a_recipe_whose_folder_is_gone_is_told(recipe, installer):
    shutil.rmtree(recipe.folder)

    outcome, detail = recipe.run(installer=installer, exports={"value": "1"})

    assert (outcome, detail) == ("failed", f"the recipe is gone from this node: {recipe.folder}")


def test_a_recipe_that_is_a_file_is_told(recipe, installer):
    recipe.folder.rename(recipe.folder.with_name("aside"))
    recipe.folder.write_text("no folder")

    assert recipe.run(installer=installer)[0] == "failed"


@pytest.mark.parametrize("folder", ["scripts/start.sh", "recipe.py", "installer.toml"])
def test_a_folder_in_place_of_the_file_does_not_run(recipe, folder):
    name = {"scripts/start.sh": "script", "recipe.py": "python", "installer.toml": "command"}
    (recipe.folder / folder).mkdir(parents=True)

    assert recipe.run(installer=name[folder])[0] in ("absent", "failed")


def test_a_value_of_1_mb_arrives_or_is_told(recipe, installer):
    outcome, detail = recipe.run(installer=installer, exports={"value": "x" * (1 << 20)})

    if installer in ("script", "command"):
        assert outcome == "failed"
        assert "its variables are too long for the system" in detail
        assert "1048576 in value" in detail
        assert len(detail) < 1000
    else:
        assert (outcome, detail) == ("done", "")


def test_imports_of_1_mb_arrive(recipe, installer):
    imports = {"Data": [[f"/vm{i}/data", {"text": "x" * 100}] for i in range(10_000)]}

    started = recipe.run(installer=installer, exports={"value": "1"}, imports=imports)

    assert started == ("done", "")


ODD_NAMES = {
    "my-port": "1",
    "a.b": "2",
    "with blank": "3",
    "naïve": "4",
    "1st": "5",
    "x;rm -rf /": "6",
}


def test_names_that_are_no_shell_names_arrive_and_break_nothing(recipe):
    recipe.write("scripts/start.sh", "echo $my_port $a_b $with_blank $na_ve $x_rm_rf_\n")

    assert recipe.run(exports=ODD_NAMES) == ("done", "")
    assert recipe.log().split() == [b"1", b"2", b"3", b"4", b"6"]


def test_odd_names_arrive_whole_in_python(recipe):
    recipe.write("recipe.py", "import json\ndef start(i):\n    print(json.dumps(i.exports))\n")

    assert recipe.run(installer="python", exports=ODD_NAMES) == ("done", "")
    assert json.loads(recipe.log()) == ODD_NAMES


@pytest.mark.parametrize("name", ["", "a=b", "a\0b"])
def test_names_that_no_system_takes_break_nothing_else(recipe, installer, name):
    outcome, detail = recipe.run(installer=installer, exports={"value": "1", name: "x"})

    assert outcome in ("done", "failed")
    assert outcome == "done" or "cannot run" in detail
