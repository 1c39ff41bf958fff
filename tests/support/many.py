"""A template with as many machines as a test needs."""

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
name = many
version = 1.0
description = Many machines
graph-entry-point = main.graph
instance-entry-point = main.instances
"""


def machines(folder, count):
    """Write a template of `count` machines, with one instance each, and return its folder."""
    for name, text in (
        ("descriptor/application.properties", _DESCRIPTOR),
        ("graph/main.graph", _GRAPH),
        ("instances/main.instances", _INSTANCES.replace("COUNT", str(count - 2))),
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    return folder
