"""Templates of machines: as many as a test needs, or just one."""

_GRAPH = """
VM {
    installer: target;
    children: Data, Web, Balancer;
}
Data {
    installer: logger;
    exports: ip, port = 5432;
}
Web {
    installer: logger;
    exports: ip, port = 80;
    imports: Data.ip, Data.port;
}
Balancer {
    installer: logger;
    exports: ip, port = 80;
    imports: Web.ip, Web.port;
}
"""

_INSTANCES = """
instance of VM {
    name: data-vm;
    instance of Data {
        name: data;
    }
}
instance of VM {
    name: web-vm;
    count: COUNT;
    instance of Web {
        name: web;
    }
}
instance of VM {
    name: lb-vm;
    instance of Balancer {
        name: lb;
    }
}
"""

_DESCRIPTOR = """
name = {name}
version = 1.0
description = {name}, written by a test
graph-entry-point = main.graph
instance-entry-point = main.instances
"""


def written(folder, name, graph, instances, more=""):
    """Write a template and return its folder."""
    for path, text in (
        ("descriptor/application.properties", _DESCRIPTOR.format(name=name) + more),
        ("graph/main.graph", graph),
        ("instances/main.instances", instances),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text.lstrip())
    return folder


def machines(folder, count):
    """Write a template of `count` machines, with one instance each, and return its folder."""
    return written(folder, "many", _GRAPH, _INSTANCES.replace("COUNT", str(count - 2)))


def one_machine(folder, name, component, exports="", imports="", more=""):
    """Write a template of one machine with one instance, and return its folder."""
    lines = [f"    {word}: {what};" for word, what in (("exports", exports), ("imports", imports))]
    lines = [line for line in lines if not line.endswith(": ;")]
    graph = f"VM {{\n    installer: target;\n    children: {component};\n}}\n{component} {{\n"
    graph += "\n".join(["    installer: logger;", *lines, "}", ""])
    inside = f"    instance of {component} {{\n        name: it;\n    }}\n"
    return written(folder, name, graph, f"instance of VM {{\n    name: vm;\n{inside}}}\n", more)
