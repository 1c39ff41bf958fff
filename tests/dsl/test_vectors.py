"""The recognisers give Roboconf's verdicts on its own test lines and properties."""

import json
from pathlib import Path

import pytest

from fieldconf_dsl import parser
from fieldconf_dsl.check_model import check_property

VECTORS = Path(__file__).parent / "vectors"
LINES = json.loads((VECTORS / "lines.json").read_text())
PROPERTIES = json.loads((VECTORS / "properties.json").read_text())


def read(reader):
    def verdict(line):
        block, found = reader(line, 1)
        return block is not None, [code for code, _, _ in found]

    return verdict


RECOGNISERS = {
    "comment": lambda line: (parser.is_comment(line), []),
    "blank": lambda line: (parser.is_blank(line), []),
    "import": read(parser.read_import),
    "property": read(parser.read_property),
    "split-inline-comment": lambda line: (True, []),
}


@pytest.mark.parametrize("vector", LINES, ids=lambda v: f"{v['recogniser']}: {v['line']}")
def test_line_is_recognised_as_by_roboconf(vector):
    verdict = RECOGNISERS[vector["recogniser"]](vector["line"])

    assert verdict == (vector["recognised"], vector["errors"])
    if "content" in vector:
        assert parser.split_comment(vector["line"]) == (vector["content"], vector["comment"])


@pytest.mark.parametrize("vector", PROPERTIES, ids=lambda v: f"{v['property']}: {v['value']}")
def test_property_is_judged_as_by_roboconf(vector):
    expected = [] if vector["expect"] == "valid" else vector["expect"]

    assert [p.code for p in check_property(vector["property"], vector["value"])] == expected
