"""A Puppet class follows what an Ansible playbook's instance exports; both tell beforehand."""

import shutil

import pytest

from fieldconf_microagent import installer_ansible, states
from support.box import Box
from support.commands import fieldconf
from support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(240),
    pytest.mark.skipif(shutil.which("puppet") is None, reason="needs puppet"),
    pytest.mark.skipif(installer_ansible.program() is None, reason="needs ansible-playbook"),
]

FILES = {
    "descriptor/application.properties": """\
name = demo
version = 1.0
dsl-id = roboconf-1.0
graph-entry-point = main.graph
instance-entry-point = main.instances
""",
    "graph/main.graph": """\
VM {
  installer: target;
  children: Web, Proxy;
}
Web {
  installer: ansible;
  exports: port = 8080;
}
Proxy {
  installer: puppet;
  imports: Web.port;
}
""",
    "instances/main.instances": """\
instance of VM {
  name: vm;
  instance of Web {
    name: web;
  }
  instance of Proxy {
    name: proxy;
  }
}
""",
    "graph/Web/start.yml": """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Write the port
      ansible.builtin.copy:
        dest: "{{ fieldconf.meta.data_dir }}/port"
        content: "{{ fieldconf.exports.port }}"
""",
    "graph/Proxy/roboconf_proxy/manifests/init.pp": """\
class roboconf_proxy($runningState = undef, $importDiff = undef, $web = undef) {
  $known = $web ? { undef => {}, default => $web }
  $lines = $known.map |$path, $values| { " ${path} ${values['port']}" }
  file { "${facts['fieldconf_data_dir']}/proxy":
    content => "${runningState}${lines.join}\\n",
  }
}
""",
}


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path)
    try:
        yield box.up()
    finally:
        box.close()


@pytest.fixture
def template(tmp_path):
    for name, text in FILES.items():
        file = tmp_path / "demo" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path / "demo"


def states_of(box):
    [found] = box.ask("status", app="demo")["applications"]
    return {one["path"]: one["state"] for one in found["instances"]}


def test_both_run_together_and_tell_what_they_would_change(box, template):
    status, *said = fieldconf(box.data, "deploy", template, "--target", "local")
    assert status == 0, said
    [port] = box.data.glob("nodes/local/*/data/vm+web/port")
    [proxy] = box.data.glob("nodes/local/*/data/vm+proxy/proxy")
    assert (port.read_text(), proxy.read_text()) == ("8080", "running /vm/web 8080\n")

    port.write_text("9999")
    proxy.write_text("by hand\n")
    for path, shown in (("/vm/web", "+8080"), ("/vm/proxy", "+running /vm/web 8080")):
        status, out, err = fieldconf(box.data, "preview", path)
        assert (status, err) == (0, "preview: done\n"), out
        assert shown in out
    assert (port.read_text(), proxy.read_text()) == ("9999", "by hand\n")

    box.ask("wish", app="demo", path="/vm/web", wish=states.STOPPED)
    until(lambda: states_of(box)["/vm/proxy"] == states.UNRESOLVED, 60)
    assert proxy.read_text() == "stopped\n"

    status, _, err = fieldconf(box.data, "preview", "/vm")
    assert status == 1
    assert "there is no instance with steps at '/vm'" in err
