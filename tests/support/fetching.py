"""A node that fetches recipes from the coordinator's real store over a wire with faults.

Wire, clock and what happens to the node are simulated, from a seed; nothing waits in here.
"""

import random
from pathlib import Path

from fieldconf_coordinator.service.recipes import RecipeStore, pack
from fieldconf_microagent import codec
from fieldconf_microagent.fetch import Fetcher


def noise(size, seed=0):
    """Return bytes that do not compress."""
    return random.Random(seed * 1_000_003 + size).randbytes(size)


SMALL = {"start": b"#!/bin/sh\n", "lib/large": noise(9000), "lib/other": noise(5000)}


def packed(files, component="Web"):
    return pack(component, "script", [(path, 0o755, files[path]) for path in files])


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
