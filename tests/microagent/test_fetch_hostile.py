"""Whoever answers may lie: what is wrong is not kept, is told, and is asked for again later."""

import pytest

from fieldconf_microagent import codec, compat, manifest
from fieldconf_microagent.fetch import Fetcher
from support.fetching import SMALL, Wire, packed

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


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
