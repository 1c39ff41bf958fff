"""Values of the providers: what counts, what is dropped, and when somebody is asked."""

import pytest

from fieldconf_microagent.imports import Imports

KEY = ("app1", "Data", "n2")
OTHER = ("app1", "Data", "n3")
VALUES = {"/db": {"port": "5432"}}
ASK_MS = 2000
SPREAD_MS = 8000


def document(seq, values=VALUES, boot=1, enrolment=1):
    return [1, enrolment, boot, seq, list(values.items())]


@pytest.fixture
def imports():
    """A connected importer whose providers are on two other nodes and on its own."""
    found = Imports("n1", lambda below: below - 1)
    found.lost_after = 10_000
    found.on_link(0, True)
    found.set_providers(0, {"Data": [KEY, OTHER, ("app1", "Data", "n1")]})
    return found


def values(imports):
    return dict(imports.of("Data"))


def test_a_newer_document_replaces_the_values(imports):
    imports.on_exports(0, KEY, document(1))
    imports.on_exports(0, KEY, document(2, {"/db": {"port": "1"}}))

    assert values(imports) == {KEY: {"/db": {"port": "1"}}}


@pytest.mark.parametrize("old", [(1, 2, 4), (1, 1, 9), (0, 9, 9)])
def test_a_document_that_is_not_newer_is_dropped(imports, old):
    imports.on_exports(0, KEY, document(5, boot=2))
    imports.changed = False

    enrolment, boot, seq = old
    imports.on_exports(0, KEY, document(seq, {"/db": {"port": "1"}}, boot, enrolment))

    assert values(imports) == {KEY: VALUES}
    assert not imports.changed


def test_only_a_provider_counts(imports):
    imports.on_exports(0, ("app1", "Data", "n9"), document(1))
    imports.on_exports(0, ("app2", "Data", "n2"), document(1))

    assert values(imports) == {}


def test_an_empty_document_withdraws_at_once(imports):
    imports.on_exports(0, KEY, document(1))
    imports.on_exports(0, KEY, document(2, {}))

    assert values(imports) == {}


def test_a_provider_that_leaves_the_list_is_gone_at_once_and_for_good(imports):
    imports.on_exports(0, KEY, document(1))
    imports.set_providers(0, {"Data": [OTHER]})
    assert values(imports) == {}

    imports.set_providers(0, {"Data": [KEY, OTHER]})
    assert values(imports) == {}


def test_values_of_an_older_boot_are_gone_until_that_boot_repeats_them(imports):
    imports.on_exports(0, KEY, document(9, boot=1))
    imports.on_live(0, "n2", (1, 2, True))
    assert values(imports) == {}

    imports.on_exports(0, KEY, document(10, boot=1))
    assert values(imports) == {}
    imports.on_exports(0, KEY, document(1, boot=2))
    assert values(imports) == {KEY: VALUES}


def test_a_will_of_a_former_boot_says_nothing_of_this_one(imports):
    imports.on_exports(0, KEY, document(1, boot=2))
    imports.on_live(0, "n2", (1, 1, False))
    imports.tick(1_000_000)

    assert values(imports) == {KEY: VALUES}


def test_who_is_offline_is_dropped_after_that_time_and_not_before(imports):
    imports.on_exports(0, KEY, document(1))
    imports.on_live(1000, "n2", (1, 1, False))

    imports.tick(10_999)
    assert values(imports) == {KEY: VALUES}
    imports.tick(11_000)
    assert values(imports) == {}


def test_who_comes_back_in_time_is_kept(imports):
    imports.on_exports(0, KEY, document(1))
    imports.on_live(1000, "n2", (1, 1, False))
    imports.on_live(9000, "n2", (1, 1, True))
    imports.tick(1_000_000)

    assert values(imports) == {KEY: VALUES}


def test_the_time_runs_only_while_connected_and_from_zero_again(imports):
    imports.on_exports(0, KEY, document(1))
    imports.on_live(0, "n2", (1, 1, False))
    imports.on_link(9000, False)
    imports.tick(100_000)
    assert values(imports) == {KEY: VALUES}

    imports.on_link(100_000, True)
    imports.tick(109_999)
    assert values(imports) == {KEY: VALUES}
    imports.tick(110_000)
    assert values(imports) == {}


def test_who_was_not_heard_is_asked_after_a_while_then_less_and_less_often(imports):
    first = ASK_MS + SPREAD_MS - 1
    assert imports.tick(first - 1) == []
    assert sorted(imports.tick(first)) == [KEY, OTHER]

    asked, now = [], first
    while len(asked) < 9:
        now = imports.next_wake()
        imports.tick(now)
        asked.append(now)

    pauses = [after - before for before, after in zip([first, *asked], asked, strict=False)]
    assert pauses == [4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000, 300_000]


def test_who_answers_is_asked_no_more(imports):
    imports.on_exports(0, KEY, document(1))
    imports.on_exports(0, OTHER, document(1))

    assert imports.tick(1_000_000) == []
    assert imports.next_wake() is None


def test_who_leaves_asks_unanswered_is_dropped_after_that_time(imports):
    """The broker forgot that its node was offline: nothing but silence tells."""
    imports.on_exports(0, KEY, document(1))
    imports.on_exports(0, OTHER, document(1))
    imports.on_link(1000, False)
    imports.on_link(1000, True)
    imports.on_exports(1000, OTHER, document(1))
    first = 1000 + ASK_MS + SPREAD_MS - 1

    assert imports.tick(first) == [KEY]
    assert imports.tick(first + 4000) == [KEY]  # the first was not answered: from now on
    imports.tick(first + 13_999)
    assert values(imports) == {KEY: VALUES, OTHER: VALUES}
    imports.tick(first + 14_000)
    assert values(imports) == {OTHER: VALUES}


def test_silence_before_a_reconnection_does_not_count(imports):
    imports.on_exports(0, KEY, document(1))
    imports.on_exports(0, OTHER, document(1))
    imports.on_link(0, False)
    imports.on_link(0, True)
    imports.tick(10_000)
    imports.tick(14_000)  # silent from now on
    imports.on_link(20_000, False)
    imports.on_link(20_000, True)

    imports.tick(24_000)
    assert values(imports) == {KEY: VALUES, OTHER: VALUES}


def test_a_new_boot_of_a_provider_is_told(imports):
    imports.on_exports(0, KEY, document(1))
    assert not imports.renewed
    imports.on_exports(0, KEY, document(1, boot=2))

    assert imports.renewed
