"""Descriptors are read as Java reads properties, or as TOML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_dsl.descriptor import read_descriptor

NEEDED = "name: web\nversion 1.0\ndsl-id=x\ngraph-entry-point = main.graph\n"


def settings(text):
    return read_descriptor(text, "application.properties").settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=1\nb: 2\nc 3\n  d   =   4  \n", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("# a=1\n! b=2\n\n", {}),
        ("a = one \\\n    two\n", {"a": "one two"}),
        ("a = x\\\\\nb = 1\n", {"a": "x\\", "b": "1"}),
        ("a\\ b\\=c = d\\u00e9\\tf\n", {"a b=c": "dé\tf"}),
        ("empty\n", {"empty": ""}),
        ("url = http://h:80/x=y\n", {"url": "http://h:80/x=y"}),
        ("a = 1\na = 2\n", {"a": "2"}),
        ("a = end\\", {"a": "end"}),
    ],
)
def test_properties_are_read_as_by_java(text, expected):
    assert settings(text) == expected


def test_all_keys_are_understood():
    found = read_descriptor(
        NEEDED + "description = d\ntags = a, b\nexports-prefix = P\n"
        "exports = Web.port as p, Web.ip AS ip\nlost-after = 2s\n",
        "application.properties",
    )

    assert found.problems == []
    assert (found["name"], found["version"], found["description"]) == ("web", "1.0", "d")
    assert found.tags == ("a", "b")
    assert found.external_exports == {"Web.port": "p", "Web.ip": "ip"}
    assert found.settings == {"lost-after": "2s"}


def test_todays_key_counts_more_than_an_old_one():
    found = read_descriptor(NEEDED + "application-name = old\n", "application.properties")

    assert found["name"] == "web"


def test_toml_says_the_same():
    found = read_descriptor(
        'name = "web"\nversion = "1.0"\ngraph-entry-point = "m.graph"\ntags = ["a", "b"]\n'
        'exports-prefix = "P"\nquick = true\n[exports]\n"Web.port" = "p"\n'
        '[Web]\ncheck.every = "1s"\ndeploy.limit = 600\n',
        "application.toml",
    )

    assert found.problems == []
    assert found.tags == ("a", "b")
    assert found.external_exports == {"Web.port": "p"}
    assert found.settings == {"quick": "true", "Web.check.every": "1s", "Web.deploy.limit": "600"}


def test_broken_toml_tells_its_place():
    (problem,) = read_descriptor('name = "web"\nversion = \n', "application.toml").problems

    assert (problem.code, problem.line, problem.text) == ("PROJ_READ_DESC_FILE", 2, "version = ")


@given(st.text(), st.sampled_from(["a.toml", "a.properties"]))
def test_no_text_crashes_it(text, name):
    for problem in read_descriptor(text, name).problems:
        assert str(problem)
