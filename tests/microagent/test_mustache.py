"""Mustache against another implementation of its specification, where that is installed."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fieldconf_microagent import mustache

names = st.sampled_from(["a", "b", "c"])
plain = st.text(alphabet="xyü<&.\n", max_size=6)
blank = st.text(alphabet=" \t", max_size=2)
new_line = st.sampled_from(["", "\n"])


@st.composite
def variables(draw):
    opening, closing = draw(st.sampled_from([("{{", "}}"), ("{{{", "}}}"), ("{{&", "}}")]))
    name = draw(st.one_of(names, st.just("a.b")))
    return opening + draw(blank) + name + draw(blank) + closing


@st.composite
def on_its_line(draw, tag):
    # No blanks around the tag: chevron keeps some of them, which the specification's own cases
    # in `both/test_mustache.py` do not.
    return tag + draw(new_line)


@st.composite
def comments(draw):
    return draw(on_its_line("{{! not shown }}"))


@st.composite
def sections(draw, inner):
    name = draw(names)
    sigil = draw(st.sampled_from("#^"))
    begin = draw(on_its_line("{{" + sigil + name + "}}"))
    end = draw(on_its_line("{{/" + name + "}}"))
    return begin + draw(inner) + end


pieces = st.one_of(plain, variables(), comments())
templates = st.recursive(
    st.lists(pieces, max_size=5).map("".join),
    lambda inner: st.lists(st.one_of(inner, sections(inner)), max_size=4).map("".join),
    max_leaves=8,
)

# Nothing empty or false within: chevron does not render a section for such an item of a list.
inner_values = st.recursive(
    st.sampled_from(["1", "<", "&\"'"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(names, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
contexts = st.dictionaries(names, st.sampled_from([True, False, None, []]) | inner_values)


@settings(max_examples=500)
@given(templates, contexts)
def test_templates_give_what_chevron_gives(template, context):
    chevron = pytest.importorskip("chevron")
    result = mustache.render(template, context)
    # What an empty list or map looks like as text is nobody's business.
    assume("[]" not in result and "{}" not in result)
    assert result == chevron.render(template, context)


@given(st.text(alphabet="{}#^/!>=& ab.\n", max_size=40), contexts)
def test_any_text_renders_or_is_refused_with_its_line(template, context):
    try:
        mustache.render(template, context, {"a": "{{b}}"})
    except mustache.MustacheError as error:
        assert 1 <= error.line <= template.count("\n") + 1
