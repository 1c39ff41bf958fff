from fieldconf_microagent import retry
from fieldconf_microagent.reconnect import Reconnect


def test_pauses_of_a_failing_step_grow_to_a_minute_then_it_rests():
    pauses = [retry.pause_ms(failures, 0.0) for failures in range(1, 10)]
    assert pauses == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 300000, 300000]
    assert [retry.resting(failures) for failures in (1, 7, 8, 1000)] == [False, False, True, True]


def test_spread_adds_up_to_a_quarter():
    assert retry.pause_ms(1, 1.0) == 1250
    assert retry.pause_ms(100, 0.5) == 337500


def test_first_reconnection_comes_after_up_to_five_seconds():
    assert Reconnect().pause_ms(0, 0.0) == 0
    assert Reconnect().pause_ms(0, 1.0) == 5000


def test_pauses_double_while_the_broker_is_away():
    reconnect = Reconnect()
    pauses = [reconnect.pause_ms(0, 1.0) for _ in range(9)]
    assert pauses == [5000, 10000, 20000, 40000, 80000, 160000, 300000, 300000, 300000]


def test_at_least_half_a_pause_is_waited():
    reconnect = Reconnect()
    reconnect.pause_ms(0, 0.0)
    assert [reconnect.pause_ms(0, 0.0) for _ in range(3)] == [5000, 10000, 20000]


def test_a_connection_that_lasted_starts_anew():
    reconnect = Reconnect()
    for _ in range(5):
        reconnect.pause_ms(0, 1.0)
    reconnect.acknowledged(1000)
    assert reconnect.pause_ms(11000, 1.0) == 5000


def test_a_connection_lost_at_once_doubles_the_pause():
    reconnect = Reconnect()
    assert reconnect.pause_ms(0, 1.0) == 5000
    reconnect.acknowledged(1000)
    assert reconnect.pause_ms(10999, 1.0) == 10000
    reconnect.acknowledged(20000)
    assert reconnect.pause_ms(20001, 1.0) == 20000


def test_years_of_failures_do_no_harm():
    reconnect = Reconnect()
    for _ in range(100000):
        pause = reconnect.pause_ms(0, 1.0)
    assert pause == 300000
