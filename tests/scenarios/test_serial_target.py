"""A board on a serial port that only has MicroPython, from the first `deploy` to the last
`undeploy`: nobody enrols, flashes or bridges anything by hand. The gateway is killed in between.
"""

import json

import pytest

from fieldconf_microagent import states
from scenarios.test_micropython import DATA, WEB
from support import interpreters
from support.box import Box
from support.ptyboard import PtyBoard
from support.waiting import until

pytestmark = pytest.mark.timeout(400)

#: The agent is compiled for the board first: seconds of processor time, minutes on a busy machine.
FIRST_S = 200

GRAPH = """
Board {
  installer: target;
  children: Data, Web;
}
Data {
  installer: python;
  exports: port = 5432;
}
Web {
  installer: python;
  imports: Data.port;
}
"""
INSTANCES = """
instance of Board {
  name: roof;
  data.target: serial;
  data.port: %s;
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
        # With what the board wrote, for whoever reads why it failed.
        print(box.log())


@pytest.fixture
def board(tmp_path):
    interpreters.find("mpy-cross")
    pytest.importorskip("serial", reason="needs pyserial: pip install 'fieldconf[test]'")
    board = PtyBoard(tmp_path / "flash", link=tmp_path / "port")
    yield board
    board.close()


def deploy(box, board, port):
    root = box.folder / "template"
    files = {
        "descriptor/application.properties": "name = shop\nversion = 1.0\ndsl-id = roboconf-1.0\n"
        "graph-entry-point = shop.graph\ninstance-entry-point = shop.instances\n",
        "graph/shop.graph": GRAPH,
        "instances/shop.instances": INSTANCES % (board.port, port),
        "graph/Data/recipe.py": DATA,
        "graph/Web/recipe.py": WEB,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    box.ask("deploy", path=str(root))


def test_a_board_is_deployed_to_outlives_the_gateway_and_is_given_back(box, board):
    def diary():
        found = list(board.folder.glob("data/*web/diary"))
        return found[0].read_text().splitlines() if found else []

    (board.folder / "main.py").write_text("print('mine')\n")
    board.unplug()
    deploy(box, board, 5432)
    until(lambda: "there is no port" in str(box.instances()["/roof"]["problem"]))
    board.plug()
    box.until_state("/roof/web", states.STARTED, FIRST_S)
    assert json.loads((board.folder / "settings.json").read_text())["broker"] == "serial:"

    box.kill()
    board.taken = 0
    box.up()
    deploy(box, board, 6000)
    until(lambda: "update 6000" in diary(), 60)
    assert diary().count("start 5432") == 1, "it was restarted"
    assert board.taken < 10_000, "it was flashed again"

    box.wish(None, states.NOT_DEPLOYED)
    until(lambda: box.ask("status")["nodes"] == [], 60)
    assert [path.name for path in board.folder.rglob("*")] == ["main.py"]
    assert not list(box.data.glob("nodes/serial/*"))


@pytest.mark.parametrize("there", [True, False], ids=["there", "gone"])
def test_an_application_on_a_board_is_undeployed_by_force(box, board, there):
    """A board that is there is emptied; one that is gone is forgotten, and its port is free."""
    deploy(box, board, 5432)
    box.until_state("/roof/web", states.STARTED, FIRST_S)
    if not there:
        board.unplug()

    box.ask("wish", app="shop", path=None, wish=states.NOT_DEPLOYED, force=True)
    if not there:
        until(lambda: "cannot destroy the node" in str(box.instances()["/roof"]["problem"]), 60)
        box.ask("wish", app="shop", path=None, wish=states.NOT_DEPLOYED, force=True)
    until(lambda: box.ask("status")["nodes"] == [], 60)

    assert box.instances()["/roof"]["problem"] is None
    until(lambda: not list(box.data.glob("nodes/serial/*")))
    if there:
        assert list(board.folder.rglob("*")) == []
        return
    board.plug()
    box.wish(None, states.STARTED)
    box.until_state("/roof/web", states.STARTED)
