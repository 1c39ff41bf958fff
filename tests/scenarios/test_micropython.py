"""The very same agent under MicroPython: real coordinator, real broker, `python` recipes."""

import os
from fnmatch import fnmatch

import pytest

from fieldconf_coordinator.brokers.embedded import EmbeddedBroker
from fieldconf_coordinator.brokers.mosquitto import Mosquitto
from fieldconf_firmware_images import agent_files
from fieldconf_microagent import codec, states
from fieldconf_targets import registry
from support import interpreters, rom
from support.boards import BoardTarget, FlashedTarget, copy_agent
from support.brokers import need_mosquitto
from support.coordinators import coordinator
from support.waiting import until

pytestmark = pytest.mark.timeout(180)

GRAPH = """
VM {
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

DATA = """
def start(instance):
    instance.log("listening on " + instance.exports["port"])

update = start
"""

WEB = """
def note(instance):
    ports = [values["port"] for _, values in instance.imports["Data"]]
    if instance.step == "deploy":
        ports = []  # may be there already, or not yet
    with open(instance.data_dir + "/diary", "a") as diary:
        diary.write(" ".join([instance.step] + ports) + "\\n")

deploy = start = update = stop = note
"""

#: Does not compress, so that it comes in several pieces of 4 KiB.
BALLAST = os.urandom(20_000)


def write_template(root, port=5432):
    """Write a template of two boards, one of which needs the other."""
    files = {
        "descriptor/application.properties": "name = shop\nversion = 1.0\ndsl-id = roboconf-1.0\n"
        "lost-after = 2s\ngraph-entry-point = shop.graph\ninstance-entry-point = shop.instances\n",
        "graph/shop.graph": GRAPH,
        "instances/shop.instances": INSTANCES % port,
        "graph/Data/recipe.py": DATA,
        "graph/Web/recipe.py": WEB,
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "graph/Web/ballast").write_bytes(BALLAST)
    return root


class Boards:
    """A coordinator whose machines are boards, and what tests ask it."""

    def __init__(self, coordinator, folder):
        self.coordinator = coordinator
        self.template = folder / "template"

    @property
    def target(self):
        return self.coordinator.target("board")

    def deploy(self, port=5432):
        self.coordinator.deploy(write_template(self.template, port), name="shop")

    def wish(self, path, wish):
        self.coordinator.done(self.coordinator.ask("wish", app="shop", path=path, wish=wish))

    def until_state(self, path, state):
        until(lambda: self.coordinator.states("shop")[path] == state, 30)

    def paths(self):
        return self.target.paths.items()

    def node(self, path):
        return self.target.node_of(path)

    def diary(self):
        """Return the lines that the steps of the web server wrote, so far."""
        return (self.held("data/*/diary") or b"").decode().splitlines()

    def held(self, pattern):
        """Return the content of a file on the web server's board; None if it is not there."""
        files = self.target.files(self.node("/web-vm"))
        found = [files[path] for path in files if fnmatch(path, pattern)]
        return found[0] if found else None


@pytest.fixture(params=["embedded, compiled", "mosquitto, sources"])
def surroundings(request):
    """Every broker and every form in which an agent gets onto a board, once each."""
    return request.param.split(", ")


@pytest.fixture
def make_broker(surroundings):
    if surroundings[0] == "embedded":
        return EmbeddedBroker
    need_mosquitto()
    return lambda folder: Mosquitto(folder, "fc")


@pytest.fixture
def library(surroundings, tmp_path):
    interpreters.find("micropython")
    copy_agent(tmp_path / "library", surroundings[1])
    return tmp_path / "library"


@pytest.fixture
def boards(make_broker, library, tmp_path, monkeypatch):
    """Boards of one kind; `BoardTarget` may be changed before the first is made."""
    monkeypatch.setitem(registry.BUILT_IN, "board", "support.boards:BoardTarget")
    monkeypatch.setattr(BoardTarget, "library", library)
    with coordinator(tmp_path / "data", make_broker, target="board") as running:
        yield Boards(running, tmp_path)


