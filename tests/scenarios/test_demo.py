"""``fieldconf demo`` tells its story, and leaves nothing behind, however it ends."""

import os
import signal

import pytest

from support.commands import begin, processes_below
from support.waiting import until

CHAPTERS = [
    "Deploying web-cluster",
    "the load balancer reaches /web-vm1/web, /web-vm2/web\n",
    "Adding a web server",
    "reaches /web-vm1/web, /web-vm2/web, /web-vm3/web",
    "Killing the service of /web-vm1/web",
    "it runs again, as process",
    "Killing node /web-vm2",
    "the load balancer has dropped it",
    "it is back",
    "Stopping the data service",
    "/web-vm1/web, /web-vm2/web, /web-vm3/web: unresolved",
    "Starting it",
    "/web-vm1/web, /web-vm2/web, /web-vm3/web: deployed-started",
    "Nothing is left",
]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where the demo makes its temporary folder."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_demo_checks_itself_and_leaves_nothing(place):
    demo = begin(place, "demo", "--exit")

    told, _ = demo.communicate(timeout=110)

    assert demo.returncode == 0, told
    rest = told
    for chapter in CHAPTERS:
        assert chapter in rest, f"{chapter!r} is missing in:\n{told}"
        rest = rest.partition(chapter)[2]
    assert list(place.iterdir()) == []
    assert processes_below(place) == []


@pytest.mark.parametrize(
    "moment",
    ["Deploying", "/data-vm/data: starting", "Killing the service"],
    ids=["at the start", "while a step runs", "in the middle"],
)
def test_ctrl_c_at_any_moment_is_clean(place, moment):
    demo = begin(place, "demo")
    for line in demo.stdout:
        if moment in line:
            break
    demo.send_signal(signal.SIGINT)

    told = demo.communicate(timeout=100)[0]

    assert demo.returncode == 0, told
    assert "Traceback" not in told
    assert list(place.iterdir()) == []
    until(lambda: processes_below(place) == [])


def test_demo_stays_until_ctrl_c(place):
    demo = begin(place, "demo")
    for line in demo.stdout:
        if "Ctrl-C ends it" in line:
            break
    assert demo.poll() is None

    os.kill(demo.pid, signal.SIGTERM)

    assert "Nothing is left" in demo.communicate(timeout=100)[0]
    assert demo.returncode == 0
    assert processes_below(place) == []
