"""The recipes of apache-tomcat and lamp, run step by step by hand, with the real programs."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from fieldconf_dsl import check
from support import examples
from support.recipes import Recipe
from support.waiting import until

EXAMPLES = examples.EXAMPLES
NAMES = sorted(file.parents[1].name for file in EXAMPLES.glob("*/descriptor/application.*"))
#: Of each service: its example, and what it imports.
SERVICES = {
    "Apache": ("apache-tomcat", {"Tomcat": [["/t/t", {"ip": "127.0.0.1", "portAJP": "9"}]]}),
    "Tomcat": ("apache-tomcat", {}),
    "Database": ("lamp", {}),
    "Php": ("lamp", {}),
    "Balancer": ("lamp", {"Php": [["/p/p", {"ip": "127.0.0.1", "port": "9"}]]}),
}


class Service:
    """An instance of one component, run step by step."""

    def __init__(self, component, folder):
        self.example, imports = SERVICES[component]
        self.recipe = Recipe(folder)
        self.recipe.folder = EXAMPLES / self.example / "graph" / component
        ports = [str(port) for port in free_ports(3)]
        exports = dict(zip(("port", "portAJP", "portHTTP"), ports, strict=True))
        exports |= {"ip": "127.0.0.1", "database": "notes", "user": "notes", "password": "x"}
        self.told = {"component": component, "imports": imports, "exports": exports}
        self.data = self.recipe.data_root / "vm1+web"

    def run(self, step):
        return self.recipe.run(step, **self.told)

    def taken_port(self):
        """Listen at the port that the service shows itself at."""
        exports = self.told["exports"]
        name = "portHTTP" if self.told["component"] == "Tomcat" else "port"
        return socket.create_server(("127.0.0.1", int(exports[name])))

    def pid(self):
        return int((self.data / "pid").read_text())

    def processes(self):
        """Return all processes that have our data folder in their environment."""
        mark = f"FIELDCONF_DATA_DIR={self.data}\0".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in entry.read_bytes():
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(params=SERVICES)
def service(request, tmp_path):
    examples.needs()
    service = Service(request.param, tmp_path)
    yield service
    service.recipe.runner.close()
    for pid in service.processes():
        os.kill(pid, signal.SIGKILL)


def test_a_service_bears_what_recipes_must_bear(service):
    assert service.run("deploy") == ("done", "")
    assert service.run("deploy") == ("done", "")
    assert service.run("stop") == ("done", "")
    assert service.run("start") == ("done", "")
    pid = service.pid()

    assert service.run("start") == ("done", "")
    assert service.pid() == pid
    assert service.run("check") == ("done", "")

    # Its children, where it has some, live on and keep the port.
    os.kill(pid, signal.SIGKILL)
    until(lambda: service.run("check")[0] == "failed")
    assert service.run("start") == ("done", "")
    assert service.pid() != pid
    assert service.run("check") == ("done", "")

    assert service.run("stop") == ("done", "")
    assert service.processes() == []
    assert service.run("check")[0] == "failed"


def test_a_port_that_is_taken_is_a_problem_in_words(service):
    service.run("deploy")

    with service.taken_port():
        outcome, detail = service.run("start")

    assert outcome == "failed"
    assert "is in use by somebody else" in detail
    assert service.processes() == []


@pytest.mark.parametrize("component", SERVICES)
def test_what_is_missing_is_told_with_the_command_that_installs_it(component, tmp_path):
    """The recipe as on a machine where the programs are nowhere."""
    script = EXAMPLES / SERVICES[component][0] / "graph" / component / "scripts/deploy.sh"
    recipe = Recipe(tmp_path)
    text = script.read_text().replace("/usr/", "/nowhere/").replace("command -v ", "command -v no-")
    recipe.write("scripts/deploy.sh", text)

    outcome, detail = recipe.run("deploy")
    recipe.runner.close()

    assert outcome == "failed"
    assert re.search(r"needs .*: apt install [a-z]", detail)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_to_be_said_against_an_example(name):
    problems, _ = check.check_paths([EXAMPLES / name])

    assert [str(problem) for problem in problems] == []


@pytest.mark.parametrize("name", ["process.sh", "http.sh"])
def test_what_recipes_share_is_the_same_in_all(name):
    assert len({file.read_text() for file in EXAMPLES.glob(f"*/graph/*/files/{name}")}) == 1


@pytest.mark.parametrize("name", ["apache-tomcat", "lamp"])
def test_packages_that_a_readme_asks_for_are_those_that_recipes_miss(name):
    asked = re.search(r"`apt install ([^`]*)`", (EXAMPLES / name / "README.md").read_text())[1]
    told = set()
    for script in (EXAMPLES / name).glob("graph/*/scripts/deploy.sh"):
        told |= set(re.search(r'apt install ([^"]*)"', script.read_text())[1].split())

    # Java comes with Tomcat, and nearly every machine has what looks for processes.
    assert told == set(asked.split()) - {"default-jre-headless", "procps"}
