"""A preview runs a step in its installer's check mode; the instance is as it was."""

import pytest

from fieldconf_microagent import states
from fieldconf_microagent.installer_previews import PreviewingAgent
from support import world as worlds
from support.world import Hand, Node, World, entry, machine


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(worlds, "Agent", PreviewingAgent)
    return World()


@pytest.fixture
def hand(world):
    return Hand(world)


@pytest.fixture
def node(world, hand):
    node = Node(world, "n1").start()
    hand.want(node, [machine(), entry("/vm/a", "A")])
    world.run(1000)
    assert node.ran() == ["/vm/a deploy", "/vm/a start"]
    return node


def test_the_next_step_is_shown_and_nothing_is_changed(world, hand, node):
    node.outcome = lambda request: ("failed", "no such package")

    hand.do(node, "preview", "/vm/a", id="x")
    world.run(1000)

    assert hand.answers["x"][2:] == ["ok", None]
    assert (node.steps[-1]["step"], node.steps[-1]["preview"]) == ("start", True)
    assert node.state("/vm/a") == states.STARTED
    assert hand.haves["n1"]["i"]["/vm/a"] == {"s": "deployed-started"}


def test_of_an_instance_that_is_not_deployed_it_is_deploy(world, hand, node):
    hand.want(node, [machine(), entry("/vm/a", "A", w="not-deployed")])
    world.run(1000)
    dropped = []
    take = node.agent.take
    node.agent.take = lambda: note(take())

    def note(effects):
        dropped.extend(one[1] for one in effects if one[0] == "drop")
        return effects

    hand.do(node, "preview", "/vm/a")
    world.run(1000)

    assert (node.steps[-1]["step"], node.steps[-1]["preview"]) == ("deploy", True)
    assert dropped == ["/vm/a"]
    assert node.state("/vm/a") == states.NOT_DEPLOYED


def test_an_update_without_anything_new_is_told_of_all_imports(world, hand, node):
    imported = {"Data": {"/vm/data": {"port": "1"}}}
    node.agent.tree.imports_of = lambda record: imported

    hand.do(node, "preview", "/vm/a", "update")
    world.run(1000)

    assert node.steps[-1]["changed"]["added"] == {"Data": [["/vm/data", {"port": "1"}]]}


def test_what_becomes_due_meanwhile_waits_for_its_end(world, hand, node):
    node.duration = lambda request: 5000 if request.get("preview") else 5

    hand.do(node, "preview", "/vm/a")
    world.run(1000)
    hand.want(node, [machine(), entry("/vm/a", "A", w="deployed-stopped")])
    world.run(1000)
    assert node.state("/vm/a") == states.STARTED

    world.run(5000)
    assert node.state("/vm/a") == states.STOPPED


def test_a_restart_meanwhile_forgets_it(world, hand, node):
    node.duration = lambda request: 5000
    hand.do(node, "preview", "/vm/a")
    world.run(1000)
    count = len(node.steps)

    node.kill()
    node.start()
    world.run(20_000)

    assert node.state("/vm/a") == states.STARTED
    assert [step for step in node.steps[count:] if step["step"] != "check"] == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["/vm/nobody"], "there is no instance with steps at '/vm/nobody'"),
        (["/vm"], "there is no instance with steps at '/vm'"),
        (["/vm/a", "dance"], "there is no step 'dance'"),
    ],
    ids=["unknown", "a node", "no step"],
)
def test_what_cannot_be_shown_is_refused(world, hand, node, arguments, why):
    hand.do(node, "preview", *arguments, id="x")
    world.run(1000)

    assert hand.answers["x"][2:] == ["error", why]


def test_a_step_under_way_is_not_disturbed(world, hand, node):
    node.duration = lambda request: 5000
    for number in "12":
        hand.do(node, "preview", "/vm/a", id=number)
        world.run(100)

    assert hand.answers["2"][2:] == ["error", "preview is under way at /vm/a"]
