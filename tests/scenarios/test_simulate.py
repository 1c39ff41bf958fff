"""A template for tools that this box lacks: refused in words, and tried as a simulation."""

import json

import pytest

from fieldconf_microagent import states
from support.box import Box
from support.commands import fieldconf

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

GRAPH = """
VM {
    installer: target;
    children: Tomcat, Apache;
}
Tomcat {
    installer: puppet;
    exports: ip, port = 8009;
}
Apache {
    installer: %s;
    imports: Tomcat.ip, Tomcat.port;
}
"""
MANIFESTS = "graph/Tomcat/roboconf_tomcat/manifests"
INSTANCES = """
instance of VM {
    name: tomcat-vm;
    instance of Tomcat {
        name: tomcat;
    }
}
instance of VM {
    name: apache-vm;
    instance of Apache {
        name: apache;
    }
}
"""


@pytest.fixture
def box(tmp_path, monkeypatch):
    # A box without Puppet, whatever is installed here.
    monkeypatch.setenv("PATH", f"{tmp_path}/empty")
    box = Box(tmp_path).up()
    yield box
    box.close()


@pytest.fixture
def template(tmp_path):
    root = tmp_path / "template"
    for name in ("descriptor", "graph/Apache", MANIFESTS, "instances"):
        (root / name).mkdir(parents=True)
    (root / "descriptor/application.properties").write_text(
        "name = shop\nversion = 1.0\ndsl-id = roboconf-1.0\n"
        "graph-entry-point = main.graph\ninstance-entry-point = main.instances\n"
    )
    (root / MANIFESTS / "init.pp").write_text(
        "class roboconf_tomcat($runningState = undef, $importDiff = undef) { }\n"
    )
    (root / "graph/main.graph").write_text(GRAPH % "chef")
    (root / "graph/Apache/workers.mustache").write_text("{{#Tomcat}}{{ip}}:{{port}}{{/Tomcat}}")
    (root / "instances/main.instances").write_text(INSTANCES)
    return root


def recorded(box, path):
    """Return the lines that were written down for an instance."""
    node = box.instances()[path]["node"]
    name = path[1:].replace("/", "+")
    file = box.data / "nodes/local" / node / "data" / name / "simulated.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_template_is_refused_for_what_the_box_lacks_and_can_be_simulated(box, template):
    for command in ("plan", "deploy"):
        status, _, err = fieldconf(box.data, command, template)
        assert status != 0
        assert "/tomcat-vm/tomcat (Tomcat): the installer 'puppet' needs puppet" in err
        assert "/apache-vm/apache (Apache): its node has no installer 'chef', only:" in err
        assert "--simulate" in err
    assert box.ask("status")["applications"] == []

    assert fieldconf(box.data, "plan", template, "--simulate")[0] == 0
    status, out, err = fieldconf(box.data, "deploy", template, "--simulate")
    assert status == 0, out + err

    assert box.state("/apache-vm/apache") == states.STARTED
    assert "simulated: no recipe runs" in fieldconf(box.data, "status")[1]
    deploy, start = recorded(box, "/apache-vm/apache")
    assert (deploy["step"], start["step"], start["installer"]) == ("deploy", "start", "chef")
    ((path, told),) = start["imports"]["Tomcat"]
    assert (path, told["port"]) == ("/tomcat-vm/tomcat", "8009")
    rendered = list(box.data.glob("nodes/local/*/data/apache-vm+apache/rendered/workers"))
    assert [file.read_text() for file in rendered] == [f"{told['ip']}:8009"]

    status, out, err = fieldconf(box.data, "stop", "/tomcat-vm/tomcat")
    assert status == 0, out + err
    assert recorded(box, "/apache-vm/apache")[-1]["cause"] == "import-lost"
    assert fieldconf(box.data, "undeploy")[0] == 0


def test_nodes_that_simulate_take_any_application(box, template):
    instances = template / "instances/main.instances"
    instances.write_text(instances.read_text().replace("-vm;", "-vm;\n    data.simulate: yes;"))

    status, out, err = fieldconf(box.data, "deploy", template)

    assert status == 0, out + err
    told = box.ask("status")
    assert [node["simulates"] for node in told["nodes"]] == [True, True]
    assert told["applications"][0]["simulate"] is False
    assert [one["step"] for one in recorded(box, "/apache-vm/apache")] == ["deploy", "start"]
