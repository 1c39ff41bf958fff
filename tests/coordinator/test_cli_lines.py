"""``fieldconf bridge``, ``up --bridge`` and ``console``, typed as people do, with a board."""

import json
import os
import pty
import signal
import subprocess
import sys
import termios

import pytest
from click.testing import CliRunner

from fieldconf_coordinator.brokers.supervised import BrokerError
from fieldconf_coordinator.cli.main import group
from fieldconf_coordinator.service import running
from support import interpreters
from support.boards import copy_agent
from support.box import Box
from support.serial_board import Board
from support.serial_target import MAIN
from support.waiting import until

pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")

CONNECTED = b"info: connected to the broker\n"


@pytest.fixture
def board(tmp_path):
    interpreters.find("micropython")
    folder = tmp_path / "board"
    copy_agent(folder / "lib", "sources")
    (folder / "main.py").write_text(MAIN)
    home = {"node": "n1", "key": "00" * 32, "broker": "serial:", "reconnect": 200}
    (folder / "settings.json").write_text(json.dumps(home))
    board = Board(folder, tmp_path / "port")
    yield board
    board.close()


@pytest.fixture
def box(tmp_path):
    made = []

    def up(*options):
        made.append(Box(tmp_path, *options))
        return made[-1].up()

    yield up
    for one in made:
        one.close()


class Command:
    """A command on a terminal of its own."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.said = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from fieldconf_coordinator.cli.main import main; main()",
             *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=self.slave, stdout=self.slave, stderr=self.slave, start_new_session=True,
        )  # fmt: skip
        os.set_blocking(self.master, False)

    def type(self, text):
        os.write(self.master, text)

    def says(self, text):
        try:
            self.said += os.read(self.master, 4096)
        except BlockingIOError:
            pass
        return text in self.said

    def ended(self):
        """Wait for its end; return the exit status."""
        until(lambda: self.says(b"\0") or self.process.poll() is not None)
        self.says(b"")
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def command():
    made = []

    def run(*arguments):
        made.append(Command(*arguments))
        return made[-1]

    yield run
    for one in made:
        one.close()


def talk_to(console, board):
    """Type at a board's prompt, and leave."""
    until(lambda: console.says(b"this is the board's prompt]"))
    console.type(b"print('seen', 6 * 7)\r")
    until(lambda: console.says(b"seen 42"))
    resets = board.resets
    console.type(b"\x1d")
    assert console.ended() == 0, console.said
    assert b"the line is given back" in console.said
    assert termios.tcgetattr(console.slave) == console.before
    until(lambda: board.resets == resets + 1)


def test_up_bridges_and_lends_the_line(box, board, command):
    box("--bridge", str(board.port))
    until(lambda: CONNECTED in board.printed, 60)
    del board.printed[:]

    talk_to(command("console", str(board.port)), board)

    until(lambda: CONNECTED in board.printed, 60)


def test_bridge_leads_to_the_broker_of_the_coordinator_on_this_box(box, board, command):
    data = box().data

    bridge = command("bridge", str(board.port), "--data", str(data))
    until(lambda: CONNECTED in board.printed, 60)
    until(lambda: bridge.says(b"says: info: connected to the broker"))
    bridge.process.send_signal(signal.SIGINT)

    assert bridge.ended() == 0
    assert b"bridging %s to mqtt://127.0.0.1:" % bytes(board.port) in bridge.said


def test_console_works_without_a_bridge(board, command):
    until(lambda: board.printed)

    talk_to(command("console", str(board.port)), board)


def run(*arguments):
    return CliRunner().invoke(group, arguments, standalone_mode=False)


def test_console_needs_a_terminal():
    result = run("console", "/dev/null")

    assert (result.return_value, result.output) == (
        2, "error: 'fieldconf console' needs a terminal\n"
    )  # fmt: skip


def test_console_says_why_a_port_cannot_be_had(command, tmp_path):
    console = command("console", str(tmp_path / "none"))

    assert console.ended() == 2
    assert b"error: %s is not there: is the board plugged in?" % bytes(tmp_path / "none") in (
        console.said
    )


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("gateway", "'gateway' must be mqtt://host:port"),
        ("serial:", "'serial:' is a serial line, not a broker"),
    ],
)
def test_bridge_refuses_what_is_no_broker(tmp_path, url, reason):
    result = run("bridge", str(tmp_path / "none"), "--broker", url)

    assert reason in str(result.exception)


def test_serial_line_is_no_broker_of_a_coordinator():
    with pytest.raises(BrokerError, match="cannot use the broker serial:"):
        running.external("serial:")


def test_bridge_without_a_coordinator_says_so(tmp_path):
    result = run("bridge", str(tmp_path / "none"), "--data", str(tmp_path))

    assert "no coordinator runs" in str(result.exception)
