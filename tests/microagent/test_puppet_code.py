"""What a Puppet class is told: names, values, imports, and what changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_microagent import installer_puppet_code as puppet_code


def request(step="start", exports=None, imports=None, **changes):
    return {"step": step, "exports": exports or {}, "imports": imports or {}, **changes}


def read_back(code):
    """Return the text of a quoted one, by Puppet's rules: two escapes, all else is itself."""
    assert code[0] == "'"
    text, at = "", 1
    while code[at] != "'":
        if code[at] == "\\" and code[at + 1] in "\\'":
            at += 1
        text += code[at]
        at += 1
    assert at == len(code) - 1, "the text ends before its end"
    return text


@given(st.text() | st.text(alphabet="\\'${}\n", max_size=20))
def test_any_text_means_itself_between_the_quotes(text):
    assert read_back(puppet_code.quoted(text)) == text


@pytest.mark.parametrize(
    ("step", "state"),
    [
        ("deploy", "'stopped'"),
        ("start", "'running'"),
        ("stop", "'stopped'"),
        ("update", "undef"),
        ("undeploy", "undef"),
        ("check", "undef"),
        ("upgrade", "'running'"),
    ],
)
def test_the_running_state_follows_from_the_step(step, state):
    assert puppet_code.parameters(request(step))["runningState"] == state


def test_names_are_lower_case_and_none_of_those_that_puppet_keeps():
    exports = {"httpPort": "80", "max-size": "1", "name": "n", "tag": "t"}

    given = puppet_code.parameters(request(exports=exports))

    assert given == {
        "runningState": "'running'",
        "httpport": "'80'",
        "max_size": "'1'",
        "name_": "'n'",
        "tag_": "'t'",
    }


def test_white_space_alone_leaves_the_default_of_the_class():
    given = puppet_code.parameters(request(exports={"a": "", "b": " \n", "c": None, "d": " x"}))

    assert [given[name] for name in "abcd"] == ["undef", "undef", "undef", "' x'"]


def test_imports_are_hashes_by_path():
    imports = {
        "Db": [["/vm1/db", {"IP": "10.0.0.7", "port": ""}], ["/vm2/db", {"IP": "10.0.0.8"}]],
        "Cache": [],
    }

    given = puppet_code.parameters(request(imports=imports))

    assert given["db"] == (
        "{'/vm1/db' => {'ip' => '10.0.0.7', 'port' => undef}, '/vm2/db' => {'ip' => '10.0.0.8'}}"
    )
    assert given["cache"] == "undef"
    assert "importDiff" not in given


def test_what_changed_is_told_as_by_roboconf_and_whole():
    changed = {
        "added": {"Db": [["/b", {"ip": "2"}]]},
        "removed": {"Db": [["/a", {"ip": "1"}]], "Web": [["/w", {}]]},
        "changed": {},
    }

    told = puppet_code.parameters(request("update", changed=changed))["importDiff"]

    assert told == (
        "{'added' => {'/b' => {'ip' => '2'}}, 'removed' => {'/a' => {'ip' => '1'}}, "
        "'component' => 'Db', 'changes' => "
        "{'db' => {'added' => {'/b' => {'ip' => '2'}}, 'removed' => {'/a' => {'ip' => '1'}}, "
        "'changed' => undef}, "
        "'web' => {'added' => undef, 'removed' => {'/w' => {}}, 'changed' => undef}}}"
    )


def test_a_changed_value_counts_as_added_and_nothing_as_undef():
    changed = {"added": {}, "removed": {}, "changed": {"Db": [["/a", {"ip": "9"}]]}}

    told = puppet_code.parameters(request("update", changed=changed))["importDiff"]

    assert told.startswith("{'added' => {'/a' => {'ip' => '9'}}, 'removed' => undef, ")
    nothing = {"added": {}, "removed": {}, "changed": {}}
    assert puppet_code.parameters(request("update", changed=nothing))["importDiff"] == "undef"


def test_the_class_is_declared_with_all_of_them():
    assert puppet_code.code("roboconf_web::start", request(exports={"port": "80"})) == (
        "class { 'roboconf_web::start':\n  runningState => 'running',\n  port => '80',\n}\n"
    )
