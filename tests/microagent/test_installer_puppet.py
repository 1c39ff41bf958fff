"""Puppet recipes: which class is applied, what arrives, and how failures are told."""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from fieldconf_microagent import installer_puppet
from fieldconf_microagent.installer import StepError
from support import waiting
from support.recipes import lives, pid_in

needs_puppet = pytest.mark.skipif(
    installer_puppet.INSTALLER.missing() is not None, reason="needs puppet"
)

MODULE = "roboconf_web/manifests/"


def run(recipe, step, **changes):
    """Run a step with real Puppet."""
    given = {"installer": "puppet", "exports": {}, "imports": {}, "timeout_ms": 100_000}
    recipe.start(step, **{**given, **changes})
    return recipe.end_of(within=100)


# Which class


@pytest.mark.parametrize(
    ("manifests", "step", "chosen"),
    [
        (["init", "start"], "start", "roboconf_web::start"),
        (["init", "start"], "stop", "roboconf_web"),
        (["start"], "stop", None),
        (["init"], "check", None),
        (["init"], "upgrade", None),
        (["init", "check"], "check", "roboconf_web::check"),
    ],
    ids=["its own", "init", "none", "no check", "no upgrade", "its own check"],
)
def test_class_of_a_step(recipe, manifests, step, chosen):
    for name in manifests:
        recipe.write(f"{MODULE}{name}.pp", "")

    assert installer_puppet.class_of(str(recipe.folder), step) == chosen


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        ([], "a recipe has one folder roboconf_<name>, and it has none"),
        (["roboconf_a", "Roboconf_b", "stdlib"], "and it has Roboconf_b, roboconf_a"),
    ],
    ids=["none", "two"],
)
def test_a_recipe_without_its_one_module_is_refused(recipe, folders, told):
    for name in folders:
        recipe.write(f"{name}/manifests/init.pp", "")

    with pytest.raises(StepError, match=told):
        installer_puppet.class_of(str(recipe.folder), "start")


def test_a_module_may_have_the_name_of_this_project(recipe):
    recipe.write("fieldconf_web/manifests/init.pp", "")
    recipe.write("stdlib/manifests/init.pp", "")

    assert installer_puppet.class_of(str(recipe.folder), "start") == "fieldconf_web"


def test_a_node_without_puppet_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(installer_puppet, "_VENDORS", str(tmp_path))

    told = installer_puppet.INSTALLER.missing()

    assert told == "needs puppet: install the package puppet-agent"


def command(recipe, data):
    recipe.write(MODULE + "init.pp", "class roboconf_web($runningState) { notify { 'hello': } }")
    request = {"recipe_dir": str(recipe.folder), "step": "start", "exports": {}, "imports": {}}
    request |= {"path": "/web", "name": "web", "component": "Web", "application": "shop"}
    return installer_puppet.INSTALLER.command(request, str(data))


