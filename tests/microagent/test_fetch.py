"""Recipes arrive complete and identical over the worst wire, and nothing is asked for twice.

What power and disk do to them is in `test_fetch_disk`, what a liar sends in `test_fetch_hostile`.
"""

import itertools
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldconf_coordinator.service.recipes import pack
from support.fetching import SMALL, Wire, noise, packed

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

# Ordinary ways


def test_a_recipe_arrives_with_its_modes(tmp_path):
    recipe = pack("Web", "script", [("start", 0o755, b"#!/bin/sh"), ("conf", 0o600, b"a=1")])
    wire = Wire(tmp_path, recipe).finish()

    wire.assert_is(recipe.digest, {"start": b"#!/bin/sh", "conf": b"a=1"})
    folder = Path(wire.fetcher.folder(recipe.digest))
    assert os.stat(folder / "start").st_mode & 0o777 == 0o755
    assert os.stat(folder / "conf").st_mode & 0o777 == 0o644
    assert wire.news == [(recipe.digest, None)]


def test_a_recipe_without_files_is_complete_too(tmp_path):
    wire = Wire(tmp_path, packed({})).finish()

    wire.assert_is(wire.digests[0], {})


def test_a_recipe_that_nobody_can_read_any_more_is_no_donor_and_no_obstacle(tmp_path):
    old, new = packed({"a": b"1"}), packed({"a": b"1", "b": b"2"})
    wire = Wire(tmp_path, old).finish()
    os.remove(wire.fetcher.folder(old.digest) + ".ok")

    wire.want(new)
    wire.finish()

    wire.assert_is(new.digest, {"a": b"1", "b": b"2"})


def test_several_recipes_come_in_the_order_of_the_wish(tmp_path):
    recipes = [packed({"a": noise(5000, n)}, f"C{n}") for n in range(3)]
    wire = Wire(tmp_path, *recipes).finish()

    assert wire.news == [(recipe.digest, None) for recipe in recipes]


def test_many_small_files_share_the_window(tmp_path):
    wire = Wire(tmp_path, packed({f"f{n}": noise(50, n) for n in range(40)}), window=8)
    most = 0
    while not wire.done():
        wire.step()
        most = max(most, len(wire.inbox) + 1)

    assert 4 <= most <= 8


def test_equal_files_travel_once(tmp_path):
    files = {f"f{n}": noise(6000) for n in range(4)}
    wire = Wire(tmp_path, packed(files)).finish()

    assert len(wire.pieces) == len(set(wire.pieces)) == 1 + 1 + 2
    wire.assert_is(wire.digests[0], files)


def test_a_change_of_one_file_fetches_that_file_only(tmp_path):
    files = {f"f{n}": noise(6000, n) for n in range(20)}
    wire = Wire(tmp_path, packed(files)).finish()
    files["f7"] = b"changed"
    new = packed(files)

    wire.pieces = []
    wire.want(new)
    wire.finish()

    assert len(wire.pieces) == 2, "a manifest and a file"
    wire.assert_is(new.digest, files)


def test_a_file_that_somebody_changed_on_the_node_is_no_donor(tmp_path):
    files = {"a": b"one", "b": b"two"}
    old = packed(files)
    wire = Wire(tmp_path, old).finish()
    Path(wire.fetcher.folder(old.digest), "a").write_bytes(b"tampered")

    new = packed(files | {"c": b"three"})
    wire.want(new)
    wire.finish()

    wire.assert_is(new.digest, files | {"c": b"three"})


def test_what_is_complete_needs_no_coordinator(tmp_path):
    wire = Wire(tmp_path, packed(SMALL)).finish()
    wire.start()

    assert wire.done()
    assert wire.fetcher.take() == ([], [])


# Pace


def test_silence_is_answered_with_growing_pauses_for_ever(tmp_path):
    wire = Wire(tmp_path, packed(SMALL))
    fetcher = wire.fetcher
    times = []
    while len(times) < 10:
        fetcher.tick(wire.now)
        if fetcher.take()[0]:
            times.append(wire.now)
        wire.now = fetcher.next_wake()

    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert pauses == [2000, 4000, 8000, 16000, 32000] + [60000] * 4


def test_nothing_is_asked_and_nobody_woken_while_the_link_is_down(tmp_path):
    wire = Wire(tmp_path, packed(SMALL))
    wire.fetcher.link(0, False)
    for _ in range(5):
        wire.fetcher.tick(0)

    assert wire.fetcher.take() == ([], [])
    assert wire.fetcher.next_wake() is None

    wire.fetcher.link(5000, True)
    assert len(wire.fetcher.take()[0]) == 1


