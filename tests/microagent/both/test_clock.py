from fieldconf_microagent import compat


def test_clock_goes_on_when_the_counter_below_it_wraps():
    counter = [(1 << 30) - 5]

    def difference(end, start):
        return ((end - start + (1 << 29)) & ((1 << 30) - 1)) - (1 << 29)

    real = compat.ticks_ms, compat.ticks_diff
    compat.ticks_ms, compat.ticks_diff = (lambda: counter[0]), difference
    try:
        clock = compat.Clock()
        times = []
        for step in (5, 1000, 1 << 28, 1 << 28, 1 << 28, 1 << 28):
            counter[0] = (counter[0] + step) & ((1 << 30) - 1)
            times.append(clock.now_ms())
    finally:
        compat.ticks_ms, compat.ticks_diff = real

    assert times[:2] == [5, 1005]
    assert times[-1] == (1 << 30) + 1005
