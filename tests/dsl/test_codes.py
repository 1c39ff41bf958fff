"""Every code that a text can raise has its smallest text here; the table of codes is complete."""

# ruff: noqa: E501 (tables are read across)

import re
from pathlib import Path

import pytest

from fieldconf_dsl.errors import CODES, STAGES, stage

ROOT = "VM {\n installer: target;\n"
README = Path(__file__).parents[2] / "dsl" / "README.md"


def graph(*lines):
    """Return a graph whose component VM lies at the top; `lines` begin on line 4."""
    return "\n".join([f"{ROOT}}}", *lines, ""])


def component(*lines):
    """Return a graph of one component VM whose further properties begin on line 3."""
    return "\n".join([f"{ROOT}{lines[0]}", *lines[1:], "}", ""])


# (text of a lone graph, what is found as "line:column code")
GRAPHS = [
    # Parsing
    ("A {\n installer: x; y\n}", ["2:17 P_PROPERTY_ENDS_WITH_SEMI_COLON", "2:14 P_ONE_BLOCK_PER_LINE", "2:13 PM_INVALID_INSTALLER_NAME"]),
    ("A {\n channel: x;;\n}", ["2:12 P_ONE_BLOCK_PER_LINE", "2:2 PM_PROPERTY_NOT_APPLIABLE"]),
    ("import a.graph; b", ["1:16 P_ONE_BLOCK_PER_LINE"]),
    ("A {\n installer: x # no semicolon;\n}", ["2:14 P_PROPERTY_ENDS_WITH_SEMI_COLON"]),
    ("import a.graph", ["1:15 P_IMPORT_ENDS_WITH_SEMI_COLON"]),
    ("A { installer: target; }", ["1:4 P_O_C_BRACKET_EXTRA_CHARACTERS"]),
    ("A {\n} }", ["2:2 P_C_C_BRACKET_EXTRA_CHARACTERS"]),
    ("A {\n} B {\n}", ["2:2 P_C_C_BRACKET_EXTRA_CHARACTERS"]),
    ("Toto", ["1:1 P_O_C_BRACKET_MISSING"]),
    ("A\n{\n}", ["1:1 P_O_C_BRACKET_MISSING"]),
    ("facet", ["1:1 P_O_C_BRACKET_MISSING"]),
    ("A {\n installer: target;\n", ["3:1 P_C_C_BRACKET_MISSING"]),
    ("A {\n installer: target;", ["3:1 P_C_C_BRACKET_MISSING"]),
    ("my Toto", ["1:1 P_UNRECOGNIZED_BLOCK"]),
    ("  facet my toto # here", ["1:3 P_UNRECOGNIZED_BLOCK"]),
    ("installer: target;", ["1:1 P_UNRECOGNIZED_BLOCK"]),
    ("A {\n  nonsense\n}", ["2:3 P_INVALID_PROPERTY"]),
    ("A {\n facet F {\n }\n}", ["2:2 P_INVALID_PROPERTY"]),
    ("A {\n property = value;\n}", ["2:2 P_INVALID_PROPERTY"]),
    ("A {\n installer: target;\n}\ninstance of A {\n name: a;\n}", ["1:1 P_INVALID_FILE_TYPE"]),
    ("", ["1:1 P_EMPTY_FILE", "0:0 RM_NO_ROOT_COMPONENT"]),
    ("# only this\n\n", ["1:1 P_EMPTY_FILE", "0:0 RM_NO_ROOT_COMPONENT"]),
    # Parsing model
    (component("installer: x;"), ["3:1 PM_DUPLICATE_PROPERTY"]),
    (component("children:;"), ["3:1 PM_EMPTY_PROPERTY_VALUE"]),
    ("import ;", ["1:8 PM_EMPTY_IMPORT_LOCATION"]),
    ("facet {\n}", ["1:7 PM_EMPTY_FACET_NAME"]),
    ("{\n}", ["1:1 PM_EMPTY_COMPONENT_NAME"]),
    (component("facets: a, , b;"), ["3:12 PM_EMPTY_REFERENCED_NAME"]),
    (component("exports: a, b,;"), ["3:14 PM_EMPTY_VARIABLE_NAME"]),
    (component("imports: , a.b;"), ["3:10 PM_EMPTY_VARIABLE_NAME"]),
    (component("children: 1a, b c;"), ["3:11 PM_INVALID_CHILD_NAME", "3:15 PM_INVALID_CHILD_NAME"]),
    ("A b {\n}", ["1:1 PM_INVALID_NAME"]),
    ("Maß {\n}", ["1:1 PM_INVALID_NAME"]),
    (component("extends: 1a;"), ["3:10 PM_INVALID_NAME"]),
    (component('exports: a = "x;'), ["3:14 PM_INVALID_EXPORT_COMPLEX_VALUE"]),
    (component('exports: a = x";'), ["3:15 PM_INVALID_EXPORT_COMPLEX_VALUE"]),
    (component('exports: a = "x" 1;'), ["3:18 PM_INVALID_EXPORT_COMPLEX_VALUE", "3:18 PM_INVALID_EXPORTED_VAR_NAME"]),
    (component("exports: ok, 1a;"), ["3:14 PM_INVALID_EXPORTED_VAR_NAME"]),
    (
        component("exports: external a;"),
        ["3:10 PM_INVALID_EXPORTED_VAR_NAME", "3:10 PM_EXTERNAL_IS_KEYWORD_FOR_IMPORTS"],
    ),
    (component("imports: a.b, *;"), ["3:15 PM_INVALID_IMPORTED_VAR_NAME"]),
    (component("imports: external 1.b;"), ["3:19 PM_INVALID_IMPORTED_VAR_NAME"]),
    ("A {\n installer: tar#get;\n}", ["2:16 P_PROPERTY_ENDS_WITH_SEMI_COLON"]),
    ("A {\n installer: 2x;\n}", ["2:13 PM_INVALID_INSTALLER_NAME"]),
    (component("Installer: x;"), ["3:1 PM_PROPERTY_NOT_APPLIABLE"]),
    (component("  name: x;"), ["3:3 PM_PROPERTY_NOT_APPLIABLE"]),
    ("facet F {\n installer: x;\n}", ["2:2 PM_PROPERTY_NOT_APPLIABLE"]),
    ("A.b {\n}", ["1:1 PM_DOT_IS_NOT_ALLOWED"]),
    (component("imports: a;"), ["3:10 PM_INCOMPLETE_IMPORTED_VAR_NAME"]),
    (component("imports: a.;"), ["3:10 PM_INCOMPLETE_IMPORTED_VAR_NAME"]),
    # Conversion
    ("import main.instances;", ["0:0 CO_NOT_A_GRAPH"]),
    ("import nowhere.graph;", ["0:0 CO_UNREACHABLE_FILE"]),
    ("facet F {\n}\nfacet F {\n}", ["1:7 CO_ALREADY_DEFINED_FACET", "3:7 CO_ALREADY_DEFINED_FACET"]),
    ("A {\n}\nA {\n}", ["1:1 CO_ALREADY_DEFINED_COMPONENT", "3:1 CO_ALREADY_DEFINED_COMPONENT"]),
    (component("children: X;"), ["3:11 CO_INEXISTING_CHILD"]),
    (component("extends: X;"), ["3:10 CO_INEXISTING_COMPONENT"]),
    (component("extends: VM, VM;"), ["3:10 CO_INEXISTING_COMPONENT"]),
    (component("facets: X;"), ["3:9 CO_INEXISTING_FACET"]),
    ("facet F {\n extends: X;\n}", ["2:11 CO_INEXISTING_FACET"]),
    ("facet A {\n}\nA {\n}", ["1:7 CO_CONFLICTING_NAME", "3:1 CO_CONFLICTING_NAME"]),
    # Runtime model
    ("VM {\n}", ["1:1 RM_EMPTY_COMPONENT_INSTALLER"]),
    ("VM {\n installer: script;\n}", ["1:1 RM_ROOT_INSTALLER_MUST_BE_TARGET"]),
    (component("exports: a = 1;", "imports: VM.a;"), ["4:10 RM_COMPONENT_IMPORTS_EXPORTS"]),
    (component("exports: a = 1;", "imports: VM.*;"), ["4:10 RM_COMPONENT_IMPORTS_EXPORTS"]),
    (component("exports: random[foo] a;"), ["3:10 RM_INVALID_RANDOM_KIND"]),
    (component("exports: random[port] a = 1;"), ["3:10 RM_NO_VALUE_FOR_RANDOM"]),
    (
        component("children: A;", "}", "A {", "installer: x;", "children: A;"),
        ["5:1 RM_CYCLE_IN_COMPONENTS"],
    ),
    (
        graph("A {", "extends: B;", "installer: target;", "}", "B {", "extends: A;", "}"),
        ["5:10 RM_CYCLE_IN_COMPONENTS_INHERITANCE", "9:10 RM_CYCLE_IN_COMPONENTS_INHERITANCE"],
    ),
    (
        component("facets: F;", "}", "facet F {", "extends: G;", "}", "facet G {", "extends: F;"),
        ["5:7 RM_CYCLE_IN_FACETS_INHERITANCE", "8:7 RM_CYCLE_IN_FACETS_INHERITANCE"],
    ),
    ("A {\n installer: x;\n children: A;\n}", ["0:0 RM_NO_ROOT_COMPONENT"]),
    (component("imports: Nobody.x;"), ["3:10 RM_UNRESOLVABLE_VARIABLE"]),
    (component("imports: VM.x (optional);"), ["3:10 RM_UNRESOLVABLE_VARIABLE"]),
    (
        component("imports: F.*, F.v;", "}", "facet F {", "exports: v;"),
        [
            "3:10 RM_UNRESOLVABLE_FACET_VARIABLE",
            "3:15 RM_UNRESOLVABLE_FACET_VARIABLE",
            "5:7 RM_ORPHAN_FACET",
        ],
    ),
    (graph("facet F {", "}"), ["4:7 RM_ORPHAN_FACET"]),
    (
        graph("facet F {", "children: A;", "}", "A {", "installer: target;", "}"),
        ["4:7 RM_ORPHAN_FACET_WITH_CHILDREN", "7:1 RM_UNREACHABLE_COMPONENT"],
    ),
    (
        component("children: A;", "}", "facet F {", "children: A;", "}", "A {", "installer: x;"),
        ["5:7 RM_ORPHAN_FACET_WITH_CHILDREN"],
    ),
    # Our own
    ("VM {\n installer: iaas;\n}", ["2:13 FC_OLD_DIALECT"]),
    (
        component(
            "children: A, B;", "}",
            "A {", "installer: x;", "exports: v = 1;", "imports: B.*;", "}",
            "B {", "installer: x;", "exports: v = 1;", "imports: A.v;",
        ),
        ["8:10 FC_CYCLE_IN_IMPORTS"],
    ),
]  # fmt: skip

