"""Texts become blocks, whatever they hold; errors tell their place and mark it."""

# ruff: noqa: E501 (tables are read across)

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_dsl.check_model import check_model
from fieldconf_dsl.loader import read_source
from fieldconf_dsl.parser import parse, split_comment
from fieldconf_dsl.syntax import COMPONENT, FACET, INSTANCE

#: Pieces from which odd texts are made faster than from single letters.
PIECES = st.sampled_from(
    [
        "A", "facet", "instance of", "instanceof", "import", " ", "\t", "\n", "\r\n", "{", "}", ";", ":",
        '"', "#", ",", "=", ".", "*", "(optional)", "external ", "random[port] ", "name", "exports",
        "imports", "children", "count", "alias", "1", "é", "\x00", "\u2028",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Web {\n  installer: script\n}",
            """\
            web.graph:2:20: P_PROPERTY_ENDS_WITH_SEMI_COLON: the property 'installer' does not end; add a ';'
                  installer: script
                                   ^""",
        ),
        (
            "Web { installer: script; }",
            """\
            web.graph:1:6: P_O_C_BRACKET_EXTRA_CHARACTERS: there is text after '{'; move it to the next line
                Web { installer: script; }
                     ~~~~~~~~~~~~~~~~~~~~^""",
        ),
        (
            "Web {\n\tchildren: 1st;\n}",
            """\
            web.graph:2:12: PM_INVALID_CHILD_NAME: the child '1st' is no valid name; use letters, digits, '_', '-' and '.', beginning with a letter or '_'
                \tchildren: 1st;
                \t          ~~^""",
        ),
        (
            "Web {\n",
            """\
            web.graph:2:1: P_C_C_BRACKET_MISSING: the component 'Web' (line 1) is never closed; add a line with '}'""",
        ),
        (
            'Web {\n exports: a = "日本", 1st;\n}',
            """\
            web.graph:2:21: PM_INVALID_EXPORTED_VAR_NAME: the exported variable '1st' is no valid name; use letters, digits, '_', '-' and '.', beginning with a letter or '_'
                 exports: a = "日本", 1st;
                                      ~~^""",
        ),
        (
            "Web {\n \x1b[2J\u202eoops\n}",
            """\
            web.graph:2:3: P_INVALID_PROPERTY: expected a property in the component 'Web'; write 'name: value;', or close it above with '}'
                 \ufffd[2J\ufffdoops
                  ~~~~~~~^""",
        ),
    ],
    ids=[
        "semicolon forgotten",
        "all on one line",
        "a tab before",
        "never closed",
        "wide characters before",
        "what a terminal would obey",
    ],
)
def test_problem_shows_place_line_and_marker(text, expected):
    (problem,) = read_source(text.encode(), "web.graph").problems

    assert str(problem) == textwrap.dedent(expected)


@pytest.mark.parametrize(
    ("line", "kind", "name"),
    [
        ("facet F {", FACET, "F"),
        ("FACET\tF {", FACET, "F"),
        ("facet{", COMPONENT, "facet"),
        ("facetX {", COMPONENT, "facetX"),
        ("importX {", COMPONENT, "importX"),
        ("Instance Of VM {", INSTANCE, "VM"),
        ("instance   of\tVM{", INSTANCE, "VM"),
        ("instanceof VM {", INSTANCE, "VM"),
        ("  A{ # comment", COMPONENT, "A"),
    ],
)
def test_header_tells_kind_and_name(line, kind, name):
    (block,) = parse(f"{line}\n}}").holders()

    assert (block.kind, block.name) == (kind, name)


@pytest.mark.parametrize(
    ("line", "content", "comment"),
    [
        ('a: "x # y"; # z', 'a: "x # y";', " # z"),
        ('a: "x # y', 'a: "x', " # y"),
        ('a: "x" "# y"; # "z"', 'a: "x" "# y";', ' # "z"'),
        ('# "', "", '# "'),
    ],
)
def test_hash_between_quotes_is_text(line, content, comment):
    assert split_comment(line) == (content, comment)


def test_only_a_line_that_begins_with_import_is_one():
    file = parse("A {\n}\nA import x {\n}")

    assert [b.name for b in file.holders()] == ["A", "A import x"]


def test_reading_goes_on_behind_what_does_not_cancel():
    file = parse("import a\nmy Toto\nA {\n installer: x\n}\nyour Toto\n")

    assert [p.code for p in file.problems] == [
        "P_IMPORT_ENDS_WITH_SEMI_COLON",
        "P_UNRECOGNIZED_BLOCK",
        "P_PROPERTY_ENDS_WITH_SEMI_COLON",
        "P_UNRECOGNIZED_BLOCK",
    ]


def test_reading_stops_where_nobody_could_tell_what_follows():
    file = parse("A {\n ?\n}\nmy Toto\n")

    assert [p.code for p in file.problems] == ["P_INVALID_PROPERTY"]


def test_nested_instances_keep_their_comments_and_order():
    (outer,) = parse(
        "instance of A { # a\n name: a;\n\n # inner\n instance of B {\n } # b\n}"
    ).holders()

    kinds = [type(block).__name__ for block in outer.blocks]
    assert kinds == ["Property", "Blank", "Comment", "Holder"]
    assert (outer.comment, outer.blocks[3].closing_comment) == ("# a", "# b")


@given(TEXTS)
def test_no_text_crashes_the_parser_and_every_problem_has_a_place(text):
    file = parse(text, "x")
    lines = len(file.lines)

    for problem in [*file.problems, *check_model(file)]:
        assert 1 <= problem.line <= lines + 1
        assert 1 <= problem.column <= len(problem.text) + 2
        assert str(problem).startswith(f"x:{problem.line}:{problem.column}: {problem.code}: ")


@given(st.binary())
def test_no_bytes_crash_the_reader(content):
    for problem in read_source(content, "x").problems:
        assert problem.line >= 1 and problem.column >= 1


def test_a_long_line_takes_no_quadratic_time():
    file = parse("A {\n" + "a" * 1_000_000 + "\n" + "x y : " * 100_000 + "\n}")

    assert [p.code for p in file.problems] == ["P_INVALID_PROPERTY"]


def test_endless_errors_are_cut():
    problems = read_source(b"import a\n" * 5000 + b"A {\n" + b"exports: 1;\n" * 5000, "x").problems

    assert [p.code for p in problems[999:]] == [
        "P_IMPORT_ENDS_WITH_SEMI_COLON",
        "FC_LIMIT_EXCEEDED",
    ]
