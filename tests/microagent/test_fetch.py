"""Recipes arrive complete and identical over the worst wire, and nothing wrong is called complete.

The coordinator's real store is at the other end; wire, clock, power and disk are simulated.
"""

import errno
import itertools
import os
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fieldconf_coordinator.service.recipes import RecipeStore, pack
from fieldconf_microagent import codec, compat, fetch, manifest
from fieldconf_microagent.fetch import Fetcher


def noise(size, seed=0):
    """Return bytes that do not compress."""
    return random.Random(seed * 1_000_003 + size).randbytes(size)


SMALL = {"start": b"#!/bin/sh\n", "lib/large": noise(9000), "lib/other": noise(5000)}


def packed(files, component="Web"):
    return pack(component, "1", [(path, 0o755, files[path]) for path in files])


class Wire:
    """Carries messages between a fetcher and the store, with the faults that a seed brings."""

    def __init__(self, folder, *recipes, window=4, seed=0):
        self.root = str(folder / "node")
        self.store = RecipeStore(folder / "store")
        self.digests = [self.store.add(recipe) for recipe in recipes]
        self.window = window
        self.random = random.Random(seed)
        self.now = 0
        self.faults = 0.0
        self.inbox = []
        self.gets = []
        self.asked = 0
        self.pieces = []
        self.bytes = 0
        self.news = []
        self.start()

    def __del__(self):
        # Hundreds of them live one after the other, each with files that are open.
        self.store.close()

    def start(self):
        """Boot the node: whatever was in memory is gone."""
        self.fetcher = Fetcher(self.root, self.window)
        self.fetcher.want(self.now, self.digests)
        self.fetcher.link(self.now, True)
        self.inbox = []

    def want(self, *recipes):
        self.digests = [self.store.add(recipe) for recipe in recipes]
        self.fetcher.want(self.now, self.digests)

    def done(self):
        return all(self.fetcher.has(digest) for digest in self.digests)

    def is_hit(self):
        return self.random.random() < self.faults

    def step(self):
        while True:
            self.fetcher.tick(self.now)
            self._publish()
            wake = self.fetcher.next_wake()
            if wake is None or wake > self.now:
                break
        if self.inbox:
            at = self.random.randrange(len(self.inbox)) if self.is_hit() else 0
            put = self.inbox[at] if self.is_hit() else self.inbox.pop(at)
            self.fetcher.on_put(self.now, *self._corrupted(put))
            self._publish()
        else:
            wake = self.fetcher.next_wake()
            self.now = max(self.now, wake if wake is not None else self.now + 1000)

    def _corrupted(self, put):
        if self.faults and self.random.random() < 0.02:
            digest, index, total, data = put
            return self.random.choice(
                [
                    [digest, index, total, noise(len(data), 9)],
                    [digest, index, total, data + b"more"],
                    [digest, index + 1, total, data],
                    [digest, index, total + 1, data],
                    [digest, -1, total, data],
                    [digest, index, total, None],
                ]
            )
        return put

    def _publish(self):
        gets, news = self.fetcher.take()
        self.news += news
        for get in gets:
            self.asked += 1
            self.bytes += len(get)
            if self.is_hit():
                continue
            for put in self.store.answer(get, self.digests):
                self.bytes += len(put)
                put = codec.unpack(put)
                self.pieces.append((put[0], put[1]))
                if not self.is_hit():
                    self.inbox.append(put)

    def fault(self):
        """Do one of the things that happen to nodes."""
        what = self.random.random()
        if what < 0.3:
            self.start()
        elif what < 0.5:
            self.fetcher.link(self.now, False)
            self.inbox = []
            self.fetcher.link(self.now, True)
        elif what < 0.7:
            self.inbox = []

    def finish(self, steps=20_000):
        for _ in range(steps):
            if self.done():
                return self
            self.step()
        raise AssertionError(f"not complete at {self.now} ms: {self.news[-3:]}")

    def content(self, digest, path):
        return Path(self.fetcher.folder(digest), path).read_bytes()

    def assert_is(self, digest, files):
        folder = Path(self.fetcher.folder(digest))
        found = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert found == files


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk():
    """Keep off the real disk: `Disk` keeps account of syncs, and thousands of them take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


# Ordinary ways


def test_a_recipe_arrives_with_its_modes(tmp_path):
    recipe = pack("Web", "1", [("start", 0o755, b"#!/bin/sh"), ("conf", 0o600, b"a=1")])
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


# Power and disk


class PowerCut(BaseException):
    """The node is off; nothing catches this."""


class Disk:
    """Fails at the n-th operation. What was not synced by then is lost: it turns to zeros."""

    def __init__(self, monkeypatch):
        self.left = None
        self.failure = PowerCut()
        self.operations = 0
        self.unsynced = set()
        monkeypatch.setattr(fetch, "open", self.open, raising=False)
        monkeypatch.setattr(fetch, "compat", self)

    def __getattr__(self, name):
        return getattr(compat, name)

    def fail_after(self, operations, failure):
        self.left = operations
        self.failure = failure

    def count(self):
        self.operations += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise self.failure

    def open(self, path, mode):
        if mode != "rb":
            self.count()
            self.unsynced.add(path)
        return File(self, path, mode)

    def replace(self, old, new):
        self.count()
        compat.replace(old, new)
        if old in self.unsynced:
            self.unsynced.remove(old)
            self.unsynced.add(new)

    def sync_file(self, file):
        self.count()
        file.flush()
        self.unsynced.discard(file.path)

    def makedirs(self, path):
        self.count()
        compat.makedirs(path)

    def remove_tree(self, path):
        if os.path.exists(path):
            self.count()
            compat.remove_tree(path)

    def lose_power(self):
        self.left = None
        for path in self.unsynced:
            if os.path.exists(path):
                size = os.path.getsize(path)
                Path(path).write_bytes(bytes(size))
        self.unsynced = set()


class File:
    def __init__(self, disk, path, mode):
        self.disk, self.path = disk, path
        self.file = open(path, mode, buffering=0)

    def write(self, data):
        try:
            self.disk.count()
        except BaseException:
            self.file.write(data[: len(data) // 2])
            raise
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def run_until_power_cut(wire, disk, operations):
    """Boot and run; tell whether the recipe was complete before the power went."""
    disk.fail_after(operations, PowerCut())
    try:
        wire.start()
        wire.finish()
    except PowerCut:
        disk.lose_power()
        return False
    disk.lose_power()
    return True


def assert_never_wrong(wire, files):
    """Boot without a link: what is called complete now has to be it."""
    fetcher = Fetcher(wire.root)
    for digest in wire.digests:
        if fetcher.has(digest):
            wire.assert_is(digest, files)
    wire.start()
    wire.finish()
    wire.assert_is(wire.digests[0], files)


def test_power_may_fail_at_any_operation(tmp_path, disk):
    recipe = packed(SMALL)
    cuts = 0
    while True:
        folder = tmp_path / str(cuts)
        wire = Wire(folder, recipe)
        was_complete = run_until_power_cut(wire, disk, cuts)
        assert_never_wrong(wire, SMALL)
        if was_complete:
            break
        cuts += 1

    assert cuts > 30


def test_power_may_fail_at_any_two_operations(tmp_path, disk):
    files = {"large": noise(5000)}
    recipe = packed(files)
    first = 0
    pairs = 0
    while True:
        second = 0
        while True:
            wire = Wire(tmp_path / f"{first}-{second}", recipe)
            if run_until_power_cut(wire, disk, first):
                assert pairs > 100
                return
            if run_until_power_cut(wire, disk, second):
                break
            assert_never_wrong(wire, files)
            second += 1
            pairs += 1
        first += 1


def test_power_may_fail_while_old_recipes_are_deleted(tmp_path, disk):
    old, new = packed({"a": b"1", "b": b"2"}), packed({"a": b"3"})
    cuts = 0
    while True:
        wire = Wire(tmp_path / str(cuts), old, new).finish()
        disk.fail_after(cuts, PowerCut())
        try:
            wire.fetcher.collect([new.digest])
            wire.fetcher.want(wire.now, [new.digest])
            wire.fetcher.collect([])
            break
        except PowerCut:
            disk.lose_power()
        fetcher = Fetcher(wire.root)
        assert fetcher.has(new.digest)
        if fetcher.has(old.digest):
            wire.assert_is(old.digest, {"a": b"1", "b": b"2"})
        cuts += 1

    assert cuts == 2
    disk.left = None
    assert not Fetcher(wire.root).has(old.digest)


def test_a_full_disk_at_any_operation_is_told_and_survived(tmp_path, disk):
    recipe = packed(SMALL)
    full = 0
    while True:
        wire = Wire(tmp_path / str(full), recipe)
        disk.fail_after(full, OSError(errno.ENOSPC, "No space left on device"))
        while not wire.done() and wire.now < 100_000:
            wire.step()
        disk.left = None
        if wire.done():
            break
        assert "disk is full" in wire.news[-1][1]
        wire.finish()
        wire.assert_is(recipe.digest, SMALL)
        full += 1

    assert full > 20


# Hostile content


def forged(*entries, things=()):
    """Return a recipe that no honest coordinator would pack, with its things."""
    total = sum(entry[3] for entry in entries)
    data = codec.pack([1, "Web", "1", 0, total, {}, list(entries)])
    digest = compat.sha256(data).digest()
    served = {compat.sha256(thing).digest(): thing for thing in things}
    return digest, served | {digest: data}


def serve(root, digest, things, now=0):
    """Serve those things until the fetcher has no more to ask for now; return the news."""
    fetcher = Fetcher(root)
    fetcher.want(now, [digest])
    fetcher.link(now, True)
    news = []
    for _ in range(1000):
        fetcher.tick(now)
        gets, new = fetcher.take()
        news += new
        for get in gets:
            wanted, first, _, _ = codec.unpack(get)
            thing = things[wanted]
            data = thing[first * 4096 : first * 4096 + 4096]
            fetcher.on_put(now, wanted, first, len(thing), data)
        if not gets and fetcher.next_wake() != now:
            break
    return fetcher, news


def entry_of(path, content, blob):
    digests = compat.sha256(content).digest(), compat.sha256(blob).digest()
    return [path, 0o755, digests[0], len(content), digests[1], len(blob), 4096, None]


def blob_of(content):
    return next(blob for blob in packed({"a": content}).things.values())


def test_a_path_that_leads_out_of_the_folder_is_told_and_not_written(tmp_path):
    blob = blob_of(b"evil")
    digest, things = forged(entry_of("../../evil", b"evil", blob), things=[blob])

    fetcher, news = serve(str(tmp_path / "node"), digest, things)

    assert not fetcher.has(digest)
    assert "'../../evil' is not allowed" in news[0][1]
    assert not list(tmp_path.rglob("evil"))


def test_a_blob_that_inflates_beyond_its_size_is_cut_off(tmp_path):
    bomb = blob_of(bytes(1_000_000))
    digest, things = forged(entry_of("a", bytes(3000), bomb), things=[bomb])

    fetcher, news = serve(str(tmp_path / "node"), digest, things)

    assert not fetcher.has(digest)
    assert news == [(digest, "a is not what the manifest says")]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 10_000


def test_content_with_another_digest_is_not_taken(tmp_path):
    blob = blob_of(b"wrong")
    digest, things = forged(entry_of("a", b"right", blob), things=[blob])

    fetcher, news = serve(str(tmp_path / "node"), digest, things)

    assert not fetcher.has(digest)
    assert news[0][1] == "a is not what the manifest says"
    assert not list(tmp_path.rglob("recipes/*/a"))


def test_another_manifest_than_the_one_asked_for_is_not_taken(tmp_path):
    digest, things = forged()
    other, _ = forged(entry_of("a", b"", blob_of(b"")))
    fetcher, news = serve(str(tmp_path), other, {other: things[digest]})

    assert news == []
    assert fetcher.wrong == 1


@pytest.mark.parametrize(
    "total", [manifest.MAX_MANIFEST + 1, 1 << 62, 0, -1], ids=["too long", "huge", "none", "less"]
)
def test_endless_data_is_refused_before_anything_is_kept(tmp_path, total):
    digest, _ = forged()
    fetcher = Fetcher(str(tmp_path))
    fetcher.want(0, [digest])
    fetcher.link(0, True)
    for _ in range(3):
        fetcher.tick(0)

    for index in range(200):
        fetcher.on_put(0, digest, index, total, bytes(4096))

    assert fetcher.wrong
    assert not fetcher.has(digest)
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_a_manifest_that_lies_about_its_size_is_given_up_and_asked_for_again(tmp_path):
    wire = Wire(tmp_path, packed(SMALL))
    while not wire.fetcher.take()[0]:
        wire.fetcher.tick(wire.now)
    for index in range(3):
        wire.fetcher.on_put(wire.now, wire.digests[0], index, 300_000, bytes(4096))

    wire.finish()

    assert "one size" in wire.news[0][1]
    wire.assert_is(wire.digests[0], SMALL)


def test_failures_rest_longer_and_longer_until_retry(tmp_path):
    blob = blob_of(b"wrong")
    digest, things = forged(entry_of("a", b"right", blob), things=[blob])
    fetcher, _ = serve(str(tmp_path), digest, things)

    rests = []
    now = 0
    for _ in range(10):
        wake = fetcher.next_wake()
        rests.append(wake - now)
        now = wake
        while fetcher.next_wake() <= now:
            fetcher.tick(now)
            for get in fetcher.take()[0]:
                wanted, first, _, _ = codec.unpack(get)
                fetcher.on_put(now, wanted, first, len(things[wanted]), things[wanted])
    assert rests == [2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000]

    fetcher.retry(now)
    assert fetcher.next_wake() == now


def test_a_mark_that_is_damaged_marks_nothing(tmp_path):
    wire = Wire(tmp_path, packed(SMALL)).finish()
    mark = Path(wire.fetcher.folder(wire.digests[0]) + ".ok")
    mark.write_bytes(b"")
    wire.pieces = []

    wire.start()
    assert not wire.done()
    wire.finish()

    assert len(wire.pieces) == 1, "only the manifest: its files are there"
