"""Templates made from a few lines, read by the real loader."""

import tempfile
from pathlib import Path

from fieldconf_dsl.loader import load_template

SHOP = """
VM {
    installer: target;
    children: Data, Web, Balancer, Page;
}
Data {
    installer: script;
    exports: ip, port = 5432;
}
Web {
    installer: script;
    exports: ip, random[port] port;
    imports: Data.ip, Data.port;
    children: Page;
}
Page {
    installer: script;
    exports: name = page;
}
Balancer {
    installer: script;
    exports: ip, port = 80;
    imports: Web.ip, Web.port, Page.name (optional);
}
"""

SHOP_INSTANCES = """
instance of VM {
    name: data-vm;
    instance of Data {
        name: data;
    }
}
instance of VM {
    name: web-vm;
    count: 2;
    instance of Web {
        name: web;
        instance of Page {
            name: page;
        }
    }
}
instance of VM {
    name: lb-vm;
    instance of Balancer {
        name: lb;
    }
}
"""


def template(graph=SHOP, instances=SHOP_INSTANCES, version="1.0", **settings):
    """Return the template of these texts; settings with `_` for `-` and `__` for `.`."""
    with tempfile.TemporaryDirectory() as folder:
        return write(Path(folder), graph, instances, version, **settings)


def write(folder, graph=SHOP, instances=SHOP_INSTANCES, version="1.0", **settings):
    """Write a template into `folder`, load it, and return it."""
    for name in ("descriptor", "graph", "instances"):
        (folder / name).mkdir(exist_ok=True)
    lines = [
        "name = shop",
        f"version = {version}",
        "dsl-id = roboconf-1.0",
        "graph-entry-point = shop.graph",
        "instance-entry-point = shop.instances",
    ]
    for key, value in settings.items():
        lines.append(f"{key.replace('__', '.').replace('_', '-')} = {value}")
    (folder / "descriptor/application.properties").write_text("\n".join(lines))
    (folder / "graph/shop.graph").write_text(graph)
    (folder / "instances/shop.instances").write_text(instances)
    loaded = load_template(folder)
    assert loaded.template, "\n".join(map(str, loaded.problems))
    return loaded.template
