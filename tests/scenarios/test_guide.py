"""What docs/guide.md promises about faults, held against real processes."""

import os
import signal
import subprocess
import sys

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_microagent import states
from support import guide
from support.box import Box
from support.commands import fieldconf, processes_below
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def make_box(tmp_path):
    made = []

    def make(*options):
        made.append(Box(tmp_path, *options))
        return made[0].up()

    yield make
    for box in made:
        box.close()
        until(lambda: processes_below(box.data) == [], 60)  # noqa: B023


def test_commands_of_the_guide_do_what_it_says(make_box, tmp_path):
    shop = guide.write(tmp_path / "shop")
    descriptor = shop / "descriptor/application.toml"
    descriptor.write_text(
        descriptor.read_text().replace('check.every = "5s"', 'check.every = "1s"')
    )
    box = make_box()

    def log():
        return fieldconf(box.data, "logs", "/web-box/web")[1]

    checks = {
        "deploy": lambda: heals_what_is_killed(box),
        "stop": lambda: box.state("/web-box/web") == states.UNRESOLVED,
        "start": lambda: box.state("/web-box/web") == states.STARTED,
        "scale": lambda: "3 to choose from" in log(),
        "remove": lambda: log().rstrip().rpartition(": ")[2].startswith("2 to choose from"),
        "delete": lambda: not box.ask("status")["applications"],
    }

    for name, *words in guide.commands():
        if name == "up":
            continue
        words = [str(shop) if name == "deploy" else word for word in words]
        # Ids are made by chance.
        words = [box.ask("status")["nodes"][0]["id"][:-1] if w == "n8zy" else w for w in words]
        status, out, err = fieldconf(box.data, name, *words)
        assert status == 0, (name, out, err)
        until(checks.pop(name, lambda: True), 60)

    assert not checks


def heals_what_is_killed(box):
    (file,) = box.data.glob("nodes/local/*/data/data-box+data/pid")
    pid = int(file.read_text())
    os.kill(pid, signal.SIGKILL)
    until(lambda: file.exists() and file.read_text().strip() not in ("", str(pid)), 60)
    assert "check failed" in fieldconf(box.data, "events")[1]
    return True


def test_node_that_reboots_starts_what_it_ran_without_the_network(make_box):
    """A process namespace of its own is what a reboot looks like to the agent."""
    unshare = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
    tried = subprocess.run([*unshare, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"needs the right to make namespaces: {tried.stderr.strip()}")
    box = make_box()
    box.deploy()
    box.until_state("/web-vm/web", states.STARTED)
    node = box.instances()["/web-vm/web"]["node"]
    pids = [box.agent_pid(path) for path in ("/web-vm/web", "/data-vm/data")]
    box.kill()  # and its broker with it: there is no network any more
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

    folder = box.data / "nodes/local" / node
    command = [*unshare, sys.executable, "-m", "fieldconf_microagent", "--dir", str(folder)]
    until(lambda: not processes_below(box.data), 60)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (box.folder / "reboot.log").open("wb") as log:
        agent = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: box.entries("/web-vm/web").count("start 5432") == 2, 60)
    finally:
        agent.kill()
        agent.wait()

    assert box.entries("/web-vm/web") == ["deploy", "start 5432", "start 5432"]
    assert box.entries("/data-vm/data") == ["deploy", "start"]


def test_values_of_a_node_that_is_offline_are_kept_for_lost_after_and_no_longer(make_box, tmp_path):
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    try:
        box = make_box("--broker", broker.url)
        box.deploy()
        box.until_state("/web-vm/web", states.STARTED)
        box.kill()  # nobody else may see to it
        os.kill(box_agent(box, "/data-vm"), signal.SIGKILL)
        until(lambda: box.entries("/web-vm/web")[-1] == "stop", 60)

        box.up()
        box.until_state("/web-vm/web", states.STARTED)
        assert box.entries("/web-vm/web") == ["deploy", "start 5432", "stop", "start 5432"]
        assert box.entries("/data-vm/data") == ["deploy", "start"]
    finally:
        broker.stop()


def box_agent(box, root):
    """Return the agent's process of a root instance, without asking the coordinator."""
    for tag in (box.data / "nodes/local").glob("*/tag.json"):
        if f'"{root}"' in tag.read_text():
            return int((tag.parent / "agent.pid").read_text().split()[0])
    raise AssertionError(root)