# (text of a lone .instances, what is found)
INSTANCES = [
    ("instance of A {\n name: a;\n oops\n}", ["3:2 P_INVALID_PROPERTY_OR_INSTANCE"]),
    ("instance of A {\n instance of B {\n name: b;\n", ["4:1 P_C_C_BRACKET_MISSING", "1:13 PM_MISSING_INSTANCE_NAME"]),
    ("instance of {\n name: a;\n}", ["1:13 PM_EMPTY_COMPONENT_NAME"]),
    ("instance of A {\n}", ["1:13 PM_MISSING_INSTANCE_NAME"]),
    ("instance of A {\n name: a/b;\n}", ["2:8 PM_INVALID_INSTANCE_NAME"]),
    ("instance of A {\n name: ;\n}", ["2:2 PM_EMPTY_PROPERTY_VALUE", "2:8 PM_INVALID_INSTANCE_NAME"]),
    ("instance of A {\n name: a;\n name: b;\n}", ["3:2 PM_DUPLICATE_PROPERTY"]),
    ("instance of A {\n name: a;\n count: 0;\n}", ["3:9 PM_INVALID_INSTANCE_COUNT"]),
    ("instance of A {\n name: a;\n count: 1;\n}", ["3:9 PM_USELESS_INSTANCE_COUNT"]),
    ("instanceof A {\n name: a;\n}", ["1:1 FC_OLD_DIALECT"]),
    ("instance of A {\n name: a;\n" * 65, ["129:1 FC_LIMIT_EXCEEDED"]),
]  # fmt: skip

