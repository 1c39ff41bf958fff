"""The life cycle table is complete, and any walk through it ends where it may end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_microagent import states

EVENTS = sorted({event for row in states.TRANSITIONS.values() for event in row})


def walk(state, *events):
    seen = []
    for event in events:
        state, _ = states.next_step(state, event)
        seen.append(state)
    return seen


def test_an_instance_goes_up_and_down():
    assert walk(states.NOT_DEPLOYED, "deploy", "done", "hold", "start", "done") == [
        states.DEPLOYING,
        states.STOPPED,
        states.UNRESOLVED,
        states.STARTING,
        states.STARTED,
    ]
    assert walk(states.STARTED, "stop", "done", "undeploy", "done") == [
        states.STOPPING,
        states.STOPPED,
        states.UNDEPLOYING,
        states.NOT_DEPLOYED,
    ]


def test_every_state_that_is_reached_has_a_row():
    reached = {after for row in states.TRANSITIONS.values() for after, _ in row.values()}

    assert reached == set(states.TRANSITIONS)


def test_an_unstable_state_knows_only_the_end_of_its_step():
    for state, row in states.TRANSITIONS.items():
        if not states.is_stable(state):
            assert set(row) - {"kept"} == {"done", "failed"}
            assert all(states.is_stable(after) for after, _ in row.values())


def test_an_unknown_event_changes_nothing_and_says_so():
    with pytest.raises(states.TransitionError, match="not-deployed does not accept stop"):
        states.next_step(states.NOT_DEPLOYED, "stop")


@given(st.lists(st.sampled_from(EVENTS), max_size=60))
def test_any_walk_can_come_home(events):
    """Whatever happened, an instance can be undeployed from where it is."""
    state = states.NOT_DEPLOYED
    for event in events:
        if event in states.TRANSITIONS[state]:
            state, _ = states.next_step(state, event)
    if not states.is_stable(state):
        state, _ = states.next_step(state, "done")
    if state == states.STARTED:
        (state,) = walk(state, "stop", "done")[1:]
    if state != states.NOT_DEPLOYED:
        state = walk(state, "undeploy", "done")[-1]

    assert state == states.NOT_DEPLOYED
