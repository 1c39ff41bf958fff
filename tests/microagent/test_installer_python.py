"""Python recipes in processes of their own."""

import pytest


def test_a_python_recipe_is_called_with_the_instance(recipe):
    recipe.write(
        "recipe.py",
        "import os, helper\n"
        "def update(instance):\n"
        "    instance.log(helper.WORD)\n"
        "    for path, values in instance.imports['Data']:\n"
        "        print(path, values['port'], instance.changed['added'] == instance.imports)\n"
        "    print(os.getcwd() == instance.recipe_dir, os.path.isdir(instance.data_dir))\n",
    )
    recipe.write("helper.py", "WORD = 'beside'\n")
    imports = {"Data": [["/vm2/data", {"port": "7"}]]}

    outcome = recipe.run(
        "update",
        installer="python",
        imports=imports,
        changed={"added": imports, "removed": {}, "changed": {}},
    )

    assert outcome == ("done", "")
    assert recipe.log() == b"beside\n/vm2/data 7 True\nTrue True\n"
    assert not (recipe.folder / "__pycache__").exists()


def test_a_python_step_without_function_is_absent(recipe):
    recipe.write("recipe.py", "def start(instance):\n    pass\n")

    assert recipe.run("start", installer="python") == ("done", "")
    assert recipe.run("stop", installer="python") == ("absent", "")


def test_an_async_step_runs_to_its_end(recipe):
    recipe.write(
        "recipe.py",
        "import asyncio\nasync def start(i):\n    await asyncio.sleep(0.01)\n    i.log('slept')\n",
    )

    assert recipe.run(installer="python") == ("done", "")
    assert recipe.log() == b"slept\n"


def test_an_exception_shows_the_recipes_lines(recipe):
    recipe.write("recipe.py", "def start(instance):\n    raise KeyError('no port')\n")

    outcome, detail = recipe.run(installer="python")

    assert outcome == "failed"
    assert "recipe.py" in detail and "line 2" in detail
    assert detail.endswith("KeyError: 'no port'")
    assert "python_step.py" not in detail


@pytest.mark.parametrize("code", ["100", "'words'", "7"])
def test_sys_exit_is_a_failure_and_not_an_absence(recipe, code):
    recipe.write("recipe.py", f"import sys\ndef start(instance):\n    sys.exit({code})\n")

    outcome, detail = recipe.run(installer="python")

    assert outcome == "failed"
    assert f"sys.exit({code})" in detail


def test_a_python_recipe_takes_values_of_any_length(recipe):
    recipe.write("recipe.py", "def start(instance):\n    print(len(instance.exports['big']))\n")

    assert recipe.run(installer="python", exports={"big": "x" * 1_000_000}) == ("done", "")
    assert recipe.log() == b"1000000\n"
