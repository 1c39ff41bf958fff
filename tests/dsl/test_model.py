"""What a description means: exports, imports, containment, own values, counts."""

import pytest

from fieldconf_dsl.build import build_graph
from fieldconf_dsl.build_instances import MAX_INSTANCES, build_instances
from fieldconf_dsl.check_model import check_model
from fieldconf_dsl.errors import CODES
from fieldconf_dsl.model import (
    Component,
    Export,
    Facet,
    Graph,
    Import,
    Instance,
    check_instance,
    exported_values,
    may_contain,
    parent_path,
)
from fieldconf_dsl.parser import parse
from fieldconf_dsl.syntax import Comment, Holder, ImportFile, Property, SourceFile, Unknown
from fieldconf_dsl.validate import validate_graph, validate_instances


def graph_of(text):
    built = build_graph([parse(text)])
    assert built.problems == []
    return built.graph


def exports_of(graph, name):
    return {full: export.value for full, export in graph.components[name].exports.items()}


INHERITING = """\
facet f1 {
  exports: a = 1;
}
facet f2 {
  extends: f1;
  exports: b = 2;
}
VM {
  installer: target;
  facets: f2;
  exports: c = 3;
}
VM2 {
  extends: VM;
  exports: a = 9, c = 4;
}
"""

TREE = """\
VM {
  installer: target;
  exports: ip;
  children: Server;
}
facet Server {
  exports: port;
  children: App;
}
Tomcat {
  installer: script;
  facets: Server;
  exports: random[port] port, ip, name = "$(ROBOCONF_INSTANCE_NAME)";
  imports: DB.*, App.x (optional), external Mail.host;
}
Jetty {
  extends: Tomcat;
  imports: DB.ip (optional), App.x;
}
App {
  installer: script;
  exports: x = 1;
}
DB {
  installer: target;
  exports: ip, port = 5432;
}
"""


def test_exports_of_a_component_are_those_of_all_its_types():
    graph = graph_of(INHERITING)

    assert exports_of(graph, "VM") == {
        "VM.a": "1", "VM.b": "2", "VM.c": "3", "f1.a": "1", "f2.b": "2",
    }  # fmt: skip
    assert exports_of(graph, "VM2") == {
        "f1.a": "9", "f2.b": "2", "VM.a": "9", "VM.b": "2", "VM.c": "4",
        "VM2.a": "9", "VM2.b": "2", "VM2.c": "4",
    }  # fmt: skip
    assert graph.components["VM2"].types == ("VM2", "VM", "f2", "f1")
    assert graph.components["VM2"].installer == "target"


@pytest.mark.parametrize(
    ("declared", "name", "value"),
    [
        ("b =", "A.b", None),
        ("b = , c", "A.b", None),
        ('a = ""', "A.a", ""),
        ("a = k=v", "A.a", "k=v"),
        ("url = http://h:80/x", "A.url", "http://h:80/x"),
        ("x = 1, x = 2", "A.x", "2"),
        ("Other.ip", "A.Other.ip", None),
        ("A.ip", "A.ip", None),
        ('t = " a, b; # c "', "A.t", " a, b; # c "),
    ],
)
def test_exported_value_is_read_as_by_roboconf(declared, name, value):
    graph = graph_of(f"A {{\n installer: target;\n exports: {declared};\n}}")

    assert exports_of(graph, "A")[name] == value


def test_component_redefines_what_it_inherits_by_its_full_name():
    graph = graph_of(
        "A {\n installer: target;\n exports: v = 1;\n}\nB {\n extends: A;\n exports: A.v = 2;\n}"
    )

    assert exports_of(graph, "B") == {"A.v": "2", "B.v": "2"}


def test_imports_are_inherited_and_redefined():
    graph = graph_of(TREE)

    assert dict(graph.components["Jetty"].imports) == {
        "DB.*": Import("DB", "*"),
        "App.x": Import("App", "x"),
        "Mail.host": Import("Mail", "host", external=True),
        "DB.ip": Import("DB", "ip", optional=True),
    }


