"""The listings of the 2014 talk that started it all, as they stand there, with what they leave out.

They lack the root component and the web application: both are added. All the rest is theirs, the
dialect and the names with blanks included.
"""

import pytest

from fieldconf_dsl.errors import has_severe
from fieldconf_dsl.loader import load_template
from fieldconf_microagent import states
from support.coordinators import coordinator
from support.waiting import until

GRAPH = """\
Apache {
    alias: Apache Load Balancer;
    installer: puppet;
    imports: Tomcat.portAJP, Tomcat.ip;
}

Tomcat {
    alias: Tomcat;
    installer: puppet;
    exports: ip, portAJP = 8009;
    children: Webapp;
}
"""

ADDED = """
VM_EC2 {
    alias: a machine in a cloud;
    installer: iaas;
    children: Apache, Tomcat;
}

Webapp {
    alias: a web application;
    installer: bash;
}
"""

INSTANCES = """\
# A VM with Apache + load balancer
instanceof VM_EC2 {
  name: Apache VM;

  instanceof Apache {
    name: Apache;
  }
}

# A VM with Tomcat + webapp
instanceof VM_EC2 {
  name: Tomcat VM;

  instanceof Tomcat {
    name: Tomcat1;
    instanceof Webapp {
      name: DemoApp;
    }
  }
}
"""

DESCRIPTOR = """\
application-name = lamp
application-version = 1.0
application-dsl-id = roboconf-1.0
graph-entry-point = lamp.graph
instance-entry-point = lamp.instances
"""

PATHS = {
    "/Apache VM", "/Apache VM/Apache",
    "/Tomcat VM", "/Tomcat VM/Tomcat1", "/Tomcat VM/Tomcat1/DemoApp",
}  # fmt: skip


@pytest.fixture
def seed(tmp_path):
    root = tmp_path / "lamp"
    for folder in ("descriptor", "graph", "instances"):
        (root / folder).mkdir(parents=True)
    for name, told in (("apache", "$importDiff, $tomcat"), ("tomcat", "$importDiff, $portajp")):
        manifests = root / "graph" / name.title() / f"roboconf_{name}" / "manifests"
        manifests.mkdir(parents=True)
        (manifests / "init.pp").write_text(f"class roboconf_{name}($runningState, {told}) {{ }}\n")
    scripts = root / "graph" / "Webapp" / "scripts"
    scripts.mkdir(parents=True)
    (scripts / "start.sh").write_text("#!/bin/sh\ntrue\n")
    (root / "descriptor/application.properties").write_text(DESCRIPTOR)
    (root / "graph/lamp.graph").write_text(GRAPH + ADDED)
    (root / "instances/lamp.instances").write_text(INSTANCES)
    return root


def test_listings_load_with_warnings_only(seed):
    loaded = load_template(seed)

    assert loaded.template is not None
    assert not has_severe(loaded.problems), [str(problem) for problem in loaded.problems]
    said = " ".join(str(problem) for problem in loaded.problems)
    for word in ("alias", "instanceof", "iaas", "bash"):
        assert word in said


def test_listings_deploy_and_follow_their_import(seed, tmp_path):
    with coordinator(tmp_path / "data") as running:
        running.deploy(seed, target="memory")
        assert running.states("lamp") == dict.fromkeys(PATHS, states.STARTED)

        running.ask("wish", app="lamp", path="/Tomcat VM/Tomcat1", wish=states.STOPPED)
        until(lambda: running.states("lamp")["/Apache VM/Apache"] == states.UNRESOLVED, 60)
        assert running.states("lamp")["/Tomcat VM/Tomcat1/DemoApp"] == states.WAITING

        running.ask("wish", app="lamp", path="/Tomcat VM/Tomcat1", wish=states.STARTED)
        until(lambda: running.states("lamp") == dict.fromkeys(PATHS, states.STARTED), 60)
