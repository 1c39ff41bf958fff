"""Enrolled machines on virtual time: claimed by what needs them, given back empty, found again."""

import pytest

from fieldconf_coordinator.core import status
from fieldconf_coordinator.errors import FleetError
from fieldconf_microagent import states
from support.simulation import new_world
from support.templates import template

GRAPH = """
Board {
  installer: target;
  children: Blink;
}
Blink {
  installer: script;
}
"""
INSTANCES = """
instance of Board {
  name: roof;
  data.target: embedded;
  data.requires.tags: roof;
  instance of Blink {
    name: blink;
  }
}
instance of Board {
  name: any;
  data.target: embedded;
  instance of Blink {
    name: blink;
  }
}
"""


@pytest.fixture
def fleet():
    tpl = template(GRAPH, INSTANCES)
    coordinator = new_world(0, {"t": tpl})
    coordinator.world.run(100)
    coordinator.template = tpl
    return coordinator


def enrol(fleet, node_id, board="esp32", tags=()):
    one = fleet.fleet.pool.enrol(node_id, board, tags)
    fleet.pump()
    return one


def board(fleet, one):
    return fleet.flashed(one)


def deploy(fleet):
    return fleet.request("deploy", fleet.template, "t", {"Blink": b"b" * 32}, "app")


def nodes(fleet):
    return {path: told["node"] for path, told in fleet.instances().items() if path.count("/") == 1}


def test_each_scoped_instance_claims_a_board_that_fits(fleet):
    boards = [board(fleet, enrol(fleet, "b1")), board(fleet, enrol(fleet, "b2", tags=["roof"]))]
    fleet.world.run(1000)

    deploy(fleet)

    assert fleet.world.run_until(fleet.settled, 10_000), fleet.instances()
    assert nodes(fleet) == {"/any": "b1", "/roof": "b2"}
    assert [sorted(one.running) for one in boards] == [["/any/blink"], ["/roof/blink"]]


def test_what_finds_no_board_says_so_and_starts_when_one_is_enrolled(fleet):
    board(fleet, enrol(fleet, "b1"))
    deploy(fleet)
    fleet.world.run(10_000)

    assert nodes(fleet) == {"/any": "b1", "/roof": None}
    reason = fleet.fleet.why("app", "/roof/blink")[-1]
    assert reason["path"] == "/roof"
    assert "no enrolled node is free" in reason["text"]

    board(fleet, enrol(fleet, "b2", tags=["roof", "north"]))
    assert fleet.world.run_until(fleet.settled, 10_000), fleet.instances()
    assert nodes(fleet)["/roof"] == "b2"


def test_a_board_that_does_not_fit_is_named_with_what_it_lacks(fleet):
    board(fleet, enrol(fleet, "b1"))
    board(fleet, enrol(fleet, "b2"))
    deploy(fleet)
    fleet.world.run(10_000)

    assert "has no tag roof" in fleet.fleet.why("app", "/roof/blink")[-1]["text"]


def test_tags_given_later_let_it_be_claimed(fleet):
    board(fleet, enrol(fleet, "b1"))
    board(fleet, enrol(fleet, "b2"))
    deploy(fleet)
    fleet.world.run(5000)

    fleet.fleet.pool.describe("b2" if nodes(fleet)["/any"] == "b1" else "b1", None, ["roof"])
    fleet.pump()

    assert fleet.world.run_until(fleet.settled, 10_000), fleet.instances()


def test_a_board_is_given_back_empty_and_serves_again_under_its_id(fleet):
    one = board(fleet, enrol(fleet, "b2", tags=["roof"]))
    other = board(fleet, enrol(fleet, "b1"))
    deploy(fleet)
    assert fleet.world.run_until(fleet.settled, 10_000)

    fleet.request("set_wish", "app", None, states.NOT_DEPLOYED)
    assert fleet.world.run_until(lambda: not fleet.fleet.world.nodes, 30_000)
    assert not one.running | other.running and not one.wiped
    assert len(fleet.fleet.pool.free()) == 2

    fleet.request("set_wish", "app", None, states.STARTED)
    assert fleet.world.run_until(fleet.settled, 10_000), fleet.instances()
    assert one.running == {"/roof/blink"}