@pytest.mark.parametrize(
    "text", ["X.ip(optional)", "X.ip ( optional )", "EXTERNAL X.ip (Optional)"]
)
def test_words_of_imports_may_be_spaced_and_spelled_freely(text):
    graph = graph_of(f"A {{\n installer: target;\n imports: {text};\n}}")

    (found,) = graph.components["A"].imports.values()
    assert (found.prefix, found.name, found.optional) == ("X", "ip", True)


def test_component_may_be_called_external_something():
    graph = graph_of("A {\n installer: target;\n imports: externalDb.ip;\n}")

    assert graph.components["A"].imports["externalDb.ip"] == Import("externalDb", "ip")


def test_containment_follows_facets_and_inheritance():
    graph = graph_of(TREE)

    assert graph.roots == ("VM", "DB")
    assert graph.components["VM"].children == ("Tomcat", "Jetty")
    assert graph.components["Jetty"].children == ("App",)
    assert graph.components["App"].ancestors == ("Tomcat", "Jetty")
    assert may_contain(graph, None, "VM") and may_contain(graph, "VM", "Jetty")
    assert not may_contain(graph, None, "App") and not may_contain(graph, "VM", "App")
    assert not may_contain(graph, None, "Unknown")


@pytest.mark.parametrize("children", ["A,", "A, ", "A,,,", "A , A"])
def test_commas_at_the_end_of_a_list_add_nothing(children):
    text = f"VM {{\n installer: target;\n children: {children};\n}}\nA {{\n installer: x;\n}}"

    assert check_model(parse(text)) == []
    assert graph_of(text).components["VM"].children == ("A",)


def test_comment_right_above_describes():
    graph = graph_of("# not this\n\n# A machine\n#  of ours\nVM {\n installer: target;\n}")

    assert graph.components["VM"].annotation == "A machine\nof ours"


# Own values ----------------------------------------------------------------------------------


def values(exports, component="Tomcat", name="web 1", path="/vm1/web 1"):
    found = exported_values(graph_of(TREE), Instance(name, component, path, exports))
    return {name: export.value for name, export in found.items()}


def test_values_hold_the_names_of_the_instance():
    graph = graph_of(
        "A {\n installer: target;\n exports: "
        + ", ".join(
            f"v{i} = $({p}_{n})"
            for i, (p, n) in enumerate(
                [
                    ("ROBOCONF", "INSTANCE_NAME"),
                    ("FIELDCONF", "INSTANCE_PATH"),
                    ("ROBOCONF", "CLEAN_INSTANCE_PATH"),
                    ("FIELDCONF", "CLEAN_REVERSED_INSTANCE_PATH"),
                    ("ROBOCONF", "COMPONENT_NAME"),
                    ("ROBOCONF", "UNKNOWN"),
                ]
            )
        )
        + ";\n}"
    )

    found = exported_values(graph, Instance("my app", "A", "/vm1/my app"))

    assert [export.value for export in found.values()] == [
        "my app", "/vm1/my app", "vm1_my_app", "my_app_vm1", "A", "$(ROBOCONF_UNKNOWN)",
    ]  # fmt: skip


def test_full_name_overrides_one_variable():
    found = values({"Tomcat.name": "x"})

    assert found["Tomcat.name"] == "x" and "name" not in found


def test_local_name_overrides_the_only_one_of_that_name():
    assert values({"x": "7"}, "App") == {"App.x": "7"}


def test_ambiguous_name_overrides_all_and_stays():
    found = values({"port": "80"})

    assert (found["Tomcat.port"], found["Server.port"], found["port"]) == ("80", "80", "80")


def test_unknown_name_is_kept_for_the_recipe_alone():
    assert values({"magic": "$(FIELDCONF_INSTANCE_NAME)"})["magic"] == "web 1"


def test_random_variable_stays_random_with_the_value_it_was_given():
    graph = graph_of(TREE)

    fresh = exported_values(graph, Instance("t", "Jetty", "/vm/t"))
    given = exported_values(graph, Instance("t", "Jetty", "/vm/t", {"Jetty.port": "10000"}))

    assert fresh["Jetty.port"] == fresh["Tomcat.port"] == Export(None, "port")
    assert given["Jetty.port"] == Export("10000", "port")


