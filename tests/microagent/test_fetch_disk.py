"""Power may go and the disk may fail at any operation: nothing wrong is ever called complete."""

import errno
import os
from pathlib import Path

import pytest

from fieldconf_microagent import compat, fetch
from fieldconf_microagent.fetch import Fetcher
from support.fetching import SMALL, Wire, noise, packed

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


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


def test_a_mark_that_is_damaged_marks_nothing(tmp_path):
    wire = Wire(tmp_path, packed(SMALL)).finish()
    mark = Path(wire.fetcher.folder(wire.digests[0]) + ".ok")
    mark.write_bytes(b"")
    wire.pieces = []

    wire.start()
    assert not wire.done()
    wire.finish()

    assert len(wire.pieces) == 1, "only the manifest: its files are there"