DESC = "descriptor/application.properties"
MAIN = "instances/main.instances"
BASE = "name = a\nversion = 1\ndsl-id = x\ngraph-entry-point = main.graph\n"
VM = "instance of VM {\n name: vm;\n}\n"


def descriptor(**keys):
    """Return a descriptor with some keys set otherwise, or left out where they are None."""
    values = {"name": "a", "version": "1.0", "dsl-id": "x", "graph-entry-point": "main.graph"}
    values |= {key.replace("_", "-"): value for key, value in keys.items()}
    return {DESC: "".join(f"{k} = {v}\n" for k, v in values.items() if v is not None), MAIN: None}


MANIFESTS = "roboconf_web/manifests"


def puppet(recipe, imports="VM.ip"):
    """Return a template whose component Web is installed with Puppet and this recipe."""
    graph = (
        "VM {\n  installer: target;\n  exports: ip;\n  children: Web;\n}\n\n"
        f"Web {{\n  installer: puppet;\n  imports: {imports};\n}}\n"
    )
    files = {f"graph/Web/{path}": text for path, text in recipe.items()}
    return {"graph/main.graph": graph, "graph/Web/scripts/start.sh": None, **files}


# (what differs from a template that is well, what is found as "file:line:column code")
TEMPLATES = [
    ({MAIN: VM + VM}, [f"{MAIN}:{n}:13 CO_ALREADY_DEFINED_INSTANCE" for n in (1, 4)]),
    ({MAIN: "instance of VM {\n name: a;\n count: 2;\n}\ninstance of VM {\n name: a2;\n}"},
     [f"{MAIN}:1:1 CO_CONFLICTING_INFERRED_INSTANCE"]),
    ({MAIN: "instance of X {\n name: a;\n instance of Y {\n  name: b;\n }\n}"},
     [f"{MAIN}:1:13 CO_INEXISTING_COMPONENT"]),
    ({MAIN: "import main.graph;", "instances/main.graph": "VM {\n installer: x;\n}"},
     [f"{MAIN}:0:0 CO_NOT_INSTANCES", "instances/main.graph:1:1 PROJ_INVALID_FILE_LOCATION"]),
    (descriptor(graph_entry_point=None) | {MAIN: VM},
     ["instances:0:0 CO_GRAPH_COULD_NOT_BE_BUILT", f"{DESC}:0:0 RM_MISSING_APPLICATION_GEP"]),
    ({MAIN: "instance of Web {\n name: w;\n}"}, [f"{MAIN}:1:13 RM_MISSING_INSTANCE_PARENT"]),
    ({MAIN: "instance of VM {\n name: v;\n instance of VM {\n  name: w;\n }\n}"},
     [f"{MAIN}:3:14 RM_INVALID_INSTANCE_PARENT"]),
    ({MAIN: "instance of VM {\n name: v;\n magic: 1;\n}"}, [f"{MAIN}:3:2 RM_MAGIC_INSTANCE_VARIABLE"]),
    ({MAIN: "instance of VM {\n name: v;\n instance of Web {\n name: w;\n port:;\n }\n}"},
     [f"{MAIN}:5:2 RM_MISSING_VARIABLE_VALUE"]),
    ({"graph/main.graph": "VM {\n installer: target;\n facets: F;\n}\nfacet F {\n exports: p = 1;\n}",
      MAIN: "instance of VM {\n name: v;\n p: 2;\n}"}, [f"{MAIN}:3:2 RM_AMBIGUOUS_OVERRIDING"]),
    (descriptor(name=None), [f"{DESC}:0:0 RM_MISSING_APPLICATION_NAME"]),
    (descriptor(name="a/b"), [f"{DESC}:1:1 RM_INVALID_APPLICATION_NAME"]),
    (descriptor(version=None), [f"{DESC}:0:0 RM_MISSING_APPLICATION_VERSION"]),
    (descriptor(version="one"), [f"{DESC}:2:1 RM_INVALID_APPLICATION_VERSION"]),
    (descriptor(dsl_id=None), [f"{DESC}:0:0 RM_MISSING_APPLICATION_DSL_ID"]),
    (descriptor(exports="Web.port as p"), [f"{DESC}:5:1 RM_MISSING_APPLICATION_EXPORT_PREFIX"]),
    (descriptor(exports="Web.port as p", exports_prefix="1"),
     [f"{DESC}:6:1 RM_INVALID_APPLICATION_EXPORT_PREFIX"]),
    (descriptor(exports="Web.no as p", exports_prefix="P"), [f"{DESC}:5:1 RM_INVALID_EXTERNAL_EXPORT"]),
    (descriptor(exports="Web.port as p, Web.ip as p", exports_prefix="P"),
     [f"{DESC}:5:1 RM_ALREADY_DEFINED_EXTERNAL_EXPORT"]),
    (descriptor(exports="Web.port as 1", exports_prefix="P"), [f"{DESC}:5:1 RM_INVALID_VARIABLE_NAME"]),
    (descriptor(exports="Web.port as p Web.ip as i", exports_prefix="P"),
     [f"{DESC}:5:1 PROJ_INVALID_EXTERNAL_EXPORTS"]),
    (descriptor(fail_read="x") | {DESC: BASE.replace("1", "1.0") + "fail.read = true\n"},
     [f"{DESC}:5:1 PROJ_READ_DESC_FILE"]),
    ({DESC: None}, ["descriptor:0:0 PROJ_NO_DESC_DIR"]),
    ({DESC: None, "descriptor/application.png": ""}, ["descriptor:0:0 PROJ_NO_DESC_FILE"]),
    ({path: None for path in ("graph/main.graph", "graph/VM/target.properties",
                              "graph/Web/scripts/start.sh", MAIN)}, ["graph:0:0 PROJ_NO_GRAPH_DIR"]),
    ({"graph/main.graph": None, MAIN: None}, [f"{DESC}:4:1 PROJ_MISSING_GRAPH_EP"]),
    ({MAIN: None, "instances/other": ""}, [f"{DESC}:5:1 PROJ_MISSING_INSTANCE_EP"]),
    ({"commands/a.txt": ""}, ["commands/a.txt:0:0 PROJ_INVALID_COMMAND_EXT"]),
    ({"rules.autonomic/a.txt": ""}, ["rules.autonomic/a.txt:0:0 PROJ_INVALID_RULE_EXT"]),
    # ... but none for the VM: a machine needs no recipe.
    ({"graph/VM/target.properties": None, "graph/Web/scripts/start.sh": None},
     ["graph/main.graph:7:1 PROJ_NO_RESOURCE_DIRECTORY"]),
    ({"graph/more.graph": "X {\n}"}, ["graph/more.graph:1:1 PROJ_UNREACHABLE_FILE"]),
    ({"more.graph": "X {\n}"}, ["more.graph:1:1 PROJ_INVALID_FILE_LOCATION"]),
    ({"graph/Web/scripts/start.sh": None, "graph/Web/start.sh": ""},
     ["graph/main.graph:7:1 REC_SCRIPT_NO_SCRIPTS_DIR"]),
    (puppet({"stdlib/manifests/init.pp": ""}), ["graph/main.graph:7:1 REC_PUPPET_HAS_NO_RBCF_MODULE"]),
    (puppet({"roboconf_a/manifests/init.pp": "", "Roboconf_b/manifests/init.pp": ""}),
     ["graph/main.graph:7:1 REC_PUPPET_HAS_TOO_MANY_RBCF_MODULES"]),
    (puppet({f"{MANIFESTS}/start.pp": "\nclass roboconf_web::start($vm) {\n}"}),
     [f"graph/Web/{MANIFESTS}/start.pp:2:7 REC_PUPPET_MISSING_PARAM_RUNNING_STATE"]),
    (puppet({f"{MANIFESTS}/update.pp": "class roboconf_web::update($runningState, $vm) { }"}),
     [f"graph/Web/{MANIFESTS}/update.pp:1:7 REC_PUPPET_MISSING_PARAM_IMPORT_DIFF"]),
    (puppet({f"{MANIFESTS}/stop.pp": "class roboconf_web::stop($runningState) { }"}),
     [f"graph/Web/{MANIFESTS}/stop.pp:1:7 REC_PUPPET_MISSING_PARAM_FROM_IMPORT"]),
    (puppet({f"{MANIFESTS}/stop.pp": "class roboconf_web::stop($runningState, $vm) { }"}, "VM.*"),
     ["graph/main.graph:7:1 REC_PUPPET_DISLIKES_WILDCARD_IMPORTS"]),
]  # fmt: skip

