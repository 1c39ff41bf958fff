"""A board fetches while its core sleeps, however often something wakes that."""

import gc

import pytest

from fieldconf_microagent import codec, fetch
from fieldconf_microagent.main_board import Recipes

FIRST, SECOND = b"\1" * 32, b"\2" * 32
WAITING = "waiting for the coordinator to send the recipe"


class Board:
    """Recipes as `host` uses them, and a core that something wakes every `wakes` ms."""

    def __init__(self, tmp_path, wakes):
        self.recipes = Recipes(str(tmp_path))
        self.wakes = wakes
        self.now = 0
        self.asked, self.told = [], []
        self.recipes.link(0, True)

    def want(self, *digests):
        self.recipes.want(self.now, list(digests))
        self.recipes.rest(False)
        return self

    def run(self, ms):
        end = self.now + ms
        while self.now < end:
            self.turn()
            wake = self.recipes.next_wake()
            dates = [wake] if wake is not None else []
            dates += [(self.now // self.wakes + 1) * self.wakes, end]
            self.now = max(self.now, min(dates))
            if self.now % self.wakes == 0:
                self.wake()

    def turn(self):
        wake = self.recipes.next_wake()
        if wake is not None and wake <= self.now:
            self.recipes.tick(self.now)
        gets, news = self.recipes.take()
        self.asked += [bytes(codec.unpack(get)[0]) for get in gets]
        if news:
            self.told += news
            self.wake()

    def wake(self):
        self.recipes.rest(True)
        self.recipes.take()
        self.now += 200
        self.recipes.rest(False)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """A board's heap is small; the one of these tests takes a while to be searched."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.fixture
def refused(monkeypatch):
    """The disk takes nothing; each attempt is noted."""
    attempts = []

    def read_manifest(fetcher, digest):
        attempts.append(digest)
        raise OSError(28, "No space left")

    monkeypatch.setattr(fetch.Fetcher, "_read_manifest", read_manifest)
    return attempts


@pytest.mark.parametrize("wakes", [3_000, 20_000, 300_000])
def test_one_recipe_that_does_not_come_does_not_hold_up_the_next(tmp_path, wakes):
    board = Board(tmp_path, wakes).want(FIRST, SECOND)
    board.run(60_000)
    assert (FIRST, WAITING) in board.told
    assert SECOND in board.asked


def test_a_full_disk_is_tried_ever_more_seldom_however_often_the_core_wakes(tmp_path, refused):
    board = Board(tmp_path, 1_000).want(FIRST)
    board.run(600_000)
    assert (FIRST, "the disk is full") in board.told
    assert 5 <= len(refused) <= 12


def test_a_new_connection_tries_at_once(tmp_path, refused):
    board = Board(tmp_path, 1_000).want(FIRST)
    board.run(200_000)
    before = len(refused)
    board.recipes.rest(True)
    board.recipes.link(board.now, True)
    board.recipes.rest(False)
    board.run(1_000)
    assert len(refused) > before


def test_a_problem_is_told_again_to_a_core_that_was_busy_with_something_else(tmp_path):
    board = Board(tmp_path, 300_000).want(FIRST)
    board.run(290_000)
    assert board.told == [(FIRST, WAITING)]
    board.run(200_000)
    assert board.told == [(FIRST, WAITING)] * 2


def test_a_fetcher_that_cannot_begin_is_told_and_tried_again_later(tmp_path, monkeypatch):
    begun = []

    class Broken(fetch.Fetcher):
        def __init__(self, *arguments):
            begun.append(board.now)
            if len(begun) < 3:
                raise OSError(28, "No space left on device")
            super().__init__(*arguments)

    monkeypatch.setattr(fetch, "Fetcher", Broken)
    board = Board(tmp_path, wakes=1_000_000).want(FIRST)
    board.run(200_000)

    full = (FIRST, "[Errno 28] No space left on device")
    assert board.told[0] == full and board.told.count(full) == 1
    assert begun[:3] == [0, 60_000, 120_000]
    assert FIRST in board.asked
