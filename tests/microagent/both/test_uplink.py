from fieldconf_microagent.uplink import JOIN, LEAVE, Uplink


def uplink(count=2):
    return Uplink(count, 0, lambda below: below - 1)


def attempts(link, until, up_for=None):
    """Return [(when, network), …] of what is tried while none lets it in but `up_for`."""
    found = []
    tried = None
    for now in range(0, until, 500):
        todo = link.step(now, tried is not None and tried == up_for)
        if todo and todo[0] == JOIN:
            tried = todo[1]
            found.append((now, tried))
        elif todo:
            tried = None
    return found


def test_networks_are_tried_one_after_the_other():
    assert [index for _, index in attempts(uplink(3), 100000)][:4] == [0, 1, 2, 0]


def test_first_network_that_lets_it_in_is_kept():
    link = uplink()

    assert [index for _, index in attempts(link, 500000, up_for=1)] == [0, 1]
    assert link.up
    assert link.failures == 0


def test_pauses_grow_to_five_minutes_when_no_network_lets_it_in():
    times = [when for when, _ in attempts(uplink(1), 4000000)]

    pauses = [times[i + 1] - times[i] for i in range(len(times) - 1)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 25000
    assert 300000 <= pauses[-1] <= 325000


def test_pauses_differ_between_boards():
    seen = set()
    for number in (0, 300, 600):
        link = Uplink(1, 0, lambda below, number=number: min(number, below - 1))
        seen.add(attempts(link, 60000)[1][0])
    assert len(seen) > 1


def test_attempt_that_the_interface_calls_failed_ends_at_once():
    link = uplink()
    assert link.step(0, False) == (JOIN, 0)
    assert link.step(100, False) is None

    assert link.step(200, False, True) == (LEAVE, 0)
    assert link.step(300, False) == (JOIN, 1)


def test_lost_network_is_tried_again_first_and_soon():
    link = uplink()
    attempts(link, 100000, up_for=1)

    assert link.step(200000, False) == (LEAVE, 0)
    assert not link.up
    assert link.step(200500, False) is None
    assert link.step(201000, False) == (JOIN, 1)
