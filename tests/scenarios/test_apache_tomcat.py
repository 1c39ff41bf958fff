"""examples/apache-tomcat, by scripts and by Puppet: what the READMEs have one type.

With Debian's Apache, mod_jk and Tomcat.
"""

import contextlib
import functools
import os
import re
import signal
import threading

import pytest

from support import examples
from support.box import Box
from support.commands import fieldconf, processes_below
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

_PATIENCE_S = 90
TOMCATS = ["/tomcat-vm", "/tomcat-vm1", "/tomcat-vm2"]


@pytest.fixture
def box(tmp_path):
    examples.needs()
    box = Box(tmp_path, "--mosquitto")
    try:
        yield box.up()
    finally:
        box.close()
        until(lambda: processes_below(box.data) == [], 60)


class Site:
    """What somebody sees who asks Apache."""

    def __init__(self, box, application):
        self.box = box
        self.application = application

    def instances(self):
        [found] = self.box.ask("status", app=self.application)["applications"]
        return {one["path"]: one for one in found["instances"]}

    @functools.cached_property
    def address(self):
        exports = self.instances()["/apache-vm/apache"]["exports"]
        return f"http://{exports['Apache.ip']}:{exports['Apache.port']}/demo/"

    def answers(self, count=9):
        """Return {(version, machine)} of so many answers; what is no answer of ours is kept."""
        found = set()
        for _ in range(count):
            status, text = examples.page(self.address)
            match = re.match(r"version (\S+) in (/[^/]*)/tomcat/demo, answer \d+\n", text)
            found.add(match.groups() if match else (status, text))
        return found

    def until_answered_by(self, version, machines):
        wanted = {(version, machine) for machine in machines}
        return until(lambda: self.answers() == wanted, _PATIENCE_S, 0.1)

    def node_folder(self, root):
        return self.box.data / "nodes/local" / self.instances()[root]["node"]

    def pid(self, path):
        name = path.strip("/").replace("/", "+")
        return int((self.node_folder(path) / "data" / name / "pid").read_text())

    def events(self):
        return fieldconf(self.box.data, "events")[1]


class Visitor:
    """Asks Apache all the time, and notes the HTTP statuses of the answers; None is no answer."""

    def __init__(self, site):
        self._site = site
        self._statuses = []
        self._leaves = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def come(self):
        self._thread.start()
        return until(lambda: self._statuses)

    def leave(self):
        self._leaves.set()
        self._thread.join()
        return set(self._statuses)

    def _ask(self):
        while not self._leaves.wait(0.02):
            self._statuses.append(examples.page(self._site.address)[0])


def test_by_scripts_the_readme_is_true(box, tmp_path):
    template = examples.copy("apache-tomcat", tmp_path)
    site = Site(box, "apache-tomcat")
    visitor = Visitor(site)

    examples.type_in(
        box,
        template,
        {
            "deploy": lambda out: site.until_answered_by("1.0", TOMCATS[:1]) and visitor.come(),
            "scale": lambda out: (
                # 404: a Tomcat whose application is not there yet.
                visitor.leave() <= {200, 404}
                and a_tomcat_that_is_killed_is_dropped_and_returns(site)
            ),
            "logs": lambda out: "is answered by 3" in out and give_it_version_2(template),
            "deploy again": lambda out: site.until_answered_by("2.0", TOMCATS),
            "remove": lambda out: site.until_answered_by("2.0", TOMCATS[:2]),
            "undeploy": lambda out: nothing_is_left(box),
            "delete": lambda out: box.ask("status")["applications"] == [],
        },
    )


def test_by_puppet_the_readme_is_true(box, tmp_path):
    examples.needs({"puppet-agent": "/usr/bin/puppet"})
    template = examples.copy("apache-tomcat-puppet", tmp_path)
    site = Site(box, "apache-tomcat-puppet")

    examples.type_in(
        box,
        template,
        {
            "deploy": lambda out: site.until_answered_by("1.0", TOMCATS[:1]),
            "scale": lambda out: site.until_answered_by("1.0", TOMCATS[:2]),
            "undeploy": lambda out: nothing_is_left(box),
            "delete": lambda out: box.ask("status")["applications"] == [],
        },
    )


def a_tomcat_that_is_killed_is_dropped_and_returns(site):
    site.until_answered_by("1.0", TOMCATS)
    apache = site.pid("/apache-vm/apache")
    workers = site.node_folder("/apache-vm") / "data/apache-vm+apache/rendered/workers.properties"
    agent = int((site.node_folder("/tomcat-vm2") / "agent.pid").read_text().split()[0])
    tomcat = site.pid("/tomcat-vm2/tomcat")

    # Nobody makes the machine again meanwhile, and agents need nobody to miss each other.
    with paused(site.box.process):
        for pid in (agent, tomcat):
            os.kill(pid, signal.SIGKILL)
        until(lambda: "tomcat_vm2" not in workers.read_text(), _PATIENCE_S)
        site.until_answered_by("1.0", TOMCATS[:2])

    # The target makes it again; its check finds that Tomcat is dead.
    site.until_answered_by("1.0", TOMCATS)
    assert (
        "/tomcat-vm2/tomcat: check: it is stopped and started anew: check failed" in site.events()
    )
    return site.pid("/apache-vm/apache") == apache


@contextlib.contextmanager
def paused(process):
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


def give_it_version_2(template):
    page = template / "graph/Webapp/index.jsp.mustache"
    page.write_text(page.read_text().replace("version 1.0", "version 2.0"))
    return True


def nothing_is_left(box):
    nodes = box.data / "nodes/local"
    return list(nodes.iterdir()) == [] and until(lambda: not processes_below(nodes))
