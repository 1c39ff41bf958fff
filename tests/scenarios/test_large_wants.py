"""A board is wanted to run more than it can be told: it says so, it lives on, and the plan knows.

The board's own client under MicroPython, with what boards get, over a real broker.
"""

import pytest

from fieldconf_coordinator.errors import RequestError
from fieldconf_microagent import states
from fieldconf_targets import registry
from support import interpreters
from support.boards import BoardTarget, copy_agent
from support.coordinators import coordinator
from support.waiting import until

pytestmark = pytest.mark.timeout(180)

GRAPH = """
Board {
  installer: target;
  children: Web;
}
Web {
  installer: python;
  exports: text = short;
}
"""
INSTANCES = """
instance of Board {
  name: roof;
  instance of Web {
    name: web;
    text: "%s";
  }
}
"""
RECIPE = """
def start(instance):
    instance.log("%d" % len(instance.exports["text"]))

update = start
"""


def template(root, length):
    files = {
        "descriptor/application.properties": "name = shop\nversion = 1.0\ndsl-id = roboconf-1.0\n"
        "graph-entry-point = shop.graph\ninstance-entry-point = shop.instances\n",
        "graph/shop.graph": GRAPH,
        "instances/shop.instances": INSTANCES % ("x" * length),
        "graph/Web/recipe.py": RECIPE,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


# The link refuses the first before it is read; the second is read, but not by so small a board.
@pytest.mark.parametrize(("heap", "length"), [("1M", 20_000), ("64wK", 14_000)])
def test_a_want_too_large_for_a_board_is_refused_with_a_reason(tmp_path, monkeypatch, heap, length):
    interpreters.find("micropython")
    copy_agent(tmp_path / "library", "compiled")
    monkeypatch.setitem(registry.BUILT_IN, "board", "support.boards:BoardTarget")
    monkeypatch.setattr(BoardTarget, "library", tmp_path / "library")
    monkeypatch.setattr(BoardTarget, "options", ("-X", "heapsize=" + heap))
    with coordinator(tmp_path / "data", target="board") as running:
        running.ask("deploy", path=template(tmp_path / "large", length), name="shop")

        def refused():
            (node,) = running.ask("status")["nodes"]
            return node["refused"]

        until(refused, 60)
        assert "bytes are more than this node takes" in refused()
        reasons = [one["text"] for one in running.ask("why", app="shop", path="/roof/web")]
        assert any("refuses what is wanted: " in text for text in reasons), reasons
        with pytest.raises(RequestError, match="cannot be told to the agent of n"):
            running.ask("deploy", path=template(tmp_path / "larger", length + 1), name="shop")

        small = template(tmp_path / "small", 1000)
        running.deploy(small, name="shop")
        assert running.states("shop")["/roof/web"] == states.STARTED
        assert refused() is None
        # It was never restarted.
        target = running.target("board")
        assert target.output(target.node_of("/roof")).count("connected to the broker") == 1
