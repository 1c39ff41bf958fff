"""Ansible playbooks: what they are told, where they leave traces, and how failures are told."""

import json
import os

import pytest

from fieldconf_microagent import installer_ansible

needs_ansible = pytest.mark.skipif(
    installer_ansible.INSTALLER.missing() is not None, reason="needs ansible-playbook"
)

PLAY = "- hosts: all\n  gather_facts: false\n  tasks:\n"


def run(recipe, step="start", **changes):
    """Run a step with real Ansible."""
    recipe.start(step, installer="ansible", **{"timeout_ms": 100_000, **changes})
    return recipe.end_of(within=100)


def told(**changes):
    request = {
        "path": "/vm1/web",
        "name": "web",
        "component": "Web",
        "application": "shop",
        "step": "start",
        "recipe_dir": "/recipe",
        "exports": {"port": "80"},
        "ancestors": [["VM", {"ip": "10.0.0.7"}]],
        "imports": {"Data": [["/vm2/data", {"ip": "10.0.0.8"}]], "None": []},
        "changed": None,
    }
    return plain(installer_ansible.told({**request, **changes}, "/data"))


def plain(value):
    """Return a value without the marks on its texts, each of which has one."""
    assert not isinstance(value, str), "this text could be taken for a template"
    if isinstance(value, dict) and list(value) == ["__ansible_unsafe"]:
        return value["__ansible_unsafe"]
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value


# What it is told


def test_exports_imports_and_the_instances_above_are_told():
    seen = told()

    assert seen["exports"] == {"port": "80"}
    data = {"path": "/vm2/data", "name": "data", "ip": "10.0.0.8"}
    assert seen["imports"] == {"Data": [data], "None": []}
    assert seen["ancestors"] == [{"component": "VM", "exports": {"ip": "10.0.0.7"}}]
    assert seen["changed"] is None
    assert seen["meta"]["instance_path"] == "/vm1/web"
    assert seen["meta"]["data_dir"] == "/data"


def test_an_update_is_told_what_changed():
    changed = {"added": {"Data": [["/a/b", {"ip": "1"}]]}, "removed": {}, "changed": {}}

    seen = told(step="update", changed=changed)

    assert seen["changed"] == {
        "added": {"Data": [{"path": "/a/b", "name": "b", "ip": "1"}]},
        "removed": {},
        "changed": {},
    }


# How it is run


def command(recipe, step="start"):
    request = {"recipe_dir": str(recipe.folder), "step": step, "path": "/vm1/web", "name": "web"}
    request |= {"component": "Web", "application": "shop", "exports": {"password": "secret"}}
    request |= {"imports": {}, "ancestors": [], "changed": None, "cause": None}
    data = recipe.folder.parent / "instance"
    data.mkdir()
    return installer_ansible.INSTALLER.command(request, str(data))


def test_values_go_through_a_file_for_the_agent_alone(recipe):
    recipe.write("start.yml", PLAY)

    todo = command(recipe)

    assert os.stat(todo.temporary).st_mode & 0o777 == 0o600
    assert "secret" in open(todo.temporary).read()
    assert not [text for text in [*todo.argv, *todo.env.values()] if "secret" in text]
    assert todo.argv[-1] == str(recipe.folder / "start.yml")


def test_a_step_without_a_playbook_is_absent(recipe):
    recipe.write("start.yml", PLAY)

    assert run(recipe, "stop") == ("absent", "")


def test_a_node_without_ansible_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(installer_ansible.sys, "executable", str(tmp_path / "python"))

    assert installer_ansible.INSTALLER.missing() == (
        "needs ansible-playbook: install ansible-core beside the agent, or the package ansible"
    )