def test_a_board_that_was_away_when_it_was_given_back_is_emptied_when_it_returns(fleet):
    one = board(fleet, enrol(fleet, "b2", tags=["roof"]))
    board(fleet, enrol(fleet, "b1"))
    deploy(fleet)
    assert fleet.world.run_until(fleet.settled, 10_000)

    one.kill()
    fleet.request("set_wish", "app", "/roof", states.NOT_DEPLOYED)
    assert fleet.world.run_until(lambda: "b2" not in fleet.fleet.world.nodes, 200_000)
    assert one.running
    fleet.world.broker.retained.clear()

    before = fleet.fleet.pool.get("b2").version
    one.duration = lambda request: 500  # so that it tells of each step
    one.start()
    assert fleet.world.run_until(lambda: not one.running and not one.agent.tree.order, 30_000)
    # However often it says how far it is, it is told once.
    assert fleet.fleet.pool.get("b2").version == before + 1


def test_everything_is_found_again_by_the_next_coordinator(fleet):
    one = board(fleet, enrol(fleet, "b2", tags=["roof"]))
    deploy(fleet)
    fleet.world.run(5000)
    assert nodes(fleet) == {"/any": None, "/roof": "b2"}

    fleet.kill()
    fleet.start()
    fleet.world.run(5000)
    assert nodes(fleet) == {"/any": None, "/roof": "b2"}
    assert one.running == {"/roof/blink"}

    board(fleet, enrol(fleet, "b1"))
    assert fleet.world.run_until(fleet.settled, 10_000), fleet.instances()


def test_what_is_not_wished_any_more_waits_for_no_board(fleet):
    deploy(fleet)
    fleet.world.run(1000)
    assert fleet.instances()["/any"]["problem"]

    fleet.request("set_wish", "app", None, states.NOT_DEPLOYED)
    enrol(fleet, "b1")
    fleet.world.run(1000)

    assert nodes(fleet) == {"/any": None, "/roof": None}
    assert fleet.instances()["/any"]["problem"] is None
    assert fleet.settled()


def test_a_board_in_use_cannot_be_expelled_and_an_expelled_one_is_not_heard(fleet):
    one = board(fleet, enrol(fleet, "b1"))
    deploy(fleet)
    fleet.world.run(5000)
    with pytest.raises(FleetError, match="in use by app /any"):
        fleet.fleet.pool.expel("b1")

    fleet.request("set_wish", "app", None, states.NOT_DEPLOYED)
    assert fleet.world.run_until(lambda: not fleet.fleet.world.nodes, 30_000)
    fleet.fleet.pool.expel("b1")
    fleet.pump()
    one.restart()
    fleet.world.run(2000)
    assert fleet.fleet.pool.free() == []
    assert fleet.fleet.dropped == {} and fleet.fleet.unknown == {}

    again = enrol(fleet, "b1")
    assert again.enrolment == 2 and again.key != one.key


def test_an_identity_enrolled_anew_is_taken_over_by_the_board_that_has_the_new_key(fleet):
    old = board(fleet, enrol(fleet, "b1"))
    deploy(fleet)
    fleet.world.run(5000)
    assert old.running == {"/any/blink"}

    one = fleet.fleet.pool.enrol_anew("b1")
    fleet.pump()
    old.kill(services=True)
    new = board(fleet, one)

    assert fleet.world.run_until(lambda: new.running == {"/any/blink"}, 30_000)


