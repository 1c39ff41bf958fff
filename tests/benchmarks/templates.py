"""Writes the applications that benchmarks deploy."""

_DESCRIPTOR = """\
name = {name}
version = 1.0
dsl-id = roboconf-1.0
graph-entry-point = main.graph
instance-entry-point = main.instances
"""


def write(folder, graph, instances, recipes, name="bench"):
    """Write a template into `folder` and return it.

    Args:
        folder: made if it is not there; files that are there are replaced.
        graph: text of the graph.
        instances: text of the instances.
        recipes: component → {file: text}; a script without a line says that it succeeds.
        name: of the template.
    """
    texts = {
        "descriptor/application.properties": _DESCRIPTOR.format(name=name),
        "graph/main.graph": graph,
        "instances/main.instances": instances,
        "graph/VM/README": "A machine.\n",
    }
    for component, files in recipes.items():
        for file, text in (files or {"scripts/start.sh": "#!/bin/sh\n"}).items():
            texts[f"graph/{component}/{file}"] = text
    for file, text in texts.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