def test_a_slow_link_is_not_asked_twice(tmp_path):
    wire = Wire(tmp_path, packed({"a": noise(60_000)}), window=2)
    for _ in range(10_000):
        if wire.done():
            break
        if wire.inbox:
            wire.now += 3000
        wire.step()

    assert wire.done()
    assert len(wire.pieces) <= len(set(wire.pieces)) + 2, "one pause was too short, no more"


def test_a_recipe_that_nobody_serves_does_not_hold_up_the_next(tmp_path):
    lost, other = packed({"a": b"1"}, "Lost"), packed({"a": b"2"}, "Other")
    wire = Wire(tmp_path, lost, other)
    wire.store.collect([other.digest])

    while not wire.fetcher.has(other.digest):
        assert wire.now < 200_000
        wire.step()
    assert (lost.digest, "waiting for the coordinator to send the recipe") in wire.news

    wire.want(other, lost)
    wire.finish()


# Resume


def test_after_a_restart_only_the_missing_pieces_are_asked_for(tmp_path):
    wire = Wire(tmp_path, packed({"large": noise(200_000)}))
    while len(wire.pieces) < 30:
        wire.step()
    before = set(wire.pieces)
    still_under_way = len(wire.inbox)
    wire.start()
    wire.pieces = []
    wire.finish()

    again = before & set(wire.pieces)
    assert len(again) <= still_under_way
    assert len(before | set(wire.pieces)) == 1 + 1 + 49


def test_after_a_cut_connection_only_the_missing_pieces_are_asked_for(tmp_path):
    wire = Wire(tmp_path, packed({"large": noise(100_000)}))
    while len(wire.pieces) < 12:
        wire.step()
    before = set(wire.pieces) - {(put[0], put[1]) for put in wire.inbox}
    wire.inbox = []
    wire.fetcher.link(wire.now, False)
    wire.fetcher.link(wire.now, True)
    wire.pieces = []
    wire.finish()

    assert not before & set(wire.pieces)


def test_a_large_manifest_resumes_too(tmp_path):
    files = {f"folder/{n:04}": b"x%d" % n for n in range(900)}
    wire = Wire(tmp_path, packed(files))
    for _ in range(100):
        while len(wire.pieces) < 8 and not wire.done():
            wire.step()
        wire.pieces = []
        if wire.done():
            break
        wire.start()

    wire.finish(steps=50_000)
    wire.assert_is(wire.digests[0], files)


def test_pieces_of_a_manifest_out_of_order_do_no_harm(tmp_path):
    files = {f"{n:04}": b"x%d" % n for n in range(300)}
    wire = Wire(tmp_path, packed(files))
    while len(wire.inbox) < 3:
        wire.step()
    wire.inbox.reverse()
    for _ in range(2):
        wire.step()
    wire.start()
    wire.finish()

    assert wire.news == [(wire.digests[0], None)]


def test_a_file_that_changed_under_way_is_fetched_again(tmp_path):
    files = {f"f{n}": noise(5000, n) for n in range(5)}
    wire = Wire(tmp_path, packed(files))
    while not list(tmp_path.glob("node/recipes/*/f0")):
        wire.step()
    next(tmp_path.glob("node/recipes/*/f0")).write_bytes(b"tampered")
    wire.start()
    wire.finish()

    wire.assert_is(wire.digests[0], files)


def test_a_recipe_that_is_wished_again_goes_on_where_it_was(tmp_path):
    first, second = packed({"a": noise(90_000)}), packed({"a": b"small"})
    wire = Wire(tmp_path, first)
    while len(wire.pieces) < 12:
        wire.step()
    wire.want(second)
    wire.finish()
    wire.pieces = []
    wire.want(first)
    wire.finish()

    assert len(wire.pieces) <= 23 + 2 - 12 + wire.window + 1


# Any wire

PATHS = st.from_regex(r"[a-c](/[a-c]{1,2}){0,2}", fullmatch=True)
SIZES = st.sampled_from([0, 1, 100, 4096, 4097, 9000, 40_000])


def is_tree(paths):
    return not any(a != b and b.startswith(a + "/") for a in paths for b in paths)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(PATHS, SIZES, max_size=6).filter(is_tree),
    st.integers(0, 1 << 30),
    st.integers(1, 8),
)
def test_over_any_wire_it_ends_complete_and_identical(sizes, seed, window):
    files = {path: noise(sizes[path], n) for n, path in enumerate(sorted(sizes))}
    with tempfile.TemporaryDirectory() as folder:
        wire = Wire(Path(folder), packed(files), window=window, seed=seed)
        wire.faults = 0.2
        for _ in range(300):
            wire.step()
            if wire.random.random() < 0.05:
                wire.fault()
            if wire.done():
                wire.assert_is(wire.digests[0], files)
        wire.faults = 0.0
        wire.finish()

        wire.assert_is(wire.digests[0], files)
        assert wire.news[-1][0] == wire.digests[0]
        wire.store.close()
