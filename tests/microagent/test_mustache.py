"""Any text is a template or is refused in words; the specification's cases are in `both`."""

from hypothesis import given
from hypothesis import strategies as st

from fieldconf_microagent import mustache

names = st.sampled_from(["a", "b", "c"])
inner_values = st.recursive(
    st.sampled_from(["1", "<", "&\"'"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(names, inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)
contexts = st.dictionaries(names, st.sampled_from([True, False, None, []]) | inner_values)


@given(st.text(alphabet="{}#^/!>=& ab.\n", max_size=40), contexts)
def test_any_text_renders_or_is_refused_with_its_line(template, context):
    try:
        mustache.render(template, context, {"a": "{{b}}"})
    except mustache.MustacheError as error:
        assert 1 <= error.line <= template.count("\n") + 1
