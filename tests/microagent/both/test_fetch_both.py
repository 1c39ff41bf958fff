"""A recipe arrives whole on either Python, whatever the wire loses and whenever the agent stops.

Plain functions and asserts: CPython's pytest runs them, and so does MicroPython.
"""

import os

from fieldconf_microagent import codec, compat, manifest
from fieldconf_microagent.fetch import Fetcher

PIECE = 4096


def stored(content):
    """Return the raw DEFLATE of `content` in stored blocks; boards cannot compress."""
    out = bytearray()
    blocks = [content[at : at + 60000] for at in range(0, len(content), 60000)] or [b""]
    for number, block in enumerate(blocks):
        size = len(block)
        out.append(1 if number == len(blocks) - 1 else 0)
        out.extend(size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + block)
    return bytes(out)


def sha(data):
    return compat.sha256(data).digest()


class Source:
    """Serves one recipe, as a coordinator does."""

    def __init__(self, files):
        self.things = {}
        self.served = []
        entries = [self.entry(path, files[path]) for path in sorted(files)]
        total = sum(len(content) for content in files.values())
        packed = codec.pack([1, "Web", "1", 0, total, {}, entries])
        self.digest = sha(packed)
        self.things[self.digest] = packed

    def entry(self, path, content):
        blob = stored(content)
        piece = manifest.piece_size(len(blob))
        hashes = None
        if len(blob) > piece:
            listed = b"".join(sha(blob[at : at + piece]) for at in range(0, len(blob), piece))
            hashes = sha(listed)
            self.things[hashes] = listed
        self.things[sha(blob)] = blob
        return [path, 0o755, sha(content), len(content), sha(blob), len(blob), piece, hashes]

    def answer(self, get):
        digest, first, bitmap, most = codec.unpack(get)
        thing = self.things[digest]
        for bit in range(8 * len(bitmap)):
            if most and bitmap[bit // 8] >> bit % 8 & 1:
                at = (first + bit) * PIECE
                self.served.append((digest, first + bit))
                most -= 1
                yield digest, first + bit, len(thing), thing[at : at + PIECE]


def fresh(name):
    folder = os.getenv("TMPDIR") or "/tmp"
    return folder + "/fieldconf-" + name + "-" + compat.hex(compat.random_bytes(6))


def run(fetcher, source, now=0, pieces=100000):
    """Let both talk until nothing happens any more, or so many pieces came."""
    news = []
    for _ in range(100000):
        fetcher.tick(now)
        gets, new = fetcher.take()
        news.extend(new)
        for get in gets:
            for put in source.answer(get):
                if not pieces:
                    return news
                pieces -= 1
                fetcher.on_put(now, *put)
        wake = fetcher.next_wake()
        if not gets and (wake is None or wake > now):
            return news
    raise AssertionError("it never ends")


def content_of(fetcher, source, path):
    return compat.read_file(fetcher.folder(source.digest) + "/" + path)


FILES = {
    "start.py": b"def start(instance):\n    pass\n",
    "lib/large.bin": bytes(range(251)) * 150,
    "lib/empty": b"",
}


def begin(root, source, window=2):
    fetcher = Fetcher(root, window)
    fetcher.want(0, [source.digest])
    fetcher.link(0, True)
    return fetcher


def test_a_recipe_arrives_whole():
    root = fresh("whole")
    source = Source(FILES)
    fetcher = begin(root, source)

    assert run(fetcher, source) == [(source.digest, None)]

    assert fetcher.has(source.digest)
    for path in FILES:
        assert content_of(fetcher, source, path) == FILES[path], path
    assert os.listdir(root + "/parts") == []
    assert Fetcher(root).has(source.digest)
    compat.remove_tree(root)


def test_it_goes_on_after_any_number_of_pieces():
    source = Source(FILES)
    begun = fresh("cut")
    run(begin(begun, source), source)
    in_all = len(source.served)
    for pieces in range(in_all):
        root = fresh("cut")
        source.served = []
        run(begin(root, source), source, pieces=pieces)
        fetcher = begin(root, source)
        run(fetcher, source)

        assert fetcher.has(source.digest), pieces
        for path in FILES:
            assert content_of(fetcher, source, path) == FILES[path], path
        compat.remove_tree(root)
    compat.remove_tree(begun)


def test_a_corrupt_piece_is_counted_and_asked_for_again():
    root = fresh("corrupt")
    source = Source(FILES)
    fetcher = begin(root, source)
    fetcher.tick(0)
    honest = source.answer

    def lie(get):
        for digest, index, total, data in honest(get):
            if index == 3:
                data = bytes(len(data))
            yield digest, index, total, data

    source.answer = lie
    run(fetcher, source)
    assert fetcher.wrong
    assert not fetcher.has(source.digest)

    source.answer = honest
    run(fetcher, source, now=fetcher.next_wake())
    assert content_of(fetcher, source, "lib/large.bin") == FILES["lib/large.bin"]
    compat.remove_tree(root)


def test_what_did_not_change_is_copied():
    root = fresh("copy")
    old = Source(FILES)
    run(begin(root, old), old)
    changed = dict(FILES)
    changed["start.py"] = b"def start(instance):\n    return 1\n"
    new = Source(changed)

    fetcher = begin(root, new)
    run(fetcher, new)

    assert len(new.served) == 2, "the manifest and the changed file"
    for path in changed:
        assert content_of(fetcher, new, path) == changed[path], path
    fetcher.collect([])
    assert not fetcher.has(old.digest)
    assert fetcher.has(new.digest)
    assert sorted(os.listdir(root + "/recipes")) == [
        compat.hex(new.digest),
        compat.hex(new.digest) + ".ok",
    ]
    compat.remove_tree(root)
