"""Small descriptions for the tests: a template that is well, and ways to spoil it."""

import pytest
from hypothesis import HealthCheck, settings

from fieldconf_dsl.check import check_paths
from fieldconf_dsl.loader import load_template

# A busy machine is no reason to fail.
settings.register_profile("dsl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dsl")

DESCRIPTOR = """\
name = web
version = 1.0
dsl-id = roboconf-1.0
graph-entry-point = main.graph
instance-entry-point = main.instances
"""

GRAPH = """\
VM {
  installer: target;
  exports: ip;
  children: Web;
}

Web {
  installer: script;
  exports: ip, port = 8080;
}
"""

INSTANCES = """\
instance of VM {
  name: vm;
  instance of Web {
    name: web;
  }
}
"""

WELL = {
    "descriptor/application.properties": DESCRIPTOR,
    "graph/main.graph": GRAPH,
    "graph/VM/target.properties": "handler = memory",
    "graph/Web/scripts/start.sh": "#!/bin/sh\n",
    "instances/main.instances": INSTANCES,
}


def lay_out(folder, files):
    """Write `files`, {path: text or None}, over a template that is well; None leaves a file out."""
    for path, text in {**WELL, **files}.items():
        if text is None:
            continue
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            file.write_bytes(text)
        else:
            file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def template(tmp_path):
    """Return a function that lays out a template and returns its folder."""
    return lambda files=None: lay_out(tmp_path / "template", files or {})


@pytest.fixture
def load(template):
    """Return a function that lays out a template and loads it."""
    return lambda files=None: load_template(template(files))


@pytest.fixture
def check_text(tmp_path):
    """Return a function that checks one lone file and returns its problems."""

    def check(text, name="main.graph"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        problems, could_not_run = check_paths([tmp_path / name])
        assert could_not_run == []
        return problems

    return check
