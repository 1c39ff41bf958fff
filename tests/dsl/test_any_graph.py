"""Whatever is declared, with circles of every kind, is built and judged; the searches are right."""

from hypothesis import given
from hypothesis import strategies as st

from fieldconf_dsl.build import build_graph
from fieldconf_dsl.build_instances import build_instances
from fieldconf_dsl.cycles import cycles, import_cycles
from fieldconf_dsl.model import Component, Export, Graph, Import, exported_values, may_contain
from fieldconf_dsl.parser import parse
from fieldconf_dsl.validate import validate_graph, validate_instances, warn_of_cycles

COMPONENTS = ["A", "B", "C", "D"]
FACETS = ["F", "G", "H"]


def some(names, most=2):
    return st.lists(st.sampled_from(names), max_size=most, unique=True)


def block(header, properties):
    lines = [f" {name}: {', '.join(values)};" for name, values in properties.items() if values]
    return "\n".join([f"{header} {{", *lines, "}", ""])


VARIABLES = some(["v", "w = 1", "random[port] p", "A.v = 2", "F.v = 3", "ip"])
COMPONENT_BLOCKS = st.fixed_dictionaries(
    {
        "installer": st.sampled_from([["target"], ["script"], []]),
        "extends": some(COMPONENTS, 1),
        "facets": some(FACETS),
        "children": some(COMPONENTS + FACETS),
        "exports": VARIABLES,
        "imports": some(["A.v", "B.*", "F.*", "G.v (optional)", "external X.y"]),
    }
)
FACET_BLOCKS = st.fixed_dictionaries(
    {"extends": some(FACETS), "children": some(COMPONENTS), "exports": VARIABLES}
)
GRAPHS = st.builds(
    lambda components, facets: "".join(
        [block(name, one) for name, one in zip(COMPONENTS, components, strict=True)]
        + [block(f"facet {name}", one) for name, one in zip(FACETS, facets, strict=True)]
    ),
    st.tuples(*[COMPONENT_BLOCKS] * len(COMPONENTS)),
    st.tuples(*[FACET_BLOCKS] * len(FACETS)),
)


@given(GRAPHS)
def test_any_graph_is_built_and_judged(text):
    built = build_graph([parse(text, "g")])
    problems = validate_graph(built.graph, built.places, "g")
    problems += warn_of_cycles(built.graph, built.places)

    assert built.problems == []
    for problem in problems:
        assert problem.line >= 1 or problem.code == "RM_NO_ROOT_COMPONENT"
        assert problem.file == "g"


@given(GRAPHS)
def test_what_holds_for_any_graph(text):
    graph = build_graph([parse(text, "g")]).graph

    for one in graph.components.values():
        for child in one.children:
            assert one.name in graph.components[child].ancestors
            assert may_contain(graph, one.name, child)
        # All that is exported under any name is also exported under the component's own.
        assert {name.partition(".")[2] for name in one.exports} == {
            name.partition(".")[2] for name in one.exports if name.startswith(f"{one.name}.")
        }
        if one.extends is not None:
            assert set(graph.components[one.extends].imports) <= set(one.imports)
    assert graph.roots == tuple(n for n, one in graph.components.items() if not one.ancestors)


@given(GRAPHS, st.data())
def test_any_instances_of_any_graph_are_judged(text, data):
    graph = build_graph([parse(text, "g")]).graph
    lines = []
    for number in range(data.draw(st.integers(0, 3))):
        component = data.draw(st.sampled_from(COMPONENTS))
        own = data.draw(st.sampled_from(["", "v: 1;", "A.v: ;", "magic: 2;", "count: 2;"]))
        inner = data.draw(st.sampled_from(COMPONENTS))
        lines += [f"instance of {component} {{", f"name: i{number};", own]
        lines += [f"instance of {inner} {{", "name: in;", "}", "}"]
    built = build_instances([parse("\n".join(lines), "i")], graph, "i")

    problems = validate_instances(graph, built.instances, built.blocks)

    assert all(p.line >= 1 and p.column >= 1 for p in [*built.problems, *problems])
    for instance in built.instances:
        assert set(graph.components[instance.component].exports) <= set(
            exported_values(graph, instance)
        )


EDGES = st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefx"), max_size=3))


@given(EDGES)
def test_cycles_are_the_names_that_reach_themselves(edges):
    def reached(start):
        seen, waiting = set(), list(edges[start])
        while waiting:
            name = waiting.pop()
            if name in edges and name not in seen:
                seen.add(name)
                waiting += edges[name]
        return seen

    found = cycles(edges)

    assert {name for group in found for name in group} == {n for n in edges if n in reached(n)}
    for group in found:
        assert all(set(group) <= reached(name) for name in group)


def test_a_chain_of_any_length_is_searched():
    edges = {str(n): [str(n + 1)] for n in range(50_000)} | {"50000": ["0"]}

    assert len(cycles(edges)[0]) == 50_001


def test_what_only_its_like_provides_for_never_starts():
    exports, imports = {"A.v": Export("1")}, {"A.v": Import("A", "v")}
    graph = Graph({"A": Component("A", exports=exports, imports=imports)}, {}, ("A",))

    assert import_cycles(graph) == [(["A"], "A.v")]
