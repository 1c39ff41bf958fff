"""Puppet recipes are judged: parameters by their text, syntax by Puppet itself."""

import shutil
import zipfile

import pytest

from fieldconf_dsl import puppet
from fieldconf_dsl.check import check_paths

GRAPH = """\
VM {
  installer: target;
  exports: ip;
  children: Web, Shop;
}

Web {
  installer: Puppet;
  imports: VM.ip;
}

Shop {
  extends: Web;
}
"""
FOLDER = "graph/Web/roboconf_web/manifests"


@pytest.fixture
def judged(template):
    """Return a function that checks a template with these manifests."""

    def judge(manifests, **more):
        files = {f"{FOLDER}/{name}.pp": text for name, text in manifests.items()}
        files |= {"graph/main.graph": GRAPH, "graph/Web/scripts/start.sh": None, **more}
        files |= {"instances/main.instances": "instance of VM {\n  name: vm;\n}\n"}
        problems, could_not_run = check_paths([template(files)])
        assert could_not_run == []
        return problems

    return judge


@pytest.fixture
def no_puppet(monkeypatch):
    monkeypatch.setattr(puppet.shutil, "which", lambda *_, **__: None)


def codes(problems):
    return [f"{one.file.rpartition('/')[2]}:{one.line} {one.code}" for one in problems]


def lacking(parameters):
    """Return what a class with this text between its brackets lacks."""
    text = f"class roboconf_web({parameters}) {{ }}"
    component = puppet.Component("Web", "puppet")
    file = puppet.RecipeFile("", 0o644, text.encode)
    found = puppet.judge_manifests(component, [("roboconf_web/manifests/init.pp", file)], "")
    return [one.code.removeprefix("REC_PUPPET_MISSING_PARAM_") for one in found]


@pytest.mark.parametrize(
    "parameters",
    [
        "$runningState, $importDiff",
        "$importDiff = undef,\n  $runningState = 'it is $other',",
        "Enum['a', 'b'] $runningState = 'a', Hash[String, Hash[String, Any]] $importDiff = {}",
        "$runningState, # and not ($importDiff)\n $x = { 'a' => [1, 2] }, $importDiff = $x",
        "Optional[String] $runningState = undef /* ) */, $importDiff",
    ],
)
def test_parameters_are_found_however_they_are_written(parameters):
    assert lacking(parameters) == []


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ("", ["RUNNING_STATE", "IMPORT_DIFF"]),
        ("$x = $runningState, $importDiff", ["RUNNING_STATE"]),
        ("$x = { $importDiff => 1 }, $runningState", ["IMPORT_DIFF"]),
        ("# $runningState\n '$runningState', $importDiff", ["RUNNING_STATE"]),
    ],
    ids=["none", "a default", "within braces", "comment and text"],
)
def test_what_only_looks_like_a_parameter_is_none(parameters, missing):
    assert lacking(parameters) == missing


def test_only_the_class_that_is_told_of_updates_needs_the_difference(judged, no_puppet):
    told = "class roboconf_web::update($runningState, $vm, $importDiff) { }"
    others = {"init": "class roboconf_web($runningState, $vm) { }"}

    assert codes(judged({**others, "update": told})) == []


def test_without_update_it_is_init_that_needs_it(judged, no_puppet):
    found = judged({"init": "# it's ours\nclass roboconf_web($runningState, $vm) {\n}\n"})

    assert codes(found) == ["init.pp:2 REC_PUPPET_MISSING_PARAM_IMPORT_DIFF"]
    assert "~~~^" in str(found[0])


def test_a_step_that_takes_no_parameters_lacks_them_all(judged, no_puppet):
    assert codes(judged({"start": "class roboconf_web::start {\n  notify { 'x': }\n}\n"})) == [
        "start.pp:1 REC_PUPPET_MISSING_PARAM_RUNNING_STATE",
        "start.pp:1 REC_PUPPET_MISSING_PARAM_FROM_IMPORT",
    ]


def test_other_classes_of_a_module_are_its_own_affair(judged, no_puppet):
    assert codes(judged({"params": "class roboconf_web::params($version) { }"})) == []


needs_puppet = pytest.mark.skipif(shutil.which("puppet") is None, reason="needs puppet")


@needs_puppet
def test_a_syntax_error_is_told_with_its_place_from_a_zip_too(judged, tmp_path):
    well = "class roboconf_web::start($runningState, $vm) {\n  notify { 'x': }\n}\n"
    broken = "class roboconf_web::stop($runningState, $vm) {\n  file { '/x' ensure => 1 }\n}\n"

    found = judged({"start": well, "stop": broken, "other": "class {"})

    assert codes(found) == [
        "other.pp:1 REC_PUPPET_SYNTAX_ERROR",
        "stop.pp:2 REC_PUPPET_SYNTAX_ERROR",
    ]
    assert found[1].file == f"{FOLDER}/stop.pp"
    assert "Syntax error at 'ensure'" in found[1].message
    assert found[1].text == "  file { '/x' ensure => 1 }"
    with zipfile.ZipFile(tmp_path / "template.zip", "w") as packed:
        for file in (tmp_path / "template").rglob("*"):
            packed.write(file, file.relative_to(tmp_path / "template"))
    assert check_paths([tmp_path / "template.zip"])[0] == found