def test_boards_deploy_update_stop_and_undeploy(boards):
    boards.deploy()
    boards.until_state("/web-vm/web", states.STARTED)
    assert boards.held("recipes/*/ballast") == BALLAST

    boards.deploy(port=6000)
    until(lambda: "update 6000" in boards.diary())
    boards.wish("/data-vm/data", states.STOPPED)
    boards.until_state("/web-vm/web", states.UNRESOLVED)
    boards.wish("/data-vm/data", states.STARTED)
    boards.until_state("/web-vm/web", states.STARTED)
    assert boards.diary() == [
        "deploy", "start 5432", "update 6000", "stop", "start 6000"
    ]  # fmt: skip

    boards.wish(None, states.NOT_DEPLOYED)
    until(lambda: boards.coordinator.ask("status")["nodes"] == [])


def test_restarted_board_starts_from_its_disk_without_a_broker(boards):
    boards.deploy()
    boards.until_state("/web-vm/web", states.STARTED)
    node = boards.node("/web-vm")

    boards.target.relays[node].cut(refuse=True)
    boards.target.kill_node(node)
    # The coordinator notices that the machine has died, and has it made again.
    until(lambda: boards.diary() == ["deploy", "start 5432", "start 5432"])

    boards.target.relays[node].mend()
    boards.deploy(port=6000)
    until(lambda: "update 6000" in boards.diary())


def test_recipe_that_is_cut_in_the_middle_goes_on_where_it_was(boards, monkeypatch):
    recipes = boards.coordinator.service.recipes
    answer, served = recipes.answer, []

    def watched(get, allowed):
        pieces = answer(get, allowed)
        served.extend(tuple(codec.unpack(piece)[:2]) for piece in pieces)
        return pieces

    ballast = os.urandom(80_000)
    monkeypatch.setattr(f"{__name__}.BALLAST", ballast)
    monkeypatch.setattr(recipes, "answer", watched)
    monkeypatch.setattr(BoardTarget, "cut_after", {"/web-vm": 60_000})
    boards.deploy()
    boards.until_state("/web-vm/web", states.STARTED)

    assert boards.held("recipes/*/ballast") == ballast
    assert boards.target.relays[boards.node("/web-vm")].cuts == 1
    twice = len(served) - len(set(served))
    # A window of two for the cut, and for each time that the core woke: on connecting, on messages.
    assert 0 < twice <= 8, "what has come is not asked for again"


@pytest.fixture(params=["from images, 32wK", "from files, 44wK"])
def small_boards(request, tmp_path, monkeypatch):
    """Boards with little memory. ``w`` scales with the word: 32wK are 64 KB here, 32 KB on 32 bits.

    The heap may be another one, FIELDCONF_BOARD_HEAP: so the benchmark finds the smallest.
    """
    interpreters.find("micropython")
    form, heap = request.param.split(", ")
    target = BoardTarget
    if form == "from images":
        rom.need()
        pytest.importorskip("littlefs", reason="needs littlefs-python, as fieldconf[test] brings")
        target = FlashedTarget
        agent_files.agent()  # compiled now, once
    else:
        copy_agent(tmp_path / "library", "compiled")
    heap = os.environ.get("FIELDCONF_BOARD_HEAP", heap)
    monkeypatch.setitem(registry.BUILT_IN, "board", f"support.boards:{target.__name__}")
    monkeypatch.setattr(target, "library", tmp_path / "library")
    monkeypatch.setattr(target, "options", ("-X", "heapsize=" + heap))
    with coordinator(tmp_path / "data", EmbeddedBroker, target="board") as running:
        yield Boards(running, tmp_path)


def test_whole_story_fits_into_little_memory(small_boards):
    try:
        test_boards_deploy_update_stop_and_undeploy(small_boards)
    except AssertionError as error:
        said = {path: small_boards.target.output(node) for node, path in small_boards.paths()}
        options = " ".join(small_boards.target.options)
        raise AssertionError(f"{options}: {error}; they said {said}") from None
