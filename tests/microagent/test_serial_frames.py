"""The stream over a serial line, whatever happens to the line and to its two ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_microagent.serial_frames import ENDED, Line, decode, encode
from support.serial_wire import BYTES_PER_MS, Faults, World

SEEDS = range(60)


@given(
    st.binary(max_size=1200) | st.lists(st.sampled_from([b"\0", b"a" * 253, b"bc"])).map(b"".join)
)
def test_code_is_that_of_the_cobs_package(data):
    cobs = pytest.importorskip("cobs.cobs", reason="needs cobs: pip install 'fieldconf[test]'")

    assert encode(data) == cobs.encode(data)
    assert decode(encode(data)) == data


@given(st.binary(max_size=300))
def test_decoding_anything_gives_an_answer_or_none(chunk):
    cobs = pytest.importorskip("cobs.cobs", reason="needs cobs: pip install 'fieldconf[test]'")
    try:
        wanted = cobs.decode(chunk)
    except cobs.DecodeError:
        wanted = None

    # The package refuses zero bytes inside a block; frames are split at them beforehand.
    if b"\0" not in chunk:
        assert decode(chunk) == wanted


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_no_noise_is_taken_for_a_frame_or_kept(pieces):
    line = Line(True)
    for piece in pieces:
        line.feed(0, piece)
        assert len(line.rest) < 300
    assert (line.state, line.output(0)) == ("none", b"")


def happen(world, dice):
    """Let one thing happen that may happen to a cable and its two ends."""
    kind = dice.choice(["nothing", "reset", "restart", "cut", "both"])
    if kind in ("reset", "both"):
        world.reset_board()
    if kind in ("restart", "both"):
        world.restart_gateway()
    if kind == "cut":
        world.faults.cut = True
        world.run(dice.randrange(3000))
        world.faults.cut = False


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_doubled_or_mixed_up(seed):
    """To replay one: ``pytest 'tests/microagent/test_serial_frames.py' -k 'mixed_up and 17'``."""
    world = World(seed)
    dice = world.dice
    worst = {"flips": 0.003, "drops": 0.01, "doubles": 0.01, "noise": 0.01}
    for name, most in worst.items():
        setattr(world.faults, name, dice.choice([0, dice.random() * most]))
    for _ in range(dice.randrange(6)):
        world.run(dice.randrange(1500))
        happen(world, dice)
    world.check()

    world.faults.stop()

    assert world.run(60_000, world.is_done), f"seed {seed}: it stands still"
    world.check()
    assert world.longest_buffer < 2500


def test_a_quiet_line_sends_nothing_twice():
    world = World(1, length=50_000)

    assert world.run(60_000, world.is_done)
    world.check()
    assert (world.board.resent, world.gateway.resent, world.gateway.damaged) == (0, 0, 0)


def test_what_frames_and_answers_add_is_a_seventh_at_most():
    world = World(1, length=100_000)
    world.dice.choice = max  # always as much as there is

    assert world.run(60_000, world.is_done)
    assert world.up.carried < 115_000
    # Both ways at once, each as fast as the wire; the first timer and the end included.
    assert world.now < 1.2 * 100_000 / BYTES_PER_MS


def test_noise_and_flips_cost_what_they_hit_and_little_more():
    """A byte in 1,000 flipped hits a frame in six; each is sent again once, or twice."""
    world = World(3, Faults(flips=0.001), length=60_000)

    assert world.run(60_000, world.is_done)
    world.check()
    hit = world.gateway.damaged + world.board.damaged
    assert hit > 50
    assert world.board.resent + world.gateway.resent < 3 * hit


def test_board_that_closes_has_everything_delivered_before_the_end():
    world = World(5, Faults(flips=0.002, drops=0.005, doubles=0.01), length=4000)
    assert world.run(60_000, world.is_done)
    stream = world.board.stream

    world.board.close()

    assert world.run(20_000, lambda: stream in world.ended)
    assert world.gateway.state == ENDED
    assert world.run(20_000, world.board.is_idle)
    world.check()


def test_silence_of_the_cable_ends_nothing_and_loses_nothing():
    world = World(6, length=20_000)
    world.run(500)
    stream = world.board.stream
    world.faults.cut = True
    world.run(15_000)
    world.faults.cut = False

    assert world.run(60_000, world.is_done)
    world.check()
    assert world.board.stream == stream
