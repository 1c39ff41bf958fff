"""Descriptions of 2014 load as they are, with a warning for each word that is written otherwise now."""

# ruff: noqa: E501 (tables are read across)

# The two listings of the talk that began it all, with the components that it left out.
GRAPH = """\
VM_EC2 {
    alias: A machine;
    installer: iaas;
    children: Apache, Tomcat;
}

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

Webapp {
    alias: A web application;
    installer: bash;
}
"""

INSTANCES = """\
instanceof VM_EC2 {
  name: Apache VM;

  instanceof Apache {
    name: Apache;
  }
}
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
application-name = Légendes
application-qualifier = 1.0-2014
application-description = The sample
application-dsl-id = roboconf-1.0
graph-entry-point = main.graph
instance-entry-point = main.instances
"""

SEED = {
    "descriptor/application.properties": DESCRIPTOR,
    "graph/main.graph": GRAPH,
    "instances/main.instances": INSTANCES,
}


def test_the_seed_loads(load):
    loaded = load(SEED)

    template = loaded.template
    assert not any(p.is_severe for p in loaded.problems)
    assert (template.name, template.version) == ("Legendes", "1.0-2014")
    assert [i.path for i in template.instances] == [
        "/Apache VM",
        "/Apache VM/Apache",
        "/Tomcat VM",
        "/Tomcat VM/Tomcat1",
        "/Tomcat VM/Tomcat1/DemoApp",
    ]
    components = template.graph.components
    assert [one.installer for one in components.values()] == [
        "target",
        "puppet",
        "puppet",
        "script",
    ]
    assert components["Apache"].annotation == "Apache Load Balancer"


def test_each_word_gets_its_warning(load):
    warnings = [p for p in load(SEED).problems if p.code == "FC_OLD_DIALECT"]

    assert [(p.file, p.line, p.column) for p in warnings[:3]] == [
        ("graph/main.graph", 2, 5),
        ("graph/main.graph", 3, 16),
        ("graph/main.graph", 8, 5),
    ]
    assert warnings[1].message.startswith("write 'target' instead of 'iaas'")
    assert len(warnings) == 6 + 5


def test_names_with_blanks_are_read_where_a_word_of_2014_stands(check_text):
    text = "My VM {\n alias: x;\n installer: target;\n children: My App;\n}\nMy App {\n installer: x;\n}"

    old = check_text(text)
    new = check_text(text.replace("alias: x;", ""))

    assert {p.code for p in old} == {"FC_OLD_DIALECT"}
    assert "write 'My_App' instead of 'My App'" in str(old[2])
    assert {p.code for p in new} == {"PM_INVALID_NAME", "PM_INVALID_CHILD_NAME"}


def test_imports_from_names_with_blanks(check_text):
    text = "My VM {\n installer: iaas;\n exports: ip;\n imports: My VM.ip (optional);\n}"

    assert {p.code for p in check_text(text)} == {"FC_OLD_DIALECT"}


def test_channel_is_read_as_channels_unless_a_variable_is_called_so(load):
    instances = "instance of VM {\n name: vm;\n channel: demo;\n}\n"
    plain = load({"instances/main.instances": instances})
    exporting = load(
        {
            "graph/main.graph": "VM {\n installer: target;\n exports: channel = 1;\n}\n",
            "instances/main.instances": instances,
        }
    )

    assert plain.template.instances[0].channels == ("demo",)
    assert exporting.template.instances[0].exports == {"channel": "demo"}
