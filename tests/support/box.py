"""A gateway box as a user has it: ``fieldconf up`` as a process on a data folder, local nodes.

What runs here can be killed in every way. `Box.close` leaves no process behind.
"""

import os
import signal
import subprocess
import sys

from fieldconf_coordinator.cli.client import local
from fieldconf_coordinator.cli.remote import Remote
from fieldconf_coordinator.errors import RequestError
from support.coordinators import clean
from support.waiting import until

GRAPH = """
VM {
    installer: target;
    children: Data, Web;
}
Data {
    installer: script;
    exports: ip, port = 5432;
}
Web {
    installer: script;
    imports: Data.ip, Data.port;
}
"""

INSTANCES = """
instance of VM {
    name: data-vm;
    instance of Data {
        name: data;
        port: %s;
    }
}
instance of VM {
    name: web-vm;
    instance of Web {
        name: web;
    }
}
"""

STEPS = ("deploy", "start", "update", "stop", "undeploy")


class Box:
    """A data folder, the process that serves it, and a diary that every script writes into."""

    def __init__(self, folder, *options):
        self.folder = folder
        self.data = folder / "data"
        self.diary = folder / "diary"
        self.diary.touch()
        self.options = options
        self.process = None

    # -- the coordinator

    def up(self):
        """Start the coordinator and wait until it answers."""
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from fieldconf_coordinator.cli.main import main; main()",
                 "up",
                 "--data", str(self.data), *self.options],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=log, stderr=log,
            )  # fmt: skip
        until(self._answers, 30)
        return self

    def _answers(self):
        assert self.process.poll() is None, self.log()
        try:
            return self.ask("status")
        except RequestError:
            return None

    def kill(self):
        """End the coordinator as the kernel does."""
        self.process.kill()
        self.process.wait()

    def down(self):
        """End the coordinator as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, self.log()

    def close(self):
        if self.process and self.process.poll() is None:
            self.down()
        clean(self.data)
        for pid in self.data.glob("broker/*pid*"):
            try:
                os.kill(int(pid.read_text().split()[0]), signal.SIGKILL)
            except (ValueError, OSError, IndexError):
                continue

    def log(self):
        return (self.folder / "up.log").read_text(errors="replace")

    # -- requests

    def ask(self, request, **arguments):
        remote = Remote.at(local(self.data))
        with remote.client:
            return getattr(remote, request)(**arguments)

    def template(self, value=5432, ballast=0, body="", lost_after="2s"):
        """Write the template whose scripts keep the diary; `ballast` is a file's size in bytes."""
        root = self.folder / "template"
        for name in ("descriptor", "graph", "instances", "graph/Data/scripts", "graph/Web/scripts"):
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "descriptor/application.properties").write_text(
            f"name = shop\nversion = 1.0\ndsl-id = roboconf-1.0\nlost-after = {lost_after}\n"
            "graph-entry-point = shop.graph\ninstance-entry-point = shop.instances\n"
        )
        (root / "graph/shop.graph").write_text(GRAPH)
        (root / "instances/shop.instances").write_text(INSTANCES % value)
        for component in ("Data", "Web"):
            for step in STEPS:
                port = "$Data_0_port" if step in ("start", "update") else ""
                script = root / f"graph/{component}/scripts/{step}.sh"
                script.write_text(
                    f'#!/bin/sh\necho "$FIELDCONF_INSTANCE_PATH {step} {port}" >> {self.diary}\n'
                    + body
                )
        if ballast:
            files = root / "graph/Web/files"
            files.mkdir(exist_ok=True)
            (files / "ballast").write_bytes(os.urandom(ballast))
        return root

    def deploy(self, **more):
        return self.ask("deploy", path=str(self.template(**more)))

    def wish(self, path, wish):
        return self.ask("wish", app="shop", path=path, wish=wish)

    # -- what is there

    def instances(self):
        status = self.ask("status", app="shop")["applications"][0]
        return {one["path"]: one for one in status["instances"]}

    def state(self, path):
        return self.instances()[path]["state"]

    def until_state(self, path, state, patience_s=60):
        until(lambda: self.state(path) == state, patience_s, 0.05)

    def entries(self, path):
        """Return what the scripts of an instance wrote, one string a step."""
        lines = self.diary.read_text().splitlines()
        return [line[len(path) + 1 :].strip() for line in lines if line.startswith(path + " ")]

    def agent_pid(self, path):
        """Return the process of the agent of the node on which an instance is."""
        node = self.instances()[path]["node"]
        pid = self.data / "nodes" / "local" / node / "agent.pid"
        return int(pid.read_text().split()[0])
