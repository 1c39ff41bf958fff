"""The recipes of examples/web-cluster do what their README says, run step by step by hand."""

import json
import os
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fieldconf_microagent.runner_process import ProcessRunner

GRAPH = Path(__file__).parents[1] / "examples" / "web-cluster" / "graph"
fetch = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Cluster:
    """The instances of the example, each with a free port, and what each of them imports."""

    def __init__(self, folder):
        self.data_root = folder / "data"
        self.woken = threading.Event()
        self.runner = ProcessRunner(str(self.data_root), self.woken.set)
        self.ports = {
            path: str(port)
            for path, port in zip(
                ("/data-vm/data", "/web-vm1/web", "/web-vm2/web", "/lb-vm/lb"),
                free_ports(4),
                strict=True,
            )
        }
        self.imports = {path: {} for path in self.ports}

    def component(self, path):
        return {"data": "Data", "web": "Web", "lb": "Balancer"}[path.split("/")[-1]]

    def exports(self, path):
        return {"ip": "127.0.0.1", "port": self.ports[path]}

    def imports_from(self, path, prefix, *exporters):
        self.imports[path] = {prefix: [[other, self.exports(other)] for other in exporters]}

    def run(self, step, path):
        """Run a step and return its outcome and detail."""
        before = self.imports[path]
        self.runner.start(
            {
                "path": path,
                "name": path.split("/")[-1],
                "component": self.component(path),
                "installer": "script",
                "digest": None,
                "recipe_dir": str(GRAPH / self.component(path)),
                "step": step,
                "exports": self.exports(path),
                "ancestors": [["VM", {}]],
                "imports": before,
                "changed": {"added": before, "removed": {}, "changed": {}}
                if step == "update"
                else None,
                "cause": "wanted" if step == "stop" else None,
                "application": "web-cluster",
                "timeout_ms": 30_000,
            }
        )
        assert self.woken.wait(40), f"{step} of {path} never ended"
        self.woken.clear()
        [(ended, outcome, detail)] = self.runner.poll()
        assert ended == path
        return outcome, detail

    def get(self, path, page="/"):
        with fetch(f"http://127.0.0.1:{self.ports[path]}{page}", timeout=10) as answer:
            return json.load(answer)

    def pid(self, path):
        return int((Path(self.runner.data_dir(path)) / "pid").read_text())

    def processes(self):
        """Return the pids of all that works in our data folders."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.data_root).encode() in entry.read_bytes():
                    found.append(int(entry.parent.name))
            except OSError:
                continue
        return found

    def start_all(self):
        self.imports_from("/web-vm1/web", "Data", "/data-vm/data")
        self.imports_from("/web-vm2/web", "Data", "/data-vm/data")
        self.imports_from("/lb-vm/lb", "Web", "/web-vm1/web", "/web-vm2/web")
        for path in self.ports:
            assert self.run("start", path) == ("done", "")


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(condition, within=20):
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.runner.close()
    for pid in cluster.processes():
        os.kill(pid, signal.SIGKILL)


def test_the_balancer_reaches_every_web_server_and_they_the_data(cluster):
    cluster.start_all()

    answers = [cluster.get("/lb-vm/lb") for _ in range(4)]

    assert {answer["web"] for answer in answers} == {"/web-vm1/web", "/web-vm2/web"}
    assert [answer["visit"] for answer in answers] == [1, 2, 3, 4]
    assert {answer["data"] for answer in answers} == {"/data-vm/data"}
    for path in cluster.ports:
        assert cluster.run("check", path) == ("done", "")


def test_everything_stops_and_may_be_stopped_twice(cluster):
    cluster.start_all()

    for path in reversed(cluster.ports):
        assert cluster.run("stop", path) == ("done", "")
        assert cluster.run("stop", path) == ("done", "")
        assert cluster.run("undeploy", path) == ("absent", "")

    assert cluster.processes() == []


def test_a_start_that_comes_twice_keeps_the_process(cluster):
    assert cluster.run("start", "/data-vm/data") == ("done", "")
    pid = cluster.pid("/data-vm/data")

    assert cluster.run("start", "/data-vm/data") == ("done", "")

    assert cluster.pid("/data-vm/data") == pid
    assert cluster.processes() == [pid]


def test_a_killed_web_server_fails_its_check_and_starts_again(cluster):
    cluster.start_all()

    os.kill(cluster.pid("/web-vm1/web"), signal.SIGKILL)
    wait_for(lambda: cluster.run("check", "/web-vm1/web")[0] == "failed")

    outcome, detail = cluster.run("check", "/web-vm1/web")
    assert (outcome, detail) == ("failed", "exit status 1\nits process is gone")
    # Nobody who asks the balancer notices.
    assert {cluster.get("/lb-vm/lb")["web"] for _ in range(4)} == {"/web-vm2/web"}

    assert cluster.run("stop", "/web-vm1/web") == ("done", "")
    assert cluster.run("start", "/web-vm1/web") == ("done", "")
    assert {cluster.get("/lb-vm/lb")["web"] for _ in range(4)} == {"/web-vm1/web", "/web-vm2/web"}


def test_a_service_that_hangs_fails_its_check(cluster):
    cluster.run("start", "/data-vm/data")
    os.kill(cluster.pid("/data-vm/data"), signal.SIGSTOP)

    outcome, detail = cluster.run("check", "/data-vm/data")

    assert outcome == "failed"
    assert "does not answer" in detail
    assert cluster.run("stop", "/data-vm/data") == ("done", "")
    assert cluster.processes() == []


def test_the_balancer_follows_its_list_without_closing_its_port(cluster):
    cluster.start_all()
    pid = cluster.pid("/lb-vm/lb")

    cluster.imports_from("/lb-vm/lb", "Web", "/web-vm2/web")
    assert cluster.run("update", "/lb-vm/lb") == ("done", "")
    wait_for(lambda: len(cluster.get("/lb-vm/lb", "/backends")) == 1)

    assert cluster.get("/lb-vm/lb")["web"] == "/web-vm2/web"
    assert cluster.pid("/lb-vm/lb") == pid


def test_a_web_server_follows_the_data_service(cluster):
    cluster.start_all()
    cluster.run("stop", "/data-vm/data")
    with pytest.raises(urllib.error.HTTPError, match="503"):
        cluster.get("/web-vm1/web")

    cluster.ports["/data-vm/data"] = str(free_ports(1)[0])
    cluster.run("start", "/data-vm/data")
    cluster.imports_from("/web-vm1/web", "Data", "/data-vm/data")
    # It has no update script: the rendered file is all it needs.
    assert cluster.run("update", "/web-vm1/web") == ("absent", "")

    assert cluster.get("/web-vm1/web")["web"] == "/web-vm1/web"


def test_the_count_survives_a_restart(cluster):
    cluster.start_all()
    cluster.get("/web-vm1/web")

    cluster.run("stop", "/data-vm/data")
    cluster.run("start", "/data-vm/data")

    assert cluster.get("/web-vm1/web")["visit"] == 2


def test_a_port_that_is_taken_is_a_problem_in_words(cluster):
    with socket.create_server(("127.0.0.1", int(cluster.ports["/data-vm/data"]))):
        outcome, detail = cluster.run("start", "/data-vm/data")

    assert outcome == "failed"
    assert "does not answer on 127.0.0.1" in detail
    assert "Address already in use" in detail
    assert cluster.processes() == []


def test_steps_write_nothing_into_the_recipes(cluster):
    before = sorted(GRAPH.rglob("*"))

    cluster.start_all()
    for path in cluster.ports:
        cluster.run("check", path)

    assert sorted(GRAPH.rglob("*")) == before


@pytest.mark.parametrize("script", ["start.sh", "stop.sh", "check.py"])
def test_the_three_recipes_share_what_they_say_they_share(script):
    texts = {
        (GRAPH / name / "scripts" / script).read_text() for name in ("Data", "Web", "Balancer")
    }

    assert len(texts) == 1