def test_the_program_beside_the_agent_goes_first(monkeypatch, tmp_path):
    for folder in ("path", "venv"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ansible-playbook").write_text("#!/bin/sh\n")
        (tmp_path / folder / "ansible-playbook").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(installer_ansible.sys, "executable", str(tmp_path / "venv" / "python"))

    assert installer_ansible.program() == str(tmp_path / "venv" / "ansible-playbook")
    (tmp_path / "venv" / "ansible-playbook").unlink()
    assert installer_ansible.program() == str(tmp_path / "path" / "ansible-playbook")


def test_of_the_output_the_task_that_failed_is_told():
    output = (
        "PLAY [all] ***\n\nTASK [Fine] ***\nok: [localhost]\n\n"
        "TASK [Broken] ***\nfatal: [localhost]: FAILED! => {}\n\nPLAY RECAP ***\nlocalhost\n"
    )

    assert installer_ansible.INSTALLER.telling(output) == (
        "TASK [Broken] ***\nfatal: [localhost]: FAILED! => {}\n"
    )
    assert installer_ansible.INSTALLER.telling("Killed\n") == "Killed\n"


# With real Ansible

VALUES = {
    "quotes": 'it\'s "so" \\ $x `y`',
    "template": "{{ lookup('pipe', 'echo ran') }} {% raw %} {# no #}",
    "lines": "one\ntwo\r\n",
    "utf8": "é€😀",
    "empty": "",
    "yes": "yes",
    "number": "007",
    "yaml": "- a: !unsafe b",
    "long": "x" * 1_000_000,
}


@needs_ansible
def test_values_arrive_as_they_are_and_nothing_is_left_elsewhere(recipe, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    recipe.write(
        "start.yml",
        PLAY + "    - ansible.builtin.copy:\n"
        "        dest: '{{ fieldconf.meta.data_dir }}/told.json'\n"
        "        content: '{{ fieldconf | to_json }}'\n"
        "    - ansible.builtin.command: echo {{ ansible_connection }}, {{ playbook_dir }}\n"
        '    - ansible.builtin.shell: test "$FIELDCONF_STEP" = start\n',
    )

    ended = run(recipe, exports=VALUES, imports={"Data": [["/a", VALUES]]})

    assert ended == ("done", ""), recipe.log()
    data = recipe.data_root / "vm1+web"
    seen = json.loads((data / "told.json").read_text())
    assert seen["exports"] == VALUES
    assert seen["imports"] == {"Data": [{"path": "/a", "name": "a", **VALUES}]}
    assert list(home.iterdir()) == []
    assert [file for file in data.rglob("*") if file.is_file()] == [data / "told.json"]
    assert [file.name for file in recipe.folder.rglob("*")] == ["start.yml"]
    assert b"\x1b[" not in recipe.log()


@needs_ansible
def test_a_failure_tells_the_task_and_its_message(recipe):
    recipe.write(
        "start.yml",
        PLAY + "    - name: Go well\n      ansible.builtin.debug:\n"
        "    - name: Ask the impossible\n"
        "      ansible.builtin.fail: msg='there is no room for {{ fieldconf.exports.port }}'\n",
    )

    outcome, detail = run(recipe)

    assert outcome == "failed"
    assert detail.startswith("a task failed (exit status 2)\nTASK [Ask the impossible]")
    assert "there is no room for 10000" in detail
    assert "TASK [Go well]" not in detail and "RECAP" not in detail


@needs_ansible
def test_a_playbook_that_is_none_is_told_with_its_line(recipe):
    recipe.write("start.yml", "- hosts: all\n  tasks:\n   - a: b\n  - c\n")

    outcome, detail = run(recipe)

    assert outcome == "failed"
    assert detail.startswith("Ansible cannot read the playbook (exit status 4)\n")
    assert "start.yml:4:3" in detail


@needs_ansible
def test_a_preview_tells_and_changes_nothing(recipe, tmp_path):
    file = tmp_path / "made"
    recipe.write(
        "start.yml",
        PLAY + f"    - ansible.builtin.copy: dest={file} content={{{{ fieldconf.exports.port }}}}\n"
        "    - ansible.builtin.copy:\n"
        "        src: '{{ fieldconf.meta.rendered_dir }}/list'\n"
        f"        dest: {file}\n",
    )
    recipe.write("list.mustache", "port {{port}}\n")
    data = recipe.data_root / "vm1+web"
    (data / "rendered").mkdir(parents=True)
    (data / "rendered" / "list").write_text("in use\n")

    outcome, detail = run(recipe, preview=True)

    assert outcome == "done"
    assert "+10000" in detail and "+port 10000" in detail
    assert not file.exists()
    assert (data / "rendered" / "list").read_text() == "in use\n"
    assert {one.name for one in data.iterdir()} == {"rendered", ".ansible"}
    *printed, last = recipe.runner.logs()
    assert {step for _, step, _ in [*printed, last]} == {"preview start"}
    assert last[2] == b"preview: done\n"
