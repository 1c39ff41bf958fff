"""What `fieldconf check` tells: which files, which stages, in which order."""

# ruff: noqa: E501 (tables are read across)

import json
import os
import threading

import pytest

from fieldconf_dsl.check import check_paths, format_paths
from fieldconf_dsl.errors import in_order, problem


def codes(problems):
    return [p.code for p in problems]


def test_problem_as_json_has_the_agreed_fields(check_text):
    (found,) = check_text("VM {\n installer: target\n}")

    assert list(json.loads(json.dumps(found.as_json()))) == [
        "code", "severity", "file", "line", "column", "message",
    ]  # fmt: skip
    assert found.as_json()["severity"] == "severe"


def test_lone_file_is_shown_as_it_was_given(tmp_path, monkeypatch):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.graph").write_text("import b.graph;\n")
    (tmp_path / "sub/b.graph").write_text("B {\n x\n}")
    monkeypatch.chdir(tmp_path)

    problems, _ = check_paths(["sub/a.graph"])

    assert [(p.file, p.line, p.code) for p in problems] == [
        ("sub/b.graph", 2, "P_INVALID_PROPERTY")
    ]


def test_what_is_nobodys_line_is_told_of_the_file(tmp_path):
    (tmp_path / "a.graph").write_text("A {\n installer: x;\n children: A;\n}")

    (found,), _ = check_paths([tmp_path / "a.graph"])

    assert (found.file, found.line, found.column) == (str(tmp_path / "a.graph"), 0, 0)


def test_file_of_a_template_is_shown_relative_to_it(template):
    folder = template({"graph/main.graph": "VM {\n x\n}"})

    problems, _ = check_paths([folder])

    assert [str(p).splitlines()[0] for p in problems] == [
        "graph/main.graph:2:2: P_INVALID_PROPERTY: expected a property in the component 'VM'; "
        "write 'name: value;', or close it above with '}'"
    ]


def test_what_cannot_be_checked_is_told_apart(tmp_path):
    (tmp_path / "a.txt").write_text("x")

    problems, could_not_run = check_paths(
        [tmp_path / "a.txt", tmp_path / "b.graph", tmp_path / "c"]
    )

    assert problems == []
    assert [words.partition(str(tmp_path))[0] for words in could_not_run] == [
        "cannot check ", "cannot read ", "cannot read ",
    ]  # fmt: skip


@pytest.fixture
def pipe(tmp_path):
    """Return what makes a pipe; it ends by itself, so that who waits for it by mistake fails."""

    def made(name):
        os.mkfifo(tmp_path / name)
        writer = os.open(tmp_path / name, os.O_RDWR | os.O_NONBLOCK)
        timers.append(threading.Timer(0.2, os.close, [writer]))
        timers[-1].start()
        return tmp_path / name

    timers = []
    yield made
    for timer in timers:
        timer.join()


@pytest.mark.parametrize("name", ["x.graph", "x.instances", "x.zip"])
def test_a_pipe_is_refused_and_not_waited_for(pipe, name):
    path = pipe(name)
    said = "it is no file but a pipe, a socket or a device"

    assert check_paths([path]) == ([], [f"cannot read {path}: {said}"])
    if name != "x.zip":
        with pytest.raises(OSError, match=said):
            format_paths([path])


def test_a_pipe_cannot_be_imported(pipe, tmp_path):
    pipe("piped.graph")
    (tmp_path / "main.graph").write_text("import piped.graph;")

    problems, _ = check_paths([tmp_path / "main.graph"])

    assert codes(problems) == ["CO_UNREACHABLE_FILE"]


def test_parse_and_model_errors_of_a_file_come_together(check_text):
    text = "A {\n installer: ;\n exports: 1;\n oops\n}\nA {\n"

    assert codes(check_text(text)) == [
        "P_INVALID_PROPERTY",
        "PM_EMPTY_PROPERTY_VALUE",
        "PM_INVALID_EXPORTED_VAR_NAME",
    ]


