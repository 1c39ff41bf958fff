"""examples/lamp: what its README has one type, with Debian's Apache, MariaDB and PHP."""

import json
import os
import signal

import pytest

from support import examples
from support.box import Box
from support.commands import processes_below
from support.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

_PATIENCE_S = 60
NOTE = "buy 'milk' & \"bröd\""


@pytest.fixture
def box(tmp_path):
    examples.needs()
    box = Box(tmp_path)
    try:
        yield box.up()
    finally:
        box.close()
        until(lambda: processes_below(box.data) == [], 60)


class Notes:
    """What somebody sees who asks the balancer."""

    def __init__(self, box):
        self.box = box

    def instances(self):
        [found] = self.box.ask("status", app="lamp")["applications"]
        return {one["path"]: one for one in found["instances"]}

    def ask(self, note=None):
        """Return (HTTP status, what the page answers)."""
        exports = self.instances()["/balancer-vm/balancer"]["exports"]
        address = f"http://{exports['Balancer.ip']}:{exports['Balancer.port']}/"
        if note is None:
            status, text = examples.page(address)
        else:
            status, text = examples.page(address, "POST", note.encode())
        return status, json.loads(text) if text.startswith("{") else text

    def are(self, notes, machines):
        """Wait until the pages of all machines, and no other, show these notes."""
        wanted = {(200, f"{machine}/php/site", *notes) for machine in machines}

        def seen():
            for status, page in (self.ask() for _ in range(2 * len(machines))):
                known = isinstance(page, dict) and "notes" in page
                yield (status, page["site"], *page["notes"]) if known else (status, page)

        return until(lambda: set(map(str, seen())) == set(map(str, wanted)), _PATIENCE_S, 0.1)

    def until_status(self, status):
        return until(lambda: self.ask()[0] == status, _PATIENCE_S, 0.1)


def test_the_readme_is_true(box, tmp_path):
    template = examples.copy("lamp", tmp_path)
    notes = Notes(box)

    examples.type_in(
        box,
        template,
        {
            "deploy": lambda out: notes.are([], ["/php-vm1", "/php-vm2"]),
            "status": lambda out: "/balancer-vm/balancer " in out and notes.ask(NOTE)[0] == 200,
            "scale": lambda out: (
                notes.are([NOTE], ["/php-vm1", "/php-vm2", "/php-vm3"])
                and a_database_that_dies_comes_back(box, notes)
            ),
            "stop": lambda out: notes.until_status(404),
            "why": lambda out: "waits for Database" in out,
            "start": lambda out: notes.are([NOTE], ["/php-vm1", "/php-vm2", "/php-vm3"]),
            "undeploy": lambda out: (
                list((box.data / "nodes/local").iterdir()) == []
                and until(lambda: not processes_below(box.data / "nodes"))
            ),
            "delete": lambda out: box.ask("status")["applications"] == [],
        },
    )


def a_database_that_dies_comes_back(box, notes):
    node = notes.instances()["/database-vm"]["node"]
    pid_file = box.data / "nodes/local" / node / "data/database-vm+database/pid"
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    notes.until_status(503)
    return notes.are([NOTE], ["/php-vm1", "/php-vm2", "/php-vm3"])
