"""Simulated steps: nothing of a recipe runs, and all that it would be told is written down."""

import json

import pytest

from fieldconf_microagent import installer_recorder


def recorded(recipe):
    file = recipe.data_root / "vm1+web" / installer_recorder.FILE
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize("installer", ["script", "python", "puppet", "of-a-stranger"])
def test_a_simulated_step_runs_nothing_whatever_its_installer(recipe, installer):
    recipe.write("scripts/start.sh", 'touch "$FIELDCONF_DATA_DIR/ran"\n')
    recipe.write("recipe.py", "def start(instance):\n    open('/ran', 'w')\n")

    assert recipe.run(installer=installer, simulate=True) == ("done", "")

    assert recipe.log() == f"simulated start /vm1/web ({installer})\n".encode()
    assert [file.name for file in (recipe.data_root / "vm1+web").iterdir()] == ["simulated.jsonl"]


def test_what_a_recipe_would_be_told_is_written_down(recipe):
    imports = {"Data": [["/vm2/data", {"port": "'7'\nä"}]]}
    changed = {"added": imports, "removed": {}, "changed": {}}

    recipe.run("start", installer="puppet", simulate=True, recipe_dir=None)
    recipe.run("update", installer="puppet", simulate=True, imports=imports, changed=changed)

    start, update = recorded(recipe)
    assert (start["step"], start["imports"], start["exports"]) == (
        "start",
        {"Data": []},
        {"port": "10000"},
    )
    assert (update["step"], update["imports"], update["changed"]) == ("update", imports, changed)


def test_templates_are_rendered_so_that_their_slips_show(recipe):
    recipe.write("app.conf.mustache", "{{#Data}}")

    assert "section Data is not closed" in recipe.run(simulate=True)[1]


@pytest.mark.parametrize("step", ["check", "upgrade"])
def test_check_and_upgrade_are_absent(recipe, step):
    assert recipe.run(step, simulate=True) == ("absent", "")


def test_the_record_does_not_grow_without_bound(recipe, monkeypatch):
    monkeypatch.setattr(installer_recorder, "_MOST_BYTES", 1000)
    for _ in range(20):
        recipe.run(simulate=True)

    sizes = [file.stat().st_size for file in (recipe.data_root / "vm1+web").iterdir()]
    assert len(sizes) == 2
    assert max(sizes) < 1500