#: Raised by files that no text can show, or by Puppet; `test_files` and `test_puppet` have cases.
BY_FILES = {"P_IO_ERROR", "PROJ_EXTRACT_ZIP", "FC_UNSAFE_PATH", "REC_PUPPET_SYNTAX_ERROR"}


def found(problems, file=False):
    return [f"{p.file + ':' if file else ''}{p.line}:{p.column} {p.code}" for p in problems]


def by_name(cases):
    return [
        expected[0].rpartition(" ")[2] + f"-{number}" for number, (_, expected) in enumerate(cases)
    ]


@pytest.mark.parametrize(("text", "expected"), GRAPHS, ids=by_name(GRAPHS))
def test_graph_is_judged_as_by_roboconf(text, expected, check_text, tmp_path):
    (tmp_path / "main.instances").write_text("instance of VM {\n name: vm;\n}\n")

    assert found(check_text(text)) == expected


@pytest.mark.parametrize(("text", "expected"), INSTANCES, ids=by_name(INSTANCES))
def test_instances_are_judged_as_by_roboconf(text, expected, check_text):
    assert found(check_text(text, "main.instances")) == expected


def test_text_that_is_no_utf8_is_told_with_its_place(template, load):
    loaded = load({"graph/main.graph": b"A {\n # \xff\n}"})

    assert found(loaded.problems) == ["2:4 P_IO_ERROR"]


@pytest.mark.parametrize(("files", "expected"), TEMPLATES, ids=by_name(TEMPLATES))
def test_template_is_judged_as_by_roboconf(files, expected, load):
    loaded = load(files)

    assert found(loaded.problems, file=True) == expected
    assert (loaded.template is None) == any(p.is_severe for p in loaded.problems)


def test_every_code_that_a_text_can_raise_has_a_case():
    cases = [*GRAPHS, *INSTANCES, *TEMPLATES]
    shown = {one.rpartition(" ")[2] for _, expected in cases for one in expected}

    assert shown | BY_FILES == {code for code, kind in CODES.items() if kind.source == "text"}


def test_every_code_belongs_to_a_stage():
    assert {code.partition("_")[0] for code in CODES} == set(STAGES)
    assert [stage(code) for code in CODES] == sorted(stage(code) for code in CODES)


def test_the_readme_lists_exactly_the_codes_with_their_severities():
    rows = re.findall(r"^\| `([A-Z]+_\w+)` \| (\w+) \|", README.read_text(), re.MULTILINE)

    assert rows == [(code, kind.severity) for code, kind in CODES.items()]
