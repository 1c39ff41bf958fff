"""What the README of the language shows is right."""

import re
from pathlib import Path

README = Path(__file__).parents[2] / "dsl" / "README.md"


def examples():
    return re.findall(r"```(?:toml)?\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_example_loads_without_severe_problems(load):
    toml, graph, instances = examples()[:3]

    loaded = load(
        {
            "descriptor/application.properties": None,
            "descriptor/application.toml": toml,
            "graph/main.graph": graph,
            "graph/more.graph": "",
            "instances/main.instances": instances,
        }
    )

    assert {p.code for p in loaded.problems} == {"P_EMPTY_FILE", "PROJ_NO_RESOURCE_DIRECTORY"}
    replica = loaded.template.graph.components["Replica"].exports
    assert replica["Database.port"].value == replica["Replica.port"].value == "5433"
    assert len(loaded.template.instances) == 2 + 2 * 12
    assert loaded.template.settings == {"lost-after": "2s", "Web.check.every": "1s"}
