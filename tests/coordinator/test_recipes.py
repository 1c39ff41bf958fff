"""Recipes pack to the same bytes every time, are kept whole, and go only to who may have them."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldconf_coordinator.service import recipes
from fieldconf_coordinator.service.recipes import RecipeError, RecipeStore, TokenBucket, pack
from fieldconf_microagent import codec, compat, manifest

FILES = [("start", 0o755, b"#!/bin/sh\necho started\n"), ("lib/data", 0o644, bytes(100_000))]


def noise(size, seed=0):
    return random.Random(seed).randbytes(size)


@pytest.fixture
def store(tmp_path):
    store = RecipeStore(tmp_path)
    yield store
    store.close()


def ask(store, digest, allowed, first=0, bitmap=b"\xff", most=64):
    puts = store.answer(codec.pack([digest, first, bitmap, most]), allowed)
    return [tuple(codec.unpack(put)) for put in puts]


# Packing


def test_the_same_input_gives_the_same_bytes():
    assert pack("Web", "script", FILES) == pack("Web", "script", list(reversed(FILES)))


def test_a_digest_follows_content_mode_and_installer_but_not_the_umask():
    digest = pack("Web", "script", FILES).digest
    changed = [("start", 0o755, b"#!/bin/sh\necho Started\n"), FILES[1]]
    no_longer_executable = [("start", 0o644, FILES[0][2]), FILES[1]]

    assert pack("Web", "script", changed).digest != digest
    assert pack("Web", "script", no_longer_executable).digest != digest
    assert pack("Web", "python", FILES).digest != digest
    assert pack("Web", "script", [("start", 0o700, FILES[0][2]), FILES[1]]).digest == digest


def test_what_is_packed_reads_back():
    content = noise(50_000)
    packed = pack("Web", "script", [("a", 0o755, content)])
    (file,) = manifest.parse(packed.manifest).files
    blob = packed.things[file.blob]
    hashes = packed.things[file.hashes]

    assert zlib.decompress(blob, -15) == content
    assert [hashes[at : at + 32] for at in range(0, len(hashes), 32)] == [
        compat.sha256(blob[at : at + 4096]).digest() for at in range(0, len(blob), 4096)
    ]
    assert compat.sha256(packed.manifest).digest() == packed.digest


@pytest.mark.parametrize("content", [b"", b"a", bytes(1 << 20), noise(300_000)])
def test_any_content_can_be_packed(content):
    packed = pack("Web", "script", [("a", 0o644, content)])

    (file,) = manifest.parse(packed.manifest).files
    assert file.size == len(content)


@pytest.mark.parametrize("path", ["../a", "/a", "a//b", "a\\b", ""])
def test_a_path_that_agents_refuse_is_refused_here(path):
    with pytest.raises(RecipeError, match=r"recipe of Web: manifest: the path .* is not allowed"):
        pack("Web", "script", [(path, 0o644, b"")])


def test_two_files_of_one_path_are_refused():
    with pytest.raises(RecipeError, match="twice"):
        pack("Web", "script", [("a", 0o644, b"1"), ("a", 0o644, b"2")])


# Serving


def test_manifest_list_and_blob_are_served_piece_by_piece(store):
    content = noise(9000)
    packed = pack("Web", "script", [("a", 0o755, content)])
    digest = store.add(packed)
    (file,) = manifest.parse(packed.manifest).files

    assert ask(store, digest, [digest]) == [(digest, 0, len(packed.manifest), packed.manifest)]
    hashes = packed.things[file.hashes]
    assert ask(store, file.hashes, [digest]) == [(file.hashes, 0, 96, hashes)]
    blob = packed.things[file.blob]
    assert ask(store, file.blob, [digest], bitmap=b"\x05") == [
        (file.blob, 0, len(blob), blob[:4096]),
        (file.blob, 2, len(blob), blob[8192:]),
    ]
    assert store.refused == 0


def test_the_agent_sets_the_pace(store):
    packed = pack("Web", "script", [("a", 0o755, noise(100_000))])
    digest = store.add(packed)
    (file,) = manifest.parse(packed.manifest).files

    got = ask(store, file.blob, [digest], first=3, bitmap=b"\xf6", most=3)

    assert [put[1] for put in got] == [4, 5, 7]


def test_no_answer_is_longer_than_the_bounds(store, monkeypatch):
    packed = pack("Web", "script", [("a", 0o755, noise(1 << 20))])
    digest = store.add(packed)
    (file,) = manifest.parse(packed.manifest).files

    everything = {"bitmap": b"\xff" * 64, "most": 1 << 40}
    assert len(ask(store, file.blob, [digest], **everything)) == recipes.MOST_PIECES

    monkeypatch.setattr(recipes, "MOST_BYTES", 10_000)
    assert len(ask(store, file.blob, [digest], **everything)) == 2


def test_who_asks_beyond_the_end_learns_the_size(store):
    packed = pack("Web", "script", FILES)
    digest = store.add(packed)

    assert ask(store, digest, [digest], first=7) == [
        (digest, 0, len(packed.manifest), packed.manifest)
    ]


def test_only_what_the_want_names_is_served(store):
    mine = pack("Mine", "script", [("a", 0o755, b"mine")])
    other = pack("Other", "script", [("b", 0o755, b"other")])
    store.add(mine)
    store.add(other)
    (blob,) = other.things

    assert ask(store, other.digest, [mine.digest]) == []
    assert ask(store, blob, [mine.digest]) == []
    assert ask(store, blob, []) == []
    assert store.refused == 3
    assert len(ask(store, blob, [mine.digest, other.digest])) == 1


def test_a_want_may_name_what_is_not_kept(store):
    packed = pack("Web", "script", FILES)

    assert ask(store, packed.digest, [packed.digest]) == []
    assert ask(store, bytes(32), [packed.digest]) == []
    assert not store.has(packed.digest)


@pytest.mark.parametrize(
    "get",
    [
        None,
        [],
        [bytes(32), 0, b"\1"],
        [bytes(31), 0, b"\1", 1],
        ["../../etc/passwd", 0, b"\1", 1],
        [bytes(32), -1, b"\1", 1],
        [bytes(32), "0", b"\1", 1],
        [bytes(32), 0, b"", 1],
        [bytes(32), 0, b"\1", 0],
        [bytes(32), 0, b"\1", 1.5],
        [bytes(32), 0, b"\1" * 600, 1],
        {"digest": 1},
    ],
)
def test_a_malformed_get_is_counted_and_nothing_else(store, get):
    assert store.answer(codec.pack(get), [bytes(32)]) == []
    assert store.refused == 1


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_counted_and_nothing_else(tmp_path_factory, data):
    store = RecipeStore(tmp_path_factory.mktemp("store"))

    assert store.answer(data, [bytes(32)]) == []
    assert store.refused == 1


# Keeping


def test_recipes_survive_a_restart_of_the_coordinator(tmp_path, store):
    digest = store.add(pack("Web", "script", FILES))
    again = RecipeStore(tmp_path)

    assert again.has(digest)
    assert again.manifest_of(digest).component == "Web"
    assert len(ask(again, digest, [digest])) == 1
    again.close()


def test_adding_twice_changes_nothing(tmp_path, store):
    store.add(pack("Web", "script", FILES))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    store.add(pack("Web", "script", FILES))

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_full_disk_leaves_no_half_recipe(tmp_path, store, monkeypatch):
    packed = pack("Web", "script", FILES)
    writes = []

    def sync_file(file):
        writes.append(file)
        if len(writes) == 3:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(recipes.compat, "sync_file", sync_file)
    with pytest.raises(OSError, match="No space"):
        store.add(packed)
    assert not store.has(packed.digest)

    assert store.add(packed) == packed.digest
    assert len(ask(store, packed.digest, [packed.digest])) == 1


def test_a_thing_that_was_damaged_on_disk_is_not_served_but_mended_by_add(tmp_path, store):
    packed = pack("Web", "script", FILES[:1])
    digest = store.add(packed)
    (blob,) = packed.things
    (tmp_path / "things" / blob.hex()).write_bytes(b"damaged")

    assert ask(store, blob, [digest]) == []
    assert store.damaged == 1

    store.add(packed)
    assert ask(store, blob, [digest])[0][3] == packed.things[blob]


def test_collect_keeps_what_a_kept_recipe_shares(tmp_path, store):
    shared = ("lib", 0o644, noise(9000))
    old = store.add(pack("Web", "script", [shared, ("start", 0o755, b"old")]))
    new_recipe = pack("Web", "script", [shared, ("start", 0o755, b"new")])
    new = store.add(new_recipe)
    ask(store, old, [old])

    store.collect([new])

    assert not store.has(old)
    assert ask(store, old, [old]) == []
    names = {path.name for path in (tmp_path / "things").iterdir()}
    assert names == {digest.hex() for digest in new_recipe.things}
    for digest in new_recipe.things:
        assert ask(store, digest, [new])


def test_collect_clears_what_a_crash_left(tmp_path, store):
    (tmp_path / "things" / "abc.new").write_bytes(b"half")
    (tmp_path / "manifests" / "abc.new").write_bytes(b"half")

    store.collect([])

    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_few_files_are_open_however_many_are_served(store):
    files = [(f"f{n}", 0o644, noise(10, n)) for n in range(100)]
    packed = pack("Web", "script", files)
    digest = store.add(packed)

    for blob, content in packed.things.items():
        assert ask(store, blob, [digest])[0][3] == content

    assert len(store._open) == recipes.OPEN_FILES


# Pace


def test_a_burst_goes_at_once_and_the_rate_holds_after_it():
    bucket = TokenBucket(bytes_per_s=1000, burst=500)

    assert [bucket.wait(0, 100) for _ in range(5)] == [0] * 5
    assert bucket.wait(0, 100) == 101
    assert bucket.wait(50, 100) == 51
    assert bucket.wait(101, 100) == 0


def test_more_than_a_burst_is_paid_for_afterwards():
    bucket = TokenBucket(bytes_per_s=1000, burst=100)

    assert bucket.wait(0, 1100) == 0
    assert bucket.wait(0, 1) == 1002
    assert bucket.wait(1002, 1) == 0


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 5000)), min_size=1, max_size=50),
    st.integers(100, 100_000),
    st.integers(5000, 50_000),
)
def test_over_any_time_no_more_goes_than_burst_and_rate_allow(steps, rate, burst):
    bucket = TokenBucket(rate, burst)
    now = sent = 0
    for gap, size in steps:
        now += gap
        wait = bucket.wait(now, size)
        if wait:
            now += wait
            assert bucket.wait(now, size) == 0, "what it said was enough"
        sent += size
        assert sent <= burst + now * rate / 1000 + 1