def test_asking_for_values_changes_no_component():
    graph = graph_of(TREE)
    before = dict(graph.components["App"].exports)

    exported_values(graph, Instance("a", "App", "/a", {"x": "2"}))

    assert graph.components["App"].exports == before


# Instances -----------------------------------------------------------------------------------


def build(text, graph=None):
    return build_instances([parse(text, "i")], graph or graph_of(TREE), "i")


def test_counts_multiply_and_are_padded_and_keep_the_data():
    built = build(
        "instance of VM {\n name: vm;\n count: 2;\n data.Zone: a ;\n"
        " instance of Tomcat {\n  name: t;\n  count: 10;\n }\n}"
    )

    assert built.problems == []
    assert [i.path for i in built.instances][:3] == ["/vm1", "/vm1/t01", "/vm1/t02"]
    assert len(built.instances) == 2 + 20
    assert [i.data for i in built.instances if i.component == "VM"] == [{"Zone": "a"}] * 2
    seen = set()
    for instance in built.instances:
        assert parent_path(instance.path) in seen | {""}
        seen.add(instance.path)


def test_properties_of_an_instance():
    built = build(
        "instance of VM {\n name: a vm ;\n channels: x, y;\n instance-state: Deployed_Started;\n"
        ' instance-data: k = v, k2 = v2;\n DATA.Key: z;\n VM.ip: " 1 ";\n}'
    )

    (instance,) = built.instances
    assert instance == Instance(
        "a vm", "VM", "/a vm", {"VM.ip": " 1 "}, {"k": "v", "k2": "v2", "Key": "z"}, ("x", "y"),
        "DEPLOYED_STARTED",
    )  # fmt: skip


def test_conflicts_of_generated_instances_are_found_at_every_level():
    built = build(
        "instance of VM {\n name: vm;\n"
        " instance of Tomcat {\n  name: t;\n  count: 3;\n }\n"
        " instance of Tomcat {\n  name: t2;\n }\n}"
    )

    (problem,) = built.problems
    assert (problem.code, problem.file, problem.line) == (
        "CO_CONFLICTING_INFERRED_INSTANCE",
        "i",
        1,
    )
    assert "'/vm/t2' twice (i:3 and i:7)" in problem.message


def test_a_warning_disables_nothing():
    text = (
        "instance of VM {\n name: a;\n count: 1;\n}\ninstance of VM {\n name: b;\n count: 2;\n}\n"
    )

    assert [i.path for i in build(text).instances] == ["/a", "/b1", "/b2"]


def test_no_count_fills_the_memory():
    inner = "instance of VM {\n name: a;\n count: 2000000000;\n" * 20 + "}\n" * 20

    (problem,) = build(inner).problems
    assert problem.code == "FC_LIMIT_EXCEEDED"
    assert f"{MAX_INSTANCES:,}" in problem.message


def test_copies_of_one_count_are_judged_once():
    graph = graph_of("VM {\n installer: target;\n exports: v;\n}")
    built = build("instance of VM {\n name: a;\n count: 3;\n}", graph)

    problems = validate_instances(graph, built.instances, built.blocks)

    assert [p.code for p in problems] == ["RM_MISSING_VARIABLE_VALUE"]