def test_no_stage_judges_what_an_earlier_one_refused(load):
    loaded = load(
        {
            "graph/main.graph": "VM {\n installer: target;\n children: Nobody;\n imports: X.y;\n}\n",
            "instances/main.instances": "instance of Unknown {\n name: a;\n}\n",
        }
    )

    assert codes(loaded.problems) == ["CO_INEXISTING_CHILD"]


def test_instances_are_read_whatever_is_wrong_with_the_graph(load):
    loaded = load(
        {
            "graph/main.graph": "VM {\n oops\n}\n",
            "instances/main.instances": "instance of VM {\n name: a\n}\n",
            "graph/other.graph": "",
        }
    )

    assert codes(loaded.problems) == ["P_INVALID_PROPERTY", "P_PROPERTY_ENDS_WITH_SEMI_COLON"]


def test_descriptor_and_files_are_judged_apart(load):
    loaded = load(
        {
            "descriptor/application.properties": "graph-entry-point = main.graph\n",
            "graph/main.graph": "VM {\n oops\n}\n",
        }
    )

    assert codes(loaded.problems) == [
        "P_INVALID_PROPERTY",
        "RM_MISSING_APPLICATION_NAME",
        "RM_MISSING_APPLICATION_VERSION",
        "RM_MISSING_APPLICATION_DSL_ID",
    ]


def test_missing_import_names_the_culprit(check_text):
    (found,) = check_text("\nimport nowhere.graph;\n")

    assert (found.line, found.column) == (0, 0)
    assert "'nowhere.graph' (imported at main.graph:2)" in found.message


def test_stages_come_in_roboconfs_order():
    found = [
        problem(code)
        for code in ("FC_OLD_DIALECT", "RM_ORPHAN_FACET", "PM_INVALID_NAME", "P_IO_ERROR")
    ]

    assert codes(in_order(found)) == [
        "P_IO_ERROR",
        "PM_INVALID_NAME",
        "RM_ORPHAN_FACET",
        "FC_OLD_DIALECT",
    ]


# Circles of imports --------------------------------------------------------------------------

CIRCLE = """\
VM {
  installer: target;
  children: A, B, C;
}
A {
  installer: x;
  exports: v = 1;
  imports: B.v;
}
B {
  installer: x;
  exports: v = 1;
  imports: A.v%s;
}
C {
  installer: x;
  imports: A.v;
}
"""


def test_circle_of_imports_is_named_with_a_way_out(check_text):
    (found,) = check_text(CIRCLE % "")

    assert found.code == "FC_CYCLE_IN_IMPORTS" and not found.is_severe
    assert "A -> B -> A; make the import 'B.v' of 'A' optional" in found.message
    assert (found.line, found.text) == (8, "  imports: B.v;")


def test_optional_import_breaks_a_circle(check_text):
    assert check_text(CIRCLE % " (optional)") == []


def test_other_provider_breaks_a_circle(check_text):
    facet = "facet F {\n exports: v = 1;\n}\nD {\n installer: target;\n facets: F;\n}\n"
    text = (
        (CIRCLE % "").replace("imports: A.v", "imports: F.v").replace("A {\n", "A {\n facets: F;\n")
    )

    assert check_text(facet + text) == []


def test_circle_may_go_through_containment(check_text):
    text = "VM {\n installer: target;\n imports: In.v;\n children: In;\n}\nIn {\n installer: x;\n exports: v = 1;\n}"

    assert codes(check_text(text)) == ["FC_CYCLE_IN_IMPORTS"]


def test_slip_is_told_with_the_name_that_is_meant(template):
    vm = "VM {\n installer: target;\n children: Web;\n}\n"
    slips = {
        vm.replace("installer", "instaler"): "(did you mean 'installer'?)",
        vm.replace("Web", "Wbe") + "Web {\n installer: script;\n}": "(did you mean 'Web'?)",
        vm + "Web {\n installer: script;\n exports: port = 1;\n imports: Web.prot (optional);\n}": (
            "(did you mean 'Web.port'?)"
        ),
        vm.replace("Web", "Elephant"): "'Elephant' is neither",
    }
    for graph, said in slips.items():
        problems, _ = check_paths([template({"graph/main.graph": graph})])

        assert any(said in problem.message for problem in problems), (graph, problems)
