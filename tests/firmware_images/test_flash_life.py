"""A board's whole life as its owner sees it: flashed on the command line, heard, deployed to,
updated, cut off, flashed again. MicroPython for the desktop behind a pty is the board.
"""

import json
import re

import pytest

from fieldconf_microagent import states
from scenarios.test_micropython import DATA, WEB
from support.box import Box
from support.commands import in_process
from support.ptyboard import PtyBoard
from support.waiting import until

pytestmark = pytest.mark.timeout(180)

GRAPH = """
Board {
  installer: target;
  children: Data, Web;
}
Data {
  installer: python;
  exports: ip, port = 5432;
}
Web {
  installer: python;
  imports: Data.ip, Data.port;
}
"""
INSTANCES = """
instance of Board {
  name: attic;
  data.target: embedded;
  instance of Data {
    name: data;
    port: %d;
  }
  instance of Web {
    name: web;
  }
}
"""


@pytest.fixture
def box(tmp_path):
    box = Box(tmp_path)
    try:
        yield box.up()
    finally:
        box.close()


@pytest.fixture
def fieldconf(agent, monkeypatch, capsys):
    """Runs the command line in this process; the agent is compiled once for all tests."""
    run = in_process(monkeypatch, capsys)
    return lambda box, *words: run(*words, FIELDCONF_DATA=box.data)


@pytest.fixture
def flash(fieldconf, board):
    """Flash as a user does; the board is one of the desktop, and reached through a REPL."""
    words = ("flash", board.port, "--node", "attic", "--board", "unix", "--files-only")
    return lambda box, *more: fieldconf(box, *words, *more)


@pytest.fixture
def board(tmp_path):
    pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")
    board = PtyBoard(tmp_path / "flash", link=tmp_path / "port")
    yield board
    board.close()


def deploy(box, port):
    root = box.folder / "boards"
    files = {
        "descriptor/application.properties": "name = shop\nversion = 1.0\ndsl-id = roboconf-1.0\n"
        "graph-entry-point = shop.graph\ninstance-entry-point = shop.instances\n",
        "graph/shop.graph": GRAPH,
        "instances/shop.instances": INSTANCES % port,
        "graph/Data/recipe.py": DATA,
        "graph/Web/recipe.py": WEB,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    box.ask("deploy", path=str(root))


def test_a_board_is_flashed_deployed_to_updated_cut_off_and_flashed_again(
    box, board, flash, fieldconf
):
    def diary():
        found = list(board.folder.glob("data/*web/diary"))
        return found[0].read_text().splitlines() if found else []

    status, out, err = flash(box)
    assert status == 0, out + err
    assert out.splitlines()[-2:] == ["waiting for attic to say hello", "attic said hello"]
    assert not list(box.data.glob("flashing/*"))

    deploy(box, 5432)
    box.until_state("/attic/web", states.STARTED)
    deploy(box, 6000)
    until(lambda: "update 6000" in diary())
    assert box.instances()["/attic"]["node"] == "attic"

    board.unplug()
    until(lambda: not box.ask("node", node="attic")["online"])
    board.plug()
    until(lambda: box.ask("node", node="attic")["online"])
    box.until_state("/attic/web", states.STARTED)
    started = diary().count("start 6000")

    settings = board.folder / "settings.json"
    own = box.folder / "attic.json"
    own.write_bytes(settings.read_bytes())
    words = ("--settings", own, "--board", "unix", "--files-only")
    status, out, err = fieldconf(box, "flash", board.port, *words)
    assert status == 0, out + err
    assert "files were there already, read and compared" in out
    box.until_state("/attic/web", states.STARTED)
    until(lambda: diary().count("start 6000") == started + 1)


def test_a_board_with_a_romfs_runs_the_agent_from_there(box, tmp_path, fieldconf):
    memory = tmp_path / "rom"
    memory.write_bytes(b"\xff" * 0x50000)
    board = PtyBoard(tmp_path / "flash", link=tmp_path / "port", in_rom=(memory, "files"))
    try:
        words = ("--node", "attic", "--board", "unix", "--files-only")
        status, out, err = fieldconf(box, "flash", board.port, *words)
        assert status == 0, out + err
        assert re.search(r"ROMFS: agent written and .* runs in place, [\d,]+ of 327,680 byt", out)
        assert "attic said hello" in out
        assert not (board.folder / "lib").exists()
        deploy(box, 5432)
        box.until_state("/attic/web", states.STARTED)
    finally:
        board.close()


def test_a_flashing_that_was_cut_goes_on_with_the_same_key(box, board, flash):
    def pull(from_board, data):
        if board.taken > 20_000:
            board.unplug()
        return data

    board.spoil = pull
    first = flash(box)
    (kept,) = box.data.glob("flashing/*")
    key = json.loads(kept.read_text())["key"]
    mode = kept.stat().st_mode & 0o777
    board.spoil = lambda from_board, data: data
    board.plug()
    second = flash(box)

    assert first[0] == 1 and "the cable was pulled, or it lost power" in first[2]
    assert mode == 0o600
    assert second[0] == 0 and "attic said hello" in second[1], second
    assert json.loads((board.folder / "settings.json").read_text())["key"] == key
    assert not kept.exists()


def test_a_board_without_a_network_is_flashed_while_its_line_is_bridged(tmp_path, board, fieldconf):
    """The bridge lends the line, and starts the board when it has it back."""
    box = Box(tmp_path, "--bridge", board.port)
    try:
        box.up()
        words = ("--node", "attic", "--board", "pybv11", "--broker", "serial:")
        status, out, err = fieldconf(box, "flash", board.port, *words)
        assert status == 0 and "attic said hello" in out, out + err + box.log()
        deploy(box, 5432)
        box.until_state("/attic/web", states.STARTED)
    finally:
        box.close()


def test_a_node_that_is_enrolled_needs_a_word_to_get_another_key(box, board, flash):
    flash(box, "--no-wait")
    before = (board.folder / "settings.json").read_text()

    refused = flash(box, "--no-wait")
    anew = flash(box, "--anew")

    assert refused[0] == 1 and "there is a node attic already" in refused[2]
    assert anew[0] == 0 and "attic said hello" in anew[1], anew
    assert (board.folder / "settings.json").read_text() != before