@pytest.mark.parametrize(
    ("instance", "parent", "expected"),
    [
        (Instance("a", "VM", "/a"), None, []),
        (Instance("taken", "VM", "/taken"), None, ["CO_ALREADY_DEFINED_INSTANCE"]),
        (Instance("", "VM", "/"), None, ["RM_EMPTY_INSTANCE_NAME"]),
        (Instance("a/b", "VM", "/a/b"), None, ["RM_INVALID_INSTANCE_NAME"]),
        (Instance("a", "X", "/a"), None, ["RM_EMPTY_INSTANCE_COMPONENT"]),
        (Instance("a", "App", "/a"), None, ["RM_MISSING_INSTANCE_PARENT"]),
        (Instance("a", "App", "/v/a"), "VM", ["RM_INVALID_INSTANCE_PARENT"]),
        (Instance("a", "VM", "/v/a"), "VM", ["RM_INVALID_INSTANCE_PARENT"]),
        (Instance("a", "App", "/v/t/a", {"x": " "}), "Tomcat", ["RM_MISSING_VARIABLE_VALUE"]),
        (Instance("t", "Tomcat", "/v/t", {"port": "1", "q": "1"}), "VM",
         ["RM_AMBIGUOUS_OVERRIDING", "RM_MAGIC_INSTANCE_VARIABLE"]),
    ],
)  # fmt: skip
def test_instance_added_at_run_time_is_judged(instance, parent, expected):
    problems = check_instance(graph_of(TREE), instance, parent, siblings=["taken"])

    assert [p.code for p in problems] == expected
    assert all(p.line == 0 for p in problems)


# Models made by programs ---------------------------------------------------------------------

TARGET = {"installer": "target"}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (Unknown(1, "?"), "PM_INVALID_BLOCK_TYPE"),
        (Comment(1, "no hash"), "PM_MALFORMED_COMMENT"),
        (Property(1, 1, "what", "x", 7), "PM_UNKNOWN_PROPERTY_NAME"),
        (
            Holder(
                "instance",
                1,
                1,
                "A",
                blocks=[Property(1, 1, "name", "a", 7), ImportFile(1, 1, "x")],
            ),
            "PM_INVALID_INSTANCE_ELEMENT",
        ),
    ],
)
def test_blocks_made_by_a_program_are_judged(block, expected):
    assert [p.code for p in check_model(SourceFile("f", [""], [block]))] == [expected]


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (Graph({"": Component("", **TARGET)}, {}, ("",)), "RM_EMPTY_COMPONENT_NAME"),
        (Graph({"1": Component("1", **TARGET)}, {}, ("1",)), "RM_INVALID_COMPONENT_NAME"),
        (Graph({"a.b": Component("a.b", **TARGET)}, {}, ("a.b",)), "RM_DOT_IS_NOT_ALLOWED"),
        (Graph({"A": Component("A", "1")}, {}, ("A",)), "RM_INVALID_COMPONENT_INSTALLER"),
        (
            Graph({"A": Component("A", "target", types=("A", ""))}, {"": Facet("")}, ("A",)),
            "RM_EMPTY_FACET_NAME",
        ),
        (
            Graph({"A": Component("A", "target", types=("A", "1"))}, {"1": Facet("1")}, ("A",)),
            "RM_INVALID_FACET_NAME",
        ),
        (
            Graph({"A": Component("A", "target", declared={"": Export()})}, {}, ("A",)),
            "RM_EMPTY_VARIABLE_NAME",
        ),
        (
            Graph(
                {
                    "A": Component("A", "target", children=("B",)),
                    "B": Component("B", "x", ancestors=("A",)),
                },
                {},
                ("A", "B"),
            ),
            "RM_NOT_A_ROOT_COMPONENT",
        ),
    ],
)
def test_graph_made_by_a_program_is_judged(graph, expected):
    assert [p.code for p in validate_graph(graph)] == [expected]


def test_every_code_that_a_program_can_raise_has_a_case():
    marks = [
        test_blocks_made_by_a_program_are_judged,
        test_graph_made_by_a_program_is_judged,
        test_instance_added_at_run_time_is_judged,
    ]
    shown = set()
    for mark in (one for test in marks for one in test.pytestmark):
        for case in mark.args[1]:
            shown |= {case[-1]} if isinstance(case[-1], str) else set(case[-1])

    assert {code for code, kind in CODES.items() if kind.source == "program"} <= shown


def test_loop_apart_from_the_roots_is_not_looked_at():
    graph = graph_of("VM {\n installer: target;\n}\nA {\n installer: x;\n children: A;\n}")

    assert validate_graph(graph) == []


def test_facet_reached_through_another_is_no_orphan():
    graph = graph_of(INHERITING)

    assert validate_graph(graph) == []
