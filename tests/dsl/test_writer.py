"""The canonical form: once is enough, comments survive, and the model stays the same."""

# ruff: noqa: E501 (tables are read across)

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fieldconf_dsl.build import build_graph
from fieldconf_dsl.build_instances import build_instances
from fieldconf_dsl.check import format_paths
from fieldconf_dsl.model import Component, Graph, Instance
from fieldconf_dsl.parser import parse
from fieldconf_dsl.syntax import Comment, Holder, ImportFile, Property
from fieldconf_dsl.writer import CannotFormat, format_file, format_text, write_instances

UGLY = """\


# kept
import   more.graph ;# kept too
# describes F
facet   F{
}
VM{   # the machine

   installer :target ;

  # why
  exports:  ip,random[port]   p , t="x; # y";#end
  children:F ,A;


}# done
facet{
installer: x;
}
"""

CANONICAL = """\
# kept
import more.graph; # kept too
# describes F
facet F {
}

VM { # the machine
  installer: target;

  # why
  exports: ip, random[port] p, t = "x; # y"; #end
  children: F, A;
} # done

facet{
  installer: x;
}
"""


def shape(text):
    """Return all that a text says, without where it stands and how it is spaced."""

    def of(block):
        if isinstance(block, Holder):
            inner = [of(b) for b in block.blocks if not isinstance(b, type(None))]
            return (block.kind, block.name, block.old, block.comment, block.closing_comment,
                    [one for one in inner if one])  # fmt: skip
        if isinstance(block, Property):
            value = "".join(block.value.split())
            return (block.name, value.rstrip(","), block.comment)
        if isinstance(block, ImportFile):
            return (block.path, block.comment)
        return block.text if isinstance(block, Comment) else None

    return [of(block) for block in parse(text).blocks if of(block)]


def test_ugly_text_becomes_canonical():
    assert format_text(UGLY) == CANONICAL


def test_nested_blocks_are_set_apart():
    text = "instance of A {\nname:a;\n# c\ninstance of B {\nname:b;\n}\nport: 1;\n}\n"

    assert format_text(text) == (
        "instance of A {\n  name: a;\n  # c\n  instance of B {\n    name: b;\n  }\n\n  port: 1;\n}\n"
    )


NAMES = st.sampled_from(["A", "B", "C", "facet", "x-1"])
GAPS = st.sampled_from(["", " ", "\t", "   "])
COMMENTS = st.sampled_from(["", "", "#", " # c", '  #"d;'])
ODD_LINES = st.one_of(
    st.sampled_from(["", "  ", "# c", "\t#d  ", "\r"]),
    st.builds(
        lambda name, value, gap, comment: f"{gap}{name}{gap}:{gap}{value}{gap};{gap}{comment}",
        st.sampled_from(["exports", "imports", "children", "facets", "extends", "x y", "data.k"]),
        st.sampled_from(
            ["", "a", "a ,b", ",a,", 'a = "b; #c" , d', 'a = "', 'x"', "a.*,b.c( optional )"]
        ),
        GAPS,
        COMMENTS,
    ),
)


def holder(headers):
    """Build blocks whose headers begin with one of `headers`, and which hold odd lines."""

    def build(inner):
        return st.builds(
            lambda header, name, gap, lines, comment: "\n".join(
                [f"{gap}{header}{name}{gap}{{{comment}", *lines, f"{gap}}}{comment}"]
            ),
            st.sampled_from(headers),
            NAMES,
            GAPS,
            st.lists(ODD_LINES | inner, max_size=5),
            COMMENTS,
        )

    return build


NESTED = st.recursive(
    ODD_LINES, holder(["instance of ", "instanceof\t", "Instance   OF "]), max_leaves=4
)
FILES = st.lists(
    st.one_of(
        st.sampled_from(["", "# c", " import  a.graph;", "IMPORT a b ; # c"]),
        holder(["", "facet ", " FACET\t", "instance of "])(NESTED),
    ),
    max_size=6,
).map("\n".join)


@given(FILES)
def test_twice_is_once_and_says_the_same(text):
    file = parse(text)
    # Kinds of blocks may be mixed here: for the form that does not matter.
    assume({p.code for p in file.problems} <= {"P_INVALID_FILE_TYPE", "P_EMPTY_FILE"})
    once = format_file(file)

    assert format_file(parse(once)) == once
    assert shape(once) == shape(text)


VALUES = st.text(st.sampled_from('ab ;#,="('), max_size=5)
EXPORTS = st.lists(
    st.builds(
        lambda name, value: name if value is None else f'{name} = "{value.replace(chr(34), "")}"',
        st.sampled_from(["ip", "port", "random[port] p"]),
        st.none() | VALUES,
    ),
    min_size=1,
).map(" ,  ".join)


@given(st.lists(st.tuples(NAMES, EXPORTS, st.lists(NAMES, min_size=1)), unique_by=lambda t: t[0]))
def test_formatting_keeps_the_graph(types):
    text = "".join(
        f"{name}{{\n# c\nexports:{exports};\nchildren: {' ,'.join(children)} ;\n}}\n"
        for name, exports, children in types
    )

    before, after = build_graph([parse(text)]), build_graph([parse(format_text(text))])

    assert before.graph == after.graph


def test_a_text_that_cannot_be_read_is_not_formatted():
    with pytest.raises(CannotFormat) as caught:
        format_text("A { x: y; }", "a.graph")

    assert [p.code for p in caught.value.problems] == ["P_O_C_BRACKET_EXTRA_CHARACTERS"]


def test_files_are_rewritten_all_or_none(tmp_path):
    good, bad = tmp_path / "a.graph", tmp_path / "b.graph"
    good.write_text("A{\n}")
    bad.write_text("B { }")

    with pytest.raises(CannotFormat):
        format_paths([tmp_path])
    assert good.read_text() == "A{\n}"

    bad.write_text("B {\n}\n")
    assert format_paths([tmp_path], check_only=True) == [(str(good), True), (str(bad), False)]
    assert good.read_text() == "A{\n}"
    assert format_paths([tmp_path]) == [(str(good), True), (str(bad), False)]
    assert good.read_text() == "A {\n}\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.graph", "b.graph"]


# Instances -----------------------------------------------------------------------------------

GRAPH = Graph({"VM": Component("VM"), "Web": Component("Web")})


def again(instances):
    return build_instances([parse(write_instances(instances))], GRAPH).instances


def test_instances_are_written_as_they_are_read():
    instances = (
        Instance("vm 1", "VM", "/vm 1", {}, {"x": "y", "Case": "1, 2"}, ("a", "b")),
        Instance("web", "Web", "/vm 1/web", {"Web.t": " a; # b ", "e": "", "q": '"'}, {}, (), "DEPLOYED_STARTED"),
        Instance("vm2", "VM", "/vm2"),
    )  # fmt: skip

    assert again(instances) == instances


@given(st.dictionaries(st.from_regex(r"[a-z]\w{0,5}", fullmatch=True), st.text(max_size=8)))
def test_own_values_are_written_exactly_or_not_at_all(exports):
    assume(not set(exports) & {"name", "count", "channels", "channel"})
    instance = Instance("vm", "VM", "/vm", exports)
    try:
        written = again([instance])
    except ValueError as error:
        assert str(error).startswith("cannot write the value of ")
    else:
        assert written == (instance,)
