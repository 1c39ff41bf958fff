"""``fieldconf flash`` as a user runs it: what it says, when it ends well, and when it does not."""

import json
import os
import re
import signal

import pytest

from fieldconf_coordinator.cli import flash as command
from fieldconf_coordinator.errors import RequestError
from support import commands
from support.images import KEY, settings
from support.ptyboard import PtyBoard


@pytest.fixture
def board(tmp_path):
    board = PtyBoard(tmp_path / "flash", link=tmp_path / "port")
    yield board
    board.close()


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "n7.json").write_text(json.dumps(settings()))
    return tmp_path


@pytest.fixture
def run(agent, desk, monkeypatch, capsys):
    """Runs the command in this process; the agent is compiled once for all tests."""
    plain = commands.in_process(monkeypatch, capsys)

    def run(port, *words):
        words = (port, "--settings", desk / "n7.json", *words)
        status, out, err = plain("flash", *words, FIELDCONF_DATA=desk / "nobody")
        assert KEY not in out + err
        return status, out, err

    return run


def test_a_board_is_flashed_and_what_was_done_is_told(run, board):
    status, out, err = run(board.port)

    assert status == 0, err
    lines = out.splitlines()
    assert lines[0] == f"flashing {board.port} through the REPL"
    assert re.fullmatch(r"the board runs MicroPython 1\.\S+ on .*, \d+ KB free", lines[1])
    assert re.fullmatch(r"\d+ files written and read back", lines[2])
    first = "not waiting for the node to say hello: no coordinator is reached"
    assert err.splitlines()[1] == first and "note: it will look for" in err
    assert json.loads((board.folder / "settings.json").read_text()) == settings()


def test_an_error_says_what_to_do(run):
    status, out, err = run("/dev/ttyUSB99", "--no-wait")

    assert (status, out) == (1, "")
    assert err.startswith("error: there is no port /dev/ttyUSB99\nhint: is the board plugged in?")


def test_what_is_not_flashed_is_told_what_to_do_instead(run):
    status, out, err = run("auto", "--board", "linux")

    assert (status, out) == (1, "")
    assert "this is not flashed\nhint: make its image with 'fieldconf image linux'" in err


@pytest.mark.parametrize(("after_s", "shown"), [(0, "writing\n"), (3600, "")])
def test_a_bar_is_shown_for_what_takes_longer(monkeypatch, capsys, after_s, shown):
    monkeypatch.setattr(command, "_BAR_AFTER_S", after_s)
    bars = command.Bars()
    for done in (1, 2, 3):
        bars.advance("writing", done, 3)
    bars.tell("done")

    printed = capsys.readouterr()
    # Into a pipe goes its name, not each of its steps.
    assert (printed.out, printed.err) == ("done\n", shown)


STOPPED = "stopped; the same command goes on where this one did, and the board waits for it"


@pytest.fixture
def terminal():
    """Ctrl-C interrupts, also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_is_told_and_mended_by_running_it_again(run, board, terminal, times):
    """Also when it is pressed once more, while the board is being tidied."""
    moments = [b"a2b_base64", b"\x03"][:times]

    def press(from_board, data):
        if moments and not from_board and moments[0] in data:
            moments.pop(0)
            os.kill(os.getpid(), signal.SIGINT)
        return data

    board.spoil = press
    first = run(board.port, "--no-wait")
    left = {path.name for path in board.folder.rglob("*")}
    second = run(board.port, "--no-wait")

    assert first[0] == 130
    assert first[2].splitlines()[-1] == STOPPED, first
    assert "main.py" not in left
    assert times > 1 or "fieldconf.part" not in left
    assert second[0] == 0 and "files written and read back" in second[1]


def test_ctrl_c_is_told_also_to_the_impatient(run, board, terminal, monkeypatch):
    """Even while the words are on their way to the screen."""

    def press(*_):
        os.kill(os.getpid(), signal.SIGINT)

    end = command.Bars.end
    monkeypatch.setattr(command.Bars, "end", lambda bars: (press(), end(bars)))
    monkeypatch.setattr(command.Bars, "advance", press)

    status, _, err = run(board.port, "--no-wait")

    assert status == 130
    assert err.splitlines()[-1] == STOPPED
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class Remote:
    """A coordinator that says of a node what is next."""

    def __init__(self, *said):
        self._said = list(said)

    def node(self, node):
        said = self._said.pop(0)
        if isinstance(said, str):
            raise RequestError(said, "", "")
        return said


def row(online=True, boot=1, heard=1000):
    return {"online": online, "enrolment": 1, "boot": boot, "heard": heard}


@pytest.mark.parametrize(
    ("before", "later", "heard"),
    [
        ("not-found", "not-found", False),
        ("not-found", row(), True),
        (row(online=False), row(online=False, heard=2000), False),
        (row(online=False), row(), True),
        (row(), row(), False),
        (row(), row(boot=2, heard=2000), True),
        (row(), row(heard=2000), True),
    ],
    ids=["unknown", "its very first", "its last will", "back", "before", "next", "with a new key"],
)
def test_first_words_are_those_that_come_after_the_board_was_stopped(
    monkeypatch, before, later, heard
):
    monkeypatch.setattr(command, "_ASK_S", 0.0)
    hello = command.first_words(lambda: Remote("not-found", before, later), "n7")

    assert hello() is False
    assert hello() is heard


def test_nobody_is_waited_for_where_nobody_listens(capsys):
    assert command.first_words(lambda: Remote("not-running"), "n7") is None
    assert "no coordinator is reached" in capsys.readouterr().err