def test_an_agent_without_a_home_gives_puppet_one(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert command(recipe, tmp_path).env["HOME"] == str(tmp_path)

    monkeypatch.setenv("HOME", "/nonexistent")
    assert command(recipe, tmp_path).env["HOME"] == str(tmp_path / ".puppet")


def test_exit_statuses_are_told_in_words(recipe, tmp_path):
    todo = command(recipe, tmp_path)

    outcomes = {status: installer_puppet.INSTALLER.outcome(todo, status) for status in range(7)}
    assert outcomes[0] == outcomes[2] == ("done", "")
    assert outcomes[1] == ("failed", "Puppet could not begin (exit status 1)")
    assert outcomes[3] == ("failed", "exit status 3")
    assert outcomes[4] == ("failed", "Puppet failed in part (exit status 4)")
    assert outcomes[6][0] == "failed"
    # What it is told may be secret.
    assert os.stat(todo.temporary).st_mode & 0o777 == 0o600


def test_puppet_of_its_own_packages_is_found_too(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(installer_puppet, "_VENDORS", str(tmp_path))
    (tmp_path / "puppet").write_text("#!/bin/sh\n")
    (tmp_path / "puppet").chmod(0o755)

    assert installer_puppet.INSTALLER.missing() is None


def test_of_the_output_only_errors_are_told():
    output = "Info: a\nError: one\nNotice: b\nError: Facter: no\nError: two\nNotice: c\n"

    assert installer_puppet.INSTALLER.telling(output) == "Error: one\nError: two"
    assert installer_puppet.INSTALLER.telling("Killed\n") == "Killed\n"


# With real Puppet

VALUES = [
    "it's",
    "\\",
    "\\'",
    "ends with \\",
    "$x ${y} ${facts['os']} %{::z} @{a} <%= b %>",
    '"double" `back`',
    "line\nline\r\nline\n",
    "\ttab\x00nul\x1b\x7f",
    "{} [] {'a' => 1}, ; # /* */ //",
    "é€😀\u2028\ufeff",
    "undef",
    "true",
    "007",
    "x" * 1_000_000 + "'\\\n",
]

WRITES = """\
class roboconf_web($runningState, $value = 'default', $empty = 'default', $data, $none = 'x') {
  $path = $facts['fieldconf_instance_path']
  file { '%(out)s/value': content => "${runningState} ${value} ${empty} ${none} ${path}" }
  $data.each |$at, $values| {
    file { "%(out)s${at}": content => $values['text'], show_diff => false }
  }
}
"""

TELLS = """\
class roboconf_web::update($runningState, $data, $importDiff) {
  $told = "${runningState} ${data} ${importDiff['component']} ${importDiff['added']}"
  file { '%(out)s/update': content => "${told} ${importDiff['removed']}" }
}
"""


@needs_puppet
def test_values_arrive_as_they_are(recipe, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    recipe.write(MODULE + "init.pp", WRITES % {"out": out})
    imports = {
        "Data": [[f"/{number}", {"text": text}] for number, text in enumerate(VALUES)],
        "None": [],
    }

    ended = run(recipe, "start", exports={"value": "a'b", "empty": ""}, imports=imports)

    assert ended == ("done", ""), recipe.log()
    assert (out / "value").read_text() == "running a'b default x /vm1/web"
    arrived = [(out / str(number)).read_bytes().decode() for number in range(len(VALUES))]
    assert [one[:100] for one in arrived] == [one[:100] for one in VALUES]
    assert arrived == VALUES
    # Nothing is left of what may be secret, and the recipe is as it was.
    assert not [file for file in recipe.data_root.rglob("*.pp")]
    assert [file.name for file in recipe.folder.rglob("*") if file.is_file()] == ["init.pp"]


@needs_puppet
def test_an_update_is_told_what_changed(recipe, tmp_path):
    recipe.write(MODULE + "update.pp", TELLS % {"out": tmp_path})
    imports = {"Data": [["/b", {"ip": "2"}]]}
    changed = {"added": imports, "removed": {"Data": [["/a", {"ip": "1"}]]}, "changed": {}}

    ended = run(recipe, "update", imports=imports, changed=changed)

    assert ended == ("done", ""), recipe.log()
    assert (tmp_path / "update").read_text() == (
        " {/b => {ip => 2}} Data {/b => {ip => 2}} {/a => {ip => 1}}"
    )


@needs_puppet
def test_a_failure_tells_the_errors_not_what_came_after(recipe, tmp_path):
    recipe.write(
        MODULE + "start.pp",
        f"""\
class roboconf_web::start($runningState) {{
  file {{ '{tmp_path}/done': content => 'x' }}
  -> exec {{ '/bin/sh -c "echo it is broken; exit 3"': }}
  -> notify {{ ['one', 'two']: }}
}}
""",
    )

    outcome, detail = run(recipe, "start")

    assert outcome == "failed"
    first, *errors = detail.splitlines()
    assert first == "Puppet changed something and failed in part (exit status 6)"
    assert errors and all(line.startswith("Error: ") for line in errors)
    assert "returned 3 instead of one of [0]" in detail
    assert b"it is broken" in recipe.log()


@needs_puppet
def test_a_syntax_error_is_told_with_its_place(recipe):
    recipe.write(
        MODULE + "init.pp", "class roboconf_web($runningState) {\n  file { '/x' ensure }\n}"
    )

    outcome, detail = run(recipe, "deploy")

    assert outcome == "failed"
    assert "Syntax error at 'ensure'" in detail
    assert "(file: roboconf_web/manifests/init.pp, line: 2, column: 15)" in detail


@needs_puppet
def test_a_module_that_cannot_be_had_is_told(recipe):
    recipe.write("modules.properties", "fieldconf-there_is_no_such_module = 1.0.0\n")
    recipe.write(MODULE + "init.pp", "class roboconf_web($runningState) { notify { 'ran': } }")

    outcome, detail = run(recipe, "deploy")

    assert outcome == "failed"
    assert detail.startswith("Puppet modules are missing\n")
    assert "cannot find the Puppet module fieldconf-there_is_no_such_module 1.0.0; run" in detail
    assert b"ran" not in recipe.log()


@needs_puppet
def test_modules_may_lie_in_the_recipe(recipe):
    recipe.write("modules.properties", "acme-greeting = 1.x\n")
    about = {"name": "acme-greeting", "version": "1.2.0", "author": "acme", "source": "here"}
    about |= {"summary": "", "license": "", "dependencies": []}
    recipe.write("greeting/metadata.json", json.dumps(about))
    recipe.write("greeting/manifests/init.pp", "class greeting { notify { 'hello': } }")
    recipe.write(MODULE + "init.pp", "class roboconf_web($runningState) { include greeting }")

    assert run(recipe, "deploy") == ("done", ""), recipe.log()
    assert b"hello" in recipe.log()


@needs_puppet
def test_a_preview_tells_and_changes_nothing(recipe, tmp_path):
    file = tmp_path / "made"
    recipe.write(
        MODULE + "init.pp",
        f"class roboconf_web($runningState) {{ file {{ '{file}': content => $runningState }} }}",
    )

    outcome, detail = run(recipe, "start", preview=True)

    assert outcome == "done"
    assert "should be" in detail and str(file) in detail
    assert not file.exists()


@needs_puppet
def test_a_step_that_is_cancelled_leaves_no_child(recipe, tmp_path):
    pid = tmp_path / "pid"
    recipe.write(
        MODULE + "init.pp",
        f"class roboconf_web($runningState) {{\n"
        f"  exec {{ '/bin/sh -c \"echo $$ > {pid}; sleep 300\"': timeout => 0 }}\n}}",
    )
    recipe.start("start", installer="puppet", exports={}, imports={}, timeout_ms=100_000)
    child = pid_in(pid)

    recipe.runner.cancel("/vm1/web")

    assert recipe.end_of()[0] == "cancelled"
    waiting.until(lambda: not lives(child))


@needs_puppet
def test_puppet_runs_for_a_user_without_a_home(recipe, monkeypatch):
    monkeypatch.setenv("HOME", "/nonexistent")
    somebody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    # Everybody may go there, unlike to the folders of tests.
    with tempfile.TemporaryDirectory() as folder:
        recipe.folder = Path(folder, "recipe")
        todo = command(recipe, folder)
        for file in [Path(folder), *Path(folder).rglob("*")]:
            os.chown(file, 65534, 65534) if somebody else None

        done = subprocess.run(
            todo.argv, cwd=todo.cwd, env=todo.env, stdout=subprocess.PIPE, **somebody
        )

        assert done.returncode in todo.good, done.stdout
        assert b"hello" in done.stdout