def test_a_requirement_that_means_nothing_is_refused_with_those_that_do(fleet):
    wrong = template(GRAPH, INSTANCES.replace("requires.tags: roof", "requires.colour: red"))

    with pytest.raises(FleetError, match=r"/roof has requires\.colour") as error:
        fleet.request("deploy", wrong, "t", {}, "wrong")

    assert "requires.board, requires.memory, requires.node, requires.tags" in error.value.hint


def test_a_machine_with_a_token_serves_only_after_it_is_approved_and_made_its_own_key(fleet):
    one = fleet.fleet.pool.token("j1")
    fleet.pump()
    with pytest.raises(FleetError, match="has not been heard yet"):
        fleet.fleet.pool.approve("j1")
    first_key = one.key
    joined = board(fleet, one)
    deploy(fleet)
    fleet.world.run(5000)
    assert nodes(fleet) == {"/any": None, "/roof": None}

    assert status.free(one)["phase"] == "joining"
    fleet.fleet.pool.approve("j1")
    fleet.pump()
    assert status.free(one)["phase"] == "approved"

    assert fleet.world.run_until(lambda: joined.running == {"/any/blink"}, 30_000)
    assert joined.key == one.key != first_key
    assert joined.enrolment == 2
    assert not one.nonce


def cloned(fleet, one):
    """Have two machines with one identity take turns; return them, the first being there."""
    first = board(fleet, one)
    fleet.world.run(1000)
    assert not status.free(one)["duplicate"]
    first.kill()
    second = board(fleet, one)
    second.kill()
    second.more["info"]["hw"] = "another"
    second.start()
    fleet.world.run(1000)
    assert not status.free(one)["duplicate"], "it may be a new board with the old card"
    second.kill()
    first.start()
    fleet.world.run(1000)
    return first, second


def test_two_machines_with_one_identity_are_noticed_before_they_are_used(fleet):
    one = enrol(fleet, "b1")

    cloned(fleet, one)

    assert status.free(one)["duplicate"] == ["hwb1", "another"]
    said = "hwb1 and another both say that they are b1; enrol one of them anew"
    assert [text for text in fleet.history if said in text]
    deploy(fleet)
    fleet.world.run(5000)
    assert nodes(fleet)["/any"] is None
    reason = fleet.fleet.why("app", "/any/blink")[-1]["text"]
    assert "b1 is two machines with one identity" in reason

    again = fleet.fleet.pool.enrol_anew("b1")
    fleet.pump()
    assert not status.free(one)["duplicate"]
    new = board(fleet, again)
    assert fleet.world.run_until(lambda: new.running == {"/any/blink"}, 30_000)
    assert status.node(fleet.fleet.world, fleet.fleet.world.nodes["b1"])["enrolled"]


def test_a_board_that_cannot_be_told_so_much_is_not_taken(fleet):
    small = board(fleet, enrol(fleet, "b1"))
    small.more["info"]["max"] = 100
    small.kill()
    small.start()
    fleet.world.run(1000)

    deploy(fleet)
    fleet.world.run(5000)

    assert nodes(fleet)["/any"] is None
    reason = fleet.fleet.why("app", "/any/blink")[-1]["text"]
    assert "b1 cannot be told all that /any should run" in reason


def test_of_two_that_joined_with_one_token_none_is_approved(fleet):
    one = fleet.fleet.pool.token("j1")
    fleet.pump()
    cloned(fleet, one)

    with pytest.raises(FleetError, match="hwj1 and another both joined as j1"):
        fleet.fleet.pool.approve("j1")


def test_a_board_tells_why_it_started(fleet):
    one = enrol(fleet, "b1")
    node = fleet.flashed(one)
    node.kill()
    node.more["info"]["reset"] = "watchdog"
    node.start()
    fleet.world.run(1000)
    assert status.free(one)["reset"] == "watchdog"

    deploy(fleet)
    fleet.world.run(5000)
    assert [told["reset"] for told in fleet.fleet.status()["nodes"]] == ["watchdog"]
