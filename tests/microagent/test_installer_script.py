"""Scripts: which file is run, by what, and what it is told."""

import json
import sys
from pathlib import Path

import pytest

from support.recipes import Recipe

# Which file is run, and by what


@pytest.mark.parametrize(
    ("files", "step", "runs"),
    [
        (["start.sh", "start.py", "start-all.sh"], "start", "start.sh"),
        (["start-all.sh", "start.py"], "start", "start.py"),
        (["stop-all.sh", "stop-zoo.sh"], "stop", "stop-all.sh"),
        (["stop.py~", ".stop.sh", "stop.conf.mustache"], "stop", None),
        (["checksum.sh"], "check", None),
        (["check.py"], "check", "check.py"),
    ],
    ids=["name.sh first", "exact stem", "by beginning", "no backups", "check is exact", "check"],
)
def test_script_lookup(recipe, files, step, runs):
    for name in files:
        text = f"print({name!r})\n" if name.endswith(".py") else f"echo {name}\n"
        recipe.write("scripts/" + name, text)

    # update, unlike start, renders no template
    outcome, _ = recipe.run(step, installer="script")

    assert outcome == ("done" if runs else "absent")
    assert recipe.log().decode().strip() == (runs or "")


def test_the_first_line_names_the_interpreter_without_a_run_bit(recipe):
    recipe.write("scripts/start.anything", "#!/usr/bin/env python3\nprint('python')\n")

    assert recipe.run() == ("done", "")
    assert recipe.log() == b"python\n"


def test_a_file_with_a_run_bit_is_run_as_it_is(recipe):
    with open("/bin/true", "rb") as program:
        recipe.write("scripts/start", program.read(), 0o755)

    assert recipe.run() == ("done", "")


def test_a_file_that_cannot_be_run_says_why(recipe):
    recipe.write("scripts/start.rb", "puts 1\n")

    outcome, detail = recipe.run()

    assert outcome == "failed"
    assert detail.startswith("cannot run scripts/start.rb: it has no run bit")


def test_a_missing_interpreter_is_named(recipe):
    recipe.write("scripts/start", "#!/opt/none/ruby\n")

    outcome, detail = recipe.run()

    assert outcome == "failed"
    assert "there is no /opt/none/ruby on this machine" in detail


def test_windows_line_ends_are_explained(recipe):
    recipe.write("scripts/start.sh", "#!/bin/sh\r\necho hello\r\n")

    outcome, detail = recipe.run()

    assert outcome == "failed"
    assert "scripts/start.sh" in detail and "Windows" in detail


def test_the_script_runs_in_its_folder(recipe):
    recipe.write("scripts/start.sh", "cat words\n")
    recipe.write("scripts/words", "beside me")

    assert recipe.run() == ("done", "")
    assert recipe.log() == b"beside me"


# What a script is told


def told(recipe, step="start", **changes):
    recipe.write(f"scripts/{step}.py", "import json, os\nprint(json.dumps(dict(os.environ)))\n")
    assert recipe.run(step, **changes) == ("done", "")
    return json.loads(recipe.log())


def test_environment_holds_the_step_and_little_else(recipe, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_AGENT", "x")
    monkeypatch.setenv("LANG", "C.UTF-8")

    env = told(recipe)

    assert env["port"] == "10000"
    assert env["ANCESTOR_VM_ip"] == "10.0.0.7"
    assert env["Data_size"] == "0"
    assert env["FIELDCONF_PYTHON"] == sys.executable
    assert env["FIELDCONF_DATA_DIR"] == recipe.runner.data_dir("/vm1/web")
    assert env["LANG"] == "C.UTF-8"
    assert "SECRET_OF_THE_AGENT" not in env


def test_a_value_too_long_for_the_system_is_a_failure_in_words(recipe):
    recipe.write("scripts/start.sh", "true\n")

    outcome, detail = recipe.run(exports={"big": "x" * 1_000_000})

    assert outcome == "failed"
    assert "1000000 in big" in detail


def test_a_value_with_a_null_is_a_failure(recipe):
    recipe.write("scripts/start.sh", "true\n")

    assert recipe.run(exports={"bad": "a\0b"})[0] == "failed"


def test_very_many_changes_come_in_a_file(recipe):
    added = {"Data": [[f"/vm{i}/data", {"port": str(i)}] for i in range(6000)]}
    changed = {"added": added, "removed": {}, "changed": {}}

    env = told(recipe, "update", changed=changed)

    assert env["FIELDCONF_CHANGED"].startswith("@")
    with open(env["FIELDCONF_CHANGED"][1:]) as file:
        assert json.load(file) == changed


def test_templates_are_rendered_before_the_script_runs(recipe):
    recipe.write("list.mustache", "{{#Data}}{{path}}{{/Data}}")
    recipe.write("scripts/update.sh", 'cat "$FIELDCONF_RENDERED_DIR/list"\n')

    assert recipe.run("update", imports={"Data": [["/vm2/data", {}]]}) == ("done", "")
    assert recipe.log() == b"/vm2/data"


def test_a_template_that_is_not_well_formed_is_a_failure_in_words(recipe):
    recipe.write("list.mustache", "{{#Data}}")
    recipe.write("scripts/start.sh", "true\n")

    outcome, detail = recipe.run()

    assert outcome == "failed"
    assert detail.startswith("cannot render list.mustache: ")
    assert "section Data is not closed" in detail


@pytest.mark.parametrize("step", ["deploy", "stop"])
def test_a_script_may_be_a_template(recipe, step):
    recipe.write("roboconf-templates/stop.template", "echo stop {{FIELDCONF_INSTANCE_NAME}}\n")
    recipe.write("roboconf-templates/default.template", "#!/bin/sh\necho other {{port}}\n")

    assert recipe.run(step) == ("done", "")
    assert recipe.log() == {"deploy": b"other 10000\n", "stop": b"stop web\n"}[step]
    assert list((recipe.data_root / "vm1+web").iterdir()) == []


def test_the_default_template_is_for_roboconfs_steps_only(recipe):
    recipe.write("roboconf-templates/default.template", "true\n")

    assert recipe.run("check") == ("absent", "")


def test_folders_may_be_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = Recipe(Path())
    recipe.write("scripts/start.sh", 'touch "$FIELDCONF_DATA_DIR/here"\n')
    recipe.write("recipe.py", "def start(i):\n    open(i.data_dir + '/there', 'w').close()\n")
    try:
        assert recipe.run() == ("done", "")
        assert recipe.run(installer="python") == ("done", "")
    finally:
        recipe.runner.close()

    assert {each.name for each in (tmp_path / "data/vm1+web").iterdir()} == {"here", "there"}
